//! What is settled about a connection before its first byte.

use std::net::SocketAddr;

use crate::bridge::setup::AppSetup;
use crate::bridge::sync::Arc;
use crate::io::transport::Transport;
use crate::protocol::http::limits::HttpLimits;
use crate::protocol::proxy::Presence;
use crate::tls::setup::TlsSetup;

/// See the top of the file.
#[derive(Debug, Default)]
pub struct ConnectionConfig {
    /// The other end; `None` on a Unix socket.
    pub address: Option<SocketAddr>,
    /// Whether the peer is trusted to say for whom it speaks.
    pub proxy_header: Option<Presence>,
    /// What the app allows its clients.
    pub limits: Arc<HttpLimits>,
    /// Whether Node's thread wants to hear of its begin and its end.
    pub filter: FilterState,
    /// Present if TLS is to be spoken.
    pub tls: Option<Arc<TlsSetup>>,
}

/// What Node's thread hears of the connection as such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FilterState {
    /// Nothing: its app has no filter, or had none when the connection was accepted.
    #[default]
    Off,
    /// Its begin, as soon as it is known who the client is.
    Pending,
    /// Its end: the begin has been told.
    Announced,
}

impl ConnectionConfig {
    /// For a connection of an app that is set up like this. `address` is the peer's, where it is known better
    /// than the transport knows it.
    #[must_use]
    pub fn new(transport: &Transport, address: Option<SocketAddr>, setup: Option<&AppSetup>) -> Self {
        let address = address.or_else(|| transport.peer());
        let proxy = setup.and_then(|setup| setup.proxy.as_ref());
        let trusted = proxy.filter(|proxy| proxy.trust.includes(transport.origin(address)));
        let limits = setup.map(|setup| Arc::clone(&setup.limits)).unwrap_or_default();
        let watched = setup.is_some_and(|setup| setup.watched);
        let filter = if watched { FilterState::Pending } else { FilterState::Off };
        let tls = setup.and_then(|setup| setup.tls.clone());
        Self { address, proxy_header: trusted.map(|proxy| proxy.presence), limits, filter, tls }
    }
}
