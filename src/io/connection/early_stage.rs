//! The stages that precede the first byte of HTTP on an accepted connection.
//!
//! ```text
//!   accept ─► [ProxyHeader] ─┬─► [TlsHandshake] ─┬─► HTTP/1.1
//!                            └─► [Preface] ──────┴─► HTTP/2
//! ```
//!
//! A handler takes the stage by value and returns what comes next.

use std::io;

use super::http::Http;
use super::preface::{AfterPreface, PrefaceStage};
use super::proxy_header::{AfterProxyHeader, ProxyHeaderStage};
use super::shell::Shell;
use super::spoken::Spoken;
use super::stage::ConnectionStage;
use super::tls_handshake::{AfterHandshake, TlsHandshake};
use crate::bridge::sync::Arc;
use crate::io::context::Context;
use crate::io::room::Standing;
use crate::protocol::cause::Cause;
use crate::protocol::http2::limits::Http2Limits;
use crate::protocol::proxy::Presence;
use crate::protocol::time::Timestamp;
use crate::tls::fault::TlsFault;

/// A stage before HTTP; see the top of this file.
#[derive(Debug)]
pub(super) enum EarlyStage {
    /// The peer may send a header of the PROXY protocol.
    ProxyHeader(ProxyHeaderStage),
    /// The TLS handshake.
    TlsHandshake(TlsHandshake),
    /// The client may speak HTTP/2.
    Preface(PrefaceStage),
}

/// What comes after a stage, or after a part of it.
#[derive(Debug)]
pub(super) enum Next {
    /// Another stage, or the rest of the same one.
    Early(EarlyStage),
    /// HTTP/1.1, or nothing.
    Http,
    /// HTTP/2.
    Http2 {
        /// What the app allows its clients.
        limits: Arc<Http2Limits>,
        /// Its first bytes.
        input: Vec<u8>,
    },
}

impl EarlyStage {
    /// The first stage of a connection.
    pub(super) fn first(
        header: Option<Presence>,
        spoken: Spoken,
        shell: &mut Shell,
        now: Timestamp,
    ) -> Option<Self> {
        match header {
            Some(presence) => Some(Self::ProxyHeader(ProxyHeaderStage::new(presence, spoken))),
            None => Self::after_header(spoken, &mut Vec::new(), shell, now),
        }
    }

    /// The stage after the PROXY header, if there is one. Consumes `early`, what was read behind that, if it is TLS.
    fn after_header(spoken: Spoken, early: &mut Vec<u8>, shell: &mut Shell, now: Timestamp) -> Option<Self> {
        match spoken {
            Spoken { tls: Some(tls), http2 } => {
                let handshake = TlsHandshake::start(tls, http2, std::mem::take(early), shell, now);
                Some(Self::TlsHandshake(handshake))
            }
            Spoken { tls: None, http2: Some(limits) } => Some(Self::Preface(PrefaceStage::new(limits))),
            Spoken { tls: None, http2: None } => None,
        }
    }

    /// Whether the client's address is known.
    pub(super) const fn knows_client(&self) -> bool {
        matches!(self, Self::TlsHandshake(_) | Self::Preface(_))
    }

    /// Whether closing the connection would lose nothing.
    pub(super) const fn is_idle(&self) -> bool {
        match self {
            Self::ProxyHeader(header) => header.is_silent(),
            Self::TlsHandshake(_) => true,
            Self::Preface(preface) => preface.is_silent(),
        }
    }

    /// Whether a TLS handshake is under way.
    pub(super) const fn is_handshaking(&self) -> bool {
        match self {
            Self::ProxyHeader(_) | Self::Preface(_) => false,
            Self::TlsHandshake(handshake) => handshake.is_under_way(),
        }
    }

    /// What would be lost by closing the connection.
    pub(super) const fn standing(&self) -> Standing {
        match self {
            Self::ProxyHeader(header) => header.standing(),
            Self::TlsHandshake(handshake) => handshake.standing(),
            Self::Preface(preface) => preface.standing(),
        }
    }

    /// When [`Self::handle_deadline`] is due.
    pub(super) fn deadline(&self, http: &Http) -> Option<Timestamp> {
        match self {
            Self::ProxyHeader(_) | Self::Preface(_) => http.deadline(),
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
    ) -> Next {
        match self {
            Self::ProxyHeader(header) => match header.handle_input(input, http, shell, context) {
                AfterProxyHeader::ProxyHeader(header) => Next::Early(Self::ProxyHeader(header)),
                AfterProxyHeader::Complete { spoken, mut rest } => {
                    let next = Self::after_header(spoken, &mut rest, shell, context.now);
                    match next {
                        Some(stage) if rest.is_empty() => Next::Early(stage),
                        Some(stage) => stage.handle_input(&rest, http, shell, context),
                        None => {
                            if !rest.is_empty() {
                                http.handle_input(&mut rest, shell, context);
                            }
                            Next::Http
                        }
                    }
                }
            },
            // TLS yields no bytes before its handshake is complete.
            Self::TlsHandshake(_) => Next::Early(self),
            Self::Preface(preface) => match preface.handle_input(input, http, shell, context) {
                AfterPreface::Preface(preface) => Next::Early(Self::Preface(preface)),
                AfterPreface::Http => Next::Http,
                AfterPreface::Http2 { limits, input } => Next::Http2 { limits, input },
            },
        }
    }

    /// Follows every read of the transport, whether or not it yielded bytes.
    pub(super) fn handle_read(self, http: &mut Http, shell: &mut Shell, context: &mut Context) -> Next {
        match self {
            Self::ProxyHeader(_) | Self::Preface(_) => Next::Early(self),
            Self::TlsHandshake(handshake) => match handshake.handle_read(http, shell, context) {
                AfterHandshake::TlsHandshake(handshake) => Next::Early(Self::TlsHandshake(handshake)),
                AfterHandshake::Http => Next::Http,
                AfterHandshake::Http2(limits) => Next::Http2 { limits, input: Vec::new() },
            },
        }
    }

    /// Restarts the handshake timeout, after Node's thread has handled a server name.
    pub(super) fn restart_clock(&mut self, now: Timestamp) {
        match self {
            Self::ProxyHeader(_) | Self::Preface(_) => {}
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
            Self::ProxyHeader(_) | Self::Preface(_) => {
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
            Self::Preface(_) => false,
        }
    }

    /// Ends the connection after a failed read or write.
    pub(super) fn handle_transport_error(self, error: &io::Error, shell: &mut Shell, context: &mut Context) {
        match self {
            Self::ProxyHeader(_) | Self::Preface(_) => {
                shell.leave(ConnectionStage::Gone, TlsFault::Silent.code());
            }
            Self::TlsHandshake(handshake) => handshake.handle_transport_error(error, shell, context),
        }
    }

    /// Gives the stage up in favour of other connections.
    pub(super) fn abandon(self, cause: &'static str, why: &str, shell: &Shell, context: &Context) {
        match self {
            Self::ProxyHeader(_) | Self::Preface(_) => {}
            Self::TlsHandshake(handshake) => handshake.abandon(cause, why, shell, context),
        }
    }
}
