//! The protocol of a connection: HTTP, then perhaps WebSocket. Every event is dispatched here, and nowhere else, to the
//! state that handles it.
//!
//! ```text
//!   accept ─► early stages, if any ─┬─► Http ─ Command::Upgrade ─► WebSocket ◄─ connect, extended CONNECT
//!                                   └─► Http2          Http3 ◄─ the first packet of a connection of QUIC
//! ```
//!
//! The early stages stand in front of HTTP rather than in its place, because the state of HTTP counts from the accept:
//! the timeout of the first request, the rate at which the client takes output, the backlog.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::early_stage::{EarlyStage, Next};
use super::http::Http;
use super::http2::Http2;
use super::http3::Http3;
use super::shell::Shell;
use super::stage::ConnectionStage;
use super::websocket::WebSocket;
use crate::bridge::id::RequestNumber;
use crate::io::context::Context;
use crate::io::room::Standing;
use crate::io::transport::cause_of;
use crate::protocol::cause::CloseCause;
use crate::protocol::http2::error::ErrorCode;
use crate::protocol::time::Timestamp;
use crate::tls::fault::TlsFault;

/// HTTP of either version, or WebSocket; see the top of this file.
#[derive(Debug)]
pub(super) enum Protocol {
    /// HTTP/1.1, with which every accepted connection starts.
    Http {
        /// PROXY header or TLS handshake, until it is complete.
        early: Option<EarlyStage>,
        /// Boxed, because a WebSocket is smaller.
        http: Box<Http>,
    },
    /// HTTP/2, which the client has chosen.
    Http2(Box<Http2>),
    /// HTTP/3, with which every connection of QUIC starts, and ends.
    Http3(Box<Http3>),
    /// WebSocket, after an upgrade or to a server.
    WebSocket(WebSocket),
}

impl Protocol {
    /// Bytes that may be read now. A change from 0 to more than 0 must put the connection into [`Context::again`].
    pub(super) fn room(&self, shell: &Shell) -> usize {
        match self {
            _ if shell.transport.is_suspended() => 0,
            Self::WebSocket(socket) if shell.last_look.is_under_way() => socket.last_look_room(),
            _ if shell.is_outbox_full() => 0,
            Self::Http { http, .. } => http.room(),
            Self::Http2(http2) => http2.room(),
            // It reads by itself.
            Self::Http3(_) => usize::MAX,
            Self::WebSocket(socket) => socket.room(),
        }
    }

    /// Whether input is compressed, and so may become much larger.
    pub(super) fn inflates(&self) -> bool {
        match self {
            Self::Http { .. } | Self::Http2(_) | Self::Http3(_) => false,
            Self::WebSocket(socket) => socket.inflates(),
        }
    }

    /// Whether input was left for a further call of [`Self::handle_input`].
    pub(super) fn has_unhandled(&self) -> bool {
        match self {
            Self::Http { .. } => false,
            Self::Http2(http2) => http2.has_unhandled(),
            Self::Http3(http3) => http3.has_unhandled(),
            Self::WebSocket(socket) => socket.unhandled() > 0,
        }
    }

    /// Whether closing the connection would lose nothing.
    pub(super) fn is_idle(&self) -> bool {
        match self {
            Self::Http { early, http } => http.is_idle() && early.as_ref().is_none_or(EarlyStage::is_idle),
            Self::Http2(http2) => http2.is_idle(),
            Self::Http3(http3) => http3.is_idle(),
            Self::WebSocket(_) => false,
        }
    }

    /// Whether a TLS handshake is under way.
    pub(super) fn is_handshaking(&self) -> bool {
        match self {
            Self::Http { early, .. } => early.as_ref().is_some_and(EarlyStage::is_handshaking),
            Self::Http3(http3) => http3.is_handshaking(),
            Self::Http2(_) | Self::WebSocket(_) => false,
        }
    }

    /// The address of the client, if it is known.
    pub(super) fn client(&self) -> Option<SocketAddr> {
        match self {
            Self::Http { http, .. } => http.peer.proxied.or(http.peer.address),
            Self::Http2(http2) => http2.peer.proxied.or(http2.peer.address),
            Self::Http3(http3) => http3.peer.address,
            Self::WebSocket(_) => None,
        }
    }

    /// What would be lost by closing the connection, and since when it waits for its peer; `None` if a request or a
    /// WebSocket is under way.
    pub(super) fn standing(&self, shell: &Shell) -> Option<(Standing, Timestamp)> {
        match self {
            Self::Http { early: Some(early), http } => Some((early.standing(), http.waits_since()?)),
            Self::Http { early: None, http } => Some((http.standing(shell)?, http.waits_since()?)),
            Self::Http2(http2) if !shell.has_output() => http2.standing(),
            Self::Http3(http3) => http3.standing(),
            Self::Http2(_) | Self::WebSocket(_) => None,
        }
    }

    /// Bytes that wait for their turn in the streams of the connection, beside those in the shell.
    pub(super) fn queued(&self) -> usize {
        match self {
            Self::Http { .. } | Self::WebSocket(_) => 0,
            Self::Http2(http2) => http2.queued(),
            Self::Http3(http3) => http3.queued(),
        }
    }

    /// Whether the peer has not acknowledged all that was sent, which nobody but QUIC knows.
    pub(super) fn awaits_acknowledgement(&self) -> bool {
        matches!(self, Self::Http3(http3) if http3.awaits_acknowledgement())
    }

    /// Whether this side sends FIN first: always, except as a WebSocket client (RFC 6455 §7.1.1), whose FIN follows the
    /// server's when the socket is closed.
    pub(super) fn sends_fin_first(&self) -> bool {
        match self {
            Self::Http { .. } | Self::Http2(_) | Self::Http3(_) => true,
            Self::WebSocket(socket) => socket.sends_fin_first(),
        }
    }

    /// Whether each byte that the peer takes extends the time for draining. Not for a WebSocket that was closed for
    /// reading too slowly: it has [`STALL_TIMEOUT`] in all.
    pub(super) fn progress_extends_draining(&self) -> bool {
        match self {
            Self::Http { .. } | Self::Http2(_) | Self::Http3(_) => true,
            Self::WebSocket(socket) => !socket.is_limited(),
        }
    }

    /// The deadline of a connection that is served, for [`Self::handle_deadline`], or drained.
    pub(super) fn deadline(&self, shell: &Shell) -> Option<Timestamp> {
        match self {
            // What the deadline waits for may be in the socket, unread.
            Self::Http { http, .. } if !shell.is_serving() || shell.is_starved => http.writing_deadline(),
            Self::Http { early: Some(early), http } => early.deadline(http),
            Self::Http { early: None, http } => http.deadline(),
            Self::Http2(http2) if !shell.is_serving() || shell.is_starved => http2.writing_deadline(),
            Self::Http2(http2) => http2.deadline(),
            Self::Http3(_) if !shell.is_serving() => Some(shell.progress + STALL_TIMEOUT),
            Self::Http3(http3) => http3.deadline(),
            Self::WebSocket(_) if !shell.is_serving() => Some(shell.progress + STALL_TIMEOUT),
            Self::WebSocket(_) if shell.is_starved => None,
            Self::WebSocket(socket) => socket.deadline(),
        }
    }

    /// Stops the client's request timeout while nothing is read from it, and starts it anew afterwards.
    pub(super) fn update_clock(&mut self, shell: &Shell, now: Timestamp) {
        match self {
            Self::Http { http, .. } if shell.is_serving() => {
                http.set_unread(shell.is_starved || shell.is_outbox_full(), now);
            }
            Self::Http2(http2) if shell.is_serving() => {
                http2.set_unread(shell.is_starved || shell.is_outbox_full(), now);
            }
            Self::Http3(http3) if shell.is_serving() => http3.set_unread(shell.is_starved, now),
            Self::Http { .. } | Self::Http2(_) | Self::Http3(_) | Self::WebSocket(_) => {}
        }
    }

    /// Announces an accepted connection to Node's thread, if its app has a filter and the client's address is known.
    pub(super) fn announce_opened(&self, shell: &mut Shell, context: &mut Context) {
        if let Self::Http { early, http } = self
            && early.as_ref().is_none_or(EarlyStage::knows_client)
        {
            shell.announce_opened(http.peer, context);
        }
    }

    /// The request whose body comes next, with the number of bytes that are still to come of it, if that is known.
    pub(super) fn expected_body(&self) -> Option<(RequestNumber, u64)> {
        match self {
            Self::Http { early: None, http } => Some((http.request(), http.expected_body())),
            Self::Http { .. } | Self::Http2(_) | Self::Http3(_) | Self::WebSocket(_) => None,
        }
    }

    /// Takes note of bytes of that body that Node's thread has got. Returns whether it is complete.
    pub(super) fn skip_body(&mut self, len: usize, context: &Context) -> bool {
        match self {
            Self::Http { http, .. } => http.skip_body(len, context),
            Self::Http2(_) | Self::Http3(_) | Self::WebSocket(_) => false,
        }
    }

    /// Follows every read of the transport, whether or not it yielded bytes.
    pub(super) fn handle_read(&mut self, shell: &mut Shell, context: &mut Context) {
        if let Self::Http { early, http } = self
            && let Some(stage) = early.take()
        {
            let next = stage.handle_read(http, shell, context);
            self.advance(next, shell, context);
        }
    }

    /// Enters what follows an early stage.
    fn advance(&mut self, next: Next, shell: &mut Shell, context: &mut Context) {
        let Self::Http { early, http } = self else { return };
        match next {
            Next::Early(stage) => *early = Some(stage),
            Next::Http => {}
            Next::Http2 { limits, input } => {
                let mut http2 = Box::new(Http2::follow(http, *limits, shell, context));
                tracing::debug!("HTTP/2");
                if !input.is_empty() {
                    http2.handle_input(&input, shell, context);
                }
                *self = Self::Http2(http2);
            }
        }
    }

    /// Takes bytes that were read.
    pub(super) fn handle_input(&mut self, input: &mut [u8], shell: &mut Shell, context: &mut Context) {
        if !shell.is_serving() {
            return;
        }
        match self {
            Self::Http { early: None, http } => http.handle_input(input, shell, context),
            Self::Http { early, http } => {
                if let Some(stage) = early.take() {
                    let next = stage.handle_input(input, http, shell, context);
                    self.advance(next, shell, context);
                }
            }
            Self::Http2(http2) => http2.handle_input(input, shell, context),
            Self::Http3(_) => {}
            Self::WebSocket(socket) => socket.handle_input(input, shell, context),
        }
    }

    /// Acts on the peer's FIN.
    pub(super) fn handle_fin(&mut self, shell: &mut Shell, context: &mut Context) {
        match self {
            Self::Http { http, .. } if shell.is_serving() && http.owes_response() => {
                http.handle_fin(shell, context);
            }
            // The peer may have closed its own direction only, and still read the response.
            Self::Http { .. } if shell.is_serving() && shell.has_output() => {
                shell.drain(CloseCause::PeerClosed.verdict().name, context);
            }
            Self::Http { .. } => self.fail(CloseCause::FinBeforeResponse, shell, context),
            // What is left could not be sent: the client can open no window any more.
            Self::Http2(http2) => {
                let is_idle = http2.is_idle();
                let cause = if is_idle { CloseCause::PeerClosed } else { CloseCause::FinBeforeResponse };
                self.fail(cause, shell, context);
            }
            // QUIC has no such end.
            Self::Http3(_) => {}
            Self::WebSocket(socket) if shell.is_serving() => socket.handle_fin(shell, context),
            Self::WebSocket(_) => self.fail(CloseCause::FinWithoutClose, shell, context),
        }
    }

    /// Acts on [`Self::deadline`] of a connection that is served.
    pub(super) fn handle_deadline(&mut self, shell: &mut Shell, context: &mut Context) {
        match self {
            Self::Http { early: early @ Some(_), http } => {
                *early = early.take().and_then(|stage| stage.handle_deadline(http, shell, context));
            }
            Self::Http { early: None, http } => http.handle_deadline(shell, context),
            Self::Http2(http2) => http2.handle_deadline(shell, context),
            Self::Http3(http3) => http3.handle_deadline(shell, context),
            Self::WebSocket(socket) => socket.handle_deadline(shell, context),
        }
    }

    /// Follows a flush, which has reduced the backlog from `before` to `left` bytes.
    pub(super) fn handle_flush(
        &mut self,
        before: usize,
        left: usize,
        shell: &mut Shell,
        context: &mut Context,
    ) {
        if left > 0 && shell.transport.tunnel().is_some_and(|tunnel| tunnel.has_parcel()) {
            // What the tunnel holds is passed on next, which makes room for more: the rest was not refused yet.
            context.unsettled.push(shell.id);
        } else {
            self.settle(left, shell, context);
        }
        match self {
            Self::Http { http, .. } => http.handle_flush(before, left, shell, context),
            Self::Http2(http2) => http2.handle_flush(shell, context),
            Self::Http3(http3) => http3.handle_flush(shell, context),
            Self::WebSocket(socket) => socket.handle_flush(before, left, shell, context),
        }
        if Shell::lets_reading_resume(before, left) {
            if let Self::Http { early: None, http } = self
                && shell.is_serving()
            {
                http.read_pending(shell, context);
            }
            context.again.push(shell.id);
        }
        if shell.is_serving() && shell.is_near_key_limit() {
            self.end_before_keys_run_out(shell, context);
        }
    }

    /// Closes the connection gracefully while its TLS keys can still encrypt the close. A close that takes longer is
    /// cut off.
    #[cold]
    fn end_before_keys_run_out(&mut self, shell: &mut Shell, context: &mut Context) {
        match self {
            // The next response says `Connection: close`.
            Self::Http { http, .. } => http.wind_down(),
            Self::Http2(http2) => {
                let cause = CloseCause::TlsKeysExhausted;
                http2.wind_down(cause, cause.verdict().text, shell, context);
                http2.doom_tunnels(cause, context);
            }
            // QUIC changes its keys.
            Self::Http3(_) => {}
            Self::WebSocket(socket) => socket.ask_to_reconnect(CloseCause::TlsKeysExhausted, shell, context),
        }
    }

    /// Closes a connection that is winding down and idle. Call it when the socket has been read.
    pub(super) fn leave_if_idle(&mut self, shell: &mut Shell, context: &mut Context) {
        match self {
            Self::Http { http, .. } => http.leave_if_idle(shell, context),
            Self::Http2(http2) => http2.leave_if_closed(shell, context),
            Self::Http3(http3) => http3.leave_if_closed(shell, context),
            Self::WebSocket(_) => {}
        }
    }

    /// Ends the connection after a failed read or write.
    pub(super) fn handle_transport_error(
        &mut self,
        error: &io::Error,
        shell: &mut Shell,
        context: &mut Context,
    ) {
        if shell.is_serving()
            && let Self::Http { early, .. } = self
            && let Some(stage) = early.take_if(|stage| stage.handles_errors())
        {
            return stage.handle_transport_error(error, shell, context);
        }
        match TlsFault::of(error) {
            None => self.fail(cause_of(error), shell, context),
            Some(fault) => self.handle_tls_fault(fault, shell, context),
        }
    }

    /// Ends a connection whose TLS is broken. The peer can no longer decrypt the queued output, but it receives the
    /// alert.
    fn handle_tls_fault(&mut self, fault: &TlsFault, shell: &mut Shell, context: &mut Context) {
        let cause = fault.cause();
        if shell.is_serving() && matches!(fault, TlsFault::Invalid(_)) {
            tracing::warn!(cause = cause.verdict().name, rule = %fault, "peer broke a rule of TLS");
        }
        // An alert, or at least close_notify, is queued in TLS.
        let has_alert = matches!(fault, TlsFault::Invalid(_) | TlsFault::KeysExhausted) && shell.is_serving();
        self.fail(cause, shell, context);
        if has_alert {
            shell.drain_alert(context);
        }
    }

    /// Closes the connection after the timeout of `app.shutdown()`.
    pub(super) fn handle_shutdown_timeout(&mut self, shell: &mut Shell, context: &mut Context) {
        // Perhaps only a Close frame or the rest of a response is missing. Behind that HTTP/2 has a GOAWAY to send.
        if !matches!(self, Self::Http2(_)) || !shell.is_serving() {
            shell.flush_at_once(context);
        }
        self.fail(CloseCause::ServerShutdown, shell, context);
    }

    /// Closes the socket at once, and reports to the application the response or WebSocket that this aborts.
    pub(super) fn fail(&mut self, cause: CloseCause, shell: &mut Shell, context: &mut Context) {
        self.fail_because(cause, None, shell, context);
    }

    /// As [`Self::fail`]. `reason` is what the peer of a WebSocket in a stream has said about the end of its connection.
    pub(super) fn fail_because(
        &mut self,
        cause: CloseCause,
        reason: Option<&str>,
        shell: &mut Shell,
        context: &mut Context,
    ) {
        let mut logged = cause;
        if shell.is_serving() {
            match self {
                Self::Http { http, .. } => {
                    if cause == CloseCause::FinBeforeResponse && !http.owes_response() {
                        logged = CloseCause::PeerClosed;
                    }
                    http.abort(cause, shell, context);
                }
                Self::Http2(http2) => {
                    http2.take_leave(cause, shell, context);
                    http2.abort(cause, context);
                }
                Self::Http3(http3) => http3.abort(cause, None, shell, context),
                Self::WebSocket(socket) => socket.handle_transport_end(cause, reason, shell, context),
            }
        }
        shell.leave(ConnectionStage::Gone, logged.verdict().name);
    }

    /// Closes an idle connection, or one that is still handshaking, in favour of others.
    pub(super) fn make_room(
        &mut self,
        cause: &'static str,
        why: &str,
        shell: &mut Shell,
        context: &mut Context,
    ) {
        match self {
            Self::Http { early, .. } => {
                if let Some(stage) = early.take() {
                    stage.abandon(cause, why, shell, context);
                }
            }
            Self::Http2(http2) if shell.is_serving() => {
                http2.leave_at_once(ErrorCode::NO_ERROR, &format!("{cause}: {why}"), shell, context);
            }
            Self::Http3(http3) => http3.abandon(cause, why, shell, context),
            Self::Http2(_) | Self::WebSocket(_) => {}
        }
        shell.leave(ConnectionStage::Gone, cause);
    }

    /// `Command::ResumeHandshake`: continues with the certificate that the server name has now.
    pub(super) fn resume_handshake(&mut self, shell: &mut Shell, context: &mut Context) {
        if let Self::Http3(http3) = self {
            http3.resume_handshake(context.now);
            return shell.mark_dirty(context);
        }
        if shell.is_serving() && shell.transport.resume() {
            if let Self::Http { early: Some(early), .. } = self {
                early.restart_clock(context.now);
            }
            context.again.push(shell.id);
        }
    }

    /// `Command::CloseConnection`: closes the connection without an event, as every handler of the application has run.
    pub(super) fn close(&mut self, shell: &mut Shell, context: &mut Context) {
        match self {
            Self::Http { .. } => shell.drop_after_flush(CloseCause::ApplicationClosed, context),
            Self::Http2(http2) => {
                // The handlers of the application have run for the connection, not for its streams.
                http2.take_leave(CloseCause::ApplicationClosed, shell, context);
                http2.abort(CloseCause::ApplicationClosed, context);
                shell.drop_after_flush(CloseCause::ApplicationClosed, context);
            }
            Self::Http3(http3) => {
                http3.abort(CloseCause::ApplicationClosed, None, shell, context);
                shell.leave(ConnectionStage::Gone, CloseCause::ApplicationClosed.verdict().name);
            }
            Self::WebSocket(socket) => socket.close(shell, context),
        }
    }

    /// Closes a connection of an app that was closed, without an event, as every handler of the application has run.
    pub(super) fn handle_app_closed(&mut self, shell: &mut Shell, context: &mut Context) {
        match self {
            Self::Http { .. } => shell.drop_after_flush(CloseCause::AppClosed, context),
            Self::Http2(http2) => {
                http2.write_output(shell, context);
                http2.take_leave(CloseCause::AppClosed, shell, context);
                http2.abort(CloseCause::AppClosed, context);
                shell.drop_after_flush(CloseCause::AppClosed, context);
            }
            Self::Http3(http3) => {
                http3.write_output(shell, context);
                http3.abort(CloseCause::AppClosed, None, shell, context);
                shell.leave(ConnectionStage::Gone, CloseCause::AppClosed.verdict().name);
            }
            Self::WebSocket(socket) => socket.abort(CloseCause::AppClosed, shell, context),
        }
    }

    /// `app.shutdown()`: closes the connection gracefully, a WebSocket with a Close frame. Its close handler has run.
    pub(super) fn shut_down(&mut self, code: u16, reason: &str, shell: &mut Shell, context: &mut Context) {
        match self {
            Self::Http { http, .. } => {
                http.wind_down();
                // In the next pass, after the selector has been polled: a request that has arrived is served.
                context.again.push(shell.id);
            }
            Self::Http2(http2) => {
                http2.wind_down(CloseCause::ServerShutdown, reason, shell, context);
                context.again.push(shell.id);
            }
            Self::Http3(http3) => {
                http3.wind_down(CloseCause::ServerShutdown, reason, shell, context);
                context.again.push(shell.id);
            }
            Self::WebSocket(socket) => {
                socket.end(CloseCause::ServerShutdown, code, reason.as_bytes(), shell, context);
            }
        }
    }

    /// Counts a connection whose peer is no longer served. Node's thread counts WebSockets itself.
    pub(super) fn count_ended(&self, shell: &Shell, context: &Context) {
        match self {
            Self::Http { .. } | Self::Http2(_) | Self::Http3(_) => shell.tally(context).http_open.sub(1),
            Self::WebSocket(_) => {}
        }
    }

    /// Follows a flush: `left` bytes wait for the kernel now, where the statistics have the number after the last
    /// flush.
    /// Notes that `left` bytes were refused.
    pub(super) fn settle(&mut self, left: usize, shell: &Shell, context: &mut Context) {
        self.update_backlog(left, shell, context);
        if let Self::WebSocket(socket) = self {
            socket.record_backlog(left);
        }
    }

    fn update_backlog(&mut self, left: usize, shell: &Shell, context: &mut Context) {
        let left = left as u64;
        let before = match self {
            Self::Http { http, .. } => http.replace_backlog(left),
            Self::Http2(http2) => http2.replace_backlog(left),
            Self::Http3(http3) => http3.replace_backlog(left),
            // The ledger is updated next.
            Self::WebSocket(socket) => socket.backlog(),
        };
        if before != left {
            context.tallies.change_backlog(shell.app, before, left);
        }
        if before < left {
            context.budgets.note_growth(shell.app.app);
        }
    }

    /// Subtracts the backlog of a connection that has closed, or becomes a WebSocket, whose ledger starts at 0.
    pub(super) fn subtract_backlog(&mut self, shell: &Shell, context: &Context) {
        let before = match self {
            Self::Http { http, .. } => http.replace_backlog(0),
            Self::Http2(http2) => http2.replace_backlog(0),
            Self::Http3(http3) => http3.replace_backlog(0),
            Self::WebSocket(socket) => socket.backlog(),
        };
        if before > 0 {
            context.tallies.change_backlog(shell.app, before, 0);
        }
    }
}

/// How long the last output of a WebSocket may wait while the kernel takes no byte: the peer has stopped reading.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);
