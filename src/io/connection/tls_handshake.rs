//! The TLS handshake, which precedes the first byte of HTTP.

use std::fmt::Display;
use std::io;

use super::http::Http;
use super::shell::Shell;
use super::stage::ConnectionStage;
use crate::bridge::event::{Event, Slice};
use crate::bridge::sync::Arc;
use crate::bridge::tls_peer::TlsPeerInfo;
use crate::io::context::Context;
use crate::io::room::Standing;
use crate::io::transport::cause_of;
use crate::protocol::cause::Cause;
use crate::protocol::http2::limits::Http2Limits;
use crate::protocol::time::Timestamp;
use crate::tls::fault::{TlsFault, encode_plain_http_answer};
use crate::tls::session::TlsSession;
use crate::tls::setup::Admission;

/// A handshake that is expected or under way.
#[derive(Debug)]
pub(super) struct TlsHandshake {
    admission: Admission,
    /// Present if the client may choose HTTP/2.
    http2: Option<Arc<Http2Limits>>,
    /// When the handshake fails unless it is complete.
    until: Option<Timestamp>,
}

/// The handshake after a read.
#[derive(Debug)]
pub(super) enum AfterHandshake {
    /// It is expected or under way.
    TlsHandshake(TlsHandshake),
    /// It is complete, and the client has chosen HTTP/1.1 or nothing.
    Http,
    /// It is complete, and the client has chosen HTTP/2, which is allowed this.
    Http2(Arc<Http2Limits>),
}

impl TlsHandshake {
    /// Starts TLS on the transport. `early` are its first bytes, which have been read already.
    pub(super) fn start(
        admission: Admission,
        http2: Option<Arc<Http2Limits>>,
        early: Vec<u8>,
        shell: &mut Shell,
        now: Timestamp,
    ) -> Self {
        shell.transport.secure(Arc::clone(&admission.setup), early);
        let mut handshake = Self { admission, http2, until: None };
        handshake.restart_clock(now);
        handshake
    }

    /// When the handshake fails unless it is complete.
    pub(super) const fn deadline(&self) -> Option<Timestamp> {
        self.until
    }

    /// Whether the client has sent anything.
    pub(super) const fn is_under_way(&self) -> bool {
        self.admission.has_started()
    }

    /// What would be lost with the connection.
    pub(super) const fn standing(&self) -> Standing {
        if self.is_under_way() { Standing::Opening } else { Standing::Silent }
    }

    /// Restarts the handshake timeout. The application has the whole time to choose a certificate for a server name,
    /// and the client has it again afterwards.
    pub(super) fn restart_clock(&mut self, now: Timestamp) {
        self.until = self.admission.setup.limits.timeout.map(|timeout| now + timeout);
    }

    /// Follows every read of the transport. Returns the handshake, or if it is complete what the client has chosen.
    pub(super) fn handle_read(
        mut self,
        http: &mut Http,
        shell: &mut Shell,
        context: &mut Context,
    ) -> AfterHandshake {
        self.count_started(shell, context);
        let Some(protocol) = complete_handshake(http, shell, context.now) else {
            self.request_certificate(shell, context);
            return AfterHandshake::TlsHandshake(self);
        };
        match (protocol, self.http2) {
            (Protocol::Http2, Some(limits)) => AfterHandshake::Http2(limits),
            (Protocol::Http2 | Protocol::Http, _) => AfterHandshake::Http,
        }
    }

    /// Counts the handshake among those under way once its client has sent a byte.
    fn count_started(&mut self, shell: &Shell, context: &mut Context) {
        if shell.transport.session().is_some_and(TlsSession::has_started) && self.admission.start() {
            context.crowded.push(shell.app);
        }
    }

    /// Asks Node's thread for the certificate of a server name, if the handshake is suspended for that.
    fn request_certificate(&mut self, shell: &mut Shell, context: &mut Context) {
        if let Some(name) = shell.transport.take_unknown_server_name() {
            self.restart_clock(context.now);
            let name = Slice::append(&mut context.events.bytes, name.as_bytes());
            context.emit(Event::ServerNameRequested { connection: shell.id, app: shell.app, name });
        }
    }

    /// Acts on [`Self::deadline`].
    pub(super) fn handle_deadline(self, shell: &mut Shell, context: &mut Context) {
        self.fail("ERR_TLS_HANDSHAKE_TIMEOUT", &"the time for the handshake is up", shell, context);
    }

    /// Ends the connection after a failed read or write.
    pub(super) fn handle_transport_error(self, error: &io::Error, shell: &mut Shell, context: &mut Context) {
        match TlsFault::of(error) {
            // Usually a health check: many of them reset the connection as soon as it is established.
            None if shell.transport.session().is_none_or(TlsSession::is_silent) => {
                shell.leave(ConnectionStage::Gone, TlsFault::Silent.code());
            }
            None => {
                self.fail(cause_of(error).verdict().name, error, shell, context);
                shell.stage = ConnectionStage::Gone;
            }
            Some(fault) => self.handle_fault(fault, shell, context),
        }
    }

    fn handle_fault(self, fault: &TlsFault, shell: &mut Shell, context: &mut Context) {
        match fault {
            // The client closed the connection without sending a byte, which is no failure.
            TlsFault::Silent => shell.leave(ConnectionStage::Gone, fault.code()),
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

    /// Ends the connection after sending the TLS alert, if there is one.
    fn fail(self, cause: &'static str, why: &dyn Display, shell: &mut Shell, context: &mut Context) {
        count_failure(cause, why, shell, context);
        shell.drain(cause, context);
    }

    /// Gives the handshake up in favour of others. It counts as failed if the client has sent a byte.
    pub(super) fn abandon(self, cause: &'static str, why: &str, shell: &Shell, context: &Context) {
        if self.is_under_way() {
            count_failure(cause, &why, shell, context);
        }
    }
}

fn count_failure(cause: &'static str, why: &dyn Display, shell: &Shell, context: &Context) {
    shell.tally(context).tls_handshake_failures.add(1);
    tracing::warn!(cause, reason = %why, "TLS handshake failed");
}

/// What a client has chosen by ALPN (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// HTTP/1.1, or nothing.
    Http,
    /// HTTP/2.
    Http2,
}

/// Returns what the client has chosen if the handshake is complete. Then the time for the first request starts.
fn complete_handshake(http: &mut Http, shell: &Shell, now: Timestamp) -> Option<Protocol> {
    let session = shell.transport.session()?;
    let tls = session.negotiated().filter(|tls| !tls.is_handshaking())?;
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
        name = session.server_name(),
        resumed = session.is_resumed(),
        protocol = tls.alpn_protocol().map(|name| tracing::field::display(String::from_utf8_lossy(name))),
        "TLS handshake complete"
    );
    Some(if tls.alpn_protocol() == Some(b"h2") { Protocol::Http2 } else { Protocol::Http })
}
