//! The TLS handshake, which comes before the first byte of HTTP, and the faults of TLS before and after its end.

use super::{Connection, Protocol, Stage};
use crate::bridge::event::{Event, Slice};
use crate::bridge::sync::Arc;
use crate::bridge::tls_peer::TlsPeerInfo;
use crate::io::context::Context;
use crate::io::transport::cause_of;
use crate::protocol::cause::Cause;
use crate::protocol::time::Timestamp;
use crate::tls::fault::{TlsFault, encode_plain_http_answer};
use crate::tls::session::TlsSession;
use crate::tls::setup::Admission;

/// A handshake that is to come or under way.
#[derive(Debug)]
pub struct Handshake {
    pub(super) admission: Admission,
    /// When it has failed, if it is not complete; set when it begins.
    until: Option<Timestamp>,
}

impl Handshake {
    /// One that is to come.
    pub const fn new(admission: Admission) -> Self {
        Self { admission, until: None }
    }

    pub const fn deadline(&self) -> Option<Timestamp> {
        self.until
    }

    /// The whole time for it runs from now on.
    fn restart_clock(&mut self, now: Timestamp) {
        self.until = self.admission.setup.limits.timeout.map(|timeout| now + timeout);
    }
}

impl Connection {
    /// Speaks TLS from now on, if it is to. `early` is what has been read of it.
    pub(super) fn begin_handshake(&mut self, early: Vec<u8>, now: Timestamp) {
        if let Protocol::Http(http) = &mut self.protocol
            && let Some(handshake) = &mut http.handshake
        {
            handshake.restart_clock(now);
            self.transport.secure(Arc::clone(&handshake.admission.setup), early);
        }
    }

    /// Whether the connection is to speak TLS, and cannot be used yet.
    pub(super) fn is_handshaking(&self) -> bool {
        matches!(&self.protocol, Protocol::Http(http) if http.handshake.is_some())
    }

    /// Something was read: sees whether the handshake is complete. The time for the first request begins then.
    pub(super) fn conclude_handshake(&mut self, now: Timestamp) {
        let Protocol::Http(http) = &mut self.protocol else { return };
        let Some(tls) = self.transport.session().and_then(|session| session.connection()) else { return };
        if tls.is_handshaking() {
            return;
        }
        http.handshake = None;
        let is_resumed = self.transport.session().is_some_and(|session| session.is_resumed());
        http.restart_clock(now);
        let domain = self.transport.session().and_then(|session| session.domain());
        let certificate = tls.peer_certificates().and_then(|chain| chain.first());
        if domain.is_some() || certificate.is_some() {
            let certificate = certificate.map(|certificate| certificate.as_ref().into());
            http.tls_peer = Some(Arc::new(TlsPeerInfo { domain, certificate }));
        }
        tracing::debug!(
            version = tls.protocol_version().and_then(|it| it.as_str()),
            suite = tls.negotiated_cipher_suite().and_then(|it| it.suite().as_str()),
            name = tls.server_name(),
            resumed = is_resumed,
            "TLS handshake complete"
        );
    }

    /// A handshake counts among those under way once its client has said anything.
    pub(super) fn count_handshake(&mut self, context: &mut Context) {
        let has_begun = self.transport.session().is_some_and(|session| session.has_begun());
        if let Protocol::Http(http) = &mut self.protocol
            && let Some(handshake) = http.handshake.as_mut().filter(|_| has_begun)
            && handshake.admission.begin()
        {
            context.crowded.push(self.app);
        }
    }

    /// Tells Node's thread if the handshake waits for a server name.
    pub(super) fn ask_for_name(&mut self, context: &mut Context) {
        if let Some(name) = self.transport.take_question() {
            self.restart_handshake_clock(context.now);
            let name = Slice::append(&mut context.events.bytes, name.as_bytes());
            let (connection, app) = (self.id, self.app);
            context.emit(Event::ServerNameWanted { connection, app, name });
        }
    }

    /// `Command::ResumeHandshake`: goes on with whatever answers to the name now.
    pub fn resume_handshake(&mut self, context: &mut Context) {
        if self.is_serving() && self.transport.resume() {
            self.restart_handshake_clock(context.now);
            context.again.push(self.id);
        }
    }

    /// Somebody else is waited for than until now: the application has its own time to say who answers to a name, and the
    /// client is not late meanwhile.
    fn restart_handshake_clock(&mut self, now: Timestamp) {
        if let Protocol::Http(http) = &mut self.protocol
            && let Some(handshake) = &mut http.handshake
        {
            handshake.restart_clock(now);
        }
    }

    /// The time for the handshake is up.
    pub(super) fn handle_handshake_timeout(&mut self, context: &mut Context) {
        self.fail_handshake("ERR_TLS_HANDSHAKE_TIMEOUT", &"the time for the handshake is up", context);
    }

    /// Reading or writing has failed.
    pub(super) fn handle_transport_error(&mut self, error: &std::io::Error, context: &mut Context) {
        match TlsFault::of(error) {
            // A health check, mostly: many of them reset the connection as soon as it is there.
            None if self.is_handshaking()
                && self.is_serving()
                && self.transport.session().is_none_or(TlsSession::is_silent) =>
            {
                self.leave(Stage::Gone, TlsFault::Silent.code());
            }
            None if self.is_handshaking() && self.is_serving() => {
                self.fail_handshake(cause_of(error).verdict().name, error, context);
                self.stage = Stage::Gone;
            }
            None => self.die(cause_of(error), context),
            Some(fault) if self.is_handshaking() && self.is_serving() => {
                self.handle_handshake_fault(fault, context);
            }
            Some(fault) => self.handle_fault(fault, context),
        }
    }

    fn handle_handshake_fault(&mut self, fault: &TlsFault, context: &mut Context) {
        match fault {
            // Nothing has gone wrong.
            TlsFault::Silent => self.leave(Stage::Gone, fault.code()),
            TlsFault::PlainHttp => {
                self.transport.fall_back_to_plaintext();
                encode_plain_http_answer(&context.date, self.outbox.tail(&mut context.pool));
                self.fail_handshake(fault.code(), fault, context);
            }
            TlsFault::Abandoned
            | TlsFault::Truncated
            | TlsFault::Alert(_)
            | TlsFault::ProxyHeader
            | TlsFault::KeysExhausted
            | TlsFault::NotTls
            | TlsFault::Invalid(_) => {
                self.fail_handshake(fault.code(), fault, context);
            }
        }
    }

    /// There will be no connection. An alert that says why may be on its way.
    fn fail_handshake(&mut self, cause: &'static str, why: &dyn std::fmt::Display, context: &mut Context) {
        let Protocol::Http(http) = &mut self.protocol else { return };
        if http.handshake.take().is_some() {
            self.tally(context).tls_handshake_failures.add(1);
            tracing::warn!(cause, reason = %why, "TLS handshake failed");
        }
        self.drain(cause, context);
    }

    /// The TLS of an open connection is broken. Nobody can read any more what waits to be sent; but an alert that says why
    /// goes out in good order.
    fn handle_fault(&mut self, fault: &TlsFault, context: &mut Context) {
        let cause = fault.cause();
        if self.is_serving() && matches!(fault, TlsFault::Invalid(_)) {
            tracing::warn!(cause = cause.verdict().name, rule = %fault, "peer broke a rule of TLS");
        }
        // By an alert, or at least that it is the end.
        let is_told_why =
            matches!(fault, TlsFault::Invalid(_) | TlsFault::KeysExhausted) && self.is_serving();
        self.die(cause, context);
        if is_told_why {
            self.outbox = super::Outbox::default();
            self.stage = Stage::Draining;
            self.progress = context.now;
            self.mark_dirty(context);
        }
    }
}
