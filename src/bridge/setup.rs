//! The setup of an app, which a worker needs before it serves a connection of it.

use super::id::AppId;
use super::sync::Arc;
use super::tally::Tally;
use super::tcp::TcpOptions;
use crate::protocol::http::forwarded::ForwardedField;
use crate::protocol::http::limits::HttpLimits;
use crate::protocol::http2::limits::Http2Limits;
use crate::protocol::proxy::{Presence, TrustedPeers};
use crate::tls::setup::TlsSetup;

/// Sent to every worker before the first connection of the app can reach it, and again when it changes. Connections
/// keep the setup with which they were accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AppSetup {
    /// Whether the opening and closing of connections is reported: the app has a connection filter.
    pub watched: bool,
    /// What it allows its clients.
    pub limits: Arc<HttpLimits>,
    /// The same over HTTP/2; `None` for an app that does not speak it.
    pub http2: Option<Arc<Http2Limits>>,
    /// Bytes of output that may wait on all its connections together (`maxBufferedOutput`); 0 is no limit.
    pub max_buffered_output: u64,
    /// Peers that may send a header of the PROXY protocol; none by default.
    pub proxy: Option<ProxySetup>,
    /// TCP keep-alive and timeout of its connections.
    pub tcp: TcpOptions,
    /// The TLS configuration of its connections; `None` for an app without TLS.
    pub tls: Option<Arc<TlsSetup>>,
}

/// The option `proxyProtocol` of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxySetup {
    /// Peers whose headers are read.
    pub trust: TrustedPeers,
    /// Whether they have to send one.
    pub presence: Presence,
    /// The header field in which they note where a request comes from; `None` if none is believed.
    pub forwarded: Option<ForwardedField>,
}

/// The setup of one app.
#[derive(Clone, Debug)]
pub(crate) struct SetupOrder {
    /// Whose it is. Holds for all epochs.
    pub app: AppId,
    /// From now on.
    pub setup: AppSetup,
    /// Its statistics, by the number of the worker. Always the same for an app.
    pub tallies: Arc<[Arc<Tally>]>,
}
