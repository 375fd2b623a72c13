//! UDP sockets: datagrams for the connections of QUIC, new connections, and datagrams of other workers' connections.

use std::collections::HashMap;
use std::io;

use quinn_proto::{AcceptError, DatagramEvent, Incoming};

use super::Worker;
use crate::bridge::command::Command;
use crate::bridge::id::{AppId, ConnectionId, ListenerId, WorkerId};
use crate::bridge::quic::{Datagram, HandedDatagrams, QuicOrder};
use crate::bridge::sync::Arc;
use crate::io::connection::{Connection, ConnectionConfig, QuicConfig};
use crate::io::quic::port::Port;
use crate::io::quic::ports::Ports;
use crate::io::ready::Readiness;
use crate::io::timers::TimerEntry;
use crate::protocol::cause::CloseCause;
use crate::tls::setup::{Admission, TlsSetup};

impl Worker {
    /// `Command::ListenQuic`.
    pub(super) fn listen_quic(&mut self, order: QuicOrder) {
        let (id, started, watched) = (order.listener, self.clock.started(), self.clock.watched());
        let ports = self.context.quic.get_or_insert_with(|| {
            let mut ports = Ports::new(started);
            ports.start_pass(watched);
            Box::new(ports)
        });
        let setup = self.setups.get(&order.app.app);
        match ports.add(order, self.id, setup, self.selector.registry()) {
            Ok(()) => self.serve_port(id, Readiness::UNKNOWN),
            Err(error) => {
                tracing::error!(worker = self.id.0, %error, "a UDP socket could not be taken over");
            }
        }
    }

    /// The UDP sockets that `matches` selects accept no new connections from now on. They are closed with their last one.
    pub(super) fn stop_ports(&mut self, matches: impl Fn(ListenerId, AppId) -> bool) {
        if let Some(ports) = &mut self.context.quic {
            ports.stop(self.selector.registry(), matches);
        }
    }

    /// Closes the UDP sockets of an app whose connections were closed.
    pub(super) fn close_ports(&mut self, app: AppId) {
        if let Some(ports) = &mut self.context.quic {
            ports.remove(self.selector.registry(), |port| app.covers(port.app));
        }
    }

    /// `Command::CloseFinishedPorts`.
    pub(super) fn close_finished_ports(&mut self) {
        if let Some(ports) = &mut self.context.quic {
            ports.remove_finished(self.selector.registry());
        }
    }

    /// A UDP socket may be readable or writable.
    pub(super) fn serve_port(&mut self, listener: ListenerId, reported: Readiness) {
        let Some(ports) = &mut self.context.quic else { return };
        if reported.is_writable() {
            for id in ports.handle_writable(listener) {
                self.with(id.slot, id.generation, |it, context, scratch| it.flush(context, scratch));
            }
        }
        if reported.is_readable() {
            self.receive(listener);
        }
    }

    /// Handles the datagrams that wait in a socket. What is left after [`CALLS_PER_PASS`] waits for the next pass.
    fn receive(&mut self, listener: ListenerId) {
        let mut datagrams = Vec::new();
        for _ in 0..CALLS_PER_PASS {
            let Some(ports) = &mut self.context.quic else { return };
            match ports.receive(listener, &mut datagrams) {
                Ok(()) => self.handle_datagrams(listener, &mut datagrams),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // A signal; or the error of a datagram that was sent before, such as that nobody listens on its port.
                Err(_) => {}
            }
        }
        self.retry.get_or_insert_with(|| (self.context.now, Vec::new())).1.push(listener);
    }

    /// Handles datagrams, and hands those to other workers that are for their connections.
    fn handle_datagrams(&mut self, listener: ListenerId, datagrams: &mut Vec<Datagram>) {
        let mut handed: HashMap<WorkerId, Vec<Datagram>> = HashMap::new();
        let mut touched = Vec::new();
        for datagram in datagrams.drain(..) {
            let Some(port) = self.context.quic.as_mut().and_then(|ports| ports.get_mut(listener)) else {
                return;
            };
            let share = Arc::clone(&port.share);
            let worker = port.worker_for(&datagram.bytes, self.peers.preferred(&share.workers));
            if worker == self.id {
                self.handle_datagram(listener, datagram, &mut touched);
            } else {
                handed.entry(worker).or_default().push(datagram);
            }
        }
        for (worker, datagrams) in handed {
            let handed = HandedDatagrams { listener, datagrams };
            self.peers.send(worker, Command::TakeDatagrams(Box::new(handed)));
        }
        self.serve_touched(touched);
    }

    /// `Command::TakeDatagrams`.
    pub(super) fn take_datagrams(&mut self, handed: HandedDatagrams) {
        let mut touched = Vec::new();
        for datagram in handed.datagrams {
            self.handle_datagram(handed.listener, datagram, &mut touched);
        }
        self.serve_touched(touched);
    }

    fn serve_touched(&mut self, mut touched: Vec<ConnectionId>) {
        touched.sort_unstable_by_key(|id| id.slot);
        touched.dedup();
        for id in touched {
            self.serve(id.slot, id.generation);
        }
    }

    /// Handles one datagram. Its connection, if it has one, is added to `touched`.
    fn handle_datagram(&mut self, listener: ListenerId, datagram: Datagram, touched: &mut Vec<ConnectionId>) {
        let Some(ports) = &mut self.context.quic else { return };
        let (now, length) = (ports.now(), datagram.bytes.len() as u64);
        let Some(port) = ports.get_mut(listener) else { return };
        let app = port.app;
        let mut answer = Vec::new();
        match port.handle(datagram, now, &mut answer) {
            None => {}
            Some(DatagramEvent::Response(transmit)) => port.answer(&transmit, &answer),
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                self.context.tallies.count_received(app, length);
                let Some((slot, generation)) = port.place(handle) else { return };
                let id = ConnectionId { worker: self.id, slot, generation };
                self.with_one(slot, generation, |it, _, _| it.handle_quic_event(event));
                touched.push(id);
            }
            Some(DatagramEvent::NewConnection(incoming)) => {
                self.context.tallies.count_received(app, length);
                touched.extend(self.accept_quic(listener, incoming));
            }
        }
    }

    /// Accepts a new connection, unless there are too many, or its client has to show first that it receives at its address.
    fn accept_quic(&mut self, listener: ListenerId, incoming: Incoming) -> Option<ConnectionId> {
        let ports = self.context.quic.as_mut()?;
        let now = ports.now();
        let port = ports.get_mut(listener)?;
        let (app, mut answer) = (port.app, Vec::new());
        let has_ended = self.ended.get(&app.app).is_some_and(|ended| app.epoch <= *ended);
        let setup = self.setups.get(&app.app).filter(|_| port.share.is_accepting() && !has_ended);
        let Some((setup, tls, http3)) =
            setup.and_then(|setup| Some((setup, setup.tls.as_ref()?, setup.http3.as_ref()?)))
        else {
            let transmit = port.endpoint.refuse(incoming, &mut answer);
            port.answer(&transmit, &answer);
            return None;
        };
        let handshakes = tls.under_way(self.id.index());
        if handshakes >= tls.share() {
            // Whoever is refused knows that it is worth trying again at once.
            port.endpoint.ignore(incoming);
            self.context.tallies.of(app).tls_handshake_failures.add(1);
            return None;
        }
        let is_busy = handshakes >= retry_from(tls);
        if (http3.always_retry || is_busy) && !incoming.remote_address_validated() && incoming.may_retry() {
            if let Ok(transmit) = port.endpoint.retry(incoming, &mut answer) {
                port.answer(&transmit, &answer);
            }
            return None;
        }
        let config = port.config_for(incoming.remote_address().ip());
        let (handle, connection) = match port.endpoint.accept(incoming, now, &mut answer, Some(config)) {
            Ok(accepted) => accepted,
            Err(AcceptError { cause, response }) => {
                if let Some(transmit) = response {
                    port.answer(&transmit, &answer);
                    self.context.tallies.of(app).tls_handshake_failures.add(1);
                    tracing::warn!(cause = CloseCause::InvalidQuic.verdict().name, reason = %cause, "QUIC handshake failed");
                }
                return None;
            }
        };
        let mut admission = Admission::new(Arc::clone(tls), self.id.index());
        admission.start();
        let quic = QuicConfig {
            connection,
            handle,
            listener,
            admission,
            limits: Arc::clone(&setup.limits),
            http3: http3.limits,
        };
        let config = ConnectionConfig::of_quic(setup);
        let id = self.context.names.take();
        port.set_place(handle, Some((id.slot, id.generation)));
        port.share.note_opened();
        let mut connection = Connection::of_quic(id, app, quic, config, &self.context);
        connection.handle_accepted(&mut self.context);
        self.registry.insert(id, connection);
        self.population += 1;
        self.report_population();
        Some(id)
    }

    /// After a connection was removed: if it was one of QUIC, its socket may not be needed any more.
    pub(super) fn note_quic_removed(&mut self, listener: ListenerId) {
        let port = self.context.quic.as_mut().and_then(|ports| ports.get_mut(listener));
        let Some(Port { share, .. }) = port else { return };
        let share = Arc::clone(share);
        if share.note_closed() {
            for worker in share.workers.iter().filter(|worker| **worker != self.id) {
                self.peers.send(*worker, Command::CloseFinishedPorts);
            }
            self.close_finished_ports();
        }
    }

    /// The process is about to exit: tells the clients of QUIC, as the system tells those of TCP.
    pub(super) fn say_goodbye(&mut self) {
        if self.context.quic.is_some() {
            let keys: Vec<_> = self.registry.keys().collect();
            for (slot, generation) in keys {
                self.with_one(slot, generation, |it, context, _| it.say_goodbye(context));
            }
        }
    }

    /// Deadlines of QUIC that have come.
    pub(super) fn serve_quic_deadlines(&mut self) {
        while let Some(TimerEntry { slot, generation }) =
            self.context.quic.as_mut().and_then(|ports| ports.take_due())
        {
            self.with_one(slot, generation, |it, context, _| it.handle_quic_deadline(context));
            self.serve(slot, generation);
        }
    }
}

/// From how many handshakes on one worker clients have to show first that they receive at their address.
fn retry_from(tls: &TlsSetup) -> usize {
    (tls.share() / 8).max(FEWEST_BEFORE_RETRY)
}

/// Handshakes of one worker that are nothing unusual.
const FEWEST_BEFORE_RETRY: usize = 32;
/// Calls of the kernel per pass and socket, each of which returns as much as fits the buffers.
const CALLS_PER_PASS: usize = 16;
