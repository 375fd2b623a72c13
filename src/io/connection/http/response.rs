//! The commands of Node's thread for a response.

use std::borrow::Cow;

use super::Http;
use super::meter::Meter;
use crate::bridge::command::HeadBytes;
use crate::bridge::id::RequestNumber;
use crate::bridge::ledger::{Ledger, WebSocketLedger};
use crate::bridge::rules::Rules;
use crate::bridge::sync::Arc;
use crate::io::connection::shell::Shell;
use crate::io::connection::upgrade::Upgrade;
use crate::io::connection::websocket::WebSocket;
use crate::io::context::Context;
use crate::protocol::cause::CloseCause;
use crate::protocol::http::exchange::{FramedPiece, HttpExchange};
use crate::protocol::http::limits::{HttpLimits, Moment};
use crate::protocol::http::response_framing::Framing;
use crate::protocol::http::response_head::{ResponseHead, lines};
use crate::protocol::websocket::WebSocketSession;

/// The response to the latest request of a connection. It may be complete already.
#[derive(Debug)]
pub(crate) struct HttpResponse<'a> {
    http: &'a mut Http,
    shell: &'a mut Shell,
}

impl<'a> HttpResponse<'a> {
    /// The response to `request`, unless a later request has arrived.
    pub(crate) fn find(request: RequestNumber, http: &'a mut Http, shell: &'a mut Shell) -> Option<Self> {
        (http.request == request).then_some(Self { http, shell })
    }

    /// Whether the client is served and the response is incomplete.
    fn is_outstanding(&self) -> bool {
        self.shell.is_serving() && self.http.owes_response()
    }

    /// Runs `act` on the exchange if the response is outstanding.
    fn with_exchange(
        &mut self,
        context: &mut Context,
        act: impl FnOnce(&mut HttpExchange, Moment<'_>, &mut Vec<u8>),
    ) {
        if !self.is_outstanding() {
            return;
        }
        let out = self.shell.outbox.tail(&mut context.pool);
        let moment = Moment { now: context.now, date: &context.date, limits: &self.http.limits };
        act(&mut self.http.exchange, moment, out);
        let is_complete = !self.http.owes_response();
        self.shell.mark_dirty(context);
        if is_complete {
            self.http.handle_response_end(self.shell, context);
        }
    }

    /// `Command::Respond`.
    pub(crate) fn respond(
        &mut self,
        head: HeadBytes,
        body: &[u8],
        close: bool,
        arena: &[u8],
        context: &mut Context,
    ) {
        if !self.is_outstanding() {
            return;
        }
        let (limits, head) = (Arc::clone(&self.http.limits), response_head(head, arena));
        let fields = with_alternative(head.fields, &limits);
        let head = ResponseHead { fields: &fields, ..head };
        let out = self.shell.outbox.tail(&mut context.pool);
        let moment = Moment { now: context.now, date: &context.date, limits: &self.http.limits };
        let length = self.http.exchange.frame_response(&head, body.len(), close, moment, out);
        self.shell.append_output(&body[..length], context);
        self.shell.mark_dirty(context);
        if !self.http.owes_response() {
            self.http.handle_response_end(self.shell, context);
        }
    }

    /// `Command::StartResponse`.
    pub(crate) fn start(&mut self, head: HeadBytes, framing: Framing, arena: &[u8], context: &mut Context) {
        let head = response_head(head, arena);
        self.with_exchange(context, |exchange, moment, out| {
            let fields = with_alternative(head.fields, moment.limits);
            exchange.start_response(&ResponseHead { fields: &fields, ..head }, framing, moment, out);
        });
    }

    /// `Command::WriteBody`.
    pub(crate) fn write_body(&mut self, data: &[u8], context: &mut Context) {
        let mut piece = FramedPiece::NOTHING;
        self.with_exchange(context, |exchange, _, out| piece = exchange.frame_body(data.len(), out));
        self.shell.append_output(&data[..piece.length], context);
        self.shell.append_output(piece.after, context);
        if let Some(meter) = &mut self.http.meter {
            meter.count_applied(data.len());
        }
    }

    /// `Command::FinishResponse`.
    pub(crate) fn finish(&mut self, trailers: &[u8], close: bool, context: &mut Context) {
        self.with_exchange(context, |exchange, moment, out| {
            exchange.finish_response(trailers, close, moment, out);
        });
    }

    /// `Command::AbortResponse`: no event follows, as the abort handler of the application has run.
    pub(crate) fn abort(&mut self, context: &mut Context) {
        let has_fin = self.http.is_half_closed;
        let cause = if has_fin { CloseCause::FinBeforeResponse } else { CloseCause::ApplicationClosed };
        self.shell.drop_after_flush(cause, context);
    }

    /// `Command::MeterResponse`.
    pub(crate) fn start_meter(&mut self, ledger: Arc<Ledger>, context: &mut Context) {
        self.http.meter = Some(Meter::new(ledger));
        self.shell.mark_dirty(context);
    }

    /// `Command::NotifyWritable`.
    pub(crate) fn notify_writable(&mut self, context: &mut Context) {
        if let Some(meter) = &mut self.http.meter {
            meter.await_writable();
            self.shell.mark_dirty(context);
        }
    }

    /// `Command::PauseReading` and `Command::ResumeReading`.
    pub(crate) fn set_paused(&mut self, is_paused: bool, context: &mut Context) {
        self.http.is_paused = is_paused;
        self.http.update_clock(context.now);
        if !is_paused {
            context.again.push(self.shell.id);
        }
    }

    /// `Command::Upgrade`: answers 101. Returns the WebSocket that replaces HTTP, and the bytes behind the request,
    /// which are frames.
    pub(crate) fn upgrade(
        &mut self,
        answer: Upgrade<'_>,
        rules: Arc<Rules>,
        ledger: Arc<WebSocketLedger>,
        context: &mut Context,
    ) -> Option<(WebSocket, Vec<u8>)> {
        if !self.is_outstanding() {
            return None;
        }
        if !self.http.exchange.upgrade() {
            // The rest of the request body has not arrived, and would be parsed as frames.
            self.http.emit_aborted(CloseCause::InvalidRequestBody, self.shell, context);
            self.shell.drain(CloseCause::InvalidRequestBody.verdict().name, context);
            return None;
        }
        answer.encode(&context.date, self.shell.outbox.tail(&mut context.pool));
        let session = WebSocketSession::new(context.now, answer.agreement);
        let frames = std::mem::take(&mut self.http.pending);
        let before = self.shell.outbox.len();
        Some((WebSocket::new(session, rules, ledger, before, context.moment), frames))
    }
}

/// The fields of a response over TCP: those of the application, and where else the app can be had (RFC 7838), unless the
/// application has said that itself.
pub(crate) fn with_alternative<'f>(fields: &'f [u8], limits: &HttpLimits) -> Cow<'f, [u8]> {
    let says_itself = || lines(fields).any(|(name, _)| name.eq_ignore_ascii_case(b"alt-svc"));
    match &limits.alternative {
        Some(alternative) if !says_itself() => [fields, b"Alt-Svc: ", alternative, b"\r\n"].concat().into(),
        Some(_) | None => fields.into(),
    }
}

/// A response head as Node's thread has laid it out in `arena`.
pub(crate) fn response_head(head: HeadBytes, arena: &[u8]) -> ResponseHead<'_> {
    let status = if head.status.len == 0 { &b"200 OK"[..] } else { head.status.of(arena) };
    ResponseHead { status, fields: head.fields.of(arena), flags: head.flags }
}
