//! What becomes of the worker's connects.

use super::Worker;
use crate::bridge::connect::{ConnectOutcome, Connected};
use crate::bridge::peer::Peer;
use crate::io::connection::{Connection, WebSocket};
use crate::io::connector::{Ended, Granted};
use crate::io::ready::Token;
use crate::protocol::cause::Cause;
use crate::protocol::websocket::{Role, WebSocketSession};

impl Worker {
    /// Tells Node's thread how connects ended, and begins to serve the connections that came of them.
    pub(super) fn conclude_connects(&mut self) {
        while let Some(Ended { client, outcome }) = self.connector.take() {
            match outcome {
                Ok(granted) => {
                    let (connected, early) = self.enter_client(granted);
                    let id = connected.connection;
                    let outcome = ConnectOutcome::Connected(Box::new(connected));
                    self.context.events.push_connect(client, outcome);
                    // Behind the event: these may be messages.
                    self.with(id.slot, id.generation, |it, context, _| it.handle_early_input(early, context));
                    self.serve(id.slot, id.generation);
                }
                Err(failure) => {
                    tracing::debug!(cause = failure.code(), "connecting to a WebSocket server failed");
                    self.context.events.push_connect(client, ConnectOutcome::Failed(Box::new(failure)));
                }
            }
        }
    }

    /// Makes a connection of an upgrade that was granted. What came with the response is for it to read.
    fn enter_client(&mut self, granted: Granted) -> (Connected, Vec<u8>) {
        let Granted { transport, grant, early, rules, ledger } = granted;
        let (ready, context) = (&self.ready, &self.context);
        let peer = Peer { address: transport.peer(), proxied: None };
        // RFC 6455 §5.3: keys "derived from a strong source of entropy".
        let session = WebSocketSession::with_role(Role::client(rand::random()), context.now, grant.agreement);
        let socket = WebSocket::new(session, rules, ledger);
        let connection = self.registry.insert(|id| {
            let token = Token::Connection { slot: id.slot, generation: id.generation };
            Connection::to_server(id, transport, socket, ready.waker(token), context)
        });
        let connection = connection.id();
        self.population += 1;
        self.report_population();
        (Connected { connection, peer, grant }, early)
    }
}
