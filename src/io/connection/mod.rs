//! One connection: reads what arrives, lets the protocol decide, writes what it produced, and ends in good order.
//!
//! | stage     | reads            | writes | ends with |
//! |-----------|------------------|--------|-----------|
//! | Serving   | into the protocol | outbox | the protocol is finished → Draining; the socket breaks → Gone |
//! | Draining  | nothing          | outbox | outbox empty: FIN, unless the server is to begin → Lingering; the peer takes it too slowly → Gone |
//! | Lingering | and throws away  | –      | the peer's FIN, or [`LINGER_TIMEOUT`] → Gone |
//! | Gone      | –                | –      | the worker drops the socket |
//!
//! Lingering exists because closing a socket with unread input makes the kernel send a reset, which can overtake
//! and destroy the Close frame or error answer that was written just before (RFC 9112 §9.6).

mod client;
mod config;
mod counts;
mod http;
mod last_look;
mod proxy_header;
mod sink;
mod standing;
mod tls_handshake;
mod websocket;

use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::io::ReadBuf;
use tracing::level_filters::LevelFilter;
use tracing::span::EnteredSpan;

pub use self::client::Opened;
pub use self::config::ConnectionConfig;
use self::config::FilterState;
use self::http::HttpSide;
pub use self::http::Upgrade;
pub use self::websocket::Delivery;
use self::websocket::WebSocketSide;
use super::context::Context;
use super::outbox::Outbox;
use super::timers::Entry;
use super::topics::Memberships;
use super::transport::Transport;
use crate::bridge::event::Event;
use crate::bridge::id::{AppId, ConnectionId};
use crate::bridge::peer::Peer;
use crate::protocol::cause::CloseCause;
use crate::protocol::time::Timestamp;
use crate::protocol::websocket::WebSocketPhase;
use crate::protocol::websocket::session::TcpCloser;
use crate::tls;
use crate::tls::setup::Admission;

/// An accepted socket and all that is known of it.
#[derive(Debug)]
pub struct Connection {
    id: ConnectionId,
    app: AppId,
    transport: Transport,
    /// Puts this connection on the worker's list of things to look at.
    waker: Waker,
    outbox: Outbox,
    protocol: Protocol,
    stage: Stage,
    filter: FilterState,
    /// When the wheel will ask this connection for its deadline; `None` when it has no entry there.
    timer: Option<Timestamp>,
    /// When the kernel last took a byte, or the outbox last was empty; looked at while draining.
    progress: Timestamp,
    /// Whether the connection is in [`Context::dirty`] already.
    dirty: bool,
    /// Whether input was left in the socket because Node's thread lags. The peer is not late meanwhile.
    starved: bool,
    /// Bytes read since a deadline was found to have passed; `None` while none has.
    last_look: Option<u32>,
    /// Present once somebody wants records; boxed because nearly never anybody does.
    span: Option<Box<tracing::Span>>,
}

/// What is spoken on the connection.
#[derive(Debug)]
enum Protocol {
    /// HTTP/1.1, as every connection starts.
    Http(Box<HttpSide>),
    /// WebSocket, after an upgrade.
    WebSocket(WebSocketSide),
}

/// See the table at the top of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    Draining,
    Lingering { until: Timestamp },
    Gone,
}

impl Connection {
    /// A connection that was just accepted.
    #[must_use]
    pub fn new(
        id: ConnectionId,
        app: AppId,
        transport: Transport,
        config: ConnectionConfig,
        waker: Waker,
        context: &Context,
    ) -> Self {
        let peer = Peer { address: config.address, proxied: None };
        let is_secured_at_once = config.tls.is_some() && config.proxy_header.is_none();
        let admission = config.tls.map(|setup| Admission::new(setup, id.worker.index()));
        let http = HttpSide::new(config.limits, peer, config.proxy_header, admission, context.now);
        let http = Box::new(http);
        let mut connection =
            Self::with_protocol(id, app, transport, Protocol::Http(http), waker, context.now);
        connection.filter = config.filter;
        if is_secured_at_once {
            connection.begin_handshake(Vec::new(), context.now);
        }
        let entered = connection.enter_span();
        tracing::debug!("accepted");
        drop(entered);
        connection
    }

    fn with_protocol(
        id: ConnectionId,
        app: AppId,
        transport: Transport,
        protocol: Protocol,
        waker: Waker,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            app,
            transport,
            waker,
            outbox: Outbox::default(),
            protocol,
            stage: Stage::Serving,
            filter: FilterState::Off,
            timer: None,
            progress: now,
            dirty: false,
            starved: false,
            last_look: None,
            span: None,
        }
    }

    /// Tells Node's thread that the connection has begun, if it wants to know and it is known who the client is.
    pub fn tell_opened(&mut self, context: &mut Context) {
        if self.filter == FilterState::Pending
            && let Protocol::Http(http) = &self.protocol
            && http.proxy_header.is_none()
        {
            self.filter = FilterState::Announced;
            context.events.push_opening(self.id, self.app, http.peer);
        }
    }

    /// Tells Node's thread that the connection serves nobody any more, if it has heard of the begin.
    pub fn tell_closed(&mut self, context: &mut Context) {
        if std::mem::take(&mut self.filter) == FilterState::Announced {
            context.emit(Event::ConnectionClosed { connection: self.id });
        }
    }

    /// Enters the connection's tracing span until the guard drops. Free while logging is off.
    pub fn enter_span(&mut self) -> Option<EnteredSpan> {
        if LevelFilter::current() == LevelFilter::OFF { None } else { self.enter_wanted_span() }
    }

    /// Creates the span when logging is first on, so that connections accepted before that have one, too.
    #[cold]
    fn enter_wanted_span(&mut self) -> Option<EnteredSpan> {
        if self.span.is_none() {
            let (worker, peer) = (self.id.worker.0, self.transport.peer().map(tracing::field::display));
            // ERROR level, so that the span is enabled at every verbosity.
            let span = tracing::error_span!("connection", conn = %self.id, worker, peer);
            // It is disabled if only another environment has logging on.
            self.span = (!span.is_disabled()).then(|| Box::new(span));
        }
        self.span.as_deref().map(|span| span.clone().entered())
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> ConnectionId {
        self.id
    }

    /// Whose connection it is.
    #[must_use]
    pub const fn app(&self) -> AppId {
        self.app
    }

    /// Whether the socket may be dropped.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.stage == Stage::Gone
    }

    /// Whether the connection still serves its peer, rather than only ending in good order.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.stage == Stage::Serving
    }

    /// Whether nothing would be lost by dropping the connection: nothing is under way, or peer and kernel have all that
    /// they are to get.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match (self.stage, &self.protocol) {
            (Stage::Serving, Protocol::Http(http)) => http.is_idle() && !self.has_output(),
            (Stage::Serving, Protocol::WebSocket(_)) => false,
            (Stage::Draining, _) => !self.has_output(),
            (Stage::Lingering { .. } | Stage::Gone, _) => true,
        }
    }

    /// Whether output waits that the kernel has not taken.
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.backlog() > 0
    }

    /// When the kernel last took a byte of the output that waits, or nothing waited.
    #[must_use]
    pub const fn progress(&self) -> Timestamp {
        self.progress
    }

    /// Bytes of output that the kernel has not taken.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.outbox.len() + self.transport.unsent()
    }

    /// The socket may have become readable or writable.
    pub fn handle_ready(&mut self, context: &mut Context, scratch: &mut [u8]) {
        self.starved = false;
        self.settle_clock(context.now);
        self.read(context, scratch);
        self.leave_if_idle(context);
        self.mark_dirty(context);
    }

    /// Reads until the socket is empty, the share of this pass is used up, or reading has to wait. Returns whether
    /// nothing is left that could be read by now.
    fn read(&mut self, context: &mut Context, scratch: &mut [u8]) -> bool {
        for _ in 0..READS_PER_PASS {
            let room = self.room();
            match self.stage {
                Stage::Serving if context.choked => return !self.starve(context),
                Stage::Serving if room == 0 => return true,
                Stage::Serving | Stage::Lingering { .. } => {}
                Stage::Draining | Stage::Gone => return true,
            }
            let inflates = self.inflates();
            let len = scratch.len().min(if self.is_serving() { room } else { usize::MAX });
            let mut buffer = ReadBuf::new(&mut scratch[..len]);
            let mut task = std::task::Context::from_waker(&self.waker);
            let result = self.transport.poll_read(&mut task, &mut buffer);
            let count = buffer.filled().len();
            if self.is_handshaking() {
                self.count_handshake(context);
                self.conclude_handshake(context.now);
                self.ask_for_name(context);
            }
            match result {
                Poll::Pending => return true,
                Poll::Ready(Ok(())) if count == 0 => {
                    self.handle_fin(context);
                    return true;
                }
                Poll::Ready(Ok(())) => {
                    tracing::trace!(bytes = count, "read");
                    self.count_last_look(count);
                    self.tally(context).bytes_received.add(count as u64);
                    self.handle_input(&mut scratch[..count], context);
                    if inflates && context.events.weight() >= INFLATED_PER_PASS {
                        break;
                    }
                }
                Poll::Ready(Err(error)) => {
                    self.handle_transport_error(&error, context);
                    return true;
                }
            }
        }
        context.again.push(self.id);
        false
    }

    /// Bytes of input that would be of use now. When this is no longer 0, the connection must be looked at again.
    fn room(&self) -> usize {
        match &self.protocol {
            _ if self.transport.is_suspended() => 0,
            Protocol::WebSocket(socket) if self.last_look.is_some() && socket.wants_input() => {
                COMPRESSED_READ
            }
            _ if self.outbox.len() >= UNREAD_OUTPUT => 0,
            Protocol::Http(http) => http.room(),
            Protocol::WebSocket(socket) if !socket.wants_input() => 0,
            Protocol::WebSocket(socket) if socket.inflates() => COMPRESSED_READ,
            Protocol::WebSocket(_) => usize::MAX,
        }
    }

    /// Whether what arrives may turn into much more.
    fn inflates(&self) -> bool {
        match &self.protocol {
            Protocol::Http(_) => false,
            Protocol::WebSocket(socket) => socket.inflates(),
        }
    }

    fn handle_input(&mut self, input: &mut [u8], context: &mut Context) {
        if self.stage != Stage::Serving {
            return;
        }
        match &mut self.protocol {
            Protocol::Http(_) => self.handle_http_input(input, context),
            Protocol::WebSocket(_) => self.handle_websocket_input(input, context),
        }
    }

    fn handle_fin(&mut self, context: &mut Context) {
        let is_answered = self.stage == Stage::Serving && self.has_output();
        match &mut self.protocol {
            Protocol::Http(http) if self.stage == Stage::Serving && http.owes_response() => {
                http.handle_fin(self.id, context);
            }
            // It closed its own direction only, as far as anybody knows: what it was answered, it may still read.
            Protocol::Http(_) if is_answered => self.drain(CloseCause::PeerClosed.verdict().name, context),
            Protocol::Http(_) => self.die(CloseCause::FinBeforeResponse, context),
            Protocol::WebSocket(_) if self.stage == Stage::Serving => self.handle_websocket_fin(context),
            Protocol::WebSocket(_) => self.die(CloseCause::FinWithoutClose, context),
        }
    }

    /// The transport is of no use any more: tells the application if it does not know, and gives the socket up.
    fn die(&mut self, cause: CloseCause, context: &mut Context) {
        let mut told = cause;
        if self.stage == Stage::Serving {
            match &mut self.protocol {
                Protocol::Http(http) => {
                    if cause == CloseCause::FinBeforeResponse && !http.owes_response() {
                        told = CloseCause::PeerClosed;
                    }
                    http.abort(self.id, cause, context);
                }
                Protocol::WebSocket(_) => self.end_websocket_transport(cause, context),
            }
        }
        self.leave(Stage::Gone, told.verdict().name);
    }

    /// Goes on to a later stage. `cause` says why the connection serves its peer no more: the name of a
    /// [`CloseCause`] or of a rule of HTTP, or one of those at the end of this file.
    fn leave(&mut self, stage: Stage, cause: &'static str) {
        if self.stage == Stage::Serving {
            tracing::debug!(cause, "connection ended");
        }
        self.stage = stage;
    }

    /// A bug in this server was found while serving the connection.
    pub fn give_up(&mut self, cause: CloseCause, context: &mut Context) {
        let serving = std::mem::replace(&mut self.stage, Stage::Gone) == Stage::Serving;
        if serving {
            self.stage = Stage::Serving;
            self.die(cause, context);
        }
    }

    /// Nothing more will be read: what is queued goes out, then FIN.
    fn drain(&mut self, cause: &'static str, context: &mut Context) {
        if self.stage == Stage::Serving {
            self.leave(Stage::Draining, cause);
            self.progress = context.now;
            self.mark_dirty(context);
        }
    }

    /// Sends what is queued, as far as the kernel takes it at once, and gives the socket up (`close()`).
    fn drop_after_flush(&mut self, cause: CloseCause, context: &mut Context) {
        self.flush_at_once(context);
        self.leave(Stage::Gone, cause.verdict().name);
    }

    /// Sends what the kernel takes at once, and if that is everything, that it was.
    fn flush_at_once(&mut self, context: &mut Context) {
        // Whatever fails here: there is nothing that could still be done.
        if let Ok(true) = self.flush_outbox(context) {
            let _ = self.transport.finish();
        }
    }

    /// `Command::CloseConnection`: the application knows and every handler has run.
    pub fn close(&mut self, context: &mut Context) {
        match &self.protocol {
            Protocol::Http(_) => self.drop_after_flush(CloseCause::ApplicationClosed, context),
            Protocol::WebSocket(_) => self.close_websocket(context),
        }
    }

    /// The app was closed; the application knows and every handler has run.
    pub fn handle_app_closed(&mut self, context: &mut Context) {
        match &self.protocol {
            Protocol::Http(_) => self.drop_after_flush(CloseCause::AppClosed, context),
            Protocol::WebSocket(_) => self.abort_websocket(CloseCause::AppClosed, context),
        }
    }

    /// `app.shutdown()`: the connection is to end in good order. A WebSocket is told, and the application knows.
    pub fn shut_down(&mut self, code: u16, reason: &str, context: &mut Context) {
        match &mut self.protocol {
            Protocol::Http(http) => {
                http.wind_down();
                // In the next pass, behind the runtime's look at the sockets: a request that has arrived is served.
                context.again.push(self.id);
            }
            Protocol::WebSocket(_) => {
                self.end_websocket(CloseCause::ServerShutdown, code, reason.as_bytes(), context);
            }
        }
    }

    /// Too much waits for all clients of the app together, and this one is among the slowest to take it.
    pub fn end_for_output(&mut self, context: &mut Context) {
        let cause = CloseCause::OutputLimit;
        tracing::warn!(cause = cause.verdict().name, bytes = self.backlog(), "peer reads too slowly");
        self.die(cause, context);
    }

    /// The time that `app.shutdown()` gave is up.
    pub fn handle_shutdown_timeout(&mut self, context: &mut Context) {
        // A Close frame or the rest of a response may be all that is missing.
        self.flush_at_once(context);
        self.die(CloseCause::ServerShutdown, context);
    }

    /// Puts the connection on the list of those to flush at the end of the pass.
    fn mark_dirty(&mut self, context: &mut Context) {
        if !self.dirty {
            self.dirty = true;
            context.dirty.push(self.id);
        }
    }

    /// End of the pass: writes, moves on to the next stage where writing was the last thing to do, and sees to the
    /// timer.
    pub fn flush(&mut self, context: &mut Context, scratch: &mut [u8]) {
        self.dirty = false;
        if self.stage == Stage::Gone {
            return;
        }
        let before = self.backlog();
        let mut result = self.flush_outbox(context);
        if let (Ok(true), Stage::Draining) = (&result, self.stage) {
            result = if self.leaves_first() { self.transport.finish() } else { Ok(true) };
            if let Ok(true) = result {
                self.stage = Stage::Lingering { until: context.now + LINGER_TIMEOUT };
                self.read(context, scratch);
            }
        }
        match result {
            Ok(true) => self.progress = context.now,
            Ok(false) => {
                if self.backlog() < before && self.may_take_its_time() {
                    self.progress = context.now;
                }
                self.await_writable(context);
            }
            Err(error) => self.handle_transport_error(&error, context),
        }
        self.settle_clock(context.now);
        self.after_flush(before, context);
        self.arm(context);
    }

    /// Whether FIN is ours to send, as nearly always: a client leaves that to the server (RFC 6455 §7.1.1), and sends its own
    /// after it, when the socket is dropped.
    fn leaves_first(&self) -> bool {
        match &self.protocol {
            Protocol::Http(_) => true,
            Protocol::WebSocket(socket) => socket.session.tcp_closer() == TcpCloser::Us,
        }
    }

    /// Whether a peer that takes a byte now and then is waited for. One that was closed for reading too slowly has used up
    /// our patience: what it does not take within [`STALL_TIMEOUT`] is thrown away.
    fn may_take_its_time(&self) -> bool {
        match &self.protocol {
            Protocol::Http(_) => true,
            Protocol::WebSocket(socket) => !socket.is_limited(),
        }
    }

    fn await_writable(&mut self, context: &mut Context) {
        let mut task = std::task::Context::from_waker(&self.waker);
        match self.transport.poll_write_ready(&mut task) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => context.again.push(self.id),
            Poll::Ready(Err(error)) => self.handle_transport_error(&error, context),
        }
    }

    /// What the two sides make of a flush.
    fn after_flush(&mut self, before: usize, context: &mut Context) {
        let left = self.backlog();
        self.count_backlog(left, context);
        match &mut self.protocol {
            Protocol::Http(http) => http.after_flush(self.id, before, left, context),
            Protocol::WebSocket(socket) => socket.after_flush(self.id, before, left, context),
        }
        if before >= UNREAD_OUTPUT && left < UNREAD_OUTPUT {
            if self.is_serving() {
                self.take_up_pending(context);
            }
            context.again.push(self.id);
        }
        if self.is_serving() && self.transport.session().is_some_and(tls::session::TlsSession::is_worn) {
            self.leave_worn(context);
        }
    }

    /// The keys of TLS are nearly used up: ends what is served in good order while that can still be sealed. Whatever does not
    /// end by then is cut off.
    #[cold]
    fn leave_worn(&mut self, context: &mut Context) {
        let cause = CloseCause::TlsKeysExhausted;
        match &mut self.protocol {
            Protocol::Http(http) if http.is_winding_down() => {}
            Protocol::Http(http) => {
                // There is time for another request, whose response says that it is the last one.
                http.wind_down();
            }
            Protocol::WebSocket(socket) if socket.session.phase() == WebSocketPhase::Open => {
                self.ask_to_reconnect(cause, context);
            }
            Protocol::WebSocket(_) => {}
        }
    }

    /// The moment by which something has to happen, or else [`Self::handle_deadline`] acts.
    fn deadline(&self) -> Option<Timestamp> {
        match (self.stage, &self.protocol) {
            // What the peer owes may be among the input that waits.
            (Stage::Serving, Protocol::Http(http)) if self.starved => http.writing_deadline(),
            (Stage::Serving, Protocol::WebSocket(_)) if self.starved => None,
            (Stage::Serving, Protocol::Http(http)) => http.deadline(),
            (Stage::Serving, Protocol::WebSocket(socket)) => socket.deadline(),
            (Stage::Draining, Protocol::Http(http)) => http.writing_deadline(),
            (Stage::Draining, Protocol::WebSocket(_)) => Some(self.progress + STALL_TIMEOUT),
            (Stage::Lingering { until }, _) => Some(until),
            (Stage::Gone, _) => None,
        }
    }

    /// Whether reading waits for the application, so that nothing tells when the peer is gone.
    fn is_read_blocked(&self) -> bool {
        self.is_serving() && self.room() == 0
    }

    /// Enters the deadline into the wheel, unless an entry comes up before it anyway.
    fn arm(&mut self, context: &mut Context) {
        let look = self.is_read_blocked().then(|| context.now + LOOK_EVERY);
        let Some(deadline) = look.into_iter().chain(self.deadline()).min() else { return };
        if self.timer.is_none_or(|timer| deadline < timer) {
            let entry = Entry { slot: self.id.slot, generation: self.id.generation };
            self.timer = Some(context.wheel.insert(entry, deadline));
        }
    }

    /// The wheel came round.
    pub fn handle_timer(&mut self, context: &mut Context, scratch: &mut [u8]) {
        // An earlier entry may have been overtaken by a nearer deadline; the later one then comes up for nothing.
        if self.timer.is_some_and(|timer| timer <= context.now) {
            self.timer = None;
        }
        if self.is_overdue(context.now) && self.look_once_more(context, scratch) {
            self.handle_deadline(context);
        }
        if self.is_read_blocked()
            && let Some(error) = self.transport.take_error()
        {
            self.handle_transport_error(&error, context);
        }
        self.mark_dirty(context);
    }

    fn handle_deadline(&mut self, context: &mut Context) {
        match self.stage {
            Stage::Draining | Stage::Lingering { .. } | Stage::Gone => self.stage = Stage::Gone,
            Stage::Serving => match &self.protocol {
                Protocol::Http(_) => self.handle_http_deadline(context),
                Protocol::WebSocket(_) => self.handle_websocket_deadline(context),
            },
        }
    }

    /// Takes the subscriptions of a connection that goes away.
    pub fn take_memberships(&mut self) -> Option<Box<Memberships>> {
        match &mut self.protocol {
            Protocol::Http(_) => None,
            Protocol::WebSocket(socket) => socket.memberships.take(),
        }
    }
}

/// Reads of one connection per pass, so that one that never runs dry does not keep the others waiting.
const READS_PER_PASS: usize = 4;
/// Bytes read at a time where messages are compressed. Inflated they may be a thousand times as much, all of which is
/// handed to Node's thread before it can be known that it lags.
const COMPRESSED_READ: usize = 16 * 1024;
/// Weight of events, in bytes, at which a connection with compressed messages leaves the rest for the next pass.
const INFLATED_PER_PASS: usize = 256 * 1024;
/// Bytes of output beyond which nothing more is read: a peer that sends pings and requests without reading the
/// answers is stopped by TCP rather than answered into memory.
const UNREAD_OUTPUT: usize = 4 * 1024 * 1024;
/// How often to look whether a peer that is not read has reset the connection. It would otherwise keep its socket for as
/// long as the application thinks, without anybody at the other end.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the last output of a WebSocket may wait without the kernel taking a byte: the peer has stopped reading.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for the peer's FIN after ours. The peer needs one round trip; the longest are below 2 s.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// An HTTP connection ended as peer or application had asked for, after its last response.
const AFTER_RESPONSE: &str = "CLOSED_AFTER_RESPONSE";
/// An HTTP connection on which no request was under way had to make room for others.
const FOR_ROOM: &str = "CLOSED_FOR_ROOM";
/// No further request came on an HTTP connection in time.
const NO_REQUEST: &str = "CLOSED_WITHOUT_REQUEST";
