//! WebSockets that no listening socket of ours has accepted: the outcomes of the worker's connects, and those whose
//! opening handshake was made over Node's HTTP.

use std::io;

use super::Worker;
use crate::bridge::connect::{ConnectOutcome, Connected};
use crate::bridge::handover::{End, HandOver};
use crate::bridge::id::{AppId, ClientId, ConnectionId};
use crate::bridge::ledger::WebSocketLedger;
use crate::bridge::peer::Peer;
use crate::bridge::rules::Rules;
use crate::bridge::sync::Arc;
use crate::io::connection::{Connection, WebSocket};
use crate::io::connector::{EndedConnect, Granted};
use crate::io::ready::Token;
use crate::io::transport::Transport;
use crate::protocol::cause::Cause;
use crate::protocol::connect::{ConnectCause, ConnectFailure};
use crate::protocol::websocket::client_handshake::Grant;
use crate::protocol::websocket::{Agreement, Role, WebSocketSession};

impl Worker {
    /// Reports the outcomes of connects to Node's thread, and starts to serve their connections.
    pub(super) fn conclude_connects(&mut self) {
        while let Some(EndedConnect { client, outcome }) = self.connector.pop_ended() {
            match outcome {
                Ok(granted) => match self.enter_client(granted) {
                    Ok((connected, early)) => self.start_websocket(client, connected, early),
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
        let Granted { transport, grant, early, rules, ledger } = granted;
        let peer = Peer { address: transport.peer(), proxied: None };
        let connection = self.enter_websocket(transport, End::Client, grant.agreement, rules, ledger)?;
        Ok((Connected { connection, peer, grant }, early))
    }

    /// `Command::HandOver`: serves a WebSocket whose opening handshake was made over Node's HTTP.
    pub(super) fn take_over(&mut self, order: HandOver) {
        let HandOver { client, socket, address, end, agreement, response, early, rules, ledger, place } =
            order;
        let entered = Transport::adopt(socket, address).and_then(|transport| {
            let peer = Peer { address: address.or_else(|| transport.peer()), proxied: None };
            let connection = self.enter_websocket(transport, end, agreement, rules, ledger)?;
            Ok(Connected { connection, peer, grant: Grant::default() })
        });
        match entered {
            Ok(connected) => {
                let ConnectionId { slot, generation, .. } = connected.connection;
                if let Some(place) = place {
                    place.set(connected.connection);
                }
                self.with(slot, generation, |it, context, _| it.send_response(&response, context));
                self.start_websocket(client, connected, early);
            }
            Err(error) => {
                self.fail_connect(client, ConnectFailure::new(ConnectCause::Failed, error.to_string()));
            }
        }
    }

    /// Reports a WebSocket that is open, and serves it. `early` is what its peer has sent already.
    fn start_websocket(&mut self, client: ClientId, connected: Connected, early: Vec<u8>) {
        let ConnectionId { slot, generation, .. } = connected.connection;
        self.context.events.push_connect(client, ConnectOutcome::Connected(Box::new(connected)));
        // After the event, because these bytes may be messages.
        self.with(slot, generation, |it, context, _| it.handle_early_input(early, context));
        self.serve(slot, generation);
    }

    /// Enters an open WebSocket among the connections.
    fn enter_websocket(
        &mut self,
        mut transport: Transport,
        end: End,
        agreement: Option<Agreement>,
        rules: Arc<Rules>,
        ledger: Arc<WebSocketLedger>,
    ) -> io::Result<ConnectionId> {
        let role = match end {
            End::Server => Role::Server,
            // RFC 6455 §5.3: keys "derived from a strong source of entropy".
            End::Client => Role::client(rand::random()),
        };
        let session = WebSocketSession::with_role(role, self.context.now, agreement);
        let socket = WebSocket::new(session, rules, ledger, 0, self.context.moment);
        let id = self.context.names.take();
        let registered = transport.register(self.selector.registry(), Token::Connection(id.slot));
        if let Err(error) = registered {
            self.context.names.give_back(id.slot);
            return Err(error);
        }
        let connection = Connection::of_websocket(id, AppId::CLIENTS, transport, socket, &self.context);
        self.registry.insert(id, connection);
        self.population += 1;
        self.report_population();
        Ok(id)
    }
}
