//! HTTP on a connection: feeds the exchange, and keeps what that cannot take yet. `response` applies the commands of
//! Node's thread.

pub(super) mod meter;
mod request_sink;
pub(super) mod response;

use self::meter::{Meter, WRITABLE_BELOW};
use self::request_sink::RequestSink;
use super::shell::{Offers, Shell};
use super::stage::ConnectionStage;
use crate::bridge::event::{Event, Slice};
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
pub(crate) struct Http {
    exchange: HttpExchange,
    /// What the app allows its clients. Dropped with the rest by an upgrade.
    limits: Arc<HttpLimits>,
    /// Input that the exchange did not take: an incomplete head, or requests pipelined behind one that is not answered
    /// yet.
    pending: Vec<u8>,
    /// The latest request.
    request: RequestNumber,
    /// The client.
    pub peer: Peer,
    /// Server name and certificate of the client's TLS handshake, if they matter to the application.
    pub tls_peer: Option<Arc<TlsPeerInfo>>,
    /// Accounts for the output of a response whose body comes in pieces.
    meter: Option<Meter>,
    /// The application has paused the request body; nothing is read (`PauseReading`).
    is_paused: bool,
    /// Nothing is read, because Node's thread lags or the outbox is full.
    is_unread: bool,
    /// The client has sent FIN. It may still read a response that is under way.
    is_half_closed: bool,
    /// Bytes that waited for the kernel after the last flush.
    backlog: u64,
}

impl Http {
    /// A connection accepted at `now`, when the time for its first request starts.
    pub(crate) fn new(limits: Arc<HttpLimits>, peer: Peer, now: Timestamp) -> Self {
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

    /// What the app allows its clients.
    pub(super) fn limits(&self) -> Arc<HttpLimits> {
        Arc::clone(&self.limits)
    }

    /// Whether a request has been reported to Node's thread.
    pub(crate) fn has_request(&self) -> bool {
        self.request != RequestNumber::default()
    }

    /// Bytes that may be read. Reading continues while a response is outstanding, to notice that the peer has closed
    /// the connection, but only up to the limit of pipelined requests.
    pub(crate) fn room(&self) -> usize {
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
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.exchange.poll_deadline(&self.limits)
    }

    /// The deadline that remains once the last response is in the outbox.
    pub(crate) fn writing_deadline(&self) -> Option<Timestamp> {
        self.exchange.writing_deadline(&self.limits)
    }

    /// Starts the timeout of the client anew.
    pub(crate) fn restart_clock(&mut self, now: Timestamp) {
        self.exchange.pause(now);
        self.update_clock(now);
    }

    /// Sets whether nothing is read because Node's thread lags or the outbox is full.
    pub(crate) fn set_unread(&mut self, is_unread: bool, now: Timestamp) {
        if self.is_unread != is_unread {
            self.is_unread = is_unread;
            self.update_clock(now);
        }
    }

    /// The timeouts of the client run while it is read.
    fn update_clock(&mut self, now: Timestamp) {
        if self.is_paused || self.is_unread {
            self.exchange.pause(now);
        } else {
            self.exchange.resume(now);
        }
    }

    /// Whether no request is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.exchange.is_idle() && self.pending.is_empty()
    }

    /// Makes the next response the last one.
    pub(crate) const fn wind_down(&mut self) {
        self.exchange.wind_down();
    }

    /// Whether a request has no complete response yet.
    pub(crate) const fn owes_response(&self) -> bool {
        self.exchange.has_outstanding_response()
    }

    /// Since when the connection waits for the head of a request, if it does.
    pub(crate) const fn waits_since(&self) -> Option<Timestamp> {
        self.exchange.waits_since()
    }

    /// What closing the connection would lose; `None` if a request is under way.
    pub(crate) fn standing(&self, shell: &Shell) -> Option<Standing> {
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

    /// Sets the number of bytes that wait for the kernel. Returns the previous one.
    pub(crate) const fn replace_backlog(&mut self, left: u64) -> u64 {
        std::mem::replace(&mut self.backlog, left)
    }

    /// Follows a flush, which has reduced the backlog from `before` to `left` bytes.
    pub(crate) fn handle_flush(&mut self, before: usize, left: usize, shell: &Shell, context: &mut Context) {
        let flush = match left {
            0 => Flush::Drained,
            left if left < before => Flush::Progressed((before - left) as u64),
            _ => Flush::Stuck,
        };
        let moment = Moment { now: context.now, date: &context.date, limits: &self.limits };
        self.exchange.handle_flush(flush, moment);
        if let Some(meter) = &mut self.meter
            && meter.record(left, WRITABLE_BELOW)
        {
            context.emit(Event::ResponseWritable { connection: shell.id, request: self.request });
        }
    }

    /// The connection is lost: reports the abort of a response that is outstanding.
    pub(crate) fn abort(&self, cause: CloseCause, shell: &Shell, context: &mut Context) {
        if self.owes_response() {
            self.emit_aborted(cause, shell, context);
        }
    }

    /// The client has sent FIN while a response is outstanding. To the application the response is aborted, but one
    /// that is on its way from Node's thread still reaches a client that only closed its own direction: the connection
    /// closes when Node's thread has handled the abort, or has responded.
    pub(crate) fn handle_fin(&mut self, shell: &Shell, context: &mut Context) {
        self.is_half_closed = true;
        self.emit_aborted(CloseCause::FinBeforeResponse, shell, context);
    }

    fn emit_aborted(&self, cause: CloseCause, shell: &Shell, context: &mut Context) {
        context.emit(Event::ResponseAborted {
            connection: shell.id,
            request: self.request,
            cause,
            reason: Slice::default(),
        });
    }

    /// Takes bytes that were read.
    pub(crate) fn handle_input(&mut self, input: &mut [u8], shell: &mut Shell, context: &mut Context) {
        let (request, owed) = (self.request, self.owes_response());
        let out = shell.outbox.tail(&mut context.pool);
        if let Err(error) = self.feed_exchange(input, shell.id, shell.app, out, context) {
            tracing::warn!(cause = error.code(), rule = %error, "peer broke a rule of HTTP");
            // The exchange is closed, and no longer says whether a response is outstanding.
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

    /// Bytes of the request's body that are still to come, if its length is known, and nothing was read of what follows it.
    pub(crate) fn expected_body(&self) -> u64 {
        if self.pending.is_empty() { self.exchange.expected_body() } else { 0 }
    }

    /// Takes note of bytes of that body that Node's thread has got. Returns whether it is complete.
    pub(crate) fn skip_body(&mut self, len: usize, context: &Context) -> bool {
        let moment = Moment { now: context.now, date: &context.date, limits: &self.limits };
        self.exchange.skip_body(len, moment)
    }

    /// The latest request.
    pub(crate) const fn request(&self) -> RequestNumber {
        self.request
    }

    /// Acts on [`Self::deadline`].
    pub(crate) fn handle_deadline(&mut self, shell: &mut Shell, context: &mut Context) {
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
                shell.leave(ConnectionStage::Gone, CloseCause::ResponseTimeout.verdict().name)
            }
        }
        shell.outbox.release(&mut context.pool);
    }

    /// A response is complete: closes the connection, or starts the next request if it has arrived.
    fn handle_response_end(&mut self, shell: &mut Shell, context: &mut Context) {
        self.drain_if_closing(shell, context);
        if !shell.is_serving() {
            return;
        }
        let could_not_read = self.is_paused || self.pending.len() >= self.max_pipelined();
        self.is_paused = false;
        shell.offers = Offers::Open;
        self.meter = None;
        self.update_clock(context.now);
        self.read_pending(shell, context);
        if could_not_read || self.exchange.is_winding_down() {
            context.again.push(shell.id);
        }
    }

    /// Starts the next request if it has arrived and the outbox has room: otherwise a few bytes of pipelined requests
    /// would be answered into memory at full length. Call it again when the outbox is short enough.
    pub(crate) fn read_pending(&mut self, shell: &mut Shell, context: &mut Context) {
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

    /// Closes a connection that is winding down and idle. Call it when the socket has been read.
    pub(crate) fn leave_if_idle(&mut self, shell: &mut Shell, context: &mut Context) {
        if shell.is_serving() && !shell.is_starved && self.exchange.close_if_idle() {
            let is_near_key_limit = shell.is_near_key_limit();
            let cause =
                if is_near_key_limit { CloseCause::TlsKeysExhausted } else { CloseCause::ServerShutdown };
            shell.drain(cause.verdict().name, context);
        }
    }

    /// Drains a connection whose last response is complete.
    fn drain_if_closing(&self, shell: &mut Shell, context: &mut Context) {
        if !self.owes_response() && self.exchange.disposition() == Disposition::Close {
            shell.drain(AFTER_RESPONSE, context);
        }
    }
}

/// The connection closed after its last response, as the peer or the application had requested.
const AFTER_RESPONSE: &str = "CLOSED_AFTER_RESPONSE";
/// No further request arrived in time.
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
        // Setting it again restarts nothing.
        http.set_unread(false, Timestamp(65_000));
        assert_eq!(http.deadline(), Some(Timestamp(70_000)));
    }
}
