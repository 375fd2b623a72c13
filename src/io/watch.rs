//! Watched time: the clock of a worker, without the time in which it did not poll its sockets.
//!
//! A process may be stopped for minutes, by a paused container, a virtual machine that moves, a signal, or a system
//! that has no processor to spare. Its peers are not late during that time: their bytes wait in the kernel, or are
//! still on their way. Every deadline is therefore set and checked in watched time, which stands still while the
//! sockets are not polled.
//!
//! ```text
//!   system   ──┬─ pass ─┬──── asleep ────┬─ pass ─┬── asleep ──┄┄┄┄ stopped ┄┄┄┄┬─ pass ─┬──►
//!   watched  ──┴────────┴────────────────┴────────┴────────────┬────────────────┴────────┴──►
//!                                          planned wake-up ────┘
//! ```
//!
//! A worker that sleeps in the selector watches: it wakes as soon as anything happens. A stop is detected when it wakes
//! later than planned; so while anything has a deadline, it never plans to sleep longer than [`LONGEST_NAP`].

use std::time::Duration;

use crate::protocol::time::Timestamp;

/// See the top of the file. Its methods take the reading of the system's clock, as the time since the worker started.
#[derive(Debug, Default)]
pub(crate) struct WatchedClock {
    /// The system's clock at the start of the pass.
    pass_start: Duration,
    /// When the next pass is due at the latest, by the system's clock; `None` if only an event wakes the worker.
    expected: Option<Duration>,
    /// Time that was not watched.
    missed: Duration,
}

impl WatchedClock {
    /// Starts a pass. Returns the moment in watched time.
    pub(crate) fn start_pass(&mut self, system: Duration) -> Timestamp {
        self.pass_start = system;
        if let Some(expected) = self.expected.take() {
            let late = system.saturating_sub(expected);
            if late > TOLERANCE {
                self.missed += late;
            }
        }
        self.now(system)
    }

    /// Ends a pass. The next one is due by the moment `next`, or, if that is `None` because nothing has a deadline,
    /// when something happens.
    pub(crate) fn end_pass(&mut self, system: Duration, next: Option<Timestamp>) {
        // The worker may have been stopped during the pass.
        self.missed += system.saturating_sub(self.pass_start).saturating_sub(LONGEST_PASS);
        self.expected = next.map(|next| self.system(next).max(system));
    }

    /// The system's clock at the start of the pass.
    #[must_use]
    pub(crate) const fn pass_start(&self) -> Duration {
        self.pass_start
    }

    /// Time that was not watched, since the worker started.
    #[must_use]
    pub(crate) const fn missed(&self) -> Duration {
        self.missed
    }

    /// The system's clock at `moment`, if all time until then is watched.
    #[must_use]
    pub(crate) fn system(&self, moment: Timestamp) -> Duration {
        self.missed + Duration::from_millis(moment.0)
    }

    fn now(&self, system: Duration) -> Timestamp {
        let watched = system.saturating_sub(self.missed);
        Timestamp(u64::try_from(watched.as_millis()).unwrap_or(u64::MAX))
    }
}

/// How long a worker sleeps at most while anything has a deadline. Time beyond that was not watched.
pub(crate) const LONGEST_NAP: Duration = Duration::from_secs(1);
/// How late a worker wakes on a machine that is merely busy.
const TOLERANCE: Duration = Duration::from_millis(250);
/// The longest that a pass takes by itself.
const LONGEST_PASS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Passes of no length at the moments `at`, each of which planned to sleep for a second. Returns what they took for
    /// the time.
    fn passes(at: &[u64]) -> Vec<u64> {
        let mut clock = WatchedClock::default();
        let mut pass = |&system: &u64| {
            let now = clock.start_pass(millis(system));
            clock.end_pass(millis(system), Some(now + LONGEST_NAP));
            now.0
        };
        at.iter().map(&mut pass).collect()
    }

    #[test]
    fn while_passes_come_in_time_it_is_the_clock_of_the_system() {
        assert_eq!(passes(&[0, 10, 1_010, 2_200, 2_201]), [0, 10, 1_010, 2_200, 2_201]);
    }

    #[test]
    fn it_stands_still_from_when_the_worker_meant_to_wake_until_it_woke() {
        assert_eq!(passes(&[0, 500, 60_500, 60_600, 90_000]), [0, 500, 1_500, 1_600, 2_600]);
    }

    #[test]
    fn of_a_pass_that_never_seems_to_end_only_what_a_pass_may_take_counts() {
        let mut clock = WatchedClock::default();
        assert_eq!(clock.start_pass(millis(100)), Timestamp(100));
        clock.end_pass(millis(700), Some(Timestamp(100)));
        assert_eq!(clock.start_pass(millis(710)), Timestamp(710));
        clock.end_pass(millis(10_710), Some(Timestamp(710)));
        assert_eq!(clock.start_pass(millis(10_711)), Timestamp(1_711));
        assert_eq!(clock.missed(), millis(9_000));
    }

    #[test]
    fn long_passes_one_after_the_other_do_not_stop_it() {
        let mut clock = WatchedClock::default();
        for round in 0..20 {
            let (begin, end) = (round * 900, round * 900 + 890);
            assert_eq!(clock.start_pass(millis(begin)), Timestamp(begin));
            // The next pass is due at once.
            clock.end_pass(millis(end), Some(Timestamp(begin)));
        }
    }

    #[test]
    fn without_deadlines_a_worker_may_sleep_for_ever() {
        let mut clock = WatchedClock::default();
        clock.start_pass(millis(5));
        clock.end_pass(millis(5), None);
        assert_eq!(clock.start_pass(millis(1_000_000)), Timestamp(1_000_000));
    }

    #[test]
    fn moments_to_come_are_told_in_the_time_of_the_system() {
        let mut clock = WatchedClock::default();
        clock.start_pass(millis(0));
        clock.end_pass(millis(0), Some(Timestamp(100)));
        let now = clock.start_pass(millis(30_000));
        assert_eq!((now, clock.system(now + millis(50))), (Timestamp(100), millis(30_050)));
    }
}
