//! The connections to a Redis or Valkey server: one that publishes, and one that is subscribed.

use std::future::Future;
use std::io;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub, PubSubSink, PubSubStream};
use redis::{AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, RedisError, RedisResult, Value};
use tokio::time::timeout;

use super::dial::{self, Stream};
use super::guard::{Guard, Verdict};
use super::parcel::{Outcome, Parcel, RESPONSE_TIMEOUT, Reply};
use crate::broker::cause::{BrokerCause, BrokerFailure};
use crate::broker::url::{BrokerUrl, Place};

/// Both connections.
pub(super) struct Connections {
    /// Publishes.
    publisher: MultiplexedConnection,
    /// Subscribes.
    sink: PubSubSink,
    /// The messages.
    pub stream: PubSubStream,
    /// Why the server was cut off, if it was.
    verdict: Verdict,
}

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
    let unsupported =
        || BrokerFailure::new(BrokerCause::Connect, io::Error::from(io::ErrorKind::Unsupported));
    match place {
        Place::Tcp { host, port, is_secure } => {
            let stream = dial::tcp(host, *port).await?;
            if *is_secure { dial::secure(host, stream).await } else { Ok(stream) }
        }
        #[cfg(unix)]
        Place::Unix(path) => dial::unix(path).await,
        _ => Err(unsupported()),
    }
}

impl Connections {
    /// Publishes; the result has an outcome for each parcel.
    pub(super) fn publish(&self, parcels: &[Parcel]) -> Reply<Vec<Outcome>> {
        let mut pipeline = redis::pipe();
        for parcel in parcels {
            pipeline.cmd("PUBLISH").arg(&parcel.channel).arg(&parcel.bytes);
        }
        let (mut publisher, count) = (self.publisher.clone(), parcels.len());
        let verdict = Verdict::clone(&self.verdict);
        let replies = self.answered(async move { publisher.send_packed_commands(&pipeline, 0, count).await });
        Box::pin(async move {
            let outcome = |reply: Value| match reply {
                Value::ServerError(error) => Outcome::Refused(failure_of(&RedisError::from(error), &verdict)),
                Value::Int(receivers) => Outcome::Taken { receivers: u64::try_from(receivers).ok() },
                _ => Outcome::Taken { receivers: None },
            };
            Ok(replies.await?.into_iter().map(outcome).collect())
        })
    }

    /// Subscribes channels.
    pub(super) fn subscribe(&self, channels: Vec<Vec<u8>>) -> Reply<()> {
        let mut sink = self.sink.clone();
        self.answered(async move { sink.subscribe(channels).await })
    }

    /// Unsubscribes channels.
    pub(super) fn unsubscribe(&self, channels: Vec<Vec<u8>>) -> Reply<()> {
        let mut sink = self.sink.clone();
        self.answered(async move { sink.unsubscribe(channels).await })
    }

    /// Asks whether the server is there, by both connections.
    pub(super) fn ping(&self) -> Reply<()> {
        let (mut sink, mut publisher) = (self.sink.clone(), self.publisher.clone());
        self.answered(async move {
            sink.ping::<Value>().await?;
            redis::cmd("PING").exec_async(&mut publisher).await
        })
    }

    /// Why they have ended.
    pub(super) fn failure(&self) -> BrokerFailure {
        let closed = || BrokerFailure::new(BrokerCause::Closed, "the broker has closed the connection");
        self.verdict.get().cloned().unwrap_or_else(closed)
    }

    fn answered<T>(&self, reply: impl Future<Output = RedisResult<T>> + Send + 'static) -> Reply<T> {
        let verdict = Verdict::clone(&self.verdict);
        Box::pin(async move {
            match timeout(RESPONSE_TIMEOUT, reply).await {
                Ok(reply) => reply.map_err(|error| failure_of(&error, &verdict)),
                Err(_) => Err(BrokerFailure::new(BrokerCause::Timeout, "the broker does not answer")),
            }
        })
    }
}

/// What an error of the client means.
fn failure_of(error: &RedisError, verdict: &Verdict) -> BrokerFailure {
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
