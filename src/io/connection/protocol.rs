//! What is spoken on a connection. Each event is passed here, and nowhere else, to the side that it concerns.
//!
//! ```text
//!   accept ─► early stages, if any ─► Http ─ Command::Upgrade ─► WebSocket ◄─ connect
//! ```
//!
//! The early stages stand in front of HTTP rather than in its place, because its clocks run from the accept: the time for
//! the first request, the pace of output that waits, the number of bytes that do.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::early_stage::EarlyStage;
use super::http::Http;
use super::shell::Shell;
use super::stage::Stage;
use super::websocket::WebSocket;
use crate::io::context::Context;
use crate::io::room::Standing;
use crate::io::transport::cause_of;
use crate::protocol::cause::CloseCause;
use crate::protocol::time::Timestamp;
use crate::tls::fault::TlsFault;

/// See the top of the file.
#[derive(Debug)]
pub enum Protocol {
    /// HTTP/1.1, as every accepted connection starts.
    Http {
        /// What comes first, until it is over.
        early: Option<EarlyStage>,
        /// Boxed, because a WebSocket is smaller.
        http: Box<Http>,
    },
    /// WebSocket, after an upgrade or to a server.
    WebSocket(WebSocket),
}

impl Protocol {
    /// Bytes of input that would be of use now. When this is no longer 0, the connection must be looked at again.
    pub fn room(&self, shell: &Shell) -> usize {
        match self {
            _ if shell.transport.is_suspended() => 0,
            Self::WebSocket(socket) if shell.last_look.is_under_way() => socket.last_look_room(),
            _ if shell.is_outbox_full() => 0,
            Self::Http { http, .. } => http.room(),
            Self::WebSocket(socket) => socket.room(),
        }
    }

    /// Whether what is read may turn into much more.
    pub fn inflates(&self) -> bool {
        match self {
            Self::Http { .. } => false,
            Self::WebSocket(socket) => socket.inflates(),
        }
    }

    /// Whether nothing would be lost by dropping a connection that is served.
    pub fn is_idle(&self) -> bool {
        match self {
            Self::Http { early, http } => http.is_idle() && early.as_ref().is_none_or(EarlyStage::is_idle),
            Self::WebSocket(_) => false,
        }
    }

    /// Whether a TLS handshake is under way.
    pub fn is_handshaking(&self) -> bool {
        match self {
            Self::Http { early, .. } => early.as_ref().is_some_and(EarlyStage::is_handshaking),
            Self::WebSocket(_) => false,
        }
    }

    /// Who the client is, as far as that is known.
    pub fn client(&self) -> Option<SocketAddr> {
        match self {
            Self::Http { http, .. } => http.peer.proxied.or(http.peer.address),
            Self::WebSocket(_) => None,
        }
    }

    /// What would be lost with a connection that is served, and since when its peer is waited for; `None` if a request or
    /// a WebSocket is under way.
    pub fn standing(&self, shell: &Shell) -> Option<(Standing, Timestamp)> {
        let Self::Http { early, http } = self else { return None };
        let standing = match early {
            Some(early) => early.standing(),
            None => http.standing(shell)?,
        };
        Some((standing, http.waits_since()?))
    }

    /// Whether FIN is ours to send, as nearly always: a client leaves that to the server (RFC 6455 §7.1.1), and sends its
    /// own after it, when the socket is dropped.
    pub fn leaves_first(&self) -> bool {
        match self {
            Self::Http { .. } => true,
            Self::WebSocket(socket) => socket.leaves_first(),
        }
    }

    /// Whether a peer that takes a byte now and then is waited for. One that was closed for reading too slowly has used up
    /// our patience: what it does not take within [`STALL_TIMEOUT`] is thrown away.
    pub fn may_take_its_time(&self) -> bool {
        match self {
            Self::Http { .. } => true,
            Self::WebSocket(socket) => !socket.is_limited(),
        }
    }

    /// The moment by which something has to happen, or else [`Self::handle_deadline`] acts; on a connection that is
    /// served or drained.
    pub fn deadline(&self, shell: &Shell) -> Option<Timestamp> {
        match self {
            // What the peer owes may be among the input that waits.
            Self::Http { http, .. } if !shell.is_serving() || shell.is_starved => http.writing_deadline(),
            Self::Http { early: Some(early), http } => early.deadline(http),
            Self::Http { early: None, http } => http.deadline(),
            Self::WebSocket(_) if !shell.is_serving() => Some(shell.progress + STALL_TIMEOUT),
            Self::WebSocket(_) if shell.is_starved => None,
            Self::WebSocket(socket) => socket.deadline(),
        }
    }

    /// A client is not late with a request while it is not read.
    pub fn settle_clock(&mut self, shell: &Shell, now: Timestamp) {
        if shell.is_serving()
            && let Self::Http { http, .. } = self
        {
            http.set_unread(shell.is_starved || shell.is_outbox_full(), now);
        }
    }

    /// Announces an accepted connection to Node's thread, if its app has a filter and it is known who the client is.
    pub fn announce_opened(&self, shell: &mut Shell, context: &mut Context) {
        if let Self::Http { early, http } = self
            && early.as_ref().is_none_or(EarlyStage::knows_client)
        {
            shell.announce_opened(http.peer, context);
        }
    }

    /// The transport was read, whether or not anything came of it.
    pub fn handle_read(&mut self, shell: &mut Shell, context: &mut Context) {
        if let Self::Http { early: early @ Some(_), http } = self {
            *early = early.take().and_then(|stage| stage.handle_read(http, shell, context));
        }
    }

    /// Bytes have come of it.
    pub fn handle_input(&mut self, input: &mut [u8], shell: &mut Shell, context: &mut Context) {
        if !shell.is_serving() {
            return;
        }
        match self {
            Self::Http { early: early @ Some(_), http } => {
                *early = early.take().and_then(|stage| stage.handle_input(input, http, shell, context));
            }
            Self::Http { early: None, http } => http.handle_input(input, shell, context),
            Self::WebSocket(socket) => socket.handle_input(input, shell, context),
        }
    }

    /// The peer has sent FIN.
    pub fn handle_fin(&mut self, shell: &mut Shell, context: &mut Context) {
        match self {
            Self::Http { http, .. } if shell.is_serving() && http.owes_response() => {
                http.handle_fin(shell, context);
            }
            // It closed its own direction only, as far as anybody knows: what it was answered, it may still read.
            Self::Http { .. } if shell.is_serving() && shell.has_output() => {
                shell.drain(CloseCause::PeerClosed.verdict().name, context);
            }
            Self::Http { .. } => self.fail(CloseCause::FinBeforeResponse, shell, context),
            Self::WebSocket(socket) if shell.is_serving() => socket.handle_fin(shell, context),
            Self::WebSocket(_) => self.fail(CloseCause::FinWithoutClose, shell, context),
        }
    }

    /// The moment of [`Self::deadline`] has come, on a connection that is served.
    pub fn handle_deadline(&mut self, shell: &mut Shell, context: &mut Context) {
        match self {
            Self::Http { early: early @ Some(_), http } => {
                *early = early.take().and_then(|stage| stage.handle_deadline(http, shell, context));
            }
            Self::Http { early: None, http } => http.handle_deadline(shell, context),
            Self::WebSocket(socket) => socket.handle_deadline(shell, context),
        }
    }

    /// The connection was flushed: so much waited before, and so much does now.
    pub fn handle_flush(&mut self, before: usize, left: usize, shell: &mut Shell, context: &mut Context) {
        self.count_backlog(left, shell, context);
        match self {
            Self::Http { http, .. } => http.handle_flush(before, left, shell, context),
            Self::WebSocket(socket) => socket.handle_flush(before, left, shell, context),
        }
        if Shell::has_made_room(before, left) {
            if let Self::Http { early: None, http } = self
                && shell.is_serving()
            {
                http.read_pending(shell, context);
            }
            context.again.push(shell.id);
        }
        if shell.is_serving() && shell.is_tls_worn() {
            self.leave_worn(shell, context);
        }
    }

    /// The keys of TLS are nearly used up: ends what is served in good order while that can still be sealed. Whatever does
    /// not end by then is cut off.
    #[cold]
    fn leave_worn(&mut self, shell: &mut Shell, context: &mut Context) {
        match self {
            // There is time for another request, whose response says that it is the last one.
            Self::Http { http, .. } => http.wind_down(),
            Self::WebSocket(socket) => socket.ask_to_reconnect(CloseCause::TlsKeysExhausted, shell, context),
        }
    }

    /// Ends a connection that is winding down if nothing is under way. To be called when the socket has been looked at.
    pub fn leave_if_idle(&mut self, shell: &mut Shell, context: &mut Context) {
        if let Self::Http { http, .. } = self {
            http.leave_if_idle(shell, context);
        }
    }

    /// Reading or writing has failed.
    pub fn handle_transport_error(&mut self, error: &io::Error, shell: &mut Shell, context: &mut Context) {
        if shell.is_serving()
            && let Self::Http { early, .. } = self
            && let Some(stage) = early.take_if(|stage| stage.handles_errors())
        {
            return stage.handle_transport_error(error, shell, context);
        }
        match TlsFault::of(error) {
            None => self.fail(cause_of(error), shell, context),
            Some(fault) => self.handle_fault(fault, shell, context),
        }
    }

    /// The TLS of an open connection is broken. Nobody can read any more what waits to be sent; but an alert that says why
    /// goes out in good order.
    fn handle_fault(&mut self, fault: &TlsFault, shell: &mut Shell, context: &mut Context) {
        let cause = fault.cause();
        if shell.is_serving() && matches!(fault, TlsFault::Invalid(_)) {
            tracing::warn!(cause = cause.verdict().name, rule = %fault, "peer broke a rule of TLS");
        }
        // By an alert, or at least that it is the end.
        let is_told_why =
            matches!(fault, TlsFault::Invalid(_) | TlsFault::KeysExhausted) && shell.is_serving();
        self.fail(cause, shell, context);
        if is_told_why {
            shell.drain_alert(context);
        }
    }

    /// The transport is of no use any more: tells the application if it does not know, and gives the socket up.
    pub fn fail(&mut self, cause: CloseCause, shell: &mut Shell, context: &mut Context) {
        let mut logged = cause;
        if shell.is_serving() {
            match self {
                Self::Http { http, .. } => {
                    if cause == CloseCause::FinBeforeResponse && !http.owes_response() {
                        logged = CloseCause::PeerClosed;
                    }
                    http.abort(cause, shell, context);
                }
                Self::WebSocket(socket) => socket.handle_transport_end(cause, shell, context),
            }
        }
        shell.leave(Stage::Gone, logged.verdict().name);
    }

    /// Others need the room of a connection on which nothing, or only a handshake, is under way.
    pub fn give_way(&mut self, cause: &'static str, why: &str, shell: &mut Shell, context: &Context) {
        if let Self::Http { early, .. } = self
            && let Some(stage) = early.take()
        {
            stage.abandon(cause, why, shell, context);
        }
        shell.leave(Stage::Gone, cause);
    }

    /// `Command::ResumeHandshake`: goes on with whatever answers to the server name now.
    pub fn resume_handshake(&mut self, shell: &mut Shell, context: &mut Context) {
        if shell.is_serving() && shell.transport.resume() {
            if let Self::Http { early: Some(early), .. } = self {
                early.restart_clock(context.now);
            }
            context.again.push(shell.id);
        }
    }

    /// `Command::CloseConnection`: the application knows and every handler has run.
    pub fn close(&mut self, shell: &mut Shell, context: &mut Context) {
        match self {
            Self::Http { .. } => shell.drop_after_flush(CloseCause::ApplicationClosed, context),
            Self::WebSocket(socket) => socket.close(shell, context),
        }
    }

    /// The app was closed; the application knows and every handler has run.
    pub fn handle_app_closed(&mut self, shell: &mut Shell, context: &mut Context) {
        match self {
            Self::Http { .. } => shell.drop_after_flush(CloseCause::AppClosed, context),
            Self::WebSocket(socket) => socket.abort(CloseCause::AppClosed, shell, context),
        }
    }

    /// `app.shutdown()`: the connection is to end in good order. A WebSocket is told, and the application knows.
    pub fn shut_down(&mut self, code: u16, reason: &str, shell: &mut Shell, context: &mut Context) {
        match self {
            Self::Http { http, .. } => {
                http.wind_down();
                // In the next pass, behind the runtime's look at the sockets: a request that has arrived is served.
                context.again.push(shell.id);
            }
            Self::WebSocket(socket) => {
                socket.end(CloseCause::ServerShutdown, code, reason.as_bytes(), shell, context);
            }
        }
    }

    /// Counts a connection that no longer serves its peer. Of WebSockets Node's thread keeps count.
    pub fn count_ended(&self, shell: &Shell, context: &Context) {
        match self {
            Self::Http { .. } => shell.tally(context).http_open.sub(1),
            Self::WebSocket(_) => {}
        }
    }

    /// After a flush: `left` bytes wait for the kernel, and so far those of the last flush are counted.
    fn count_backlog(&mut self, left: usize, shell: &Shell, context: &mut Context) {
        let left = left as u64;
        let before = match self {
            Self::Http { http, .. } => http.replace_backlog(left),
            // Its ledger is about to have them.
            Self::WebSocket(socket) => socket.backlog(),
        };
        if before != left {
            context.tallies.change_backlog(shell.app, before, left);
        }
        if before < left {
            context.budgets.note_growth(shell.app.app);
        }
    }

    /// The connection is gone, or becomes a WebSocket whose ledger knows of nothing yet.
    pub fn subtract_backlog(&mut self, shell: &Shell, context: &Context) {
        let before = match self {
            Self::Http { http, .. } => http.replace_backlog(0),
            Self::WebSocket(socket) => socket.backlog(),
        };
        if before > 0 {
            context.tallies.change_backlog(shell.app, before, 0);
        }
    }
}

/// How long the last output of a WebSocket may wait without the kernel taking a byte: the peer has stopped reading.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);
