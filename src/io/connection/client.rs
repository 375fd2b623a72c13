//! A connection to a server: it begins as an open WebSocket.

use std::task::Waker;

use super::websocket::WebSocketSide;
use super::{Connection, Protocol};
use crate::bridge::id::{AppId, ConnectionId};
use crate::bridge::ledger::Ledger;
use crate::bridge::rules::Rules;
use crate::bridge::sync::Arc;
use crate::io::context::Context;
use crate::io::transport::Transport;
use crate::protocol::websocket::WebSocketSession;

/// What a WebSocket consists of when its handshake is over.
#[derive(Debug)]
pub struct Opened {
    /// In the role of a client.
    pub session: WebSocketSession,
    /// The options it has.
    pub rules: Arc<Rules>,
    /// Its books.
    pub ledger: Arc<Ledger>,
}

impl Connection {
    /// A connection to a server that has just granted the upgrade.
    #[must_use]
    pub fn to_server(
        id: ConnectionId,
        transport: Transport,
        opened: Opened,
        waker: Waker,
        context: &Context,
    ) -> Self {
        let Opened { session, rules, ledger } = opened;
        let protocol = Protocol::WebSocket(WebSocketSide::new(session, rules, ledger));
        let mut connection = Self::with_protocol(id, AppId::CLIENTS, transport, protocol, waker, context.now);
        let entered = connection.enter_span();
        tracing::debug!("connected to a WebSocket server");
        drop(entered);
        connection
    }

    /// Takes what the server sent together with its response, and arms the timer of an idle connection.
    pub fn take_early(&mut self, mut early: Vec<u8>, context: &mut Context) {
        self.handle_input(&mut early, context);
        self.mark_dirty(context);
    }
}
