//! When connections of QUIC want to be asked again: for acknowledgements, retransmissions, pacing. These are milliseconds, and
//! change with every packet.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::io::timers::TimerEntry;

/// The deadlines of all connections of a worker. An entry that was overtaken by an earlier one of the same connection stays,
/// and finds nothing to do.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BinaryHeap<Reverse<(Instant, u32, u32)>>);

impl Deadlines {
    /// Adds a deadline of a connection.
    pub(super) fn insert(&mut self, TimerEntry { slot, generation }: TimerEntry, at: Instant) {
        self.0.push(Reverse((at, slot, generation)));
    }

    /// The first one.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, ..))| *at)
    }

    /// Removes and returns a connection whose deadline has come.
    pub(super) fn pop(&mut self, now: Instant) -> Option<TimerEntry> {
        self.next().filter(|next| *next <= now)?;
        self.0.pop().map(|Reverse((_, slot, generation))| TimerEntry { slot, generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "there is no other way to get an instant")]
    fn deadlines_come_in_their_order() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let entry = |slot| TimerEntry { slot, generation: 0 };
        let mut deadlines = Deadlines::default();
        assert_eq!((deadlines.next(), deadlines.pop(at(100))), (None, None));
        for (slot, millis) in [(1, 30), (2, 10), (3, 20)] {
            deadlines.insert(entry(slot), at(millis));
        }
        assert_eq!(deadlines.next(), Some(at(10)));
        assert_eq!(deadlines.pop(at(9)), None);
        assert_eq!(deadlines.pop(at(20)), Some(entry(2)));
        assert_eq!(deadlines.pop(at(20)), Some(entry(3)));
        assert_eq!(deadlines.pop(at(20)), None);
    }
}
