//! How much output of an app may wait for slow readers, all its connections together (`maxBufferedOutput`).
//!
//! Every worker counts the output that waits on its own connections. Beyond the limit all workers close connections
//! whose peers have read nothing for a while. If that is not enough, workers with more than their share close others,
//! too.

use std::collections::HashMap;

use crate::bridge::id::WorkerId;
use crate::bridge::sync::Arc;
use crate::bridge::tally::Tally;

/// The budgets of all apps, as one worker sees them.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    by_app: HashMap<u32, Budget>,
    /// Apps to check when the pass has written its output.
    exceeded: Vec<u32>,
}

/// The budget of one app.
#[derive(Debug)]
struct Budget {
    limit: u64,
    /// The counters of all workers that share its connections.
    tallies: Arc<[Arc<Tally>]>,
    worker: WorkerId,
}

/// By how much a budget is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    /// Bytes by which the app exceeds its limit, on all workers: slow peers are closed for them.
    pub over_limit: u64,
    /// Bytes by which this worker exceeds its share: connections are closed for them in any case.
    pub over_share: u64,
    /// How many workers share the connections.
    pub workers: usize,
}

impl Budgets {
    /// Sets the limit of an app, in bytes; 0 is none.
    pub(crate) fn set(&mut self, app: u32, limit: u64, tallies: Arc<[Arc<Tally>]>, worker: WorkerId) {
        if limit == 0 || worker.index() >= tallies.len() {
            self.forget(app);
        } else {
            self.by_app.insert(app, Budget { limit, tallies, worker });
        }
    }

    /// Removes an app.
    pub(crate) fn forget(&mut self, app: u32) {
        self.by_app.remove(&app);
    }

    /// Has an app checked at the end of the pass, because its output has grown here or, as reported, on another worker.
    pub(crate) fn note_growth(&mut self, app: u32) {
        let is_exceeded = self.by_app.get(&app).is_some_and(|budget| budget.total() > budget.limit);
        if is_exceeded && !self.exceeded.contains(&app) {
            self.exceeded.push(app);
        }
    }

    /// Removes and returns the next app to check.
    pub(crate) fn take_exceeded(&mut self) -> Option<u32> {
        self.exceeded.pop()
    }

    /// By how much the output of an app exceeds its budget; `None` if it does not.
    #[must_use]
    pub(crate) fn excess(&self, app: u32) -> Option<Excess> {
        self.by_app.get(&app)?.excess()
    }
}

impl Budget {
    fn total(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.backlog.get()).sum()
    }

    fn excess(&self) -> Option<Excess> {
        let total = self.total();
        if total <= self.limit {
            return None;
        }
        let workers = self.tallies.len();
        let share = self.limit / workers as u64;
        let own = self.tallies[self.worker.index()].backlog.get();
        // Somewhat more than necessary, so that the next byte does not start the search for the slowest peers again.
        let spare = |bytes: u64| bytes - bytes / SPARE;
        let over_limit = total - spare(self.limit);
        let is_urgent = total > self.limit.saturating_add(self.limit / SPARE);
        let over_share = if is_urgent { over_limit.min(own.saturating_sub(spare(share))) } else { 0 };
        Some(Excess { over_limit, over_share, workers })
    }
}

/// One part in so many of the budget is free after connections were closed for it. The budget may be exceeded by as
/// much until the slow peers are known.
const SPARE: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn budgets(limit: u64, backlogs: &[u64]) -> Vec<Budgets> {
        let tallies: Arc<[Arc<Tally>]> = backlogs.iter().map(|_| Arc::default()).collect();
        for (tally, backlog) in tallies.iter().zip(backlogs) {
            tally.backlog.add(*backlog);
        }
        let of_worker = |worker| {
            let mut budgets = Budgets::default();
            budgets.set(7, limit, Arc::clone(&tallies), WorkerId(worker));
            budgets.note_growth(7);
            budgets
        };
        (0..).zip(backlogs).map(|(worker, _)| of_worker(worker)).collect()
    }

    #[test]
    fn up_to_the_limit_nobody_has_to_go() {
        for budgets in &mut budgets(800, &[700, 100]) {
            assert_eq!((budgets.take_exceeded(), budgets.excess(7)), (None, None));
        }
    }

    #[test]
    fn a_little_beyond_it_only_those_who_are_slow_have_to_go() {
        let mut both = budgets(800, &[700, 101]);
        assert_eq!(both[0].take_exceeded(), Some(7));
        for budgets in both {
            assert_eq!(budgets.excess(7), Some(Excess { over_limit: 101, over_share: 0, workers: 2 }));
        }
    }

    #[test]
    fn far_beyond_it_others_have_to_go_where_more_than_a_share_waits() {
        let over_share = |limit, backlogs: &[u64]| -> Vec<u64> {
            budgets(limit, backlogs).iter().filter_map(|it| Some(it.excess(7)?.over_share)).collect()
        };
        assert_eq!(over_share(800, &[700, 201]), [201, 0]);
        assert_eq!(over_share(800, &[1000, 1000]), [650, 650]);
        assert_eq!(over_share(800, &[5000]), [4300]);
    }

    #[test]
    fn zero_is_no_limit_and_a_forgotten_app_has_none() {
        assert_eq!(budgets(0, &[u64::MAX / 2])[0].take_exceeded(), None);
        let mut budgets = budgets(1, &[5]).remove(0);
        budgets.forget(7);
        assert_eq!(budgets.excess(7), None);
    }
}
