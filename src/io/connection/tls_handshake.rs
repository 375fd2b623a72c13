//! The TLS handshake, which comes before the first byte of HTTP.

use std::fmt::Display;
use std::io;

use super::http::Http;
use super::shell::Shell;
use super::stage::Stage;
use crate::bridge::event::{Event, Slice};
use crate::bridge::sync::Arc;
use crate::bridge::tls_peer::TlsPeerInfo;
use crate::io::context::Context;
use crate::io::room::Standing;
use crate::io::transport::cause_of;
use crate::protocol::cause::Cause;
use crate::protocol::time::Timestamp;
use crate::tls::fault::{TlsFault, encode_plain_http_answer};
use crate::tls::session::TlsSession;
use crate::tls::setup::Admission;

/// A handshake that is to come or under way.
#[derive(Debug)]
pub struct TlsHandshake {
    admission: Admission,
    /// When it has failed, if it is not complete.
    until: Option<Timestamp>,
}

impl TlsHandshake {
    /// Speaks TLS from now on. `early` is what has been read of it.
    pub fn start(admission: Admission, early: Vec<u8>, shell: &mut Shell, now: Timestamp) -> Self {
        shell.transport.secure(Arc::clone(&admission.setup), early);
        let mut handshake = Self { admission, until: None };
        handshake.restart_clock(now);
        handshake
    }

    /// When it has failed.
    pub const fn deadline(&self) -> Option<Timestamp> {
        self.until
    }

    /// Whether the client has sent anything.
    pub const fn is_under_way(&self) -> bool {
        self.admission.has_begun()
    }

    /// What would be lost with the connection.
    pub const fn standing(&self) -> Standing {
        if self.is_under_way() { Standing::Opening } else { Standing::Silent }
    }

    /// The whole time for it runs from now on: somebody else is waited for than until now. The application has its own
    /// time to say who answers to a name, and the client is not late meanwhile.
    pub fn restart_clock(&mut self, now: Timestamp) {
        self.until = self.admission.setup.limits.timeout.map(|timeout| now + timeout);
    }

    /// The transport was read. Returns the handshake unless it is complete.
    pub fn handle_read(mut self, http: &mut Http, shell: &mut Shell, context: &mut Context) -> Option<Self> {
        self.count_started(shell, context);
        if conclude(http, shell, context.now) {
            return None;
        }
        self.ask_for_name(shell, context);
        Some(self)
    }

    /// A handshake counts among those under way once its client has sent anything.
    fn count_started(&mut self, shell: &Shell, context: &mut Context) {
        if shell.transport.session().is_some_and(TlsSession::has_begun) && self.admission.begin() {
            context.crowded.push(shell.app);
        }
    }

    /// Asks Node's thread if the handshake waits for a server name.
    fn ask_for_name(&mut self, shell: &mut Shell, context: &mut Context) {
        if let Some(name) = shell.transport.take_question() {
            self.restart_clock(context.now);
            let name = Slice::append(&mut context.events.bytes, name.as_bytes());
            context.emit(Event::ServerNameWanted { connection: shell.id, app: shell.app, name });
        }
    }

    /// The moment of [`Self::deadline`] has come.
    pub fn time_out(self, shell: &mut Shell, context: &mut Context) {
        self.fail("ERR_TLS_HANDSHAKE_TIMEOUT", &"the time for the handshake is up", shell, context);
    }

    /// Reading or writing has failed.
    pub fn handle_transport_error(self, error: &io::Error, shell: &mut Shell, context: &mut Context) {
        match TlsFault::of(error) {
            // A health check, mostly: many of them reset the connection as soon as it is there.
            None if shell.transport.session().is_none_or(TlsSession::is_silent) => {
                shell.leave(Stage::Gone, TlsFault::Silent.code());
            }
            None => {
                self.fail(cause_of(error).verdict().name, error, shell, context);
                shell.stage = Stage::Gone;
            }
            Some(fault) => self.handle_fault(fault, shell, context),
        }
    }

    fn handle_fault(self, fault: &TlsFault, shell: &mut Shell, context: &mut Context) {
        match fault {
            // Nothing has gone wrong.
            TlsFault::Silent => shell.leave(Stage::Gone, fault.code()),
            TlsFault::PlainHttp => {
                shell.transport.fall_back_to_plaintext();
                encode_plain_http_answer(&context.date, shell.outbox.tail(&mut context.pool));
                self.fail(fault.code(), fault, shell, context);
            }
            TlsFault::Abandoned
            | TlsFault::Truncated
            | TlsFault::Alert(_)
            | TlsFault::ProxyHeader
            | TlsFault::KeysExhausted
            | TlsFault::NotTls
            | TlsFault::Invalid(_) => self.fail(fault.code(), fault, shell, context),
        }
    }

    /// There will be no connection. An alert that says why may be on its way.
    fn fail(self, cause: &'static str, why: &dyn Display, shell: &mut Shell, context: &mut Context) {
        count_failure(cause, why, shell, context);
        shell.drain(cause, context);
    }

    /// Ends the connection, as others need its room. It counts as failed if the client has sent anything.
    pub fn abandon(self, cause: &'static str, why: &str, shell: &Shell, context: &Context) {
        if self.is_under_way() {
            count_failure(cause, &why, shell, context);
        }
    }
}

fn count_failure(cause: &'static str, why: &dyn Display, shell: &Shell, context: &Context) {
    shell.tally(context).tls_handshake_failures.add(1);
    tracing::warn!(cause, reason = %why, "TLS handshake failed");
}

/// Returns whether the handshake is complete. The time for the first request runs from then on.
fn conclude(http: &mut Http, shell: &Shell, now: Timestamp) -> bool {
    let Some(session) = shell.transport.session() else { return false };
    let Some(tls) = session.connection().filter(|tls| !tls.is_handshaking()) else { return false };
    http.restart_clock(now);
    let domain = session.domain();
    let certificate = tls.peer_certificates().and_then(|chain| chain.first());
    if domain.is_some() || certificate.is_some() {
        let certificate = certificate.map(|certificate| certificate.as_ref().into());
        http.tls_peer = Some(Arc::new(TlsPeerInfo { domain, certificate }));
    }
    tracing::debug!(
        version = tls.protocol_version().and_then(|it| it.as_str()),
        suite = tls.negotiated_cipher_suite().and_then(|it| it.suite().as_str()),
        name = tls.server_name(),
        resumed = session.is_resumed(),
        "TLS handshake complete"
    );
    true
}
