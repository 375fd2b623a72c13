//! The first bytes of a trusted peer, which may say for whom it speaks.

use super::http::Http;
use super::shell::Shell;
use super::tls_handshake::TlsHandshake;
use crate::bridge::tally::RefusalCause;
use crate::io::context::Context;
use crate::io::room::Standing;
use crate::protocol::cause::Cause;
use crate::protocol::proxy::{Presence, ProxyError, ProxyHeader as Header, read_proxy_header};
use crate::tls::setup::Admission;

/// A header of the PROXY protocol that the peer may, or has to, send first. Nothing reaches HTTP before, so the time for
/// the first request, counted from the accept, is the time for the header, too.
#[derive(Debug)]
pub struct ProxyHeader {
    presence: Presence,
    /// What has come of it.
    received: Vec<u8>,
    /// Present if TLS follows.
    tls: Option<Admission>,
}

/// What comes after some input.
#[derive(Debug)]
pub enum Next {
    /// The rest of the header, unless it was refused.
    ProxyHeader(ProxyHeader),
    /// A handshake.
    TlsHandshake(TlsHandshake),
    /// Requests.
    Http,
}

impl ProxyHeader {
    /// A header of which nothing has come yet.
    pub const fn new(presence: Presence, tls: Option<Admission>) -> Self {
        Self { presence, received: Vec::new(), tls }
    }

    /// Whether TLS follows.
    pub const fn precedes_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether nothing has come of it.
    pub const fn is_silent(&self) -> bool {
        self.received.is_empty()
    }

    /// What would be lost with the connection.
    pub const fn standing(&self) -> Standing {
        if self.is_silent() { Standing::Silent } else { Standing::Opening }
    }

    /// Bytes have been read.
    pub fn handle_input(
        mut self,
        input: &[u8],
        http: &mut Http,
        shell: &mut Shell,
        context: &mut Context,
    ) -> Next {
        self.received.extend_from_slice(input);
        match read_proxy_header(&self.received) {
            Ok(Header::Partial) => Next::ProxyHeader(self),
            Ok(Header::Absent) => match self.presence {
                Presence::Optional => self.finish(http, shell, context),
                Presence::Required => self.refuse(ProxyError::Missing, shell, context),
            },
            Ok(Header::Complete { len, client }) => {
                self.received.drain(..len);
                http.peer.proxied = client;
                tracing::debug!(client = client.map(tracing::field::display), "PROXY header received");
                self.finish(http, shell, context)
            }
            Err(error) => self.refuse(error, shell, context),
        }
    }

    /// The client is known now. What is left, and what comes from now on, is its own.
    fn finish(self, http: &mut Http, shell: &mut Shell, context: &mut Context) -> Next {
        let Self { received: mut rest, tls, .. } = self;
        shell.announce_opened(http.peer, context);
        if let Some(admission) = tls {
            return Next::TlsHandshake(TlsHandshake::start(admission, rest, shell, context.now));
        }
        if !rest.is_empty() {
            http.handle_input(&mut rest, shell, context);
        }
        Next::Http
    }

    fn refuse(self, error: ProxyError, shell: &mut Shell, context: &mut Context) -> Next {
        tracing::warn!(cause = error.code(), rule = %error, "peer broke a rule of the PROXY protocol");
        error.encode_answer(&context.date, shell.outbox.tail(&mut context.pool));
        shell.tally(context).count_refusal(RefusalCause::Proxy(error));
        shell.drain(error.code(), context);
        Next::ProxyHeader(self)
    }
}
