//! Keys of QUIC that outlive its connections.

use std::fmt;
use std::sync::Arc;

use quinn_proto::crypto::{HandshakeTokenKey, HmacKey};

use super::provider::QuicSecret;

/// Keys of an app with HTTP/3 that outlive its connections. They are derived from its private key, so that a server that was
/// started again, and every process that serves the same certificate, can tell a client that its connection is gone.
#[derive(Clone)]
pub(crate) struct QuicKeys {
    /// Signs stateless resets (RFC 9000 §10.3).
    pub reset: Arc<dyn HmacKey>,
    /// Seals the tokens of Retry packets (RFC 9000 §8.1.2).
    pub token: Arc<dyn HandshakeTokenKey>,
    /// Encrypts the worker in a connection id.
    pub ids: [u8; 16],
}

impl QuicKeys {
    /// Those that follow from a private key.
    #[must_use]
    pub(crate) fn derive(private_key: &[u8]) -> Self {
        let secret = QuicSecret::new(private_key);
        let mut ids = [0; 16];
        secret.fill(b"connection ids", &mut ids);
        Self { reset: secret.reset_key(), token: secret.token_key(), ids }
    }
}

impl fmt::Debug for QuicKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("QuicKeys")
    }
}
