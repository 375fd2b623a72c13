//! Time: milliseconds of a monotonic clock, passed in by the caller.

use std::ops::Add;
use std::time::Duration;

/// A moment, in milliseconds since the worker started. Monotonic; 64 bits never wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(pub u64);

impl Timestamp {
    /// How long ago `earlier` was; zero if it lies in the future.
    #[must_use]
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// The moment `delay` later, rounded up to whole milliseconds so that a deadline never fires early.
    fn add(self, delay: Duration) -> Self {
        // Without the 128 bits of `as_millis`, whose division is a call: each read and write adds a few delays.
        let (seconds, rest) = (delay.as_secs(), delay.subsec_nanos().div_ceil(1_000_000));
        Self(self.0.saturating_add(seconds.saturating_mul(1000)).saturating_add(rest.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_rounded_up() {
        assert_eq!(Timestamp(5) + Duration::from_micros(1), Timestamp(6));
        assert_eq!(Timestamp(5) + Duration::from_millis(2), Timestamp(7));
        assert_eq!(Timestamp(5) + Duration::new(3, 999_000_001), Timestamp(4_005));
        assert_eq!(Timestamp(5) + Duration::MAX, Timestamp(u64::MAX));
        assert_eq!(Timestamp(u64::MAX) + Duration::from_secs(1), Timestamp(u64::MAX));
    }

    #[test]
    fn the_future_is_zero_ago() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
        assert_eq!(Timestamp(9).since(Timestamp(5)), Duration::from_millis(4));
    }
}
