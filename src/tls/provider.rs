//! The cryptography provider of TLS; no other file names it.

use std::sync::{Arc, LazyLock};

use rustls::CipherSuite;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::ProducesTickets;

/// Algorithms for handshakes, records and certificates. One for the process, so that it costs nothing per
/// configuration.
#[must_use]
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(ring::default_provider()));
    Arc::clone(&PROVIDER)
}

/// The same with these cipher suites only. The client's order decides among them.
#[must_use]
pub(crate) fn restricted(suites: &[CipherSuite]) -> Arc<CryptoProvider> {
    let mut provider = CryptoProvider::clone(&provider());
    provider.cipher_suites.retain(|it| suites.contains(&it.suite()));
    Arc::new(provider)
}

/// Encrypts session tickets with a random key that is rotated every few hours.
///
/// # Errors
/// The system's random number generator failed.
pub(crate) fn ticketer() -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
    ring::Ticketer::new()
}
