//! Commands on their way to the workers: one batch per worker, handed over whole.
//!
//! While handlers run, commands gather: what a turn of Node's loop produced for a worker crosses the border at once, and
//! a publish in front of a send still leaves in front of it. Outside of handlers every call hands over at once, so
//! that its bytes leave although JavaScript goes on computing.

use std::time::Duration;

use crate::bridge::command::{Command, CommandBatch};
use crate::bridge::event::Slice;
use crate::bridge::id::{ConnectionId, WorkerId};
use crate::bridge::latch::Latch;
use crate::bridge::queue::Downlink;
use crate::bridge::sync::Arc;
use crate::io::pool::Pool;

/// The batches being filled.
#[derive(Debug, Default)]
pub struct Outgoing {
    batches: Vec<CommandBatch>,
    /// Bytes published to each worker since it was last waited for, its commands included.
    published: Vec<usize>,
    /// What each worker was last waited for in vain, until it has caught up.
    overdue: Vec<Option<Arc<Latch>>>,
    /// Whether commands gather until the dispatcher hands them over, or `cork` ends.
    holding: u32,
}

impl Outgoing {
    /// The arena for the payload of the next command to `worker`.
    pub fn arena(&mut self, worker: WorkerId) -> &mut Vec<u8> {
        &mut self.batch(worker).bytes
    }

    /// Copies `bytes` for the next command to `worker`.
    pub fn copy(&mut self, worker: WorkerId, bytes: &[u8]) -> Slice {
        Slice::append(self.arena(worker), bytes)
    }

    /// Adds a command.
    pub fn push(&mut self, worker: WorkerId, command: Command) {
        self.batch(worker).commands.push(command);
    }

    /// Counts a message published to `worker`. Returns whether it is time to wait for that worker: what a handler that
    /// never stops publishing makes is multiplied over there, so the worker may be the slower of the two.
    pub fn count_published(&mut self, worker: WorkerId, length: usize) -> bool {
        if self.published.len() <= worker.index() {
            self.published.resize(worker.index() + 1, 0);
        }
        let published = &mut self.published[worker.index()];
        *published += length + size_of::<Command>();
        let is_much = *published >= MOST_PUBLISHED;
        if is_much {
            *published = 0;
        }
        is_much
    }

    fn batch(&mut self, worker: WorkerId) -> &mut CommandBatch {
        if self.batches.len() <= worker.index() {
            self.batches.resize_with(worker.index() + 1, CommandBatch::default);
        }
        &mut self.batches[worker.index()]
    }

    /// How many commands have gathered.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.batches.iter().map(|batch| batch.commands.len()).sum()
    }

    /// From now on commands gather. Calls nest.
    pub const fn hold(&mut self) {
        self.holding += 1;
    }

    /// Ends one [`Self::hold`].
    pub const fn let_go(&mut self) {
        self.holding = self.holding.saturating_sub(1);
    }

    /// Whether more has gathered for a worker than is worth keeping together. Bounds what a handler that never stops sending
    /// holds here, and keeps every arena far below the 4 GiB that a slice can name.
    #[must_use]
    pub fn is_long(&self) -> bool {
        let is_long = |batch: &CommandBatch| batch.bytes.len() >= LONG || batch.commands.len() >= MANY;
        self.batches.iter().any(is_long)
    }

    /// Hands over, unless commands are to gather.
    pub fn settle(&mut self, pool: &Pool) {
        if self.holding == 0 {
            self.flush(pool);
        }
    }

    /// Hands everything over. While no thread runs nobody is connected, so whatever there is can only be meant for somebody
    /// who is gone.
    pub fn flush(&mut self, pool: &Pool) {
        if !pool.is_running() {
            self.batches.iter_mut().for_each(CommandBatch::clear);
        }
        for (batch, worker) in self.batches.iter_mut().zip(pool.workers()) {
            worker.downlink.push(batch);
        }
    }

    /// Hands over what has gathered for the worker of `connection`, and waits until it has written what the kernel takes for
    /// that connection.
    pub fn look_at(&mut self, pool: &Pool, connection: ConnectionId) {
        if pool.is_running()
            && let Some(handle) = pool.workers().get(connection.worker.index())
        {
            self.ask(&handle.downlink, connection.worker, |done| Command::WriteConnection {
                connection,
                done,
            });
        }
    }

    /// Hands over what has gathered for `worker`, and waits until it has written what the kernel takes of it.
    pub fn look(&mut self, pool: &Pool, worker: WorkerId) {
        if pool.is_running()
            && let Some(handle) = pool.workers().get(worker.index())
        {
            self.ask(&handle.downlink, worker, Command::Write);
        }
    }

    /// Hands a question over and waits for the answer, but not for long, and for a worker that hangs only once: until it goes
    /// on, what it is to do counts as not done.
    fn ask(&mut self, downlink: &Downlink, worker: WorkerId, question: impl FnOnce(Arc<Latch>) -> Command) {
        if self.overdue.len() <= worker.index() {
            self.overdue.resize(worker.index() + 1, None);
        }
        if self.overdue[worker.index()].as_ref().is_some_and(|latch| !latch.is_released()) {
            return downlink.push(self.batch(worker));
        }
        let latch = Arc::new(Latch::new(1));
        self.push(worker, question(Arc::clone(&latch)));
        downlink.push_urgently(self.batch(worker));
        let is_late = !latch.wait(LOOK_PATIENCE);
        self.overdue[worker.index()] = is_late.then_some(latch);
    }

    /// Hands everything over and waits until it is written, at most `patience`: the process is about to end (S15).
    pub fn flush_and_wait(&mut self, pool: &Pool, patience: Duration) {
        if !pool.is_running() {
            return;
        }
        let count = pool.workers().len();
        let latch = Arc::new(Latch::new(count));
        self.to_all(pool, || Command::Flush(Arc::clone(&latch)));
        latch.wait(patience);
    }

    /// Hands everything over, a last command for each worker included.
    pub fn to_all(&mut self, pool: &Pool, make: impl Fn() -> Command) {
        for number in 0..pool.workers().len() {
            // There are at most 64 workers.
            self.push(WorkerId(u8::try_from(number).unwrap_or(u8::MAX)), make());
        }
        self.flush(pool);
    }
}

/// Bytes that may be published to a worker before it is waited for.
const MOST_PUBLISHED: usize = 16 * 1024 * 1024;
/// Bytes of payload, from which on commands do not gather any longer. Together with the largest piece of a body they stay
/// within what a batch keeps between two uses (`bridge/habit`), however many responses are being streamed.
const LONG: usize = 2 * 1024 * 1024;
/// Commands for a worker, from which on they do not gather any longer: as much memory.
const MANY: usize = LONG / size_of::<Command>();
/// How long to wait for a worker to write. A pass takes microseconds; this is many times what a busy machine lets a thread
/// wait for its turn.
const LOOK_PATIENCE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    const WORKER: WorkerId = WorkerId(0);

    /// What a worker has been told, and those who wait for it.
    fn told(downlink: &Downlink) -> (usize, Vec<Arc<Latch>>) {
        let commands = std::iter::from_fn(|| downlink.take()).flat_map(|batch| batch.commands);
        let (questions, others): (Vec<_>, Vec<_>) =
            commands.partition(|command| matches!(command, Command::Write(_)));
        let latches = questions.into_iter().filter_map(|question| match question {
            Command::Write(latch) => Some(latch),
            _ => None,
        });
        (others.len(), latches.collect())
    }

    #[test]
    fn a_worker_that_hangs_is_waited_for_once() {
        let (mut outgoing, downlink) = (Outgoing::default(), Downlink::default());
        let say = |outgoing: &mut Outgoing| {
            outgoing.push(WORKER, Command::Stop);
            outgoing.ask(&downlink, WORKER, Command::Write);
            told(&downlink)
        };
        let (others, latches) = say(&mut outgoing);
        assert_eq!((others, latches.len()), (1, 1), "nobody has answered");
        for _ in 0..1000 {
            let (others, questions) = say(&mut outgoing);
            assert_eq!((others, questions.len()), (1, 0), "the commands go on their way all the same");
        }
        latches[0].release();
        let (_, latches) = say(&mut outgoing);
        assert_eq!(latches.len(), 1, "it has gone on, and is worth waiting for again");
    }

    #[test]
    fn many_commands_without_payload_are_handed_over_too() {
        let mut outgoing = Outgoing::default();
        for _ in 0..MANY {
            assert!(!outgoing.is_long());
            outgoing.push(WORKER, Command::Stop);
        }
        assert!(outgoing.is_long());
    }
}
