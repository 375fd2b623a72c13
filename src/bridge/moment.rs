//! When something happened, for what is reported to programs and people.

use std::time::Duration;

/// Milliseconds of the system's monotonic clock since the process first read it. All threads share them, and they
/// include the time in which a worker was stopped. Timeouts use [`Timestamp`](crate::protocol::time::Timestamp) instead,
/// which every worker counts for itself while it watches its sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub u64);

impl Moment {
    /// How long ago `earlier` was; zero if it lies in the future.
    #[must_use]
    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// How long ago the moment was whose last 32 bits are `earlier`: exact below 49 days.
    #[must_use]
    pub(super) const fn since_low(self, earlier: u32) -> Duration {
        Duration::from_millis(self.low().wrapping_sub(earlier) as u64)
    }

    /// The last 32 bits.
    #[must_use]
    pub(super) const fn low(self) -> u32 {
        self.0 as u32
    }
}
