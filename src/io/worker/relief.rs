//! Bounds the output that waits for slow readers for each app, and gives memory back after a peak.

use std::time::Duration;

use super::Worker;
use crate::bridge::command::Command;
use crate::bridge::id::WorkerId;
use crate::io::budget::Excess;
use crate::io::relief::{Backlog, CHECK_EVERY, choose};
use crate::protocol::time::Timestamp;

impl Worker {
    /// At the end of a pass: ends the slowest readers of the apps whose output exceeds their budgets.
    pub(super) fn relieve(&mut self) {
        let now = self.context.now;
        self.relief.take_due(now).into_iter().for_each(|app| self.context.budgets.note_growth(app));
        while let Some(app) = self.context.budgets.take_exceeded() {
            let Some(Excess { over_limit, over_share, workers }) = self.context.budgets.excess(app) else {
                continue;
            };
            // No connection must be closed, and slow readers were searched for a moment ago.
            if over_share == 0 && self.relief.holds(app) {
                continue;
            }
            self.end_slowest(app, over_limit, |since| since + SLOW_AFTER <= now);
            let Some(Excess { over_share, .. }) = self.context.budgets.excess(app) else { continue };
            self.call_for_relief(app, workers);
            self.end_slowest(app, over_share, |_| true);
            if self.context.budgets.excess(app).is_some() {
                // Other workers may not have acted yet, or further readers may become slow.
                self.relief.put_off(app, now);
            }
        }
    }

    /// Closes some of the connections, or of the streams on them, that `may_close` until `bytes` are free, as [`choose`] says.
    fn end_slowest(&mut self, app: u32, bytes: u64, may_close: impl Fn(Timestamp) -> bool) {
        if bytes == 0 {
            return;
        }
        let mut slow = Vec::new();
        let keys: Vec<_> = self.registry.keys().collect();
        for (slot, generation) in keys {
            if let Some(it) = self.registry.get(slot, generation)
                && it.app().app == app
            {
                it.visit_backlogs(|since, bytes, stream| {
                    if may_close(since) {
                        slow.push(Backlog { since, bytes, owner: (slot, generation, stream) });
                    }
                });
            }
        }
        for Backlog { bytes, owner: (slot, generation, stream), .. } in choose(slow, bytes, self.context.now)
        {
            self.with(slot, generation, |connection, context, scratch| {
                connection.close_slow_reader(stream, bytes, context, scratch);
            });
        }
    }

    /// Sends `Command::Relieve` to the other workers, which may have slower readers.
    fn call_for_relief(&mut self, app: u32, workers: usize) {
        if self.called.is_some_and(|called| self.context.now < called + CHECK_EVERY) {
            return;
        }
        self.called = Some(self.context.now);
        // There are at most 64 workers.
        let others = (0..workers).map(|number| WorkerId(u8::try_from(number).unwrap_or(0)));
        for worker in others.filter(|worker| *worker != self.id) {
            self.peers.send(worker, Command::Relieve { app });
        }
    }

    /// At the end of a pass: has memory given back if a peak was over a while ago.
    pub(super) fn release_memory_after_peak(&mut self) {
        let held = self.context.tallies.backlog() + self.registry.len() as u64 * PER_CONNECTION;
        if self.peak.update(held, self.context.tallies.sent(), self.context.now) {
            // The buffers kept for reuse have the size of the peak.
            self.uplink.release_spares();
            self.downlink.release_spares();
            self.context.pool.release();
            self.context.events.release_buffer();
            (self.give_memory_back)();
        }
    }

    /// Gives memory back when the thread ends, if much was used.
    pub(super) fn release_memory_at_end(&self) {
        if self.peak.was_high() || self.peak.has_worked(self.context.tallies.sent()) {
            (self.give_memory_back)();
        }
    }
}

/// A peer is a slow reader if it has taken no byte for so long.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// Bytes that a connection takes up beside its output, roughly.
const PER_CONNECTION: u64 = 4096;
