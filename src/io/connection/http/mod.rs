//! The HTTP side of a connection: feeds the exchange, keeps what it cannot take yet, and applies response commands.

use super::sink::RequestSink;
use super::tls_handshake::Handshake;
use super::websocket::WebSocketSide;
use super::{AFTER_RESPONSE, Connection, NO_REQUEST, Protocol, Stage, UNREAD_OUTPUT};
use crate::bridge::command::HeadBytes;
use crate::bridge::event::{Event, Slice};
use crate::bridge::id::{AppId, ConnectionId, RequestNumber};
use crate::bridge::ledger::Ledger;
use crate::bridge::peer::Peer;
use crate::bridge::rules::Rules;
use crate::bridge::sync::Arc;
use crate::bridge::tally::RefusalCause;
use crate::bridge::tls_peer::TlsPeerInfo;
use crate::io::context::Context;
use crate::protocol::cause::{Cause, CloseCause};
use crate::protocol::http::encode::{Framing, ResponseHead};
use crate::protocol::http::error::HttpError;
use crate::protocol::http::exchange::{HttpExchange, Piece};
use crate::protocol::http::limits::{HttpLimits, Moment};
use crate::protocol::http::outcome::{Disposition, Flush, TimeoutOutcome};
use crate::protocol::proxy::Presence;
use crate::protocol::time::Timestamp;
use crate::protocol::websocket::{Agreement, WebSocketSession, handshake};
use crate::tls;
use crate::tls::setup::Admission;

/// State of an HTTP connection.
#[derive(Debug)]
pub struct HttpSide {
    pub(super) exchange: HttpExchange,
    /// What the app allows its clients. Dropped with the rest by an upgrade.
    limits: Arc<HttpLimits>,
    /// Input that the exchange did not take: an incomplete head, or requests behind one that is not answered yet.
    pub(super) pending: Vec<u8>,
    /// The latest request.
    pub(super) request: RequestNumber,
    pub(super) peer: Peer,
    /// What the peer has said in its TLS handshake, if that matters to the application.
    pub(super) tls_peer: Option<Arc<TlsPeerInfo>>,
    /// The books of the response, if its body comes in pieces.
    meter: Option<Meter>,
    /// Present until TLS, if it is to be spoken, is agreed upon.
    pub(super) handshake: Option<Box<Handshake>>,
    /// Present while the peer may, or has to, send a header of the PROXY protocol first. `pending` holds what came of it.
    pub(super) proxy_header: Option<Presence>,
    /// Nobody takes the body at the moment; nothing is read (`PauseReading`).
    paused: bool,
    /// We do not read, for reasons of our own.
    unheard: bool,
    /// The client has sent FIN: it may still read an answer that is under way, and nothing more will come.
    finished: bool,
    /// Bytes that waited for the kernel after the last flush.
    pub(super) backlog: u64,
}

/// The worker's part in the books of a response.
#[derive(Debug)]
struct Meter {
    ledger: Arc<Ledger>,
    /// Body bytes of the commands applied so far.
    applied: u64,
    /// Node's thread waits to hear that most of it is written.
    notify: bool,
}

/// What the answer 101 says.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade<'a> {
    /// The value of `Sec-WebSocket-Accept`.
    pub accept: &'a [u8],
    /// The selected subprotocol; empty for none.
    pub protocol: &'a [u8],
    /// Further complete `Name: value\r\n` lines.
    pub fields: &'a [u8],
    /// What is agreed about compression; it stands among the fields.
    pub agreement: Option<Agreement>,
}

impl HttpSide {
    /// A fresh connection that waits for its first request.
    pub fn new(
        limits: Arc<HttpLimits>,
        peer: Peer,
        proxy_header: Option<Presence>,
        handshake: Option<Admission>,
        now: Timestamp,
    ) -> Self {
        Self {
            exchange: HttpExchange::new(now),
            limits,
            pending: Vec::new(),
            request: RequestNumber::default(),
            peer,
            tls_peer: None,
            meter: None,
            handshake: handshake.map(|admission| Box::new(Handshake::new(admission))),
            proxy_header,
            paused: false,
            unheard: false,
            finished: false,
            backlog: 0,
        }
    }

    /// Bytes that may be read. Reading goes on while a response is outstanding, in order to notice that the peer is gone,
    /// but only as far as pipelined requests may be kept.
    pub fn room(&self) -> usize {
        if self.paused || self.finished {
            0
        } else if self.exchange.can_read() {
            usize::MAX
        } else {
            self.most_pipelined().saturating_sub(self.pending.len())
        }
    }

    /// `max_pipelined`, as a length.
    fn most_pipelined(&self) -> usize {
        usize::try_from(self.limits.max_pipelined).unwrap_or(usize::MAX)
    }

    pub fn deadline(&self) -> Option<Timestamp> {
        match &self.handshake {
            Some(handshake) if self.proxy_header.is_none() => handshake.deadline(),
            Some(_) | None => self.exchange.poll_deadline(&self.limits),
        }
    }

    /// The part of it that remains once the last response is in the outbox.
    pub fn writing_deadline(&self) -> Option<Timestamp> {
        self.exchange.writing_deadline(&self.limits)
    }

    /// The client gets its time anew.
    pub fn restart_clock(&mut self, now: Timestamp) {
        self.exchange.pause(now);
        self.settle_clock(now);
    }

    /// Whether we do not read, for reasons of our own.
    pub fn set_unheard(&mut self, unheard: bool, now: Timestamp) {
        if self.unheard != unheard {
            self.unheard = unheard;
            self.settle_clock(now);
        }
    }

    /// The time of the client runs if it can be heard.
    fn settle_clock(&mut self, now: Timestamp) {
        if self.paused || self.unheard {
            self.exchange.pause(now);
        } else {
            self.exchange.resume(now);
        }
    }

    pub fn after_flush(
        &mut self,
        connection: ConnectionId,
        before: usize,
        left: usize,
        context: &mut Context,
    ) {
        let flush = match left {
            0 => Flush::Drained,
            left if left < before => Flush::Progressed((before - left) as u64),
            _ => Flush::Stuck,
        };
        let moment = Moment { now: context.now, date: &context.date, limits: &self.limits };
        self.exchange.handle_flush(flush, moment);
        if let Some(meter) = &mut self.meter {
            meter.ledger.record(meter.applied, left as u64);
            if meter.notify && left <= WRITABLE_BELOW {
                meter.notify = false;
                let request = self.request;
                context.emit(Event::ResponseWritable { connection, request });
            }
        }
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.exchange.is_idle() && self.pending.is_empty()
    }

    /// The next response to begin is the last one.
    pub fn wind_down(&mut self) {
        self.exchange.wind_down();
    }

    /// Whether that was said.
    pub fn is_winding_down(&self) -> bool {
        self.exchange.is_winding_down()
    }

    /// Whether a request waits for the end of its response.
    pub fn owes_response(&self) -> bool {
        self.exchange.has_outstanding_response()
    }

    /// The connection is lost: tells the application if it still owes a response.
    pub fn abort(&mut self, connection: ConnectionId, cause: CloseCause, context: &mut Context) {
        if self.owes_response() {
            self.abort_with(connection, cause, context);
        }
    }

    /// The client has sent FIN while it is owed a response. To the application that is the end of it, but an answer that
    /// is on its way from Node's thread already still reaches a client that only closed its own direction: the
    /// connection is given up when Node's thread has heard, or has answered.
    pub fn handle_fin(&mut self, connection: ConnectionId, context: &mut Context) {
        self.finished = true;
        self.abort_with(connection, CloseCause::FinBeforeResponse, context);
    }

    fn abort_with(&self, connection: ConnectionId, cause: CloseCause, context: &mut Context) {
        let request = self.request;
        context.emit(Event::ResponseAborted { connection, request, cause });
    }

    /// Lets the exchange take what it can of `input`, after what was left before.
    fn feed(
        &mut self,
        input: &mut [u8],
        connection: ConnectionId,
        app: AppId,
        out: &mut Vec<u8>,
        context: &mut Context,
    ) -> Result<(), HttpError> {
        let Context { now, date, events, head, tallies, .. } = context;
        let moment = Moment { now: *now, date, limits: &self.limits };
        let (peer, tally, tls_peer) = (self.peer, tallies.of(app), self.tls_peer.as_ref());
        let request = &mut self.request;
        let mut sink = RequestSink { events, connection, app, peer, tally, tls_peer, request };
        if self.pending.is_empty() {
            let taken = self.exchange.handle_bytes(input, moment, head, out, &mut sink)?;
            self.pending.extend_from_slice(&input[taken..]);
        } else {
            self.pending.extend_from_slice(input);
            let pending = &mut self.pending;
            let taken = self.exchange.handle_bytes(pending, moment, head, out, &mut sink)?;
            self.pending.drain(..taken);
        }
        if self.pending.is_empty() {
            // A keep-alive connection that waits for its next request owns no buffer.
            self.pending = Vec::new();
        }
        Ok(())
    }
}

impl Connection {
    pub(super) fn handle_http_input(&mut self, input: &mut [u8], context: &mut Context) {
        let Protocol::Http(http) = &mut self.protocol else { return };
        if let Some(presence) = http.proxy_header {
            return self.handle_proxy_header(presence, input, context);
        }
        let (request, owed) = (http.request, http.exchange.has_outstanding_response());
        let mut pool = std::mem::take(&mut context.pool);
        let out = self.outbox.tail(&mut pool);
        let result = http.feed(input, self.id, self.app, out, context);
        context.pool = pool;
        if let Err(error) = result {
            tracing::warn!(cause = error.code(), rule = %error, "peer broke a rule of HTTP");
            // The exchange has given up, and so owes nothing by now.
            if owed || http.request != request {
                http.abort_with(self.id, error.cause(), context);
            }
            self.count_refusal(RefusalCause::Http(error), context);
            self.drain(error.code(), context);
        }
        self.close_if_done(context);
        self.outbox.release(&mut context.pool);
    }

    pub(super) fn handle_http_deadline(&mut self, context: &mut Context) {
        let Protocol::Http(http) = &mut self.protocol else { return };
        if http.handshake.is_some() && http.proxy_header.is_none() {
            return self.handle_handshake_timeout(context);
        }
        let moment = Moment { now: context.now, date: &context.date, limits: &http.limits };
        let outcome = http.exchange.handle_timeout(moment, self.outbox.tail(&mut context.pool));
        if let Some(cause) = outcome.cause() {
            http.abort_with(self.id, cause, context);
        }
        match outcome {
            TimeoutOutcome::NotYet => {}
            TimeoutOutcome::CloseSilently => self.drain(NO_REQUEST, context),
            TimeoutOutcome::Answered408 => {
                self.count_refusal(RefusalCause::Http(HttpError::RequestTimeout), context);
                self.drain(HttpError::RequestTimeout.code(), context);
            }
            TimeoutOutcome::BodyTimeout => self.drain(CloseCause::BodyTimeout.verdict().name, context),
            TimeoutOutcome::ResponseTimeout => {
                self.leave(Stage::Gone, CloseCause::ResponseTimeout.verdict().name)
            }
        }
        self.outbox.release(&mut context.pool);
    }

    /// Runs `act` on the exchange if `request` is the one that waits for a response.
    fn with_exchange(
        &mut self,
        request: RequestNumber,
        context: &mut Context,
        act: impl FnOnce(&mut HttpExchange, Moment<'_>, &mut Vec<u8>),
    ) {
        if !self.is_serving() {
            return;
        }
        let Protocol::Http(http) = &mut self.protocol else { return };
        if http.request != request || !http.exchange.has_outstanding_response() {
            return;
        }
        let out = self.outbox.tail(&mut context.pool);
        let moment = Moment { now: context.now, date: &context.date, limits: &http.limits };
        act(&mut http.exchange, moment, out);
        let answered = !http.exchange.has_outstanding_response();
        self.mark_dirty(context);
        if answered {
            self.go_on(context);
        }
    }

    /// The response is complete: closes, or takes up the next request if it is here already.
    fn go_on(&mut self, context: &mut Context) {
        self.close_if_done(context);
        if !self.is_serving() {
            return;
        }
        let Protocol::Http(http) = &mut self.protocol else { return };
        let could_not_read = http.paused || http.pending.len() >= http.most_pipelined();
        http.paused = false;
        http.meter = None;
        http.settle_clock(context.now);
        self.take_up_pending(context);
        let is_winding_down =
            matches!(&self.protocol, Protocol::Http(http) if http.exchange.is_winding_down());
        if could_not_read || is_winding_down {
            context.again.push(self.id);
        }
    }

    /// Takes up the next request if it is here already: not before the client has taken most of the earlier answers, or
    /// a few bytes of pipelined requests would be answered into memory at their full length. To be called again when the
    /// outbox has become short enough.
    pub(super) fn take_up_pending(&mut self, context: &mut Context) {
        let Protocol::Http(http) = &mut self.protocol else { return };
        if http.owes_response() {
            return;
        }
        if !http.pending.is_empty() {
            if self.outbox.len() >= UNREAD_OUTPUT {
                return;
            }
            self.handle_http_input(&mut [], context);
            self.mark_dirty(context);
        }
        let id = self.id;
        match &mut self.protocol {
            Protocol::Http(http) if http.finished && http.owes_response() => http.handle_fin(id, context),
            Protocol::Http(http) if http.finished => self.drain(AFTER_RESPONSE, context),
            Protocol::Http(_) | Protocol::WebSocket(_) => {}
        }
    }

    /// Ends a connection that is winding down if nothing is under way, once the socket has been looked at.
    pub(super) fn leave_if_idle(&mut self, context: &mut Context) {
        if !self.is_serving() || self.starved {
            return;
        }
        let Protocol::Http(http) = &mut self.protocol else { return };
        if http.exchange.close_if_idle() {
            let is_worn = self.transport.session().is_some_and(tls::session::TlsSession::is_worn);
            let cause = if is_worn { CloseCause::TlsKeysExhausted } else { CloseCause::ServerShutdown };
            self.drain(cause.verdict().name, context);
        }
    }

    fn close_if_done(&mut self, context: &mut Context) {
        let Protocol::Http(http) = &self.protocol else { return };
        if !http.exchange.has_outstanding_response() && http.exchange.disposition() == Disposition::Close {
            self.drain(AFTER_RESPONSE, context);
        }
    }

    /// `Command::Respond`.
    pub fn respond(
        &mut self,
        request: RequestNumber,
        head: HeadBytes,
        body: Slice,
        close: bool,
        arena: &[u8],
        context: &mut Context,
    ) {
        self.with_exchange(request, context, |exchange, moment, out| {
            exchange.respond(&response_head(head, arena), body.of(arena), close, moment, out);
        });
    }

    /// `Command::StartResponse`.
    pub fn start_response(
        &mut self,
        request: RequestNumber,
        head: HeadBytes,
        framing: Framing,
        arena: &[u8],
        context: &mut Context,
    ) {
        self.with_exchange(request, context, |exchange, moment, out| {
            exchange.start_response(&response_head(head, arena), framing, moment, out);
        });
    }

    /// `Command::WriteBody`.
    pub fn write_body(&mut self, request: RequestNumber, data: &[u8], context: &mut Context) {
        let mut piece = Piece::NOTHING;
        self.with_exchange(request, context, |exchange, _, out| piece = exchange.frame_body(data.len(), out));
        self.append_output(&data[..piece.length], context);
        self.append_output(piece.after, context);
        if let Some(meter) = self.meter(request) {
            meter.applied += data.len() as u64;
        }
    }

    /// `Command::MeterResponse`.
    pub fn meter_response(&mut self, request: RequestNumber, ledger: Arc<Ledger>, context: &mut Context) {
        if let Protocol::Http(http) = &mut self.protocol
            && http.request == request
        {
            http.meter = Some(Meter { ledger, applied: 0, notify: false });
            self.mark_dirty(context);
        }
    }

    /// `Command::NotifyWritable`.
    pub fn notify_writable(&mut self, request: RequestNumber, context: &mut Context) {
        if let Some(meter) = self.meter(request) {
            meter.notify = true;
            self.mark_dirty(context);
        }
    }

    /// The books of the response to `request`, if it is under way.
    fn meter(&mut self, request: RequestNumber) -> Option<&mut Meter> {
        match &mut self.protocol {
            Protocol::Http(http) if http.request == request => http.meter.as_mut(),
            Protocol::Http(_) | Protocol::WebSocket(_) => None,
        }
    }

    /// `Command::FinishResponse`.
    pub fn finish_response(&mut self, request: RequestNumber, close: bool, context: &mut Context) {
        self.with_exchange(request, context, |exchange, moment, out| {
            exchange.finish_response(close, moment, out)
        });
    }

    /// `Command::AbortResponse`: the application knows.
    pub fn abort_response(&mut self, request: RequestNumber, context: &mut Context) {
        if let Protocol::Http(http) = &self.protocol
            && http.request == request
        {
            let is_over = http.finished;
            let cause = if is_over { CloseCause::FinBeforeResponse } else { CloseCause::ApplicationClosed };
            self.drop_after_flush(cause, context);
        }
    }

    /// `Command::PauseReading` and `Command::ResumeReading`.
    pub fn set_paused(&mut self, request: RequestNumber, paused: bool, context: &mut Context) {
        if let Protocol::Http(http) = &mut self.protocol
            && http.request == request
        {
            http.paused = paused;
            http.settle_clock(context.now);
            if !paused {
                context.again.push(self.id);
            }
        }
    }

    /// `Command::Upgrade`: answers 101 and changes the protocol. Bytes that came behind the request are frames.
    pub fn upgrade(
        &mut self,
        request: RequestNumber,
        answer: Upgrade<'_>,
        rules: Arc<Rules>,
        ledger: Arc<Ledger>,
        context: &mut Context,
    ) {
        if !self.is_serving() {
            return;
        }
        let Protocol::Http(http) = &mut self.protocol else { return };
        if http.request != request || !http.exchange.has_outstanding_response() {
            return;
        }
        if !http.exchange.upgrade() {
            // The request still has body to come: these bytes could not be told from frames.
            http.abort_with(self.id, CloseCause::InvalidRequestBody, context);
            return self.drain(CloseCause::InvalidRequestBody.verdict().name, context);
        }
        let mut pending = std::mem::take(&mut http.pending);
        self.count_ended(context);
        self.subtract_backlog(context);
        let out = self.outbox.tail(&mut context.pool);
        // Node's thread has checked that both are ASCII.
        let accept = String::from_utf8_lossy(answer.accept);
        let protocol = String::from_utf8_lossy(answer.protocol);
        let protocol = (!protocol.is_empty()).then_some(&*protocol);
        handshake::encode_response(&accept, protocol, answer.fields, &context.date, out);
        let session = WebSocketSession::new(context.now, answer.agreement);
        self.protocol = Protocol::WebSocket(WebSocketSide::new(session, rules, ledger));
        tracing::debug!("upgraded to WebSocket");
        self.handle_input(&mut pending, context);
        self.mark_dirty(context);
        context.again.push(self.id);
    }
}

fn response_head(head: HeadBytes, arena: &[u8]) -> ResponseHead<'_> {
    let status = if head.status.len == 0 { &b"200 OK"[..] } else { head.status.of(arena) };
    ResponseHead { status, fields: head.fields.of(arena), flags: head.flags }
}

/// Bytes of output at which a response that waits for it may go on: enough to keep the socket busy until more comes.
const WRITABLE_BELOW: usize = 64 * 1024;
