//! Commands on their way to the workers: one batch per worker, handed over whole.
//!
//! While handlers run, commands gather: what a turn of Node's loop produced for a worker crosses the border at once, and
//! a publish in front of a send still leaves in front of it. Outside of handlers every call hands over at once, so
//! that its bytes leave although JavaScript goes on computing.

use std::time::Duration;

use crate::bridge::command::{Command, CommandBatch};
use crate::bridge::event::Slice;
use crate::bridge::id::WorkerId;
use crate::bridge::latch::Latch;
use crate::bridge::sync::Arc;
use crate::io::pool::Pool;

/// The batches being filled.
#[derive(Debug, Default)]
pub struct Outgoing {
    batches: Vec<CommandBatch>,
    /// Bytes published to each worker since it was last waited for, its commands included.
    published: Vec<usize>,
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

    /// Whether more payload has gathered for a worker than is worth keeping together. Bounds what a handler that never
    /// stops sending holds here, and keeps every arena far below the 4 GiB that a slice can name.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.batches.iter().any(|batch| batch.bytes.len() >= LONG)
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

    /// Hands everything over and waits until `worker` has written what the kernel takes of it, at most `patience`.
    pub fn flush_and_look(&mut self, pool: &Pool, worker: WorkerId, patience: Duration) {
        let latch = Arc::new(Latch::new(1));
        self.push(worker, Command::Write(Arc::clone(&latch)));
        self.flush(pool);
        if pool.is_running() {
            latch.wait(patience);
        }
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
