//! WebSockets whose opening handshake was made elsewhere, over Node's HTTP (`ferrows/ws`): they are handed to a worker
//! as soon as both ends agree.

use std::net::SocketAddr;

use socket2::Socket;

use super::id::ClientId;
use super::ledger::WebSocketLedger;
use super::rules::Rules;
use super::sync::Arc;
use super::takeover::TakenPlace;
use crate::protocol::websocket::Agreement;

/// All that a worker needs to serve one. Its answer is a [`ConnectOutcome`](super::connect::ConnectOutcome), as to a
/// connect.
#[derive(Debug)]
pub(crate) struct HandOver {
    /// The number under which Node's thread knows it until it is open.
    pub client: ClientId,
    /// Connected, non-blocking: the connection itself, or one end of a pair whose other end Node has.
    pub socket: Socket,
    /// The peer's address; `None` reads it from the socket.
    pub address: Option<SocketAddr>,
    /// Which end this is.
    pub end: End,
    /// The negotiated compression.
    pub agreement: Option<Agreement>,
    /// What is sent before the first frame: the 101 response of a server.
    pub response: Vec<u8>,
    /// What the peer has sent after its half of the handshake, as far as it was read.
    pub early: Vec<u8>,
    /// The options of the WebSocket.
    pub rules: Arc<Rules>,
    /// Its output accounting, shared with Node's thread.
    pub ledger: Arc<WebSocketLedger>,
    /// Present if the bytes of the connection go through JavaScript.
    pub place: Option<Arc<TakenPlace>>,
}

/// Which end of a WebSocket this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The server.
    Server,
    /// The client.
    Client,
}
