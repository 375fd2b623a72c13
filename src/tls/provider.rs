//! The cryptography provider of TLS; no other file names it.

use std::sync::{Arc, LazyLock};

use ::ring::{hkdf, hmac};
use quinn_proto::crypto::{HandshakeTokenKey, HmacKey};
use rustls::crypto::{CryptoProvider, ring};
use rustls::quic::Suite;
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

/// The algorithms of Initial packets, which are the same for every version 1 connection of QUIC (RFC 9001 §5.2). `None`
/// would be a provider without AES-128-GCM.
#[must_use]
pub(crate) fn initial_suite() -> Option<Suite> {
    let provider = provider();
    let is_initial = |it: &&SupportedCipherSuite| it.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.iter().find(is_initial)?.tls13()?.quic_suite()
}

/// What the keys of QUIC that outlive a connection are derived from (RFC 5869).
pub(crate) struct QuicSecret(hkdf::Prk);

impl QuicSecret {
    /// The secret that follows from a private key, which it does not reveal.
    #[must_use]
    pub(crate) fn new(private_key: &[u8]) -> Self {
        Self(hkdf::Salt::new(hkdf::HKDF_SHA256, b"ferrows quic").extract(private_key))
    }

    /// Fills `out`, at most 255 times 32 bytes, with a key for this purpose.
    pub(crate) fn fill(&self, purpose: &[u8], out: &mut [u8]) {
        struct Length(usize);
        impl hkdf::KeyType for Length {
            fn len(&self) -> usize {
                self.0
            }
        }
        let length = Length(out.len());
        // Fails only for a length that is not asked for.
        let _ = self.0.expand(&[purpose], length).and_then(|key| key.fill(out));
    }

    /// The key of stateless resets.
    #[must_use]
    pub(crate) fn reset_key(&self) -> Arc<dyn HmacKey> {
        let mut key = [0; 32];
        self.fill(b"stateless reset", &mut key);
        Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    /// The key of the tokens in Retry packets.
    #[must_use]
    pub(crate) fn token_key(&self) -> Arc<dyn HandshakeTokenKey> {
        let mut key = [0; 32];
        self.fill(b"token", &mut key);
        Arc::new(hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&key))
    }
}
