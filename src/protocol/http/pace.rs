//! The minimum rate of a request body towards this side, and of a response towards the client. It is measured in steps
//! rather than as an average, so that a fast start does not permit a long pause later.

use std::time::Duration;

use crate::protocol::time::Timestamp;

/// The lowest rate that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PaceLimit {
    /// How long a step may take.
    pub every: Duration,
    /// Bytes of a step. With 0 or 1 every byte completes a step.
    pub bytes: u64,
}

impl PaceLimit {
    /// At least `rate` bytes per second, measured once per `every`.
    #[must_use]
    pub(crate) fn of_rate(rate: u64, every: Duration) -> Self {
        let bytes = u128::from(rate).saturating_mul(every.as_millis()) / 1000;
        Self { every, bytes: u64::try_from(bytes).unwrap_or(u64::MAX) }
    }
}

/// The current step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) struct Pace {
    /// When it started.
    since: Timestamp,
    /// Its bytes so far.
    bytes: u64,
}

impl Pace {
    /// A step that starts at `now`.
    pub(in crate::protocol) const fn new(now: Timestamp) -> Self {
        Self { since: now, bytes: 0 }
    }

    /// Counts `len` more bytes. If the step is complete, a new one starts at `now`.
    pub(in crate::protocol) fn count(&mut self, len: u64, limit: Option<PaceLimit>, now: Timestamp) {
        self.bytes = self.bytes.saturating_add(len);
        if len > 0 && limit.is_none_or(|limit| self.bytes >= limit.bytes) {
            *self = Self::new(now);
        }
    }

    /// When the step has taken too long; never without a limit.
    pub(in crate::protocol) fn deadline(&self, limit: Option<PaceLimit>) -> Option<Timestamp> {
        limit.map(|limit| self.since + limit.every)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_rate_is_bytes_per_second_whatever_the_step() {
        let bytes = |rate, every| PaceLimit::of_rate(rate, every).bytes;
        assert_eq!(bytes(16_384, 10 * SECOND), 163_840);
        assert_eq!(bytes(1_000, Duration::from_millis(10)), 10);
        assert_eq!(bytes(10, Duration::from_millis(10)), 0);
        assert_eq!(bytes(0, SECOND), 0);
        assert_eq!(bytes(u64::MAX, Duration::from_secs(u64::MAX)), u64::MAX);
    }

    #[test]
    fn a_step_ends_with_its_last_byte_and_not_before() {
        let limit = Some(PaceLimit { every: SECOND, bytes: 3 });
        let mut pace = Pace::new(Timestamp(0));
        pace.count(2, limit, Timestamp(500));
        assert_eq!(pace.deadline(limit), Some(Timestamp(1_000)));
        pace.count(1, limit, Timestamp(900));
        assert_eq!(pace.deadline(limit), Some(Timestamp(1_900)));
        pace.count(100, limit, Timestamp(1_000));
        assert_eq!(pace.deadline(limit), Some(Timestamp(2_000)), "what is too much is not saved up");
    }

    #[test]
    fn with_a_step_of_no_bytes_any_byte_counts_and_none_does_not() {
        let limit = Some(PaceLimit { every: SECOND, bytes: 0 });
        let mut pace = Pace::new(Timestamp(0));
        pace.count(0, limit, Timestamp(500));
        assert_eq!(pace.deadline(limit), Some(Timestamp(1_000)));
        pace.count(1, limit, Timestamp(500));
        assert_eq!(pace.deadline(limit), Some(Timestamp(1_500)));
        assert_eq!(pace.deadline(None), None);
    }
}
