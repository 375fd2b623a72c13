//! The configuration of an accepted connection, which is known before its first byte.

use std::net::SocketAddr;

use crate::bridge::setup::AppSetup;
use crate::bridge::sync::Arc;
use crate::io::transport::Transport;
use crate::protocol::http::limits::HttpLimits;
use crate::protocol::http2::limits::Http2Limits;
use crate::protocol::proxy::Presence;
use crate::tls::setup::TlsSetup;

/// How to serve an accepted connection.
#[derive(Debug, Default)]
pub(crate) struct ConnectionConfig {
    /// The other end; `None` on a Unix socket.
    pub address: Option<SocketAddr>,
    /// Present if the peer is a trusted proxy, which may or must send a header of the PROXY protocol.
    pub proxy_header: Option<Presence>,
    /// What the app allows its clients.
    pub limits: Arc<HttpLimits>,
    /// The same over HTTP/2; present if the app speaks that.
    pub http2: Option<Arc<Http2Limits>>,
    /// Whether the connection is announced to the filter of its app.
    pub filter: FilterState,
    /// Present if the app uses TLS.
    pub tls: Option<Arc<TlsSetup>>,
}

/// Which events of a connection the filter of its app has received, and which follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FilterState {
    /// Nothing: the app had no filter when the connection was accepted.
    #[default]
    Off,
    /// That it is open, as soon as the client's address is known.
    Pending,
    /// That it is open; its close will be announced.
    Announced,
}

impl ConnectionConfig {
    /// For a connection of an app with this setup. `address` is the peer's; `None` takes it from the transport.
    #[must_use]
    pub(crate) fn new(transport: &Transport, address: Option<SocketAddr>, setup: Option<&AppSetup>) -> Self {
        let address = address.or_else(|| transport.peer());
        let proxy = setup.and_then(|setup| setup.proxy.as_ref());
        let trusted = proxy.filter(|proxy| proxy.trust.includes(transport.origin(address)));
        let limits = setup.map(|setup| Arc::clone(&setup.limits)).unwrap_or_default();
        let watched = setup.is_some_and(|setup| setup.watched);
        let filter = if watched { FilterState::Pending } else { FilterState::Off };
        let tls = setup.and_then(|setup| setup.tls.clone());
        let http2 = setup.and_then(|setup| setup.http2.clone());
        Self { address, proxy_header: trusted.map(|proxy| proxy.presence), limits, http2, filter, tls }
    }

    /// For a connection of QUIC of an app with this setup: TLS is a part of QUIC, and the PROXY protocol has no header for it.
    #[must_use]
    pub(crate) fn of_quic(setup: &AppSetup) -> Self {
        let filter = if setup.watched { FilterState::Pending } else { FilterState::Off };
        Self { filter, ..Self::default() }
    }

    /// The same for a connection whose first request was read elsewhere: the PROXY header and the TLS handshake are
    /// over.
    #[must_use]
    pub(crate) fn taken_over(self) -> Self {
        Self { proxy_header: None, tls: None, http2: None, ..self }
    }
}
