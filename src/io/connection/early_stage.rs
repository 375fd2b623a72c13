//! What comes before the first byte of HTTP on an accepted connection.
//!
//! ```text
//!   accept ─► [ProxyHeader] ─► [TlsHandshake] ─► HTTP
//! ```
//!
//! Each stage takes itself and an event, and returns what comes next; `None` is HTTP, whose clocks have run since the accept.

use std::io;

use super::http::Http;
use super::proxy_header::{Next, ProxyHeader};
use super::shell::Shell;
use super::stage::Stage;
use super::tls_handshake::TlsHandshake;
use crate::io::context::Context;
use crate::io::room::Standing;
use crate::protocol::cause::Cause;
use crate::protocol::proxy::Presence;
use crate::protocol::time::Timestamp;
use crate::tls::fault::TlsFault;
use crate::tls::setup::Admission;

/// See the top of the file.
#[derive(Debug)]
pub enum EarlyStage {
    /// The peer may say for whom it speaks.
    ProxyHeader(ProxyHeader),
    /// TLS is being agreed upon.
    TlsHandshake(TlsHandshake),
}

impl EarlyStage {
    /// The first stage of a connection on which these are to come.
    pub fn first(
        header: Option<Presence>,
        tls: Option<Admission>,
        shell: &mut Shell,
        now: Timestamp,
    ) -> Option<Self> {
        match (header, tls) {
            (Some(presence), tls) => Some(Self::ProxyHeader(ProxyHeader::new(presence, tls))),
            (None, Some(tls)) => Some(Self::TlsHandshake(TlsHandshake::start(tls, Vec::new(), shell, now))),
            (None, None) => None,
        }
    }

    /// Whether it is known who the client is.
    pub const fn knows_client(&self) -> bool {
        matches!(self, Self::TlsHandshake(_))
    }

    /// Whether nothing would be lost by dropping the connection.
    pub const fn is_idle(&self) -> bool {
        match self {
            Self::ProxyHeader(header) => header.is_silent(),
            Self::TlsHandshake(_) => true,
        }
    }

    /// Whether a TLS handshake is under way.
    pub const fn is_handshaking(&self) -> bool {
        match self {
            Self::ProxyHeader(_) => false,
            Self::TlsHandshake(handshake) => handshake.is_under_way(),
        }
    }

    /// What would be lost with the connection.
    pub const fn standing(&self) -> Standing {
        match self {
            Self::ProxyHeader(header) => header.standing(),
            Self::TlsHandshake(handshake) => handshake.standing(),
        }
    }

    /// When [`Self::handle_deadline`] is due.
    pub fn deadline(&self, http: &Http) -> Option<Timestamp> {
        match self {
            Self::ProxyHeader(_) => http.deadline(),
            Self::TlsHandshake(handshake) => handshake.deadline(),
        }
    }

    /// Bytes have been read.
    pub fn handle_input(
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
            // Nothing comes out of TLS before it is agreed upon.
            Self::TlsHandshake(_) => Some(self),
        }
    }

    /// The transport was read, whether or not anything came of it.
    pub fn handle_read(self, http: &mut Http, shell: &mut Shell, context: &mut Context) -> Option<Self> {
        match self {
            Self::ProxyHeader(_) => Some(self),
            Self::TlsHandshake(handshake) => {
                handshake.handle_read(http, shell, context).map(Self::TlsHandshake)
            }
        }
    }

    /// Node's thread has been asked for a server name.
    pub fn restart_clock(&mut self, now: Timestamp) {
        match self {
            Self::ProxyHeader(_) => {}
            Self::TlsHandshake(handshake) => handshake.restart_clock(now),
        }
    }

    /// The moment of [`Self::deadline`] has come.
    pub fn handle_deadline(self, http: &mut Http, shell: &mut Shell, context: &mut Context) -> Option<Self> {
        match self {
            Self::ProxyHeader(_) => {
                http.handle_deadline(shell, context);
                Some(self)
            }
            Self::TlsHandshake(handshake) => {
                handshake.time_out(shell, context);
                None
            }
        }
    }

    /// Whether a broken transport is for [`Self::handle_transport_error`]: before TLS is agreed upon.
    pub const fn handles_errors(&self) -> bool {
        match self {
            Self::ProxyHeader(header) => header.precedes_tls(),
            Self::TlsHandshake(_) => true,
        }
    }

    /// Reading or writing has failed.
    pub fn handle_transport_error(self, error: &io::Error, shell: &mut Shell, context: &mut Context) {
        match self {
            Self::ProxyHeader(_) => shell.leave(Stage::Gone, TlsFault::Silent.code()),
            Self::TlsHandshake(handshake) => handshake.handle_transport_error(error, shell, context),
        }
    }

    /// The connection is about to end, as others need its room.
    pub fn abandon(self, cause: &'static str, why: &str, shell: &Shell, context: &Context) {
        match self {
            Self::ProxyHeader(_) => {}
            Self::TlsHandshake(handshake) => handshake.abandon(cause, why, shell, context),
        }
    }
}
