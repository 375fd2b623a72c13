//! The state of the connection to a broker, and the numbers for `getStats`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::bridge::broker::StateChange;
use crate::bridge::sync::Arc;
use crate::broker::cause::BrokerFailure;

/// The state and the numbers. Written by the broker's thread, read by any.
#[derive(Debug)]
pub(crate) struct Status {
    name: Arc<str>,
    is_connected: AtomicBool,
    current: Mutex<Arc<StateChange>>,
    /// The numbers.
    pub counts: Counts,
}

/// What has passed.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Topics that are subscribed at the broker.
    pub subscribed: AtomicU64,
    /// Messages that the broker has taken.
    pub sent: AtomicU64,
    /// Messages of others.
    pub received: AtomicU64,
    /// Messages that the broker has refused.
    pub refused: AtomicU64,
    /// Messages of others that did not arrive, or could not be handed on.
    pub missed: AtomicU64,
    /// Bytes of the payloads sent.
    pub bytes_sent: AtomicU64,
    /// Bytes of the payloads received.
    pub bytes_received: AtomicU64,
    /// Connections after the first one.
    pub reconnects: AtomicU64,
}

impl Status {
    /// The state at the start.
    #[must_use]
    pub(super) fn new(name: Arc<str>) -> Self {
        let (since, state) = (now(), "connecting");
        let first = StateChange { name: Arc::clone(&name), state, since, failure: None, gap: None };
        let current = Mutex::new(Arc::new(first));
        Self { name, is_connected: AtomicBool::new(false), current, counts: Counts::default() }
    }

    /// Whether there is a connection.
    #[must_use]
    pub(crate) fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Relaxed)
    }

    /// The state, and since when.
    #[must_use]
    pub(crate) fn current(&self) -> Arc<StateChange> {
        Arc::clone(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Arc<StateChange>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The broker's thread: all topics are subscribed. Messages may be missing in `gap`.
    pub(super) fn note_connected(&self, gap: Option<(u64, u64)>) -> Arc<StateChange> {
        self.is_connected.store(true, Ordering::Relaxed);
        self.set("connected", None, gap)
    }

    /// The broker's thread: there is no connection. `None` if that, with the same cause, is the state already.
    pub(super) fn note_disconnected(&self, failure: &BrokerFailure) -> Option<Arc<StateChange>> {
        self.is_connected.store(false, Ordering::Relaxed);
        let code = failure.cause.code();
        let current = self.current();
        let is_known =
            current.state == "disconnected" && current.failure.as_ref().is_some_and(|it| it.0 == code);
        (!is_known).then(|| self.set("disconnected", Some((code, failure.detail.clone())), None))
    }

    fn set(
        &self,
        state: &'static str,
        failure: Option<(&'static str, String)>,
        gap: Option<(u64, u64)>,
    ) -> Arc<StateChange> {
        let change = StateChange { name: Arc::clone(&self.name), state, since: now(), failure, gap };
        let change = Arc::new(change);
        *self.lock() = Arc::clone(&change);
        change
    }
}

/// Milliseconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "it is told to programs, and measures nothing")]
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Adds to a number that only this thread writes.
pub(super) fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}
