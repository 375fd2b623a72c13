//! HTTP on a connection: feeds the exchange, and keeps what it cannot take yet. `response` applies the commands of Node's
//! thread.

mod meter;
mod request_sink;
pub(super) mod response;
pub(super) mod upgrade;

use self::meter::Meter;
use self::request_sink::RequestSink;
use super::shell::Shell;
use super::stage::Stage;
use crate::bridge::event::Event;
use crate::bridge::id::{AppId, ConnectionId, RequestNumber};
use crate::bridge::peer::Peer;
use crate::bridge::sync::Arc;
use crate::bridge::tally::RefusalCause;
use crate::bridge::tls_peer::TlsPeerInfo;
use crate::io::context::Context;
use crate::io::room::Standing;
use crate::protocol::cause::{Cause, CloseCause};
use crate::protocol::http::error::HttpError;
use crate::protocol::http::exchange::HttpExchange;
use crate::protocol::http::limits::{HttpLimits, Moment};
use crate::protocol::http::outcome::{Disposition, Flush, TimeoutOutcome};
use crate::protocol::time::Timestamp;

/// State of an HTTP connection.
#[derive(Debug)]
pub struct Http {
    exchange: HttpExchange,
    /// What the app allows its clients. Dropped with the rest by an upgrade.
    limits: Arc<HttpLimits>,
    /// Input that the exchange did not take: an incomplete head, or requests behind one that is not answered yet.
    pending: Vec<u8>,
    /// The latest request.
    request: RequestNumber,
    /// The client.
    pub peer: Peer,
    /// Server name and certificate of the client's TLS handshake, if they matter to the application.
    pub tls_peer: Option<Arc<TlsPeerInfo>>,
    /// The books of the response, if its body comes in pieces.
    meter: Option<Meter>,
    /// Nobody takes the body at the moment; nothing is read (`PauseReading`).
    is_paused: bool,
    /// The client is not read, for reasons of our own.
    is_unread: bool,
    /// The client has sent FIN: it may still read an answer that is under way, and nothing more will come.
    is_half_closed: bool,
    /// Bytes that waited for the kernel after the last flush.
    backlog: u64,
}

impl Http {
    /// A connection accepted at `now`, whose time for the first request runs.
    pub fn new(limits: Arc<HttpLimits>, peer: Peer, now: Timestamp) -> Self {
        Self {
            exchange: HttpExchange::new(now),
            limits,
            pending: Vec::new(),
            request: RequestNumber::default(),
            peer,
            tls_peer: None,
            meter: None,
            is_paused: false,
            is_unread: false,
            is_half_closed: false,
            backlog: 0,
        }
    }

    /// Bytes that may be read. Reading goes on while a response is outstanding, in order to notice that the peer is gone,
    /// but only as far as pipelined requests may be kept.
    pub fn room(&self) -> usize {
        if self.is_paused || self.is_half_closed {
            0
        } else if self.exchange.can_read() {
            usize::MAX
        } else {
            self.max_pipelined().saturating_sub(self.pending.len())
        }
    }

    /// `max_pipelined`, as a length.
    fn max_pipelined(&self) -> usize {
        usize::try_from(self.limits.max_pipelined).unwrap_or(usize::MAX)
    }

    /// When [`Self::handle_deadline`] is due.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.exchange.poll_deadline(&self.limits)
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

    /// Sets whether the client is not read, for reasons of our own.
    pub fn set_unread(&mut self, is_unread: bool, now: Timestamp) {
        if self.is_unread != is_unread {
            self.is_unread = is_unread;
            self.settle_clock(now);
        }
    }

    /// The time of the client runs while it is read.
    fn settle_clock(&mut self, now: Timestamp) {
        if self.is_paused || self.is_unread {
            self.exchange.pause(now);
        } else {
            self.exchange.resume(now);
        }
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.exchange.is_idle() && self.pending.is_empty()
    }

    /// The next response to start is the last one.
    pub const fn wind_down(&mut self) {
        self.exchange.wind_down();
    }

    /// Whether a request waits for the end of its response.
    pub const fn owes_response(&self) -> bool {
        self.exchange.has_outstanding_response()
    }

    /// Since when the head of a request, or the rest of one, is waited for, if it is.
    pub const fn waits_since(&self) -> Option<Timestamp> {
        self.exchange.waits_since()
    }

    /// What would be lost with the connection; `None` if a request is under way.
    pub fn standing(&self, shell: &Shell) -> Option<Standing> {
        let is_silent = self.pending.is_empty() && self.request == RequestNumber::default();
        if is_silent && shell.transport.session().is_none() {
            Some(Standing::Silent)
        } else if shell.has_output() {
            None
        } else if self.is_idle() {
            Some(Standing::Idle)
        } else {
            Some(Standing::Opening)
        }
    }

    /// Exchanges the number of bytes that wait for the kernel for another one.
    pub const fn replace_backlog(&mut self, left: u64) -> u64 {
        std::mem::replace(&mut self.backlog, left)
    }

    /// The connection was flushed: so much waited before, and so much does now.
    pub fn handle_flush(&mut self, before: usize, left: usize, shell: &Shell, context: &mut Context) {
        let flush = match left {
            0 => Flush::Drained,
            left if left < before => Flush::Progressed((before - left) as u64),
            _ => Flush::Stuck,
        };
        let moment = Moment { now: context.now, date: &context.date, limits: &self.limits };
        self.exchange.handle_flush(flush, moment);
        if let Some(meter) = &mut self.meter
            && meter.record(left)
        {
            context.emit(Event::ResponseWritable { connection: shell.id, request: self.request });
        }
    }

    /// The connection is lost: tells the application if it still owes a response.
    pub fn abort(&self, cause: CloseCause, shell: &Shell, context: &mut Context) {
        if self.owes_response() {
            self.emit_aborted(cause, shell, context);
        }
    }

    /// The client has sent FIN while it is owed a response. To the application that is the end of it, but an answer that
    /// is on its way from Node's thread already still reaches a client that only closed its own direction: the
    /// connection is given up when Node's thread has heard, or has answered.
    pub fn handle_fin(&mut self, shell: &Shell, context: &mut Context) {
        self.is_half_closed = true;
        self.emit_aborted(CloseCause::FinBeforeResponse, shell, context);
    }

    fn emit_aborted(&self, cause: CloseCause, shell: &Shell, context: &mut Context) {
        context.emit(Event::ResponseAborted { connection: shell.id, request: self.request, cause });
    }

    /// Bytes have been read.
    pub fn handle_input(&mut self, input: &mut [u8], shell: &mut Shell, context: &mut Context) {
        let (request, owed) = (self.request, self.owes_response());
        let out = shell.outbox.tail(&mut context.pool);
        if let Err(error) = self.feed_exchange(input, shell.id, shell.app, out, context) {
            tracing::warn!(cause = error.code(), rule = %error, "peer broke a rule of HTTP");
            // The exchange has given up, and so owes nothing by now.
            if owed || self.request != request {
                self.emit_aborted(error.cause(), shell, context);
            }
            shell.tally(context).count_refusal(RefusalCause::Http(error));
            shell.drain(error.code(), context);
        }
        self.drain_if_closing(shell, context);
        shell.outbox.release(&mut context.pool);
    }

    /// Lets the exchange take what it can of `input`, after what was left before.
    fn feed_exchange(
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

    /// The moment of [`Self::deadline`] has come.
    pub fn handle_deadline(&mut self, shell: &mut Shell, context: &mut Context) {
        let moment = Moment { now: context.now, date: &context.date, limits: &self.limits };
        let outcome = self.exchange.handle_timeout(moment, shell.outbox.tail(&mut context.pool));
        if let Some(cause) = outcome.cause() {
            self.emit_aborted(cause, shell, context);
        }
        match outcome {
            TimeoutOutcome::NotYet => {}
            TimeoutOutcome::CloseSilently => shell.drain(NO_REQUEST, context),
            TimeoutOutcome::Answered408 => {
                shell.tally(context).count_refusal(RefusalCause::Http(HttpError::RequestTimeout));
                shell.drain(HttpError::RequestTimeout.code(), context);
            }
            TimeoutOutcome::BodyTimeout => shell.drain(CloseCause::BodyTimeout.verdict().name, context),
            TimeoutOutcome::ResponseTimeout => {
                shell.leave(Stage::Gone, CloseCause::ResponseTimeout.verdict().name)
            }
        }
        shell.outbox.release(&mut context.pool);
    }

    /// The response is complete: closes, or reads the next request if it is here already.
    fn handle_response_end(&mut self, shell: &mut Shell, context: &mut Context) {
        self.drain_if_closing(shell, context);
        if !shell.is_serving() {
            return;
        }
        let could_not_read = self.is_paused || self.pending.len() >= self.max_pipelined();
        self.is_paused = false;
        self.meter = None;
        self.settle_clock(context.now);
        self.read_pending(shell, context);
        if could_not_read || self.exchange.is_winding_down() {
            context.again.push(shell.id);
        }
    }

    /// Reads the next request if it is here already: not before the client has taken most of the earlier answers, or
    /// a few bytes of pipelined requests would be answered into memory at their full length. To be called again when the
    /// outbox has become short enough.
    pub fn read_pending(&mut self, shell: &mut Shell, context: &mut Context) {
        if self.owes_response() {
            return;
        }
        if !self.pending.is_empty() {
            if shell.is_outbox_full() {
                return;
            }
            self.handle_input(&mut [], shell, context);
            shell.mark_dirty(context);
        }
        if self.is_half_closed {
            if self.owes_response() {
                self.handle_fin(shell, context);
            } else {
                shell.drain(AFTER_RESPONSE, context);
            }
        }
    }

    /// Ends a connection that is winding down if nothing is under way. To be called when the socket has been looked at.
    pub fn leave_if_idle(&mut self, shell: &mut Shell, context: &mut Context) {
        if shell.is_serving() && !shell.is_starved && self.exchange.close_if_idle() {
            let is_worn = shell.is_tls_worn();
            let cause = if is_worn { CloseCause::TlsKeysExhausted } else { CloseCause::ServerShutdown };
            shell.drain(cause.verdict().name, context);
        }
    }

    /// Ends a connection whose last response is complete.
    fn drain_if_closing(&self, shell: &mut Shell, context: &mut Context) {
        if !self.owes_response() && self.exchange.disposition() == Disposition::Close {
            shell.drain(AFTER_RESPONSE, context);
        }
    }
}

/// The connection ended as peer or application had asked for, after its last response.
const AFTER_RESPONSE: &str = "CLOSED_AFTER_RESPONSE";
/// No further request came in time.
const NO_REQUEST: &str = "CLOSED_WITHOUT_REQUEST";

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_client_is_not_late_while_it_is_not_read_and_then_has_its_time_anew() {
        let limits = HttpLimits { headers_timeout: Some(Duration::from_secs(10)), ..HttpLimits::default() };
        let mut http = Http::new(Arc::new(limits), Peer::default(), Timestamp(0));
        assert_eq!(http.deadline(), Some(Timestamp(10_000)));
        for now in [5_000, 6_000] {
            http.set_unread(true, Timestamp(now));
            assert_eq!(http.deadline(), None);
        }
        http.set_unread(false, Timestamp(60_000));
        assert_eq!(http.deadline(), Some(Timestamp(70_000)));
        // What does not change is no reason.
        http.set_unread(false, Timestamp(65_000));
        assert_eq!(http.deadline(), Some(Timestamp(70_000)));
    }
}
