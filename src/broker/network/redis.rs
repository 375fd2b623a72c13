//! The connections to a Redis or Valkey server: one that publishes, and one that is subscribed.

use std::io;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub, PubSubSink, PubSubStream};
use redis::{AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, RedisError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::guard::{Guard, Verdict};
use crate::broker::cause::{BrokerCause, BrokerFailure};
use crate::broker::url::{BrokerUrl, Place};
use crate::tls::client;

/// Both connections.
pub(super) struct Connections {
    /// Publishes.
    pub publisher: MultiplexedConnection,
    /// Subscribes.
    pub sink: PubSubSink,
    /// The messages.
    pub stream: PubSubStream,
    /// Why the server was cut off, if it was.
    pub verdict: Verdict,
}

/// A byte stream to a server.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Makes both connections, authenticated.
///
/// # Errors
/// Why that is not possible.
pub(super) async fn connect(url: &BrokerUrl) -> Result<Connections, BrokerFailure> {
    let late = |_| BrokerFailure::new(BrokerCause::Timeout, "connecting takes too long");
    timeout(CONNECT_TIMEOUT, async {
        let first = dial(&url.place).await?;
        let second = dial(&url.place).await?;
        establish(first, second, url).await
    })
    .await
    .map_err(late)?
}

/// Makes the connections of two byte streams.
async fn establish(
    first: Box<dyn Stream>,
    second: Box<dyn Stream>,
    url: &BrokerUrl,
) -> Result<Connections, BrokerFailure> {
    let verdict = Verdict::default();
    let mut info = RedisConnectionInfo::default();
    if let Some(user) = &url.user {
        info = info.set_username(user);
    }
    if let Some(password) = &url.password {
        info = info.set_password(password);
    }
    let failed = |error: RedisError| failure_of(&error, &verdict);
    let pubsub = PubSub::new(&info, Guard::new(first, Verdict::clone(&verdict))).await.map_err(failed)?;
    let guard = Guard::new(second, Verdict::clone(&verdict));
    let config = AsyncConnectionConfig::new();
    let publisher = MultiplexedConnection::new_with_config(&info, guard, config).await;
    let (mut publisher, driver) = publisher.map_err(failed)?;
    tokio::spawn(driver);
    publisher.set_response_timeout(RESPONSE_TIMEOUT);
    let (sink, stream) = pubsub.split();
    Ok(Connections { publisher, sink, stream, verdict })
}

async fn dial(place: &Place) -> Result<Box<dyn Stream>, BrokerFailure> {
    let failed = |error: io::Error| BrokerFailure::new(BrokerCause::Connect, error);
    match place {
        Place::Tcp { host, port, is_secure } => {
            let stream = TcpStream::connect((&**host, *port)).await.map_err(failed)?;
            // A message must not wait for the acknowledgement of the one before.
            stream.set_nodelay(true).map_err(failed)?;
            if *is_secure { secure(host, stream).await } else { Ok(Box::new(stream)) }
        }
        #[cfg(unix)]
        Place::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await.map_err(failed)?)),
        #[cfg(not(unix))]
        Place::Unix(_) => Err(failed(io::ErrorKind::Unsupported.into())),
    }
}

async fn secure(host: &str, stream: TcpStream) -> Result<Box<dyn Stream>, BrokerFailure> {
    let failed = |detail: String| BrokerFailure::new(BrokerCause::Tls, detail);
    let name =
        host.to_owned().try_into().map_err(|_| failed("the host is no name of a server".to_owned()))?;
    let config = tokio::task::spawn_blocking(client::without_protocols).await;
    let config = config.map_err(|error| failed(error.to_string()))?;
    let config = config.map_err(|error| failed(error.to_string()))?;
    let stream = TlsConnector::from(config).connect(name, stream).await;
    Ok(Box::new(stream.map_err(|error| failed(error.to_string()))?))
}

/// What an error of the client means.
pub(super) fn failure_of(error: &RedisError, verdict: &Verdict) -> BrokerFailure {
    if let Some(failure) = verdict.get() {
        return failure.clone();
    }
    let is_refusal = matches!(error.kind(), ErrorKind::AuthenticationFailed)
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
    let cause = match error {
        _ if is_refusal => BrokerCause::Auth,
        error if error.is_timeout() => BrokerCause::Timeout,
        error if error.is_connection_dropped() || error.is_io_error() => BrokerCause::Closed,
        error if matches!(error.kind(), ErrorKind::Parse) => BrokerCause::Protocol,
        _ => BrokerCause::Refused,
    };
    BrokerFailure::new(cause, error)
}

/// How long connecting and authenticating may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the server may take to answer.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
