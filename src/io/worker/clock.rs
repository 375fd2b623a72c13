//! The time of a worker. This is the only file of the engine that reads a clock; all other code takes the time as an
//! argument.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use crate::bridge::moment::Moment;
use crate::io::watch::WatchedClock;
use crate::protocol::http::date::DateCache;
use crate::protocol::time::Timestamp;

/// The current time, and the time until something is due.
#[derive(Debug)]
pub(super) struct Clock {
    /// When the worker started: moment 0 of its timestamps.
    started: Instant,
    /// The same moment, for reports.
    start: Duration,
    watched: WatchedClock,
    /// The date, made once a second.
    date: DateCache,
    /// When the date changes, as the time since `started`.
    date_until: Duration,
    /// The system's clock at the end of the last pass, as the time since `started`.
    ended: Duration,
}

/// How long it is since a worker started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Reads the clock.
    #[must_use]
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where the engine learns the time")]
    pub(super) fn start() -> Self {
        let started = Instant::now();
        Self {
            started,
            start: since_first(started),
            watched: WatchedClock::default(),
            date: DateCache::new(0),
            date_until: Duration::ZERO,
            ended: Duration::ZERO,
        }
    }

    /// Starts a pass. Returns its moment, and for how long before it the sockets were not watched; usually 0.
    pub(super) fn start_pass(&mut self) -> (Timestamp, Duration) {
        let missed = self.watched.missed();
        let now = self.watched.start_pass(self.started.elapsed());
        (now, self.watched.missed() - missed)
    }

    /// When the worker started: moment 0 of its timestamps.
    #[must_use]
    pub(super) const fn started(&self) -> Instant {
        self.started
    }

    /// The system's clock at the start of the pass, as the time since the worker started.
    #[must_use]
    pub(super) const fn pass_start(&self) -> Duration {
        self.watched.pass_start()
    }

    /// The start of the pass in watched time, as [`Self::start_pass`] returns it but more precisely.
    #[must_use]
    pub(super) fn watched(&self) -> Duration {
        self.watched.pass_start().saturating_sub(self.watched.missed())
    }

    /// The moment at which the pass started, for reports.
    #[must_use]
    pub(super) fn moment(&self) -> Moment {
        in_milliseconds(self.start + self.watched.pass_start())
    }

    /// Ends the pass; the next one starts at `next` at the latest. Returns for how long of the pass the sockets were
    /// not watched; usually 0.
    pub(super) fn end_pass(&mut self, next: Option<Timestamp>) -> Duration {
        let missed = self.watched.missed();
        self.ended = self.started.elapsed();
        self.watched.end_pass(self.ended, next);
        self.watched.missed() - missed
    }

    /// Time that was not watched, since the worker started.
    #[must_use]
    pub(super) const fn missed(&self) -> Duration {
        self.watched.missed()
    }

    /// The `Date` field value of the second in which the pass started, as an IMF-fixdate (RFC 9110 §5.6.7), if it has
    /// changed. A system clock that was set shows within a second.
    #[expect(clippy::disallowed_methods, reason = "the one place where the engine learns the time")]
    pub(super) fn new_date(&mut self) -> Option<[u8; 29]> {
        let now = self.watched.pass_start();
        if now < self.date_until {
            return None;
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.date_until = now + Duration::from_nanos(u64::from(1_000_000_000 - since.subsec_nanos()));
        Some(*self.date.text(since.as_secs()))
    }

    /// The system's clock at the end of the last pass, as the time since the worker started.
    #[must_use]
    pub(super) const fn ended(&self) -> Duration {
        self.ended
    }

    /// Reads the same clock, for other threads.
    #[must_use]
    pub(super) const fn stopwatch(&self) -> Stopwatch {
        Stopwatch(self.started)
    }

    /// How long it is from the end of the last pass until `moment`.
    #[must_use]
    pub(super) fn until(&self, moment: Timestamp) -> Duration {
        self.watched.system(moment).saturating_sub(self.ended)
    }
}

/// The present, for reports.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where the engine learns the time")]
pub(crate) fn present() -> Moment {
    in_milliseconds(since_first(Instant::now()))
}

/// How long an instant is after the first one.
fn since_first(instant: Instant) -> Duration {
    /// When the process first asked.
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let first = *FIRST.get_or_init(|| instant);
    instant.saturating_duration_since(first)
}

fn in_milliseconds(since_first: Duration) -> Moment {
    Moment(u64::try_from(since_first.as_millis()).unwrap_or(u64::MAX))
}
