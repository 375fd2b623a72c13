//! The configurations of handshakes with one certificate: which cipher suite is chosen depends on the client.

use std::sync::Arc;

use rustls::{CipherSuite, ServerConfig};

/// Two configurations that differ only in whose preference decides among the cipher suites that both sides have. They
/// share the keys of their session tickets.
#[derive(Debug)]
pub(crate) struct ServerConfigs {
    /// The provider's order decides: AES-128 before AES-256.
    ours: Arc<ServerConfig>,
    /// The client's order decides.
    theirs: Arc<ServerConfig>,
}

impl ServerConfigs {
    /// Takes everything but the preference from `config`.
    #[must_use]
    pub(crate) fn new(config: ServerConfig) -> Self {
        let [mut ours, mut theirs] = [config.clone(), config];
        (ours.ignore_client_order, theirs.ignore_client_order) = (true, false);
        Self { ours: Arc::new(ours), theirs: Arc::new(theirs) }
    }

    /// The configuration for a client that offers these suites, its favourite first.
    ///
    /// A client that prefers ChaCha20 has no hardware for AES, so AES would cost it time and battery; it gets what it
    /// prefers. All others get AES-128 if they offer it, because handshakes and records with AES-256 and SHA-384 cost
    /// more (docs/decisions/0025-cipher-suites.md).
    #[must_use]
    pub(crate) fn for_client(&self, offered: &[CipherSuite]) -> &Arc<ServerConfig> {
        let suites = &self.ours.crypto_provider().cipher_suites;
        let favourite = offered.iter().find(|offered| suites.iter().any(|suite| suite.suite() == **offered));
        if favourite.is_some_and(|favourite| CHACHA20.contains(favourite)) {
            &self.theirs
        } else {
            &self.ours
        }
    }

    /// The configuration that all clients have in common.
    #[cfg(test)]
    pub(crate) fn common(&self) -> &ServerConfig {
        &self.ours
    }
}

const CHACHA20: [CipherSuite; 3] = [
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];
