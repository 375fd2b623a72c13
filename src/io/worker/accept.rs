//! Accepts connections from listening sockets, and adopts those that were accepted elsewhere.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::Worker;
use crate::bridge::command::{Adoption, Command, ListenOrder};
use crate::bridge::event::Event;
use crate::bridge::id::{AppId, ListenerId};
use crate::bridge::takeover::Takeover;
use crate::io::accept_pause::AcceptPause;
use crate::io::connection::{Connection, ConnectionConfig};
use crate::io::listener::{Accepted, ListeningSocket, concerns_one_peer};
use crate::io::ready::Token;
use crate::io::transport::Transport;

impl Worker {
    pub(super) fn accept(&mut self, id: ListenerId) {
        for _ in 0..ACCEPTS_PER_PASS {
            let Some(listener) = self.listeners.iter_mut().find(|listener| listener.id == id) else { return };
            let app = listener.app;
            match listener.accept(&self.peers) {
                Ok(accepted) => {
                    self.keep_reserve(&accepted, id);
                    self.place(accepted, app);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if concerns_one_peer(&error) => {}
                Err(error) if self.make_room_for(&error, id) => {}
                Err(error) => {
                    // Mostly out of descriptors. Trying again at once would spin until one is closed.
                    if AcceptPause::fail(&mut self.accept_pause, self.context.now) {
                        tracing::error!(worker = self.id.0, %error, "accepting connections pauses");
                    }
                    let at = self.context.now + ACCEPT_PAUSE;
                    self.retry.get_or_insert_with(|| (at, Vec::new())).1.push(id);
                    return;
                }
            }
        }
        self.retry.get_or_insert_with(|| (self.context.now, Vec::new())).1.push(id);
    }

    /// Serves an accepted connection, or hands it to the worker that does.
    pub(super) fn place(&mut self, accepted: Accepted, app: AppId) {
        match accepted {
            Accepted::HandedOver => {}
            Accepted::Kept { transport, worker } if worker == self.id => {
                self.enter(transport, app, None, None)
            }
            Accepted::Kept { transport, worker } => {
                let address = transport.peer();
                if let Ok(socket) = transport.into_socket() {
                    let adoption = Adoption { socket, app, address, takeover: None, done: None };
                    self.peers.send(worker, Command::AdoptConnection(Box::new(adoption)));
                }
            }
        }
    }

    /// Starts to serve a connection.
    pub(super) fn enter(
        &mut self,
        mut transport: Transport,
        app: AppId,
        address: Option<SocketAddr>,
        takeover: Option<Takeover>,
    ) {
        let setup = self.setups.get(&app.app);
        if let Some(setup) = setup {
            transport.watch(&setup.tcp);
        }
        let config = ConnectionConfig::new(&transport, address, setup);
        let config = if takeover.is_some() { config.taken_over() } else { config };
        let id = self.context.names.take();
        if let Err(error) = transport.register(self.selector.registry(), Token::Connection(id.slot)) {
            self.context.names.give_back(id.slot);
            self.refuse(takeover);
            return self.note_refusal(&error);
        }
        let mut connection = Connection::new(id, app, transport, config, &self.context);
        connection.handle_accepted(&mut self.context);
        self.registry.insert(id, connection);
        self.population += 1;
        self.report_population();
        if let Some(takeover) = takeover {
            self.with(id.slot, id.generation, |connection, context, _| {
                connection.take_over(takeover, context)
            });
        }
        self.serve(id.slot, id.generation);
    }

    /// Logs that a connection could not be served, because memory or the capacity of the selector is exhausted. The
    /// next ones will probably fail too, so only the first failure of a pause is logged.
    fn note_refusal(&mut self, error: &io::Error) {
        if AcceptPause::fail(&mut self.accept_pause, self.context.now) {
            tracing::error!(worker = self.id.0, %error, "a connection could not be taken over");
        }
    }

    pub(super) fn listen(&mut self, order: ListenOrder) {
        let id = order.listener;
        match ListeningSocket::new(order, self.selector.registry()) {
            Ok(listener) => {
                self.listeners.push(listener);
                self.accept(id);
            }
            Err(error) => {
                tracing::error!(worker = self.id.0, %error, "a listening socket could not be taken over")
            }
        }
    }

    /// Reports to Node's thread that a request which was taken over with its connection will not be served.
    fn refuse(&mut self, takeover: Option<Takeover>) {
        if let Some(Takeover { ticket, .. }) = takeover {
            self.context.emit(Event::TakeoverRefused { ticket });
        }
    }

    /// Starts to serve a connection that was accepted elsewhere.
    pub(super) fn adopt(&mut self, adoption: Adoption) {
        let Adoption { socket, app, address, takeover, done } = adoption;
        // A connection that was on its way when the app was closed or shut down is closed here.
        if self.has_ended(app) {
            self.refuse(takeover);
        } else {
            match Transport::adopt(socket, address) {
                Ok(transport) => self.enter(transport, app, address, takeover),
                Err(error) => {
                    self.refuse(takeover);
                    self.note_refusal(&error);
                }
            }
        }
        if let Some(done) = done {
            // Before the release: the waiting thread reads the population next.
            self.report_population();
            done.release();
        }
    }
}

/// Connections accepted from one socket before the others are served.
const ACCEPTS_PER_PASS: usize = 64;
/// How long to wait after accepting failed.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
