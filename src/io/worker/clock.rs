//! The time of a worker. This is the one file of the engine that looks at a clock; everything else is told what time it is.

use std::future::Future;
use std::pin::Pin;
use std::task::Context as TaskContext;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::Sleep;

use crate::io::watch::WatchedClock;
use crate::protocol::http::date::DateCache;
use crate::protocol::time::Timestamp;

/// What time it is, and the alarm that wakes the worker for what is due.
#[derive(Debug)]
pub(super) struct Clock {
    /// When the worker started: moment 0 of its timestamps.
    started: Instant,
    watched: WatchedClock,
    /// The date, made once a second.
    date: DateCache,
    sleep: Pin<Box<Sleep>>,
    /// What `sleep` is set to, as the time since `started`.
    alarm: Option<Duration>,
}

impl Clock {
    /// A clock that starts now. Must be called inside the worker's runtime.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where the engine learns the time")]
    pub(super) fn start() -> Self {
        Self {
            started: Instant::now(),
            watched: WatchedClock::default(),
            date: DateCache::new(0),
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            alarm: None,
        }
    }

    /// A pass begins. Returns its moment, and for how long before it nothing was watched; 0 in the rule.
    pub(super) fn begin_pass(&mut self) -> (Timestamp, Duration) {
        let missed = self.watched.missed();
        let now = self.watched.begin_pass(self.started.elapsed());
        (now, self.watched.missed() - missed)
    }

    /// The pass is over, and `next` says when the next one begins at the latest. Returns for how long of it nothing was
    /// watched; 0 in the rule.
    pub(super) fn end_pass(&mut self, next: Option<Timestamp>) -> Duration {
        let missed = self.watched.missed();
        self.watched.end_pass(self.started.elapsed(), next);
        self.watched.missed() - missed
    }

    /// Time that was not watched, since the worker started.
    #[must_use]
    pub(super) const fn missed(&self) -> Duration {
        self.watched.missed()
    }

    /// The `Date` field value of the current second, as an IMF-fixdate (RFC 9110 §5.6.7).
    #[expect(clippy::disallowed_methods, reason = "the one place where the engine learns the time")]
    pub(super) fn date(&mut self) -> [u8; 29] {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        *self.date.text(since.map_or(0, |since| since.as_secs()))
    }

    /// Sets the alarm to `next`, unless it is set to an earlier moment. Returns whether that has passed already.
    pub(super) fn set_alarm(&mut self, next: Option<Timestamp>, task: &mut TaskContext<'_>) -> bool {
        let Some(next) = next else { return false };
        let moment = self.watched.system(next);
        if self.alarm.is_none_or(|alarm| moment < alarm) {
            self.alarm = Some(moment);
            self.sleep.as_mut().reset((self.started + moment).into());
        }
        let passed = self.sleep.as_mut().poll(task).is_ready();
        if passed {
            self.alarm = None;
        }
        passed
    }
}
