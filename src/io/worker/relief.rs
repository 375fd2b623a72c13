//! Memory of the output that waits for slow readers: bounded for each app, and given back after a peak.

use std::cmp::Reverse;
use std::time::Duration;

use super::Worker;
use crate::bridge::command::Command;
use crate::bridge::id::WorkerId;
use crate::io::budget::Excess;
use crate::io::connection::Connection;
use crate::protocol::time::Timestamp;

impl Worker {
    /// At the end of a pass: ends the slowest readers of the apps whose output exceeds their budgets.
    pub(super) fn relieve(&mut self) {
        if let Some((_, apps)) = self.relief.take_if(|(due, _)| *due <= self.context.now) {
            apps.into_iter().for_each(|app| self.context.budgets.note_growth(app));
        }
        while let Some(app) = self.context.budgets.take_exceeded() {
            let Some(Excess { wanted, workers, .. }) = self.context.budgets.excess(app) else { continue };
            let now = self.context.now;
            self.end_slowest(app, wanted, |connection| connection.progress() + SLOW_AFTER <= now);
            let Some(Excess { needed, .. }) = self.context.budgets.excess(app) else { continue };
            self.call_for_relief(app, workers);
            self.end_slowest(app, needed, |_| true);
            if self.context.budgets.excess(app).is_some() {
                // Other workers may not have acted yet, or readers turn out to be slow.
                self.relief.get_or_insert_with(|| (now + LOOK_EVERY, Vec::new())).1.push(app);
            }
        }
    }

    /// Ends some of the readers that `may_go` until `bytes` are free: first those from whom the kernel has not taken anything
    /// for the longest time, of several the one for whom most waits.
    fn end_slowest(&mut self, app: u32, bytes: u64, may_go: impl Fn(&Connection) -> bool) {
        if bytes == 0 {
            return;
        }
        let mut slow = Vec::new();
        let keys: Vec<_> = self.registry.keys().collect();
        for (slot, generation) in keys {
            if let Some(it) = self.registry.get(slot, generation)
                && it.app().app == app
                && it.has_output()
                && may_go(it)
            {
                slow.push((it.progress(), Reverse(it.backlog()), slot, generation));
            }
        }
        slow.sort_unstable();
        let mut left = bytes;
        for (_, Reverse(backlog), slot, generation) in slow {
            if left == 0 {
                break;
            }
            self.with(slot, generation, |connection, context, _| connection.end_for_output(context));
            left = left.saturating_sub(backlog as u64);
        }
    }

    /// Other workers may have slower readers, and not know that they matter.
    fn call_for_relief(&mut self, app: u32, workers: usize) {
        if self.called.is_some_and(|called| self.context.now < called + LOOK_EVERY) {
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
    pub(super) fn see_to_peak(&mut self) {
        let held = self.context.tallies.backlog() + self.registry.len() as u64 * PER_CONNECTION;
        if self.peak.look(held, self.context.tallies.sent(), self.context.now) {
            // What is kept for reuse has the size of the peak.
            self.uplink.release_spares();
            self.downlink.release_spares();
            self.context.pool.release();
            (self.give_memory_back)();
        }
    }

    /// The thread ends, with whatever it has.
    pub(super) fn leave_peak(&self) {
        if self.peak.was_high() || self.peak.has_worked(self.context.tallies.sent()) {
            (self.give_memory_back)();
        }
    }
}

/// What connections have taken up since memory was given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// The most bytes at a time.
    most: u64,
    /// Bytes that had been sent by then.
    sent: u64,
    /// When memory is given back, unless it is needed again before, and how many bytes had been sent when that was decided.
    due: Option<(Timestamp, u64)>,
}

impl Peak {
    /// When [`Self::look`] has something to say.
    #[must_use]
    pub fn due(self) -> Option<Timestamp> {
        self.due.map(|(due, _)| due)
    }

    /// So many bytes are held at the moment, and so many have been sent in all. Returns whether memory is to be given back.
    #[must_use]
    pub fn look(&mut self, held: u64, sent: u64, now: Timestamp) -> bool {
        self.most = self.most.max(held);
        let is_over = self.was_high() && held <= self.most / 2;
        let is_worth_it = is_over || (self.has_worked(sent) && held < WORTH);
        match self.due {
            None if is_worth_it => self.due = Some((now + CALM, sent)),
            Some(_) if !is_worth_it => self.due = None,
            Some((due, before)) if due <= now => {
                if is_over || sent - before < QUIET {
                    *self = Self { most: held, sent, due: None };
                    return true;
                }
                self.due = Some((now + CALM, sent));
            }
            None | Some(_) => {}
        }
        false
    }

    /// Whether there was so much at a time that giving it back is worth the effort.
    #[must_use]
    pub const fn was_high(self) -> bool {
        self.most >= WORTH
    }

    /// Whether so much was sent that little by little the allocator may have kept as much.
    #[must_use]
    pub const fn has_worked(self, sent: u64) -> bool {
        sent - self.sent >= WORK
    }
}

/// Who has not taken anything for so long is slow, rather than only not the fastest.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// How often a budget that stays exceeded is looked at again, and other workers are called for it.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Bytes that a connection takes up beside its output, roughly.
const PER_CONNECTION: u64 = 4096;
/// Bytes at a time that are given back afterwards. Less is what the allocator keeps for the next requests anyway.
const WORTH: u64 = 16 * 1024 * 1024;
/// Bytes sent, after which memory is given back when there is little to do, although there was never much of it at a time.
const WORK: u64 = 64 * 1024 * 1024;
/// How long a peak must be over. Memory that is wanted again soon costs less if it is kept.
const CALM: Duration = Duration::from_secs(3);
/// Bytes sent in that time, below which there is little to do.
const QUIET: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    #[test]
    fn memory_is_given_back_once_when_a_peak_has_been_over_for_a_while() {
        let mut peak = Peak::default();
        assert!(!peak.look(2 * WORTH, 0, at(0)));
        assert!(!peak.look(WORTH, 0, at(10)));
        assert_eq!(peak.due(), Some(at(13)));
        assert!(!peak.look(0, 2 * QUIET, at(12)));
        assert!(peak.look(0, 4 * QUIET, at(13)), "whatever else there is to do");
        assert!(!peak.look(0, 4 * QUIET, at(20)));
        assert_eq!(peak.due(), None);
    }

    #[test]
    fn what_is_needed_again_before_is_kept() {
        let mut peak = Peak::default();
        assert!(!peak.look(2 * WORTH, 0, at(0)));
        assert!(!peak.look(0, 0, at(1)));
        assert!(!peak.look(2 * WORTH, 0, at(3)));
        assert_eq!(peak.due(), None);
        assert!(!peak.look(0, 0, at(5)));
        assert_eq!(peak.due(), Some(at(8)));
    }

    #[test]
    fn after_much_work_it_is_given_back_when_there_is_little_to_do() {
        let mut peak = Peak::default();
        assert!(!peak.look(0, WORK, at(0)));
        assert!(!peak.look(0, WORK + QUIET, at(3)), "there is much to do");
        assert!(!peak.look(0, WORK + 2 * QUIET - 1, at(5)));
        assert!(peak.look(0, WORK + 2 * QUIET - 1, at(6)));
        assert!(!peak.look(0, 2 * WORK, at(9)));
        assert_eq!(peak.due(), None);
    }

    #[test]
    fn little_is_kept() {
        let mut peak = Peak::default();
        assert!(!peak.look(WORTH - 1, WORK - 1, at(0)));
        assert!(!peak.look(0, WORK - 1, at(1)));
        assert_eq!(peak.due(), None);
    }
}
