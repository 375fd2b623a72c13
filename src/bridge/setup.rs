//! The setup of an app, which a worker needs before it serves a connection of it.

use std::time::Duration;

use super::id::AppId;
use super::sync::Arc;
use super::tally::Tally;
use super::tcp::TcpOptions;
use crate::protocol::http::forwarded::ForwardedField;
use crate::protocol::http::limits::HttpLimits;
use crate::protocol::http2::limits::Http2Limits;
use crate::protocol::http3::limits::Http3Limits;
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
    /// HTTP/3; `None` for an app that does not speak it.
    pub http3: Option<Arc<Http3Setup>>,
    /// Whether it accepts connections of TCP. Only an app that speaks HTTP/3 alone does not.
    pub speaks_tcp: bool,
    /// Bytes of output that may wait on all its connections together (`maxBufferedOutput`); 0 is no limit.
    pub max_buffered_output: u64,
    /// Peers that may send a header of the PROXY protocol; none by default.
    pub proxy: Option<ProxySetup>,
    /// TCP keep-alive and timeout of its connections.
    pub tcp: TcpOptions,
    /// The TLS configuration of its connections; `None` for an app without TLS.
    pub tls: Option<Arc<TlsSetup>>,
}

/// The option `http3` of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Http3Setup {
    /// What it allows its clients.
    pub limits: Http3Limits,
    /// After what time a connection is lost on which nothing arrives (RFC 9000 §10.1); `None` for never. Default 30 s.
    pub idle_timeout: Option<Duration>,
    /// Whether every client has to show that it receives at its address before it costs a handshake (RFC 9000 §8.1.2), and
    /// not only when there are many. Default no.
    pub always_retry: bool,
    /// Whether a client may go on from another address (RFC 9000 §9). Default yes.
    pub migration: bool,
}

impl Default for Http3Setup {
    fn default() -> Self {
        Self {
            limits: Http3Limits::default(),
            idle_timeout: Some(Duration::from_secs(30)),
            always_retry: false,
            migration: true,
        }
    }
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
