//! Apps that stay above their output limit, when they are checked again, and whose output is given up for it.

use std::cmp::Reverse;
use std::time::Duration;

use crate::protocol::time::Timestamp;

/// Apps that stay above their limit. The search for the slowest peers visits all connections, so it is not done in
/// every pass in which output has grown, but at intervals, unless connections have to be closed.
#[derive(Debug, Default)]
pub(crate) struct Relief {
    /// When to check them again.
    due: Option<Timestamp>,
    apps: Vec<u32>,
}

impl Relief {
    /// When [`Self::take_due`] returns something.
    #[must_use]
    pub(crate) const fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// Whether an app will be checked again.
    #[must_use]
    pub(crate) fn holds(&self, app: u32) -> bool {
        self.apps.contains(&app)
    }

    /// Has an app checked again, after [`CHECK_EVERY`].
    pub(crate) fn put_off(&mut self, app: u32, now: Timestamp) {
        self.due.get_or_insert(now + CHECK_EVERY);
        if !self.holds(app) {
            self.apps.push(app);
        }
    }

    /// Removes and returns the apps, if they are due.
    #[must_use]
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Vec<u32> {
        match self.due.take_if(|due| *due <= now) {
            Some(_) => std::mem::take(&mut self.apps),
            None => Vec::new(),
        }
    }
}

/// Output that waits for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backlog<T> {
    /// When the peer last took a byte of it, or it started to wait.
    pub since: Timestamp,
    /// How much there is.
    pub bytes: usize,
    /// Whose it is.
    pub owner: T,
}

/// Whose output has to go for `bytes` to be free: first that which keeps most memory, the longer its peer has taken nothing
/// the more. So a little that has waited for long does not go in vain before much that waits as well.
pub(crate) fn choose<T>(mut waiting: Vec<Backlog<T>>, bytes: u64, now: Timestamp) -> Vec<Backlog<T>> {
    let cost = |it: &Backlog<T>| it.bytes as u128 * (now.since(it.since).as_millis() + 1);
    waiting.sort_by_cached_key(|it| Reverse(cost(it)));
    let mut left = bytes;
    let count = waiting.iter().take_while(|it| {
        let is_needed = left > 0;
        left = left.saturating_sub(it.bytes as u64);
        is_needed
    });
    waiting.truncate(count.count());
    waiting
}

/// How often a budget that stays exceeded is checked again, and `Command::Relieve` sent to the other workers.
pub(crate) const CHECK_EVERY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    /// The owners that are chosen among those of (since, bytes), by their position.
    fn chosen(waiting: &[(u64, usize)], bytes: u64) -> Vec<usize> {
        let backlog = |(owner, (since, bytes)): (usize, &(u64, usize))| Backlog {
            since: Timestamp(*since),
            bytes: *bytes,
            owner,
        };
        let waiting = waiting.iter().enumerate().map(backlog).collect();
        choose(waiting, bytes, Timestamp(10_000)).iter().map(|it| it.owner).collect()
    }

    #[test]
    fn a_little_that_has_waited_for_long_does_not_go_before_much() {
        assert_eq!(chosen(&[(0, 10), (8_000, 1_000_000), (0, 20)], 500_000), [1]);
        assert_eq!(chosen(&[(0, 10), (10_000, 1_000_000), (9_999, 900_000)], 500_000), [2]);
    }

    #[test]
    fn of_as_much_it_is_what_has_waited_longest_and_of_what_waits_as_long_the_most() {
        assert_eq!(chosen(&[(5_000, 100), (1_000, 100), (3_000, 100)], 150), [1, 2]);
        assert_eq!(chosen(&[(10_000, 100), (10_000, 300), (10_000, 200)], 400), [1, 2]);
    }

    #[test]
    fn no_more_goes_than_has_to() {
        let waiting = [(0, 100), (0, 100), (0, 100)];
        assert_eq!(chosen(&waiting, 0), [0; 0]);
        assert_eq!(chosen(&waiting, 1), [0]);
        assert_eq!(chosen(&waiting, 100), [0]);
        assert_eq!(chosen(&waiting, 101), [0, 1]);
        assert_eq!(chosen(&waiting, u64::MAX), [0, 1, 2]);
        assert_eq!(chosen(&[], 7), [0; 0]);
        assert_eq!(chosen(&[(20_000, usize::MAX)], u64::MAX), [0]);
    }

    #[test]
    fn an_app_is_looked_at_again_once_however_often_it_was_put_off() {
        let mut relief = Relief::default();
        assert!(relief.take_due(Timestamp(0)).is_empty());
        for millis in 0..50 {
            relief.put_off(7, Timestamp(millis));
            relief.put_off(8, Timestamp(millis));
        }
        assert_eq!((relief.due(), relief.holds(7), relief.holds(9)), (Some(Timestamp(100)), true, false));
        assert!(relief.take_due(Timestamp(99)).is_empty());
        assert_eq!(relief.take_due(Timestamp(100)), [7, 8]);
        assert_eq!((relief.due(), relief.holds(7)), (None, false));
    }
}
