//! The order to open a WebSocket to a server (`uWS.connect`), and its outcome.

use std::time::Duration;

use super::id::{ClientId, ConnectionId};
use super::ledger::WebSocketLedger;
use super::peer::Peer;
use super::rules::Rules;
use super::sync::Arc;
use crate::protocol::connect::ConnectFailure;
use crate::protocol::websocket::client_handshake::{ClientHandshake, Grant};
use crate::tls::client::ClientTls;

/// What a worker needs for a connect.
#[derive(Debug)]
pub(crate) struct ConnectOrder {
    /// The id of the connect.
    pub client: ClientId,
    /// A name, or an IP address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The TLS configuration, with `wss://`.
    pub tls: Option<ClientTls>,
    /// Request and expectations.
    pub handshake: ClientHandshake,
    /// From the name lookup to the server's response; `None` leaves it to the timeouts of the system.
    pub timeout: Option<Duration>,
    /// The options of the WebSocket.
    pub rules: Arc<Rules>,
    /// Its output accounting, shared with Node's thread.
    pub ledger: Arc<WebSocketLedger>,
}

/// An open WebSocket to a server.
#[derive(Debug)]
pub(crate) struct Connected {
    /// Its connection.
    pub connection: ConnectionId,
    /// The server's address.
    pub peer: Peer,
    /// What the server's response negotiates.
    pub grant: Grant,
}

/// How a connect ended. Boxed on its way: there are few of these and many other events.
#[derive(Debug)]
pub(crate) enum ConnectOutcome {
    /// The WebSocket is open. First event of its connection.
    Connected(Box<Connected>),
    /// There is none.
    Failed(Box<ConnectFailure>),
}
