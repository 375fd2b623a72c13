//! Commands on their way to the workers: one batch per worker, handed over whole.
//!
//! While handlers run, commands gather: what a turn of Node's loop produced for a worker crosses to it in one batch,
//! and a publish before a send is still written before it. Outside of handlers every call hands over at once, so that
//! its bytes are written while JavaScript is still running.

use std::time::Duration;

use crate::bridge::command::{Command, CommandBatch, LentCommand};
use crate::bridge::event::Slice;
use crate::bridge::id::{ConnectionId, WorkerId};
use crate::bridge::latch::Latch;
use crate::bridge::sync::Arc;
use crate::io::pool::{Pool, WorkerHandle};

/// The batches being filled.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    batches: Vec<CommandBatch>,
    /// Bytes sent and published to each worker since Node's thread last waited for it, its commands included.
    sent: Vec<usize>,
    /// The latch of each worker that did not answer in time, until it does.
    overdue: Vec<Option<Arc<Latch>>>,
    /// How many holders there are; while there is one, commands gather until the dispatcher hands them over, or `cork`
    /// ends.
    holding: u32,
}

impl Outgoing {
    /// The arena for the payload of the next command to `worker`.
    pub(crate) fn arena(&mut self, worker: WorkerId) -> &mut Vec<u8> {
        &mut self.batch(worker).bytes
    }

    /// Copies `bytes` for the next command to `worker`.
    pub(crate) fn copy(&mut self, worker: WorkerId, bytes: &[u8]) -> Slice {
        Slice::append(self.arena(worker), bytes)
    }

    /// Adds a command.
    pub(crate) fn push(&mut self, worker: WorkerId, command: Command) {
        self.batch(worker).commands.push(command);
    }

    /// Counts a message sent or published to `worker`. Returns whether it is time to wait for that worker: a program
    /// that never stops sending may be faster than the worker that writes its messages.
    pub(crate) fn count_message(&mut self, worker: WorkerId, length: usize) -> bool {
        if self.sent.len() <= worker.index() {
            self.sent.resize(worker.index() + 1, 0);
        }
        let sent = &mut self.sent[worker.index()];
        *sent += length + if self.holding == 0 { BATCH_WEIGHT } else { size_of::<Command>() };
        let is_much = *sent >= MAX_SENT;
        if is_much {
            *sent = 0;
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
    pub(crate) fn waiting(&self) -> usize {
        self.batches.iter().map(|batch| batch.commands.len()).sum()
    }

    /// Gathers commands until [`Self::let_go`]. Calls nest.
    pub(crate) const fn hold(&mut self) {
        self.holding += 1;
    }

    /// Ends one [`Self::hold`].
    pub(crate) const fn let_go(&mut self) {
        self.holding = self.holding.saturating_sub(1);
    }

    /// Whether commands are being gathered.
    #[must_use]
    pub(crate) const fn is_holding(&self) -> bool {
        self.holding > 0
    }

    /// Whether more has gathered for a worker than a batch should hold. Bounds the memory of a handler that never stops
    /// sending, and keeps every arena far below the 4 GiB that a slice can name.
    #[must_use]
    pub(crate) fn is_long(&self) -> bool {
        let is_long = |batch: &CommandBatch| {
            batch.bytes.len() >= MAX_BATCH_BYTES || batch.commands.len() >= MAX_BATCH_COMMANDS
        };
        self.batches.iter().any(is_long)
    }

    /// Whether enough has gathered for a worker that it should begin while JavaScript goes on.
    #[must_use]
    pub(crate) fn is_worth_a_wake(&self) -> bool {
        let is_worth_it = |batch: &CommandBatch| {
            batch.bytes.len() >= WORTH_A_WAKE_BYTES || batch.commands.len() >= WORTH_A_WAKE_COMMANDS
        };
        self.batches.iter().any(is_worth_it)
    }

    /// Hands over what has gathered for all workers but the first one. Returns whether anything has for that.
    pub(crate) fn flush_all_but_first(&mut self, pool: &Pool) -> bool {
        for (batch, worker) in self.batches.iter_mut().zip(pool.workers()).skip(1) {
            worker.push(batch);
        }
        self.batches.first().is_some_and(|batch| !batch.is_empty())
    }

    /// Hands everything over. While no thread runs there are no connections, so the commands can only be for closed
    /// ones, and are dropped.
    pub(crate) fn flush(&mut self, pool: &Pool) {
        if !pool.is_running() {
            self.batches.iter_mut().for_each(CommandBatch::clear);
        }
        for (batch, worker) in self.batches.iter_mut().zip(pool.workers()) {
            worker.push(batch);
        }
    }

    /// Hands everything over; where Node's loop leads, it serves the next sockets afterwards, of those that are ready.
    pub(crate) fn advance(&mut self, pool: &Pool) {
        self.flush_all_but_first(pool);
        if let Some(first) = pool.workers().first() {
            first.advance(self.batch(WorkerId(0)));
        }
    }

    /// Hands over what has gathered for one worker.
    pub(crate) fn hand_over(&mut self, pool: &Pool, worker: WorkerId) {
        if let Some(handle) = running(pool, worker) {
            handle.push(self.batch(worker));
        }
    }

    /// Hands over what has gathered for the worker of `connection`, and waits until it has written what the kernel
    /// accepts for that connection: not for long, and for a stalled worker only once. Until that answers, its commands
    /// count as not carried out.
    pub(crate) fn await_write_to(&mut self, pool: &Pool, connection: ConnectionId) {
        let worker = connection.worker;
        let Some(handle) = running(pool, worker) else { return };
        if self.is_stalled(worker) {
            handle.push(self.batch(worker));
        } else {
            let question = |done| Command::WriteConnection { connection, done };
            self.ask(handle, worker, question, WRITE_PATIENCE);
        }
    }

    /// Where Node's loop leads `worker`, carries out what has gathered for it, and then `lent`. Otherwise returns `false`,
    /// and nothing has happened.
    pub(crate) fn lend(&mut self, pool: &Pool, worker: WorkerId, lent: LentCommand<'_>) -> bool {
        running(pool, worker).is_some_and(|handle| handle.carry_out_lent(self.batch(worker), lent))
    }

    /// Hands over what has gathered for `worker`, and waits until it has written what the kernel accepts of it. Waits
    /// for a stalled worker, too, because that keeps its queue short.
    pub(crate) fn await_writes_of(&mut self, pool: &Pool, worker: WorkerId) {
        if let Some(handle) = running(pool, worker) {
            self.ask(handle, worker, Command::Write, SENDING_PATIENCE);
        }
    }

    /// Whether the worker did not answer in time when it was last waited for, and has not done so since.
    fn is_stalled(&self, worker: WorkerId) -> bool {
        let latch = self.overdue.get(worker.index()).and_then(Option::as_ref);
        latch.is_some_and(|latch| !latch.is_released())
    }

    /// Hands a command over, after what has gathered, and waits until the worker releases its latch, at most
    /// `patience`.
    fn ask(
        &mut self,
        handle: &WorkerHandle,
        worker: WorkerId,
        question: impl FnOnce(Arc<Latch>) -> Command,
        patience: Duration,
    ) {
        let latch = Arc::new(Latch::new(1));
        self.push(worker, question(Arc::clone(&latch)));
        handle.push_urgently(self.batch(worker));
        let is_late = !handle.wait(&latch, patience);
        if self.overdue.len() <= worker.index() {
            self.overdue.resize(worker.index() + 1, None);
        }
        self.overdue[worker.index()] = is_late.then_some(latch);
    }

    /// Hands everything over, a last command for each worker included, and waits until every worker has released the
    /// latch of its command, at most `patience`. Nothing while no thread runs.
    pub(crate) fn ask_all(
        &mut self,
        pool: &Pool,
        question: impl Fn(Arc<Latch>) -> Command,
        patience: Duration,
    ) {
        if !pool.is_running() {
            return;
        }
        pool.catch_up();
        let latch = Arc::new(Latch::new(pool.workers().len()));
        self.push_to_all(pool, || question(Arc::clone(&latch)));
        pool.wait(&latch, patience);
    }

    /// Hands everything over, a last command for each worker included.
    pub(crate) fn push_to_all(&mut self, pool: &Pool, make: impl Fn() -> Command) {
        for number in 0..pool.workers().len() {
            // There are at most 64 workers.
            self.push(WorkerId(u8::try_from(number).unwrap_or(u8::MAX)), make());
        }
        self.flush(pool);
    }
}

/// A worker; `None` while no thread runs, when there are no connections.
fn running(pool: &Pool, worker: WorkerId) -> Option<&WorkerHandle> {
    pool.workers().get(worker.index()).filter(|_| pool.is_running())
}

/// Bytes that may be sent and published to a worker before it is waited for.
const MAX_SENT: usize = 16 * 1024 * 1024;
/// The weight, beside its bytes, of a message that is handed over by itself, because it is sent outside of handlers: a
/// batch, its memory, and above all a system call of the worker. With this Node's thread never waits for much longer
/// than it takes the worker to write eight thousand of them, some 80 ms.
const BATCH_WEIGHT: usize = 2048;
/// Bytes of payload at which a batch is handed over. Together with the largest piece of a body they
/// stay within what a batch keeps between two uses (`bridge/capacity_hint.rs`), however many responses are being
/// streamed.
const MAX_BATCH_BYTES: usize = 2 * 1024 * 1024;
/// Number of commands at which a batch is handed over: as much memory.
const MAX_BATCH_COMMANDS: usize = MAX_BATCH_BYTES / size_of::<Command>();
/// Bytes and number of published messages that share a wake-up where they are not all handed over together.
const WORTH_A_WAKE_BYTES: usize = 64 * 1024;
const WORTH_A_WAKE_COMMANDS: usize = 256;
/// How long to wait for a worker to write, before a result that depends on it is returned to JavaScript. A pass takes
/// microseconds; this is many times the scheduling delay of a busy machine.
const WRITE_PATIENCE: Duration = Duration::from_millis(250);
/// The same, for a worker that too many bytes were sent to.
const SENDING_PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const WORKER: WorkerId = WorkerId(0);

    /// The latches in the commands of a worker that only takes them.
    fn questions(worker: &WorkerHandle) -> Vec<Arc<Latch>> {
        let commands = std::iter::from_fn(|| worker.downlink.take()).flat_map(|batch| batch.commands);
        let latch = |command| if let Command::Write(latch) = command { Some(latch) } else { None };
        commands.filter_map(latch).collect()
    }

    #[test]
    fn a_worker_that_was_waited_for_in_vain_hangs_until_it_answers() {
        let (mut outgoing, worker) = (Outgoing::default(), WorkerHandle::idle());
        assert!(!outgoing.is_stalled(WORKER));
        outgoing.ask(&worker, WORKER, Command::Write, Duration::ZERO);
        assert!(outgoing.is_stalled(WORKER));
        let questions = questions(&worker);
        assert_eq!(questions.len(), 1);
        questions[0].release();
        assert!(!outgoing.is_stalled(WORKER), "it has gone on, and is worth waiting for again");
    }

    #[test]
    fn whoever_never_stops_sending_waits_for_the_worker() {
        let mut outgoing = Outgoing::default();
        let until_much = |outgoing: &mut Outgoing| (1..).find(|_| outgoing.count_message(WORKER, 20));
        let alone = until_much(&mut outgoing);
        outgoing.hold();
        let together = until_much(&mut outgoing);
        assert_eq!(alone, Some(MAX_SENT.div_ceil(BATCH_WEIGHT + 20)));
        assert_eq!(together, Some(MAX_SENT.div_ceil(size_of::<Command>() + 20)));
    }

    #[test]
    fn many_commands_without_payload_are_handed_over_too() {
        let mut outgoing = Outgoing::default();
        for _ in 0..MAX_BATCH_COMMANDS {
            assert!(!outgoing.is_long());
            outgoing.push(WORKER, Command::Stop);
        }
        assert!(outgoing.is_long());
    }
}
