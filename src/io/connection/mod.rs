//! One connection: reads from the socket, passes the input to the protocol, writes the output, and closes gracefully.
//!
//! ```text
//!   Connection ─┬─► Shell      the same for every protocol: socket, outbox, `stage`, timer, `last_look`
//!               └─► Protocol   dispatches to one of ─► EarlyStage ─┬─► ProxyHeader
//!                                     │                            ├─► TlsHandshake
//!                                     │                            └─► Preface
//!                                     ├─► Http, Http2, Http3 ─► Response    commands of Node's thread
//!                                     └─► WebSocket ───► delivery    published messages
//! ```
//!
//! A protocol state uses the shell, which its methods take, and the state that follows it, but neither `Protocol` nor
//! `Connection`.

mod config;
mod early_stage;
mod http;
mod http2;
mod http3;
mod last_look;
mod preface;
mod protocol;
mod proxy_header;
mod response;
mod shell;
mod spoken;
mod stage;
mod streams;
mod takeover;
mod tls_handshake;
mod upgrade;
mod websocket;

use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use tracing::span::EnteredSpan;

pub(crate) use self::config::ConnectionConfig;
use self::config::FilterState;
use self::early_stage::EarlyStage;
use self::http::Http;
use self::http::response::HttpResponse;
use self::http2::response::StreamResponse;
use self::http3::Http3;
pub(crate) use self::http3::QuicConfig;
use self::http3::response::StreamResponse as Http3Response;
use self::protocol::Protocol;
pub(crate) use self::response::Response;
use self::shell::Offers;
pub(crate) use self::shell::Shell;
use self::spoken::Spoken;
use self::stage::ConnectionStage;
pub(crate) use self::upgrade::Upgrade;
pub(crate) use self::websocket::WebSocket;
pub(crate) use self::websocket::delivery::PublishOutcome;
use super::context::Context;
use super::ready::{Readiness, Token};
use super::room::Standing;
use super::stream_work::{StreamNumber, StreamWork};
use super::topics::{Memberships, Moved};
use super::transport::Transport;
use super::tunnel::{Parcel, Tunnel};
use crate::bridge::command::BodyPiece;
use crate::bridge::event::{BodyOffer, Event};
use crate::bridge::id::{AppId, ConnectionId, ListenerId, RequestNumber};
use crate::bridge::ledger::WebSocketLedger;
use crate::bridge::peer::Peer;
use crate::bridge::rules::Rules;
use crate::bridge::sync::Arc;
use crate::protocol::cause::CloseCause;
use crate::protocol::time::Timestamp;
use crate::tls::setup::Admission;

/// One socket and its protocol.
#[derive(Debug)]
pub(crate) struct Connection {
    shell: Shell,
    protocol: Protocol,
}

impl Connection {
    /// A connection that was just accepted.
    #[must_use]
    pub(crate) fn new(
        id: ConnectionId,
        app: AppId,
        transport: Transport,
        config: ConnectionConfig,
        context: &Context,
    ) -> Self {
        let peer = Peer { address: config.address, proxied: None };
        let http = Box::new(Http::new(config.limits, peer, context.now));
        let tls = config.tls.map(|setup| Admission::new(setup, id.worker.index()));
        let mut shell = Shell::new(id, app, transport, config.filter, context.now);
        let spoken = Spoken { tls, http2: config.http2 };
        let early = EarlyStage::first(config.proxy_header, spoken, &mut shell, context.now);
        let entered = shell.enter_span();
        tracing::debug!("accepted");
        drop(entered);
        Self { shell, protocol: Protocol::Http { early, http } }
    }

    /// A connection whose opening handshake is complete: of no app ([`AppId::CLIENTS`]), or in a stream of another one.
    #[must_use]
    pub(crate) fn of_websocket(
        id: ConnectionId,
        app: AppId,
        transport: Transport,
        socket: WebSocket,
        context: &Context,
    ) -> Self {
        let mut shell = Shell::new(id, app, transport, FilterState::Off, context.now);
        let entered = shell.enter_span();
        tracing::debug!("WebSocket opened");
        drop(entered);
        Self { shell, protocol: Protocol::WebSocket(socket) }
    }

    /// A connection of QUIC of which the first packet has arrived.
    #[must_use]
    pub(crate) fn of_quic(
        id: ConnectionId,
        app: AppId,
        quic: QuicConfig,
        config: ConnectionConfig,
        context: &Context,
    ) -> Self {
        let transport = Transport::of_quic(quic.connection.remote_address());
        let mut shell = Shell::new(id, app, transport, config.filter, context.now);
        let entered = shell.enter_span();
        tracing::debug!("accepted");
        drop(entered);
        Self { shell, protocol: Protocol::Http3(Box::new(Http3::new(quic, context.now))) }
    }

    /// Passes on what the endpoint has for a connection of QUIC.
    pub(crate) fn handle_quic_event(&mut self, event: quinn_proto::ConnectionEvent) {
        if let Protocol::Http3(http3) = &mut self.protocol {
            http3.handle_event(event);
        }
    }

    /// The UDP socket of a connection of QUIC.
    #[must_use]
    pub(crate) const fn quic_listener(&self) -> Option<ListenerId> {
        match &self.protocol {
            Protocol::Http3(http3) => Some(http3.listener()),
            Protocol::Http { .. } | Protocol::Http2(_) | Protocol::WebSocket(_) => None,
        }
    }

    /// A deadline of QUIC has come.
    pub(crate) fn handle_quic_deadline(&mut self, context: &mut Context) {
        if let Protocol::Http3(http3) = &mut self.protocol {
            http3.handle_quic_deadline(context);
        }
    }

    /// Queues what is sent before the first frame.
    pub(crate) fn send_response(&mut self, response: &[u8], context: &mut Context) {
        self.shell.append_output(response, context);
        self.shell.mark_dirty(context);
    }

    /// Takes what the peer has sent behind its half of the handshake, and arms the timer.
    pub(crate) fn handle_early_input(&mut self, mut early: Vec<u8>, context: &mut Context) {
        self.take_input(&mut early, context);
        self.shell.mark_dirty(context);
        context.again.push(self.shell.id);
    }

    /// Counts a connection that was accepted, and announces it to Node's thread if its app has a filter.
    pub(crate) fn handle_accepted(&mut self, context: &mut Context) {
        let tally = self.shell.tally(context);
        tally.connections.add(1);
        tally.http_open.add(1);
        self.protocol.announce_opened(&mut self.shell, context);
    }

    /// Counts a connection whose peer is no longer served, and announces its close if its opening was announced.
    pub(crate) fn handle_ended(&mut self, context: &mut Context) {
        self.protocol.count_ended(&self.shell, context);
        self.shell.announce_closed(context);
    }

    /// Subtracts the backlog of a closed connection from the statistics, and returns its subscriptions.
    pub(crate) fn handle_removed(&mut self, context: &mut Context) -> Option<Box<Memberships>> {
        self.protocol.subtract_backlog(&self.shell, context);
        match &mut self.protocol {
            Protocol::Http { .. } => None,
            Protocol::Http3(http3) => {
                // As below.
                http3.abort(CloseCause::ApplicationClosed, None, &mut self.shell, context);
                context.unhandled -= http3.unhandled();
                http3.drop_quic(&mut self.shell, context);
                None
            }
            Protocol::Http2(http2) => {
                // All of its streams have been aborted, or nobody is left to be told.
                http2.abort(CloseCause::ApplicationClosed, context);
                context.unhandled -= http2.unhandled();
                None
            }
            Protocol::WebSocket(socket) => {
                context.unhandled -= socket.unhandled();
                socket.take_memberships()
            }
        }
    }

    /// Enters the connection's tracing span until the guard drops. Free while logging is off.
    pub(crate) fn enter_span(&mut self) -> Option<EnteredSpan> {
        self.shell.enter_span()
    }

    /// The id of the connection.
    #[must_use]
    pub(crate) const fn id(&self) -> ConnectionId {
        self.shell.id
    }

    /// The app of the connection.
    #[must_use]
    pub(crate) const fn app(&self) -> AppId {
        self.shell.app
    }

    /// The address of the other end of the socket, if it is known.
    #[must_use]
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.shell.transport.peer()
    }

    /// Whether the socket may be dropped.
    #[must_use]
    pub(crate) fn is_gone(&self) -> bool {
        self.shell.stage == ConnectionStage::Gone
    }

    /// Whether the peer is still served: the connection is not closing.
    #[must_use]
    pub(crate) fn is_serving(&self) -> bool {
        self.shell.is_serving()
    }

    /// Whether closing the socket would lose nothing: nothing is under way, or the kernel has all the output.
    #[must_use]
    pub(crate) fn is_finished(&self) -> bool {
        match self.shell.stage {
            ConnectionStage::Serving => self.protocol.is_idle() && !self.has_output(),
            ConnectionStage::Draining => !self.has_output(),
            ConnectionStage::Lingering | ConnectionStage::Gone => true,
        }
    }

    /// Whether output waits that the kernel has not taken.
    #[must_use]
    pub(crate) fn has_output(&self) -> bool {
        self.backlog() > 0 || self.protocol.awaits_acknowledgement()
    }

    /// Bytes of output that the kernel has not taken.
    #[must_use]
    pub(crate) fn backlog(&self) -> usize {
        self.shell.backlog() + self.protocol.queued()
    }

    /// Calls `visit` with all output that waits for the peer and can be given up by itself, see [`Self::close_slow_reader`]:
    /// since when the peer has taken nothing of it, its bytes, and the stream if it is that of one.
    pub(crate) fn visit_backlogs(&self, mut visit: impl FnMut(Timestamp, usize, Option<StreamNumber>)) {
        if self.shell.has_output() {
            visit(self.shell.progress, self.shell.backlog(), None);
        }
        match &self.protocol {
            Protocol::Http2(http2) => {
                http2.backlogs().for_each(|(stream, bytes, since)| visit(since, bytes, Some(stream.into())));
            }
            Protocol::Http3(http3) => {
                http3.backlogs().for_each(|(stream, bytes, since)| visit(since, bytes, Some(stream.into())));
            }
            Protocol::Http { .. } | Protocol::WebSocket(_) => {}
        }
    }

    /// What would be lost by closing the connection, and since when it waits for its peer; `None` if a request or a
    /// WebSocket is under way.
    #[must_use]
    pub(crate) fn standing(&self) -> Option<(Standing, Timestamp)> {
        match self.shell.stage {
            ConnectionStage::Lingering => Some((Standing::Lingering, self.shell.progress + LINGER_TIMEOUT)),
            // The unread input may be a request.
            ConnectionStage::Serving if self.shell.is_starved => None,
            ConnectionStage::Serving => self.protocol.standing(&self.shell),
            ConnectionStage::Draining | ConnectionStage::Gone => None,
        }
    }

    /// Whether bytes of the peer are in the socket. Costs a system call.
    #[must_use]
    pub(crate) fn has_unread_input(&self) -> bool {
        self.shell.stage == ConnectionStage::Serving && self.shell.transport.has_input()
    }

    /// Whether a TLS handshake is under way.
    #[must_use]
    pub(crate) fn is_handshaking(&self) -> bool {
        self.protocol.is_handshaking()
    }

    /// Whether closing it frees a descriptor.
    #[must_use]
    pub(crate) const fn has_descriptor(&self) -> bool {
        !matches!(self.protocol, Protocol::Http3(_))
    }

    /// The process is about to exit: says so to a client whose system would not.
    pub(crate) fn say_goodbye(&mut self, context: &mut Context) {
        if let Protocol::Http3(http3) = &mut self.protocol {
            http3.say_goodbye(&mut self.shell, context);
        }
    }

    /// The address of the client, if it is known.
    #[must_use]
    pub(crate) fn client(&self) -> Option<SocketAddr> {
        self.protocol.client()
    }

    /// The response to `request` over HTTP/1.1, unless a later request has arrived.
    pub(crate) fn response(&mut self, request: RequestNumber) -> Option<HttpResponse<'_>> {
        match &mut self.protocol {
            Protocol::Http { http, .. } => HttpResponse::find(request, http, &mut self.shell),
            Protocol::Http2(_) | Protocol::Http3(_) | Protocol::WebSocket(_) => None,
        }
    }

    /// The response on a stream, by its number and its name.
    pub(crate) fn stream_response(&mut self, stream: StreamNumber, id: ConnectionId) -> Option<Response<'_>> {
        let (stream, shell) = ((stream, id), &mut self.shell);
        match &mut self.protocol {
            Protocol::Http2(http2) => StreamResponse::find(stream, http2, shell).map(Response::Http2),
            Protocol::Http3(http3) => Http3Response::find(stream, http3, shell).map(Response::Http3),
            Protocol::Http { .. } | Protocol::WebSocket(_) => None,
        }
    }

    /// The WebSocket, if the connection has been upgraded.
    pub(crate) fn websocket(&mut self) -> Option<(&mut WebSocket, &mut Shell)> {
        match &mut self.protocol {
            Protocol::Http { .. } | Protocol::Http2(_) | Protocol::Http3(_) => None,
            Protocol::WebSocket(socket) => Some((socket, &mut self.shell)),
        }
    }

    /// Notes the new place of a WebSocket in a topic, after another subscriber has left it.
    pub(crate) fn handle_moved(&mut self, moved: Moved) {
        if let Some((socket, _)) = self.websocket() {
            socket.handle_moved(moved);
        }
    }

    /// `Command::Upgrade`: answers 101 and changes the protocol. The bytes behind the request are frames.
    pub(crate) fn upgrade(
        &mut self,
        request: RequestNumber,
        answer: Upgrade<'_>,
        rules: Arc<Rules>,
        ledger: Arc<WebSocketLedger>,
        context: &mut Context,
    ) {
        let Some(mut response) = self.response(request) else { return };
        let Some((socket, mut frames)) = response.upgrade(answer, rules, ledger, context) else { return };
        self.protocol.count_ended(&self.shell, context);
        self.protocol.subtract_backlog(&self.shell, context);
        self.protocol = Protocol::WebSocket(socket);
        tracing::debug!("upgraded to WebSocket");
        self.take_input(&mut frames, context);
        self.shell.mark_dirty(context);
        context.again.push(self.shell.id);
    }

    /// `Command::Upgrade` of an extended CONNECT: accepts it. Returns what has arrived behind it.
    pub(crate) fn open_tunnel(
        &mut self,
        stream: (StreamNumber, ConnectionId),
        answer: &Upgrade<'_>,
        context: &mut Context,
    ) -> Option<Vec<u8>> {
        let shell = &mut self.shell;
        match &mut self.protocol {
            _ if !shell.is_serving() => None,
            Protocol::Http2(http2) => http2.open_tunnel(stream, answer, shell, context),
            Protocol::Http3(http3) => http3.open_tunnel(stream, answer, shell, context),
            Protocol::Http { .. } | Protocol::WebSocket(_) => None,
        }
    }

    /// Passes on what a tunnel has for its stream. Returns how many bytes of it wait.
    pub(crate) fn carry(&mut self, stream: StreamNumber, parcel: &Parcel, context: &mut Context) -> usize {
        let shell = &mut self.shell;
        match &mut self.protocol {
            _ if !shell.is_serving() => 0,
            Protocol::Http2(http2) => http2.carry(stream, parcel, shell, context),
            Protocol::Http3(http3) => http3.carry(stream, parcel, shell, context),
            Protocol::Http { .. } | Protocol::WebSocket(_) => 0,
        }
    }

    /// The WebSocket in a tunnel is gone. `data` is what it has sent last.
    pub(crate) fn leave_tunnel(
        &mut self,
        stream: StreamNumber,
        data: &[u8],
        is_finished: bool,
        context: &mut Context,
    ) {
        let shell = &mut self.shell;
        match &mut self.protocol {
            _ if !shell.is_serving() => {}
            Protocol::Http2(http2) => http2.leave_tunnel(stream, data, is_finished, shell, context),
            Protocol::Http3(http3) => http3.leave_tunnel(stream, data, is_finished, shell, context),
            Protocol::Http { .. } | Protocol::WebSocket(_) => {}
        }
    }

    /// The stream in the place of a socket, if it is one.
    pub(crate) const fn tunnel(&mut self) -> Option<&mut Tunnel> {
        self.shell.transport.tunnel()
    }

    /// Takes what has arrived in its tunnel.
    pub(crate) fn receive(&mut self, data: &[u8], is_last: bool, context: &mut Context, scratch: &mut [u8]) {
        if let Some(tunnel) = self.tunnel() {
            tunnel.receive(data, is_last);
        }
        self.handle_ready(context, scratch);
    }

    /// The connection of its tunnel has ended, or the stream. `reason` is that in words, where the peer gave some.
    pub(crate) fn lose(&mut self, cause: CloseCause, reason: Option<&str>, context: &mut Context) {
        self.protocol.fail_because(cause, reason, &mut self.shell, context);
    }

    /// The connection of its tunnel cannot last: closes the WebSocket while that can still be said.
    pub(crate) fn ask_to_reconnect(&mut self, cause: CloseCause, context: &mut Context) {
        if let Protocol::WebSocket(socket) = &mut self.protocol
            && self.shell.is_serving()
        {
            socket.ask_to_reconnect(cause, &mut self.shell, context);
        }
    }

    /// Takes bytes that were read. Returns how many events they have caused.
    fn take_input(&mut self, input: &mut [u8], context: &mut Context) -> usize {
        let before = context.events.events.len();
        self.protocol.handle_input(input, &mut self.shell, context);
        let count = context.events.events.len().saturating_sub(before);
        self.shell.lead.add(count, context.progress);
        count
    }

    /// Adds what the selector has reported about the socket.
    pub(crate) const fn note_readiness(&mut self, reported: Readiness) {
        self.shell.transport.note_readiness(reported);
    }

    /// Has the selector report when the kernel takes bytes of the connection again.
    ///
    /// # Errors
    /// The system has no memory for that.
    pub(crate) fn watch_writes(&mut self, registry: &mio::Registry) -> io::Result<()> {
        self.shell.transport.watch_writes(registry, Token::Connection(self.shell.id.slot))
    }

    /// The socket is broken, or cannot be watched.
    pub(crate) fn handle_transport_error(&mut self, error: &io::Error, context: &mut Context) {
        self.protocol.handle_transport_error(error, &mut self.shell, context);
    }

    /// Whether it is a plain one in whose socket there is never more to find than what there is to read.
    #[must_use]
    pub(crate) const fn only_reads(&self) -> bool {
        matches!(self.protocol, Protocol::Http { .. } | Protocol::WebSocket(_))
            && self.shell.transport.watches_reads_alone()
    }

    /// Deregisters the socket before it is closed.
    pub(crate) fn deregister(&mut self, registry: &mio::Registry) {
        self.shell.transport.deregister(registry);
    }

    /// Serves a socket that may be readable or writable.
    pub(crate) fn handle_ready(&mut self, context: &mut Context, scratch: &mut [u8]) {
        self.shell.is_starved = false;
        self.protocol.update_clock(&self.shell, context.now);
        let may_offer = context.offers_bodies && !self.shell.last_look.is_under_way();
        self.read_or_offer(may_offer, context, scratch);
        self.protocol.leave_if_idle(&mut self.shell, context);
        self.shell.mark_dirty(context);
    }

    /// Reads until the socket is empty, [`READS_PER_PASS`] is reached, or reading has to wait. Returns whether no input
    /// is left that could be read now.
    fn read(&mut self, context: &mut Context, scratch: &mut [u8]) -> bool {
        self.read_or_offer(false, context, scratch)
    }

    /// The same; with `may_offer`, what lies in the socket of a long body is left to Node's thread.
    fn read_or_offer(&mut self, may_offer: bool, context: &mut Context, scratch: &mut [u8]) -> bool {
        if let Protocol::Http3(http3) = &mut self.protocol {
            http3.read(&mut self.shell, context);
            return true;
        }
        for _ in 0..READS_PER_PASS {
            // Payloads of earlier reads may lie in front.
            let scratch = &mut scratch[context.events.kept()..];
            if scratch.len() < MIN_READ {
                break;
            }
            let room = self.protocol.room(&self.shell);
            let event_room = self.shell.event_room(context);
            match self.shell.stage {
                ConnectionStage::Serving if context.choked => return !self.starve(context),
                ConnectionStage::Serving if room == 0 => return true,
                ConnectionStage::Serving if event_room == 0 => return !self.await_progress(context),
                ConnectionStage::Serving if self.protocol.has_unhandled() => {
                    self.take_input(&mut [], context);
                    continue;
                }
                ConnectionStage::Serving if context.is_full() => return !self.starve(context),
                ConnectionStage::Serving | ConnectionStage::Lingering => {}
                ConnectionStage::Draining | ConnectionStage::Gone => return true,
            }
            if may_offer && self.offer_body(context) {
                break;
            }
            let inflates = self.protocol.inflates();
            let len = self.shell.lead.read_length(scratch.len().min(MAX_READ)).min(if self.is_serving() {
                room
            } else {
                usize::MAX
            });
            let is_behind_long_body = self.shell.had_long_body && !self.expects_body();
            let len = if may_offer && is_behind_long_body { len.min(READ_BEFORE_OFFER) } else { len };
            let result = self.shell.poll_read(&mut scratch[..len], context);
            self.protocol.handle_read(&mut self.shell, context);
            match result {
                Poll::Pending => return true,
                Poll::Ready(Ok(0)) => {
                    self.protocol.handle_fin(&mut self.shell, context);
                    return true;
                }
                Poll::Ready(Ok(count)) => {
                    tracing::trace!(bytes = count, "read");
                    self.shell.last_look.count_read(count);
                    context.tallies.count_received(self.shell.app, count as u64);
                    let events = self.take_input(&mut scratch[..count], context);
                    self.shell.lead.note_read(count, events, self.protocol.has_unhandled());
                    if is_behind_long_body {
                        self.shell.had_long_body = self.expects_body();
                    }
                    if inflates && context.events.weight() >= INFLATED_PER_PASS {
                        break;
                    }
                }
                Poll::Ready(Err(error)) => {
                    self.protocol.handle_transport_error(&error, &mut self.shell, context);
                    return true;
                }
            }
        }
        context.again.push(self.shell.id);
        false
    }

    /// Whether the next bytes belong to a body of known length.
    fn expects_body(&self) -> bool {
        self.protocol.expected_body().is_some_and(|(_, expected)| expected > 0)
    }

    /// Offers what lies in the socket to Node's thread, if that is enough, and all of it is a body of known length: it is read
    /// into the memory that the handler gets ([why](../../../docs/decisions/0027-copies-of-payloads.md)). An offer that was not
    /// taken is not repeated: then the read that follows clears it. Returns whether it was made.
    fn offer_body(&mut self, context: &mut Context) -> bool {
        let Some((request, expected)) = self.protocol.expected_body() else { return false };
        if expected < OFFERED_FROM || !self.is_serving() || self.shell.offers != Offers::Open {
            return false;
        }
        let bytes = (self.shell.transport.readable_bytes() as u64).min(expected).min(LONGEST_OFFER);
        if bytes < OFFERED_FROM {
            return false;
        }
        let offer = context.last_offer.next();
        context.last_offer = offer;
        self.shell.offers = Offers::Made(offer);
        self.shell.had_long_body = true;
        // At most `LONGEST_OFFER`.
        let len = u32::try_from(bytes).unwrap_or(0);
        context.emit(Event::BodyOffered { connection: self.shell.id, request, offer, len });
        self.shell.lead.add(1, context.progress);
        true
    }

    /// `LentCommand::ReadBody`: reads what was offered, unless anything was read since, or reading has to wait. The rest of the
    /// body is for the next pass.
    pub(crate) fn read_body(
        &mut self,
        offer: BodyOffer,
        memory: &mut [u8],
        context: &mut Context,
    ) -> Option<BodyPiece> {
        let (_, expected) = self.protocol.expected_body()?;
        let is_valid = self.shell.offers == Offers::Made(offer) && memory.len() as u64 <= expected;
        if !is_valid || !self.is_serving() || self.protocol.room(&self.shell) == 0 {
            return None;
        }
        self.shell.mark_dirty(context);
        match self.shell.poll_read(memory, context) {
            Poll::Pending => None,
            Poll::Ready(Ok(0)) => {
                self.protocol.handle_fin(&mut self.shell, context);
                None
            }
            Poll::Ready(Ok(length)) => {
                tracing::trace!(bytes = length, "read");
                self.shell.last_look.count_read(length);
                context.tallies.count_received(self.shell.app, length as u64);
                let last = self.protocol.skip_body(length, context);
                Some(BodyPiece { length, last })
            }
            Poll::Ready(Err(error)) => {
                self.protocol.handle_transport_error(&error, &mut self.shell, context);
                None
            }
        }
    }

    /// `Command::DeclineBody`: offers nothing more of the body of this request.
    pub(crate) fn decline_body(&mut self, request: RequestNumber) {
        if self.protocol.expected_body().is_some_and(|(of, _)| of == request) {
            self.shell.offers = Offers::Declined;
        }
    }

    /// Whether there may be input that is not handled. The system call that checks is worth it only before a deadline closes
    /// the connection.
    fn may_have_input(&self) -> bool {
        !self.shell.last_look.is_under_way()
            || self.protocol.has_unhandled()
            || self.shell.transport.has_input()
    }

    /// Leaves input until Node's thread has caught up. Returns whether there may be some.
    fn starve(&mut self, context: &mut Context) -> bool {
        let has_input = self.may_have_input();
        if has_input {
            self.shell.starve(context);
        }
        has_input
    }

    /// Leaves input until Node's thread has handled earlier events of this connection. Returns whether there may be some.
    fn await_progress(&mut self, context: &mut Context) -> bool {
        let has_input = self.may_have_input();
        if has_input {
            self.shell.await_progress(context);
        }
        has_input
    }

    /// Nothing more is passed on of a WebSocket in a stream: what is left was refused.
    pub(crate) fn settle(&mut self, context: &mut Context) {
        let left = self.backlog();
        self.protocol.settle(left, &self.shell, context);
    }

    /// Whether [`Self::flush`] would have nothing to write and no timer to set.
    #[must_use]
    pub(crate) fn is_flush_idle(&mut self) -> bool {
        let is_plain = matches!(self.protocol, Protocol::Http { .. } | Protocol::WebSocket(_));
        is_plain
            && self.is_serving()
            && !self.shell.is_starved
            && !self.shell.has_output()
            && self.shell.transport.tunnel().is_none()
            && !self.is_read_blocked()
            && self.deadline().is_none_or(|deadline| self.shell.is_armed_for(deadline))
    }

    /// Writes the output at the end of the pass, enters the next stage if the outbox is empty then, and sets the timer.
    pub(crate) fn flush(&mut self, context: &mut Context, scratch: &mut [u8]) {
        self.shell.mark_clean();
        if self.is_gone() {
            return;
        }
        let before = self.backlog();
        let taken = context.tallies.sent();
        let mut result = self.flush_output(context);
        let written = context.tallies.sent().wrapping_sub(taken);
        match &mut self.protocol {
            Protocol::WebSocket(socket) => socket.count_sent(written, context.moment),
            Protocol::Http2(http2) => http2.count_written(written),
            Protocol::Http { .. } | Protocol::Http3(_) => {}
        }
        if let Protocol::Http3(http3) = &mut self.protocol {
            if self.shell.stage == ConnectionStage::Draining && http3.is_drained() {
                http3.close_quic(&mut self.shell, context);
                self.shell.stage = ConnectionStage::Lingering;
                self.shell.progress = context.now;
            }
            if self.shell.stage == ConnectionStage::Lingering && http3.has_ended() {
                self.shell.stage = ConnectionStage::Gone;
            }
        } else if let (Ok(true), ConnectionStage::Draining) = (&result, self.shell.stage) {
            let sends_fin_first = self.protocol.sends_fin_first();
            result = if sends_fin_first { self.shell.transport.finish() } else { Ok(true) };
            if let Ok(true) = result {
                self.shell.stage = ConnectionStage::Lingering;
                self.shell.progress = context.now;
                self.read(context, scratch);
            }
        }
        let mut left = self.backlog();
        let written = result.and_then(|is_all| {
            let has_progressed = is_all || (left < before && self.protocol.progress_extends_draining());
            if has_progressed && self.shell.stage != ConnectionStage::Lingering {
                self.shell.progress = context.now;
            }
            if is_all { Ok(()) } else { self.shell.await_writable(context) }
        });
        if let Err(error) = written {
            self.protocol.handle_transport_error(&error, &mut self.shell, context);
            left = self.backlog();
        }
        self.protocol.update_clock(&self.shell, context.now);
        self.protocol.handle_flush(before, left, &mut self.shell, context);
        if self.shell.transport.tunnel().is_some_and(|tunnel| tunnel.has_parcel()) {
            context.stream_work.push(StreamWork::Parcel { id: self.shell.id });
        }
        self.arm(context);
    }

    /// Writes what the kernel takes. Returns whether that was everything that can be sent now.
    fn flush_output(&mut self, context: &mut Context) -> io::Result<bool> {
        if let Protocol::Http3(http3) = &mut self.protocol {
            return Ok(http3.write_output(&mut self.shell, context));
        }
        let Protocol::Http2(http2) = &mut self.protocol else { return self.shell.flush_outbox(context) };
        for _ in 0..WRITES_PER_FLUSH {
            let is_all = http2.write_output(&mut self.shell, context);
            if !self.shell.flush_outbox(context)? {
                return Ok(false);
            }
            if is_all {
                return Ok(true);
            }
        }
        context.again.push(self.shell.id);
        Ok(true)
    }

    /// When [`Self::handle_deadline`] is due.
    fn deadline(&self) -> Option<Timestamp> {
        match self.shell.stage {
            ConnectionStage::Serving | ConnectionStage::Draining => self.protocol.deadline(&self.shell),
            ConnectionStage::Lingering => Some(self.shell.progress + LINGER_TIMEOUT),
            ConnectionStage::Gone => None,
        }
    }

    /// Whether reading waits for the application, so that a reset by the peer goes unnoticed.
    fn is_read_blocked(&self) -> bool {
        self.is_serving() && self.protocol.room(&self.shell) == 0
    }

    /// Sets the timer.
    fn arm(&mut self, context: &mut Context) {
        let look = self.is_read_blocked().then(|| context.now + LOOK_EVERY);
        if let Protocol::Http3(http3) = &mut self.protocol {
            http3.arm(&self.shell, context);
        }
        if let Some(deadline) = look.into_iter().chain(self.deadline()).min() {
            self.shell.arm(deadline, context);
        }
    }

    /// The timer fired.
    pub(crate) fn handle_timer(&mut self, context: &mut Context, scratch: &mut [u8]) {
        self.shell.disarm(context.now);
        if self.is_overdue(context.now) && self.look_once_more(context, scratch) {
            self.handle_deadline(context);
        }
        if self.is_read_blocked()
            && let Some(error) = self.shell.transport.take_error()
        {
            self.protocol.handle_transport_error(&error, &mut self.shell, context);
        }
        self.shell.mark_dirty(context);
    }

    fn handle_deadline(&mut self, context: &mut Context) {
        match self.shell.stage {
            ConnectionStage::Draining | ConnectionStage::Lingering | ConnectionStage::Gone => {
                self.shell.stage = ConnectionStage::Gone
            }
            ConnectionStage::Serving => self.protocol.handle_deadline(&mut self.shell, context),
        }
    }

    /// Whether the deadline has passed.
    fn is_overdue(&mut self, now: Timestamp) -> bool {
        let is_overdue = self.deadline().is_some_and(|deadline| deadline <= now);
        if !is_overdue {
            self.shell.last_look.end();
        }
        is_overdue
    }

    /// Reads and writes once more (see `last_look`). Returns whether the deadline has passed nevertheless.
    fn look_once_more(&mut self, context: &mut Context, scratch: &mut [u8]) -> bool {
        self.shell.last_look.start();
        let is_all = self.exchange_with_kernel(context, scratch);
        let is_enough = is_all || self.shell.last_look.has_read_enough();
        self.is_overdue(context.now) && is_enough
    }

    /// Writes and reads until the kernel answers `WouldBlock`, whatever the selector has reported. Returns whether no
    /// input is left.
    fn exchange_with_kernel(&mut self, context: &mut Context, scratch: &mut [u8]) -> bool {
        self.shell.transport.ignore_selector();
        if self.has_output() {
            self.flush(context, scratch);
        }
        self.read(context, scratch)
    }

    /// Serves what the peer has sent before the timeout of `app.shutdown()`.
    pub(crate) fn look_before_shutdown(&mut self, context: &mut Context, scratch: &mut [u8]) {
        self.exchange_with_kernel(context, scratch);
        self.protocol.leave_if_idle(&mut self.shell, context);
        self.shell.mark_dirty(context);
    }

    /// Closes the connection after a panic in its handling.
    pub(crate) fn handle_panic(&mut self, context: &mut Context) {
        self.protocol.fail(CloseCause::TransportFailed, &mut self.shell, context);
    }

    /// `Command::ResumeHandshake`: continues with the certificate that the server name has now.
    pub(crate) fn resume_handshake(&mut self, context: &mut Context) {
        self.protocol.resume_handshake(&mut self.shell, context);
    }

    /// `Command::CloseConnection`: closes the connection without an event, as every handler of the application has run.
    pub(crate) fn close(&mut self, context: &mut Context) {
        self.protocol.close(&mut self.shell, context);
    }

    /// Closes a connection of an app that was closed, without an event, as every handler of the application has run.
    pub(crate) fn handle_app_closed(&mut self, context: &mut Context) {
        self.protocol.handle_app_closed(&mut self.shell, context);
    }

    /// `app.shutdown()`: closes the connection gracefully, a WebSocket with a Close frame. Its close handler has run.
    pub(crate) fn shut_down(&mut self, code: u16, reason: &str, context: &mut Context) {
        self.protocol.shut_down(code, reason, &mut self.shell, context);
    }

    /// Closes the connection after the timeout of `app.shutdown()`.
    pub(crate) fn handle_shutdown_timeout(&mut self, context: &mut Context) {
        self.protocol.handle_shutdown_timeout(&mut self.shell, context);
    }

    /// Gives up some of the output of an app that exceeds its limit, and with it the connection or the stream that it waits
    /// in.
    pub(crate) fn close_slow_reader(
        &mut self,
        stream: Option<StreamNumber>,
        bytes: usize,
        context: &mut Context,
        scratch: &mut [u8],
    ) {
        let cause = CloseCause::OutputLimit;
        let number = stream.map(|stream| stream.0);
        tracing::warn!(cause = cause.verdict().name, stream = number, bytes, "peer reads too slowly");
        let shell = &mut self.shell;
        match (stream, &mut self.protocol) {
            (Some(stream), Protocol::Http2(http2)) if shell.is_serving() => {
                http2.close_slow_stream(stream.of_http2(), shell, context);
            }
            (Some(stream), Protocol::Http3(http3)) if shell.is_serving() => {
                http3.close_slow_stream(stream.into(), shell, context);
            }
            (_, protocol) => return protocol.fail(cause, shell, context),
        }
        self.flush(context, scratch);
    }

    /// Closes an idle connection of a process that has no descriptors left.
    pub(crate) fn make_room(&mut self, context: &mut Context) {
        let why = "the process has no descriptors left";
        self.protocol.make_room(FOR_ROOM, why, &mut self.shell, context);
    }

    /// Closes one of the longest TLS handshakes of an app that has more under way than it allows.
    pub(crate) fn abandon_handshake(&mut self, context: &mut Context) {
        let why = "it took long, and others had to wait";
        self.protocol.make_room("ERR_TLS_TOO_MANY_HANDSHAKES", why, &mut self.shell, context);
    }
}

/// Reads of one connection per pass, so that one that is always readable does not delay the others.
const READS_PER_PASS: usize = 4;
/// Writes of one connection with HTTP/2 per flush, of 64 KiB each, so that one whose client keeps up does not delay the
/// others.
const WRITES_PER_FLUSH: usize = 32;
/// Bytes that are read at a time at most: a burst of small messages or much of a large one.
pub(crate) const MAX_READ: usize = 128 * 1024;
/// Bytes of a body in the socket from which on they are offered to Node's thread: it costs more to offer fewer than to copy
/// them.
const OFFERED_FROM: u64 = 32 * 1024;
/// Bytes that are read of the request behind one whose body was offered: its head, and little of a body that can be offered, too.
const READ_BEFORE_OFFER: usize = 16 * 1024;
/// Bytes that are offered at a time at most: as many as uWebSockets.js reads.
const LONGEST_OFFER: u64 = 512 * 1024;
/// Room in the buffer, in bytes, with which nothing more is read into it. It holds a record of TLS.
const MIN_READ: usize = 32 * 1024;
/// Weight of events, in bytes, at which a connection with compressed messages leaves the rest for the next pass.
const INFLATED_PER_PASS: usize = 256 * 1024;
/// How often to check whether a peer that is not read has reset the connection. Otherwise the socket would stay open
/// for as long as the handler takes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long to wait for the peer's FIN after our own. The peer needs one round trip; the longest take less than 2 s.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// An idle HTTP connection was closed because the process had no descriptors left.
const FOR_ROOM: &str = "CLOSED_FOR_ROOM";

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    /// What an idle WebSocket costs, beside its socket and what the session keeps elsewhere.
    #[test]
    fn a_connection_is_small() {
        assert!(size_of::<Connection>() <= 320, "{} bytes", size_of::<Connection>());
        assert!(size_of::<Http>() <= 272, "{} bytes", size_of::<Http>());
    }
}
