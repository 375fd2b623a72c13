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
    /// Handshakes under way, counted by all workers.
    under_way: AtomicU64,
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
        Self { names, limits, under_way: AtomicU64::new(0) }
    }

    /// Begins a handshake, unless too many are under way.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Option<Admission> {
        // Relaxed, here and below: it is a number, and nothing else is read because of it.
        let is_full = self.under_way.fetch_add(1, Ordering::Relaxed) >= self.limits.most;
        let admission = Admission { setup: Arc::clone(self) };
        (!is_full).then_some(admission)
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
        self.setup.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
