//! The stages that precede the first byte of HTTP on an accepted connection.
//!
//! ```text
//!   accept ─► [ProxyHeader] ─► [TlsHandshake] ─► HTTP
//! ```
//!
//! A handler takes the stage by value and returns the next one; `None` means that HTTP follows.

use std::io;

use super::http::Http;
use super::proxy_header::{Next, ProxyHeaderStage};
use super::shell::Shell;
use super::stage::ConnectionStage;
use super::tls_handshake::TlsHandshake;
use crate::io::context::Context;
use crate::io::room::Standing;
use crate::protocol::cause::Cause;
use crate::protocol::proxy::Presence;
use crate::protocol::time::Timestamp;
use crate::tls::fault::TlsFault;
use crate::tls::setup::Admission;

/// A stage before HTTP; see the top of this file.
#[derive(Debug)]
pub(super) enum EarlyStage {
    /// The peer may send a header of the PROXY protocol.
    ProxyHeader(ProxyHeaderStage),
    /// The TLS handshake.
    TlsHandshake(TlsHandshake),
}

impl EarlyStage {
    /// The first stage of a connection: with a PROXY header or without, with TLS or without.
    pub(super) fn first(
        header: Option<Presence>,
        tls: Option<Admission>,
        shell: &mut Shell,
        now: Timestamp,
    ) -> Option<Self> {
        match (header, tls) {
            (Some(presence), tls) => Some(Self::ProxyHeader(ProxyHeaderStage::new(presence, tls))),
            (None, Some(tls)) => Some(Self::TlsHandshake(TlsHandshake::start(tls, Vec::new(), shell, now))),
            (None, None) => None,
        }
    }

    /// Whether the client's address is known.
    pub(super) const fn knows_client(&self) -> bool {
        matches!(self, Self::TlsHandshake(_))
    }

    /// Whether closing the connection would lose nothing.
    pub(super) const fn is_idle(&self) -> bool {
        match self {
            Self::ProxyHeader(header) => header.is_silent(),
            Self::TlsHandshake(_) => true,
        }
    }

    /// Whether a TLS handshake is under way.
    pub(super) const fn is_handshaking(&self) -> bool {
        match self {
            Self::ProxyHeader(_) => false,
            Self::TlsHandshake(handshake) => handshake.is_under_way(),
        }
    }

    /// What would be lost by closing the connection.
    pub(super) const fn standing(&self) -> Standing {
        match self {
            Self::ProxyHeader(header) => header.standing(),
            Self::TlsHandshake(handshake) => handshake.standing(),
        }
    }

    /// When [`Self::handle_deadline`] is due.
    pub(super) fn deadline(&self, http: &Http) -> Option<Timestamp> {
        match self {
            Self::ProxyHeader(_) => http.deadline(),
            Self::TlsHandshake(handshake) => handshake.deadline(),
        }
    }

    /// Takes bytes that were read.
    pub(super) fn handle_input(
        self,
        input: &[u8],
        http: &mut Http,
        shell: &mut Shell,
        context: &mut Context,
    ) -> Option<Self> {
        match self {
            Self::ProxyHeader(header) => match header.handle_input(input, http, shell, context) {
                Next::ProxyHeader(header) => Some(Self::ProxyHeader(header)),
                Next::TlsHandshake(handshake) => Some(Self::TlsHandshake(handshake)),
                Next::Http => None,
            },
            // TLS yields no bytes before its handshake is complete.
            Self::TlsHandshake(_) => Some(self),
        }
    }

    /// Follows every read of the transport, whether or not it yielded bytes.
    pub(super) fn handle_read(
        self,
        http: &mut Http,
        shell: &mut Shell,
        context: &mut Context,
    ) -> Option<Self> {
        match self {
            Self::ProxyHeader(_) => Some(self),
            Self::TlsHandshake(handshake) => {
                handshake.handle_read(http, shell, context).map(Self::TlsHandshake)
            }
        }
    }

    /// Restarts the handshake timeout, after Node's thread has handled a server name.
    pub(super) fn restart_clock(&mut self, now: Timestamp) {
        match self {
            Self::ProxyHeader(_) => {}
            Self::TlsHandshake(handshake) => handshake.restart_clock(now),
        }
    }

    /// Acts on [`Self::deadline`].
    pub(super) fn handle_deadline(
        self,
        http: &mut Http,
        shell: &mut Shell,
        context: &mut Context,
    ) -> Option<Self> {
        match self {
            Self::ProxyHeader(_) => {
                http.handle_deadline(shell, context);
                Some(self)
            }
            Self::TlsHandshake(handshake) => {
                handshake.handle_deadline(shell, context);
                None
            }
        }
    }

    /// Whether [`Self::handle_transport_error`] takes failed reads and writes: until the TLS handshake is complete.
    pub(super) const fn handles_errors(&self) -> bool {
        match self {
            Self::ProxyHeader(header) => header.precedes_tls(),
            Self::TlsHandshake(_) => true,
        }
    }

    /// Ends the connection after a failed read or write.
    pub(super) fn handle_transport_error(self, error: &io::Error, shell: &mut Shell, context: &mut Context) {
        match self {
            Self::ProxyHeader(_) => shell.leave(ConnectionStage::Gone, TlsFault::Silent.code()),
            Self::TlsHandshake(handshake) => handshake.handle_transport_error(error, shell, context),
        }
    }

    /// Gives the stage up in favour of other connections.
    pub(super) fn abandon(self, cause: &'static str, why: &str, shell: &Shell, context: &Context) {
        match self {
            Self::ProxyHeader(_) => {}
            Self::TlsHandshake(handshake) => handshake.abandon(cause, why, shell, context),
        }
    }
}
