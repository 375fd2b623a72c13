//! The TLS state of an app that its workers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::names::ServerNames;
use super::quic_keys::QuicKeys;

/// Shared by Node's thread and the workers for as long as the app, or one of its handshakes, lives.
#[derive(Debug)]
pub(crate) struct TlsSetup {
    /// Certificates, by server name.
    pub names: ServerNames,
    /// Time and number limits of handshakes.
    pub limits: HandshakeLimits,
    /// Present if the app speaks HTTP/3.
    pub quic: Option<QuicKeys>,
    /// Workers that share the connections of the app.
    workers: AtomicUsize,
    /// Handshakes in progress, by the number of the worker.
    under_way: Box<[AtomicUsize; WORKERS]>,
}

/// Limits of handshakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HandshakeLimits {
    /// From the accept, or from the PROXY header, to the end of the handshake; `None` is no limit. Default 10 s.
    pub timeout: Option<Duration>,
    /// Concurrent handshakes of all workers together; beyond that the oldest are dropped. At least 1, default 4096.
    pub max: u64,
}

impl Default for HandshakeLimits {
    fn default() -> Self {
        Self { timeout: Some(Duration::from_secs(10)), max: 4096 }
    }
}

/// Setups are equal if they are the same value: each app has its own.
impl PartialEq for TlsSetup {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for TlsSetup {}

// Relaxed for all counters: they guard no other data.
impl TlsSetup {
    /// The setup of one app.
    #[must_use]
    pub(crate) fn new(names: ServerNames, limits: HandshakeLimits) -> Self {
        let under_way = Box::new([const { AtomicUsize::new(0) }; WORKERS]);
        Self { names, limits, quic: None, workers: AtomicUsize::new(1), under_way }
    }

    /// Sets how many workers share the connections of the app.
    pub(crate) fn divide(&self, workers: usize) {
        self.workers.store(workers.max(1), Ordering::Relaxed);
    }

    /// How many handshakes a worker may have in progress: an equal share of the limit.
    #[must_use]
    pub(crate) fn share(&self) -> usize {
        let max = usize::try_from(self.limits.max).unwrap_or(usize::MAX);
        max.div_ceil(self.workers.load(Ordering::Relaxed))
    }

    /// By how many handshakes the worker with this number exceeds its share.
    #[must_use]
    pub(crate) fn excess(&self, worker: usize) -> usize {
        self.under_way(worker).saturating_sub(self.share())
    }

    /// How many handshakes the worker with this number has in progress.
    #[must_use]
    pub(crate) fn under_way(&self, worker: usize) -> usize {
        self.count(worker).load(Ordering::Relaxed)
    }

    fn count(&self, worker: usize) -> &AtomicUsize {
        &self.under_way[worker % WORKERS]
    }
}

/// A handshake. Counts from the client's first byte until this is dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    /// The setup of the app.
    pub setup: Arc<TlsSetup>,
    /// Number of its worker.
    worker: usize,
    counts: bool,
}

impl Admission {
    /// A handshake on the worker with this number, of which no byte has arrived: it does not count yet.
    #[must_use]
    pub(crate) const fn new(setup: Arc<TlsSetup>, worker: usize) -> Self {
        Self { setup, worker, counts: false }
    }

    /// The client's first byte arrived. Returns whether the worker now exceeds its share.
    pub(crate) fn start(&mut self) -> bool {
        if self.counts {
            return false;
        }
        self.counts = true;
        self.setup.count(self.worker).fetch_add(1, Ordering::Relaxed) >= self.setup.share()
    }

    /// Whether the client has sent anything.
    #[must_use]
    pub(crate) const fn has_started(&self) -> bool {
        self.counts
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.counts {
            self.setup.count(self.worker).fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Numbers that a worker can have.
const WORKERS: usize = 1 << u8::BITS;
