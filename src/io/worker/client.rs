//! Handles the outcomes of the worker's connects.

use std::io;

use super::Worker;
use crate::bridge::connect::{ConnectOutcome, Connected};
use crate::bridge::id::ClientId;
use crate::bridge::peer::Peer;
use crate::io::connection::{Connection, WebSocket};
use crate::io::connector::{EndedConnect, Granted};
use crate::io::ready::Token;
use crate::protocol::cause::Cause;
use crate::protocol::connect::{ConnectCause, ConnectFailure};
use crate::protocol::websocket::{Role, WebSocketSession};

impl Worker {
    /// Reports the outcomes of connects to Node's thread, and starts to serve their connections.
    pub(super) fn conclude_connects(&mut self) {
        while let Some(EndedConnect { client, outcome }) = self.connector.pop_ended() {
            match outcome {
                Ok(granted) => match self.enter_client(granted) {
                    Ok((connected, early)) => {
                        let id = connected.connection;
                        let outcome = ConnectOutcome::Connected(Box::new(connected));
                        self.context.events.push_connect(client, outcome);
                        // After the event, because these bytes may be messages.
                        self.with(id.slot, id.generation, |it, context, _| {
                            it.handle_early_input(early, context)
                        });
                        self.serve(id.slot, id.generation);
                    }
                    Err(error) => {
                        self.fail_connect(
                            client,
                            ConnectFailure::new(ConnectCause::Failed, error.to_string()),
                        );
                    }
                },
                Err(failure) => self.fail_connect(client, failure),
            }
        }
    }

    fn fail_connect(&mut self, client: ClientId, failure: ConnectFailure) {
        tracing::debug!(cause = failure.code(), "connecting to a WebSocket server failed");
        self.context.events.push_connect(client, ConnectOutcome::Failed(Box::new(failure)));
    }

    /// Enters a connection whose server has accepted the upgrade. Also returns the bytes that followed the response.
    fn enter_client(&mut self, granted: Granted) -> io::Result<(Connected, Vec<u8>)> {
        let Granted { mut transport, grant, early, rules, ledger } = granted;
        let (selector, context) = (&self.selector, &self.context);
        let peer = Peer { address: transport.peer(), proxied: None };
        // RFC 6455 §5.3: keys "derived from a strong source of entropy".
        let session = WebSocketSession::with_role(Role::client(rand::random()), context.now, grant.agreement);
        let socket = WebSocket::new(session, rules, ledger, 0, context.moment);
        let connection = self.registry.insert(|id| {
            transport.register(selector.registry(), Token::Connection(id.slot))?;
            Ok::<_, io::Error>(Connection::to_server(id, transport, socket, context))
        })?;
        let connection = connection.id();
        self.population += 1;
        self.report_population();
        Ok((Connected { connection, peer, grant }, early))
    }
}
