//! What the workers know of an app that speaks TLS.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::names::ServerNames;
use crate::bridge::sync::Arc;

/// Shared by Node's thread and the workers for as long as the app, or one of its handshakes, lives.
#[derive(Debug)]
pub struct TlsSetup {
    /// Certificates, by server name.
    pub names: ServerNames,
    /// How much time and room handshakes get.
    pub limits: HandshakeLimits,
    /// How the handshakes so far went.
    pub handshakes: Handshakes,
}

/// What clients may take before anything is known of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeLimits {
    /// From the accept, or from the header of the PROXY protocol, to the client's last message; none is for ever.
    pub timeout: Option<Duration>,
    /// Handshakes at the same time, of all workers together. Further connections are closed unheard.
    pub most: u64,
}

impl Default for HandshakeLimits {
    fn default() -> Self {
        Self { timeout: Some(Duration::from_secs(10)), most: 4096 }
    }
}

/// Two apps are set up alike if they share the setup: there is one per app.
impl PartialEq for TlsSetup {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for TlsSetup {}

impl TlsSetup {
    /// The setup of one app.
    #[must_use]
    pub fn new(names: ServerNames, limits: HandshakeLimits) -> Self {
        Self { names, limits, handshakes: Handshakes::default() }
    }

    /// Begins a handshake, unless too many are under way.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Option<Admission> {
        // Relaxed, here and below: these are counts, and nothing is read because of them.
        let is_full = self.handshakes.under_way.fetch_add(1, Ordering::Relaxed) >= self.limits.most;
        let admission = Admission { setup: Arc::clone(self) };
        if is_full {
            self.handshakes.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(admission)
    }
}

/// One handshake under way; dropped when it is over, however it ended.
#[derive(Debug)]
pub struct Admission {
    /// Where it counts.
    pub setup: Arc<TlsSetup>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.setup.handshakes.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How the handshakes of an app went, counted by all workers; may be read on any thread.
#[derive(Debug, Default)]
pub struct Handshakes {
    under_way: AtomicU64,
    completed: AtomicU64,
    resumed: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
}

/// [`Handshakes`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandshakeCounts {
    /// Begun, and neither completed nor failed yet.
    pub under_way: u64,
    /// Completed, resumed ones included.
    pub completed: u64,
    /// Completed without certificate and signature, because the client came back with a ticket.
    pub resumed: u64,
    /// Failed: the client went away, ran out of time, or did not want what this side has to offer.
    pub failed: u64,
    /// Closed unheard, because too many were under way.
    pub refused: u64,
}

impl Handshakes {
    /// One was completed.
    pub fn note_completed(&self, is_resumed: bool) {
        self.completed.fetch_add(1, Ordering::Relaxed);
        self.resumed.fetch_add(u64::from(is_resumed), Ordering::Relaxed);
    }

    /// One failed.
    pub fn note_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts of this moment.
    #[must_use]
    pub fn counts(&self) -> HandshakeCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        HandshakeCounts {
            under_way: read(&self.under_way),
            completed: read(&self.completed),
            resumed: read(&self.resumed),
            failed: read(&self.failed),
            refused: read(&self.refused),
        }
    }
}
