//! Connections whose first request was read elsewhere: an HTTP server of Node's gives them away with its `'upgrade'`
//! event.

use super::id::ConnectionId;
use super::sync::{Arc, Mutex, lock};
use super::tls_peer::TlsPeerInfo;

/// What is known of such a connection, beside its socket.
#[derive(Debug)]
pub(crate) struct Takeover {
    /// The number under which Node's thread knows the request. Never 0.
    pub(crate) ticket: u32,
    /// The request, as it is on the wire, and what came behind it: what the peer said before the bytes in the socket.
    pub(crate) early: Vec<u8>,
    /// What the client said in a TLS handshake that was made elsewhere.
    pub(crate) tls_peer: Option<Arc<TlsPeerInfo>>,
    /// Present if the bytes of the connection go through JavaScript, which may have to say that they have broken off.
    pub(crate) place: Option<Arc<TakenPlace>>,
}

/// Which connection a [`Takeover`] has become, written and read by its worker alone: Node's thread holds it in order to
/// name the connection in a command without ever having been told.
#[derive(Debug, Default)]
pub(crate) struct TakenPlace(Mutex<Option<ConnectionId>>);

impl TakenPlace {
    /// The worker serves it under this name.
    pub(crate) fn set(&self, connection: ConnectionId) {
        *lock(&self.0) = Some(connection);
    }

    /// Its name; `None` if it was never served.
    #[must_use]
    pub(crate) fn get(&self) -> Option<ConnectionId> {
        *lock(&self.0)
    }
}
