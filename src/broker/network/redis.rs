//! The connections to a Redis or Valkey server: one that publishes, and one that is subscribed.

use std::future::Future;
use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::{MultiplexedConnection, PubSub, PubSubSink, PubSubStream};
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, Msg, RedisConnectionInfo, RedisError, RedisResult,
    Value,
};
use tokio::time::timeout;

#[cfg(unix)]
use super::dial;
use super::dial::{Endpoint, Stream};
use super::guard::{Guard, Verdict};
use super::lead::Lead;
use super::parcel::{Outcome, Parcel, RESPONSE_TIMEOUT, Reply};
use crate::broker::cause::{BrokerCause, BrokerFailure};
use crate::broker::redis_url::RedisUser;
use crate::broker::url::{BrokerUrl, Place};

/// Both connections.
pub(super) struct Connections {
    publisher: Publisher,
    /// Subscribes.
    sink: PubSubSink,
    /// The messages.
    stream: PubSubStream,
    /// Why the server was cut off, if it was.
    verdict: Verdict,
    /// With sentinels: where the master is that these lead to, and whether it is one still.
    lead: Option<Lead>,
}

/// A connection that publishes, and asks.
#[derive(Clone)]
pub(super) struct Publisher {
    connection: MultiplexedConnection,
    /// Why the server was cut off, if it was.
    verdict: Verdict,
}

/// Makes both connections to the server of a url, authenticated.
///
/// # Errors
/// Why that is not possible.
pub(super) async fn connect(url: &BrokerUrl) -> Result<Connections, BrokerFailure> {
    let dial = async || match &url.place {
        Place::Tcp { address, is_secure } => Endpoint::given(address, *is_secure).dial().await,
        #[cfg(unix)]
        Place::Unix(path) => dial::unix(path).await,
        _ => Err(BrokerFailure::new(BrokerCause::Connect, io::Error::from(io::ErrorKind::Unsupported))),
    };
    in_time(async { establish(dial().await?, dial().await?, &url.user).await }).await
}

/// Makes both connections to one server among others, authenticated.
///
/// # Errors
/// Why that is not possible.
pub(super) async fn connect_to(endpoint: &Endpoint, user: &RedisUser) -> Result<Connections, BrokerFailure> {
    in_time(async { establish(endpoint.dial().await?, endpoint.dial().await?, user).await }).await
}

/// The result of connecting, unless it takes too long.
///
/// # Errors
/// It does.
pub(super) async fn in_time<T>(
    connecting: impl Future<Output = Result<T, BrokerFailure>>,
) -> Result<T, BrokerFailure> {
    let late = |_| Err(BrokerFailure::new(BrokerCause::Timeout, "connecting takes too long"));
    timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or_else(late)
}

/// Makes the connections of two byte streams.
///
/// # Errors
/// Why that is not possible.
pub(super) async fn establish(
    first: Box<dyn Stream>,
    second: Box<dyn Stream>,
    user: &RedisUser,
) -> Result<Connections, BrokerFailure> {
    let verdict = Verdict::default();
    let failed = |error: RedisError| failure_of(&error, &verdict);
    let guard = Guard::new(first, Verdict::clone(&verdict));
    let pubsub = PubSub::new(&info(user), guard).await.map_err(failed)?;
    let publisher = Publisher::over(second, user, Verdict::clone(&verdict)).await?;
    let (sink, stream) = pubsub.split();
    Ok(Connections { publisher, sink, stream, verdict, lead: None })
}

impl Publisher {
    /// A connection over a stream, authenticated.
    ///
    /// # Errors
    /// Why that is not possible.
    pub(super) async fn new(stream: Box<dyn Stream>, user: &RedisUser) -> Result<Self, BrokerFailure> {
        Self::over(stream, user, Verdict::default()).await
    }

    async fn over(
        stream: Box<dyn Stream>,
        user: &RedisUser,
        verdict: Verdict,
    ) -> Result<Self, BrokerFailure> {
        let guard = Guard::new(stream, Verdict::clone(&verdict));
        let config = AsyncConnectionConfig::new();
        let connection = MultiplexedConnection::new_with_config(&info(user), guard, config).await;
        let (mut connection, driver) = connection.map_err(|error| failure_of(&error, &verdict))?;
        tokio::spawn(driver);
        connection.set_response_timeout(RESPONSE_TIMEOUT);
        Ok(Self { connection, verdict })
    }

    /// Asks the server something.
    pub(super) fn ask<T: FromRedisValue + Send + 'static>(&self, question: &Cmd) -> Reply<T> {
        let (mut connection, question) = (self.connection.clone(), question.clone());
        answered(&self.verdict, async move { question.query_async(&mut connection).await })
    }

    /// Publishes by a command; the result has the answer to each parcel.
    pub(super) fn send<'p>(
        &self,
        command: &str,
        parcels: impl Iterator<Item = &'p Parcel>,
    ) -> Reply<Vec<Value>> {
        let mut pipeline = redis::pipe();
        for parcel in parcels {
            pipeline.cmd(command).arg(&parcel.channel).arg(&parcel.bytes);
        }
        let (mut connection, count) = (self.connection.clone(), pipeline.len());
        answered(&self.verdict, async move { connection.send_packed_commands(&pipeline, 0, count).await })
    }

    /// What an answer means.
    pub(super) fn outcome(&self, answer: Value) -> Outcome {
        match answer {
            Value::ServerError(error) => {
                Outcome::Refused(failure_of(&RedisError::from(error), &self.verdict))
            }
            Value::Int(receivers) => Outcome::Taken { receivers: u64::try_from(receivers).ok() },
            _ => Outcome::Taken { receivers: None },
        }
    }
}

fn info(user: &RedisUser) -> RedisConnectionInfo {
    let mut info = RedisConnectionInfo::default();
    if let Some(name) = &user.name {
        info = info.set_username(name);
    }
    if let Some(password) = &user.password {
        info = info.set_password(password);
    }
    info
}

impl Connections {
    /// Publishes; the result has an outcome for each parcel.
    pub(super) fn publish(&self, parcels: &[Parcel]) -> Reply<Vec<Outcome>> {
        let (answers, publisher) = (self.publisher.send("PUBLISH", parcels.iter()), self.publisher.clone());
        Box::pin(
            async move { Ok(answers.await?.into_iter().map(|answer| publisher.outcome(answer)).collect()) },
        )
    }

    /// Subscribes channels.
    pub(super) fn subscribe(&self, channels: Vec<Vec<u8>>) -> Reply<()> {
        let mut sink = self.sink.clone();
        answered(&self.verdict, async move { sink.subscribe(channels).await })
    }

    /// Unsubscribes channels.
    pub(super) fn unsubscribe(&self, channels: Vec<Vec<u8>>) -> Reply<()> {
        let mut sink = self.sink.clone();
        answered(&self.verdict, async move { sink.unsubscribe(channels).await })
    }

    /// Asks whether the server is there, by both connections; with sentinels also whether it is a master.
    pub(super) fn ping(&self) -> Reply<()> {
        let mut sink = self.sink.clone();
        let subscriber = answered(&self.verdict, async move { sink.ping::<Value>().await });
        let publisher = self.publisher.ask::<Value>(&redis::cmd("PING"));
        let role = self.lead.as_ref().map(|_| self.role());
        Box::pin(async move {
            subscriber.await?;
            publisher.await?;
            match role {
                Some(role) => role.await,
                None => Ok(()),
            }
        })
    }

    /// An error unless the server is a master, as far as it says what it is.
    pub(super) fn role(&self) -> Reply<()> {
        let mut connection = self.publisher.connection.clone();
        let role = answered(&self.verdict, async move {
            match redis::cmd("ROLE").query_async::<Value>(&mut connection).await {
                // Who may not ask has to trust the sentinels.
                Err(error) if error.code() == Some("NOPERM") => Ok(None),
                role => role.map(Some),
            }
        });
        Box::pin(async move {
            let is_master = |role: &Value| matches!(role, Value::Array(parts) if matches!(parts.first(), Some(Value::BulkString(name)) if name == b"master"));
            match role.await? {
                Some(role) if !is_master(&role) => {
                    Err(BrokerFailure::new(BrokerCause::Master, "the server is a replica"))
                }
                _ => Ok(()),
            }
        })
    }

    /// Asks the server something.
    pub(super) fn ask<T: FromRedisValue + Send + 'static>(&self, question: &Cmd) -> Reply<T> {
        self.publisher.ask(question)
    }

    /// From now on they end when there is another master.
    pub(super) fn follow(self, lead: Lead) -> Self {
        Self { lead: Some(lead), ..self }
    }

    /// Where the master is, if sentinels have said so.
    pub(super) fn master(&self) -> Option<String> {
        self.lead.as_ref().map(Lead::master)
    }

    /// Waits for the next message; `None` at the end. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Option<Msg> {
        let Some(lead) = &mut self.lead else { return self.stream.next().await };
        tokio::select! {
            // What the old master still had comes first.
            biased;
            message = self.stream.next() => message,
            failure = lead.lost() => {
                self.verdict.get_or_init(|| failure);
                None
            }
        }
    }

    /// Why they have ended.
    pub(super) fn failure(&self) -> BrokerFailure {
        let closed = || BrokerFailure::new(BrokerCause::Closed, "the broker has closed the connection");
        self.verdict.get().cloned().unwrap_or_else(closed)
    }
}

/// The answer of a server, if it comes in time.
fn answered<T>(verdict: &Verdict, reply: impl Future<Output = RedisResult<T>> + Send + 'static) -> Reply<T> {
    let verdict = Verdict::clone(verdict);
    Box::pin(async move {
        match timeout(RESPONSE_TIMEOUT, reply).await {
            Ok(reply) => reply.map_err(|error| failure_of(&error, &verdict)),
            Err(_) => Err(BrokerFailure::new(BrokerCause::Timeout, "the broker does not answer")),
        }
    })
}

/// What an error of the client means.
fn failure_of(error: &RedisError, verdict: &Verdict) -> BrokerFailure {
    if let Some(failure) = verdict.get() {
        return failure.clone();
    }
    let cause = match error {
        _ if matches!(error.kind(), ErrorKind::AuthenticationFailed) => BrokerCause::Auth,
        error if error.is_timeout() => BrokerCause::Timeout,
        error if error.is_connection_dropped() || error.is_io_error() => BrokerCause::Closed,
        error if matches!(error.kind(), ErrorKind::Parse) => BrokerCause::Protocol,
        _ => cause_of(error.code().unwrap_or_default()),
    };
    BrokerFailure::new(cause, error)
}

/// What an error of the server means.
pub(super) fn cause_of(code: &str) -> BrokerCause {
    match code {
        "NOAUTH" | "WRONGPASS" | "NOPERM" => BrokerCause::Auth,
        _ => BrokerCause::Refused,
    }
}

/// How long connecting and authenticating may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
