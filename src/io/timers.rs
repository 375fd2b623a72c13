//! One timer wheel per worker; no timer per connection.
//!
//! A connection has at most one entry. Activity moves its deadline without touching the wheel; when the entry
//! expires, the connection checks its deadline and is entered again if that lies in the future. A message therefore
//! costs no timer work at all.

use crate::protocol::time::Timestamp;

/// A connection that waits for a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerEntry {
    /// Slot of the connection.
    pub slot: u32,
    /// Its generation; an entry of an earlier connection on the slot is ignored.
    pub generation: u32,
}

/// A hashed wheel of [`BUCKETS`] buckets, [`TICK_MILLIS`] apart. Deadlines beyond its horizon wait in its farthest
/// bucket and are entered again from there.
#[derive(Debug)]
pub(crate) struct Wheel {
    buckets: Vec<Vec<TimerEntry>>,
    /// The tick up to which everything has been handed out.
    done: u64,
    /// A lower bound of the next tick with an entry; `None` when the wheel is empty.
    next: Option<u64>,
    /// Number of entries.
    count: usize,
}

impl Default for Wheel {
    fn default() -> Self {
        Self { buckets: vec![Vec::new(); BUCKETS as usize], done: 0, next: None, count: 0 }
    }
}

impl Wheel {
    /// Adds `entry`, which expires at `deadline` rounded up to a tick, or earlier. Returns when it does.
    pub(crate) fn insert(&mut self, entry: TimerEntry, deadline: Timestamp) -> Timestamp {
        let tick = deadline.0.div_ceil(TICK_MILLIS).clamp(self.done + 1, self.done + BUCKETS - 1);
        self.bucket(tick).push(entry);
        self.count += 1;
        self.next = Some(self.next.map_or(tick, |next| next.min(tick)));
        Timestamp(tick * TICK_MILLIS)
    }

    /// When to call [`Self::advance`] next.
    #[must_use]
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.next.map(|tick| Timestamp(tick * TICK_MILLIS))
    }

    /// Moves all entries that have expired at `now` into `due`.
    pub(crate) fn advance(&mut self, now: Timestamp, due: &mut Vec<TimerEntry>) {
        let before = due.len();
        let target = now.0 / TICK_MILLIS;
        // After a pause longer than one turn every bucket has been passed; once round is enough.
        let first = (self.done + 1).max(target.saturating_sub(BUCKETS - 1));
        for tick in first..=target {
            let bucket = self.bucket(tick);
            due.append(bucket);
        }
        self.count -= due.len() - before;
        self.done = self.done.max(target);
        self.next = self.find_next();
    }

    fn find_next(&mut self) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        (self.done + 1..self.done + BUCKETS).find(|&tick| !self.bucket(tick).is_empty())
    }

    fn bucket(&mut self, tick: u64) -> &mut Vec<TimerEntry> {
        // The remainder is below BUCKETS, so the cast is exact.
        &mut self.buckets[(tick % BUCKETS) as usize]
    }
}

/// Milliseconds between two buckets: how late a deadline may be noticed. Deadlines are seconds; a tenth of
/// one is precise enough and keeps an idle worker asleep.
const TICK_MILLIS: u64 = 100;
/// Buckets of the wheel: 102.4 s, so that the common deadlines (10 s, 120 s minus the ping margin) are entered once
/// or twice.
const BUCKETS: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(slot: u32) -> TimerEntry {
        TimerEntry { slot, generation: 0 }
    }

    fn due(wheel: &mut Wheel, now: u64) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.advance(Timestamp(now), &mut due);
        due.iter().map(|entry| entry.slot).collect()
    }

    #[test]
    fn an_entry_comes_up_at_its_tick_and_once() {
        let mut wheel = Wheel::default();
        assert_eq!(wheel.insert(entry(1), Timestamp(250)), Timestamp(300));
        assert_eq!(wheel.next(), Some(Timestamp(300)));
        assert_eq!(due(&mut wheel, 299), [0; 0]);
        assert_eq!(due(&mut wheel, 300), [1]);
        assert_eq!(due(&mut wheel, 10_000), [0; 0]);
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn beyond_the_horizon_an_entry_comes_up_early_to_be_entered_again() {
        let mut wheel = Wheel::default();
        let at = wheel.insert(entry(1), Timestamp(10_000_000));
        assert!(at < Timestamp(10_000_000));
        assert_eq!(due(&mut wheel, at.0), [1]);
    }

    #[test]
    fn after_a_long_pause_everything_due_comes_up() {
        let mut wheel = Wheel::default();
        for slot in 0..50 {
            wheel.insert(entry(slot), Timestamp(u64::from(slot) * 1000));
        }
        let mut all = due(&mut wheel, 100_000_000);
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_late(deadlines in prop::collection::vec(1u64..400_000, 1..60),
                                               step in 1u64..50_000) {
            let mut wheel = Wheel::default();
            let mut left = deadlines.clone();
            for (slot, deadline) in deadlines.iter().enumerate() {
                wheel.insert(entry(slot as u32), Timestamp(*deadline));
            }
            let mut now = 0;
            while now < 500_000 {
                now += step;
                for slot in due(&mut wheel, now) {
                    if deadlines[slot as usize] > now {
                        wheel.insert(entry(slot), Timestamp(deadlines[slot as usize]));
                    } else {
                        prop_assert!(deadlines[slot as usize] + step + 100 >= now);
                        left[slot as usize] = 0;
                    }
                }
            }
            prop_assert!(left.iter().all(|deadline| *deadline == 0));
        }
    }
}
