//! How often a peer may do what costs it little and this side more: so many times at once, and so many per second in the
//! long run.

use crate::protocol::time::Timestamp;

/// A rate with a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// How many at once.
    pub burst: u32,
    /// How many per second in the long run.
    pub per_second: u32,
}

/// What is left of a [`Rate`]: a token bucket, which is full at first.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Allowance {
    /// In thousandths.
    left: u64,
    /// When that was true.
    at: Timestamp,
}

impl Allowance {
    /// A full one.
    pub(in crate::protocol) const fn new(rate: Rate, now: Timestamp) -> Self {
        Self { left: rate.burst as u64 * 1000, at: now }
    }

    /// Uses up one. Returns false if there is none.
    #[must_use]
    pub(in crate::protocol) fn take(&mut self, rate: Rate, now: Timestamp) -> bool {
        // Milliseconds times a rate per second are thousandths.
        let elapsed = now.0.saturating_sub(self.at.0);
        let refilled = self.left.saturating_add(elapsed.saturating_mul(rate.per_second.into()));
        self.left = refilled.min(u64::from(rate.burst) * 1000);
        self.at = now;
        let is_left = self.left >= 1000;
        if is_left {
            self.left -= 1000;
        }
        is_left
    }
}

/// What is left of the frames that ask for nothing. Those for which requests and responses give cause are not counted.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct IdleFrames {
    allowance: Allowance,
    earned: u32,
}

impl IdleFrames {
    /// A full allowance.
    pub(in crate::protocol) const fn new(rate: Rate, now: Timestamp) -> Self {
        Self { allowance: Allowance::new(rate, now), earned: 0 }
    }

    /// Gives the peer cause for so many.
    pub(in crate::protocol) fn earn(&mut self, count: u32) {
        self.earned = self.earned.saturating_add(count).min(MAX_EARNED);
    }

    /// Uses up one. Returns false if there is none.
    #[must_use]
    pub(in crate::protocol) fn take(&mut self, rate: Rate, now: Timestamp) -> bool {
        if let Some(left) = self.earned.checked_sub(1) {
            self.earned = left;
            return true;
        }
        self.allowance.take(rate, now)
    }
}

/// Idle frames that may be saved up.
const MAX_EARNED: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        let rate = Rate { burst: 3, per_second: 2 };
        let mut allowance = Allowance::new(rate, Timestamp(0));
        let mut take = |now| allowance.take(rate, Timestamp(now));
        assert_eq!([0, 0, 0, 0].map(&mut take), [true, true, true, false]);
        assert_eq!([499, 500, 500, 999, 1000].map(&mut take), [false, true, false, false, true]);
        assert_eq!(
            [90_000; 4].map(&mut take),
            [true, true, true, false],
            "no more than the burst is saved up"
        );
    }
}
