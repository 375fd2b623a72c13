//! The header of the PROXY protocol: a trusted proxy names the client at the start of the connection.

use super::http::Http;
use super::shell::Shell;
use super::spoken::Spoken;
use crate::bridge::tally::RefusalCause;
use crate::io::context::Context;
use crate::io::room::Standing;
use crate::protocol::cause::Cause;
use crate::protocol::proxy::{Presence, ProxyError, ProxyHeader, read_proxy_header};

/// The stage in which the peer may, or must, send a PROXY header. HTTP receives no byte before its end, so the timeout
/// of the first request, which starts at the accept, covers the header too.
#[derive(Debug)]
pub(super) struct ProxyHeaderStage {
    presence: Presence,
    /// The bytes of the header so far.
    received: Vec<u8>,
    /// What follows.
    spoken: Spoken,
}

/// The stage after some input.
#[derive(Debug)]
pub(super) enum AfterProxyHeader {
    /// The header is incomplete, or was refused.
    ProxyHeader(ProxyHeaderStage),
    /// The header is complete.
    Complete {
        /// What follows.
        spoken: Spoken,
        /// The client's bytes behind the header.
        rest: Vec<u8>,
    },
}

impl ProxyHeaderStage {
    /// A header of which no byte has arrived.
    pub(super) const fn new(presence: Presence, spoken: Spoken) -> Self {
        Self { presence, received: Vec::new(), spoken }
    }

    /// Whether a TLS handshake follows.
    pub(super) const fn precedes_tls(&self) -> bool {
        self.spoken.tls.is_some()
    }

    /// Whether no byte has arrived.
    pub(super) const fn is_silent(&self) -> bool {
        self.received.is_empty()
    }

    /// What would be lost with the connection.
    pub(super) const fn standing(&self) -> Standing {
        if self.is_silent() { Standing::Silent } else { Standing::Opening }
    }

    /// Takes bytes that were read.
    pub(super) fn handle_input(
        mut self,
        input: &[u8],
        http: &mut Http,
        shell: &mut Shell,
        context: &mut Context,
    ) -> AfterProxyHeader {
        self.received.extend_from_slice(input);
        match read_proxy_header(&self.received) {
            Ok(ProxyHeader::Partial) => AfterProxyHeader::ProxyHeader(self),
            Ok(ProxyHeader::Absent) => match self.presence {
                Presence::Optional => self.finish(http, shell, context),
                Presence::Required => self.refuse(ProxyError::Missing, shell, context),
            },
            Ok(ProxyHeader::Complete { len, client }) => {
                self.received.drain(..len);
                http.peer.proxied = client;
                tracing::debug!(client = client.map(tracing::field::display), "PROXY header received");
                self.finish(http, shell, context)
            }
            Err(error) => self.refuse(error, shell, context),
        }
    }

    /// The client is known. The bytes behind the header are the client's.
    fn finish(self, http: &Http, shell: &mut Shell, context: &mut Context) -> AfterProxyHeader {
        shell.announce_opened(http.peer, context);
        AfterProxyHeader::Complete { spoken: self.spoken, rest: self.received }
    }

    fn refuse(self, error: ProxyError, shell: &mut Shell, context: &mut Context) -> AfterProxyHeader {
        tracing::warn!(cause = error.code(), rule = %error, "peer broke a rule of the PROXY protocol");
        error.encode_answer(&context.date, shell.outbox.tail(&mut context.pool));
        shell.tally(context).count_refusal(RefusalCause::Proxy(error));
        shell.drain(error.code(), context);
        AfterProxyHeader::ProxyHeader(self)
    }
}
