//! Connections whose first request was read elsewhere: an HTTP server of Node's hands them over with its `'upgrade'`
//! event.

use super::id::ConnectionId;
use super::sync::{Arc, Mutex, lock};
use super::tls_peer::TlsPeerInfo;

/// The state of such a connection, except its socket.
#[derive(Debug)]
pub(crate) struct Takeover {
    /// The number under which Node's thread knows the request. Never 0.
    pub(crate) ticket: u32,
    /// The request as received, and the bytes after it: all that the peer sent before the bytes in the socket.
    pub(crate) early: Vec<u8>,
    /// Server name and certificate of the client, from a TLS handshake that was completed elsewhere.
    pub(crate) tls_peer: Option<Arc<TlsPeerInfo>>,
    /// Present if the bytes of the connection go through JavaScript, which may have to report that the connection
    /// broke.
    pub(crate) place: Option<Arc<TakenPlace>>,
}

/// Which connection a [`Takeover`] has become, written and read by its worker alone: Node's thread holds it to
/// address the connection in a command without knowing its id.
#[derive(Debug, Default)]
pub(crate) struct TakenPlace(Mutex<Option<ConnectionId>>);

impl TakenPlace {
    /// Sets the id under which the worker serves the connection.
    pub(crate) fn set(&self, connection: ConnectionId) {
        *lock(&self.0) = Some(connection);
    }

    /// Its id; `None` if it was never served.
    #[must_use]
    pub(crate) fn get(&self) -> Option<ConnectionId> {
        *lock(&self.0)
    }
}
