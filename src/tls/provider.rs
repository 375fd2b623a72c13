//! The cryptography provider of TLS; no other file names it.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::ProducesTickets;
use rustls::{CipherSuite, SupportedCipherSuite};

/// Algorithms for handshakes, records and certificates. One for the process, so that it costs nothing per
/// configuration. Its cipher suites are in the order in which this side prefers them: TLS 1.3 first, and AES-128 before
/// AES-256 before ChaCha20.
#[must_use]
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = ring::default_provider();
        provider.cipher_suites.sort_by_key(rank);
        Arc::new(provider)
    });
    Arc::clone(&PROVIDER)
}

/// The place of a cipher suite in the order of preference.
fn rank(suite: &SupportedCipherSuite) -> (bool, u8) {
    let strength = match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 0,
        CipherSuite::TLS13_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => 1,
        _ => 2,
    };
    (suite.tls13().is_none(), strength)
}

/// The same with these cipher suites only, in the same order.
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
