//! The configurations of handshakes with one certificate: which cipher suite is chosen depends on the client.

use std::fmt;
use std::sync::Arc;

use quinn_proto::crypto::rustls::QuicServerConfig;
use rustls::{CipherSuite, ServerConfig};

use super::provider::initial_suite;

/// Two configurations that differ only in whose preference decides among the cipher suites that both sides have. They
/// share the keys of their session tickets.
#[derive(Debug)]
pub(crate) struct ServerConfigs {
    /// The provider's order decides: AES-128 before AES-256.
    ours: Arc<ServerConfig>,
    /// The client's order decides.
    theirs: Arc<ServerConfig>,
    /// The same for QUIC; present if the app speaks HTTP/3.
    quic: Option<QuicConfigs>,
}

/// The configurations for QUIC.
struct QuicConfigs {
    /// Protects Initial and Retry packets, which no certificate has part in.
    initial: Arc<QuicServerConfig>,
    /// As the others, by whose order decides.
    ours: Arc<ServerConfig>,
    theirs: Arc<ServerConfig>,
}

impl fmt::Debug for QuicConfigs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("QuicConfigs")
    }
}

impl ServerConfigs {
    /// Takes everything but the preference from `config`.
    #[must_use]
    pub(crate) fn new(config: ServerConfig) -> Self {
        let [mut ours, mut theirs] = [config.clone(), config];
        (ours.ignore_client_order, theirs.ignore_client_order) = (true, false);
        Self { ours: Arc::new(ours), theirs: Arc::new(theirs), quic: None }
    }

    /// Adds the configurations for QUIC, made of `config` in the same way.
    #[must_use]
    pub(crate) fn with_quic(self, config: ServerConfig) -> Self {
        let Self { ours, theirs, .. } = Self::new(config);
        let config = Arc::clone(&ours);
        let initial = initial_suite()
            .and_then(|suite| QuicServerConfig::with_initial(config, suite).ok())
            .map(Arc::new);
        Self { quic: initial.map(|initial| QuicConfigs { initial, ours, theirs }), ..self }
    }

    /// The configuration for a client that offers these suites, its favourite first.
    ///
    /// A client that prefers ChaCha20 has no hardware for AES, so AES would cost it time and battery; it gets what it
    /// prefers. All others get AES-128 if they offer it, because handshakes and records with AES-256 and SHA-384 cost
    /// more (docs/decisions/0025-cipher-suites.md).
    #[must_use]
    pub(crate) fn for_client(&self, offered: &[CipherSuite]) -> &Arc<ServerConfig> {
        if self.lets_client_decide(offered) { &self.theirs } else { &self.ours }
    }

    /// The same for a client of QUIC; `None` if the app does not speak HTTP/3.
    #[must_use]
    pub(crate) fn quic_for_client(&self, offered: &[CipherSuite]) -> Option<&Arc<ServerConfig>> {
        let quic = self.quic.as_ref()?;
        Some(if self.lets_client_decide(offered) { &quic.theirs } else { &quic.ours })
    }

    /// What protects the first packets of QUIC; `None` if the app does not speak HTTP/3.
    #[must_use]
    pub(crate) fn quic_initial(&self) -> Option<&Arc<QuicServerConfig>> {
        self.quic.as_ref().map(|quic| &quic.initial)
    }

    fn lets_client_decide(&self, offered: &[CipherSuite]) -> bool {
        let suites = &self.ours.crypto_provider().cipher_suites;
        let favourite = offered.iter().find(|offered| suites.iter().any(|suite| suite.suite() == **offered));
        favourite.is_some_and(|favourite| CHACHA20.contains(favourite))
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
