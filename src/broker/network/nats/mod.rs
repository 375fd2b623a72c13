//! A connection to a NATS server.
//!
//! The server confirms nothing that is published. But it handles what it gets in order: so each batch ends with a
//! `PING`, and when the `PONG` is there the batch was handled; errors that came before it are of this batch.
//!
//! - `protocol`: the operations, without sockets.
//! - `driver`: reads and writes the stream, in a task of its own.
//! - `servers`: which servers there are.
//! - `subject`: topics as subjects.

mod driver;
mod protocol;
pub(super) mod servers;
pub(super) mod subject;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use self::driver::{Batch, Driver, Incoming, MAX_RECEIVED, Order};
use self::protocol::{Info, Operation, Parser};
use self::servers::{Candidate, Servers};
use super::channels::{Channels, Source};
use super::dial::{self, Stream};
use super::guard::Verdict;
use super::parcel::{Arrival, Delivery, Outcome, Parcel, RESPONSE_TIMEOUT, Reply};
use crate::broker::cause::{BrokerCause, BrokerFailure};
use crate::broker::header;
use crate::broker::nats_url::{Credentials, NatsServer, NatsUrl, Security};

/// A connection that is authenticated.
pub(super) struct Connection {
    server: NatsServer,
    /// The driver ends when this is gone.
    orders: Option<mpsc::UnboundedSender<Order>>,
    incoming: mpsc::UnboundedReceiver<Batch>,
    /// Bytes that were written.
    written: Arc<AtomicU64>,
    /// Bytes that may arrive before more is handed on.
    room: Arc<Semaphore>,
    /// What gets free when `received` is empty.
    weight: usize,
    /// What was received and not yet handed on.
    received: VecDeque<Incoming>,
    /// Why the connection has ended.
    verdict: Verdict,
    /// What the server has said last of itself, and whether that is news.
    info: Info,
    is_news: bool,
    /// What is subscribed, by the number of the subscription.
    sources: HashMap<u64, Arc<Source>>,
    subscriptions: HashMap<Arc<Source>, u64>,
    latest: u64,
}

/// Makes a connection to one of the servers.
///
/// # Errors
/// The most telling reason of all servers.
pub(super) async fn connect(
    name: &str,
    url: &NatsUrl,
    servers: &mut Servers,
) -> Result<Connection, BrokerFailure> {
    let mut worst: Option<BrokerFailure> = None;
    for candidate in servers.round(url) {
        let late = |_| Err(BrokerFailure::new(BrokerCause::Timeout, "connecting takes too long"));
        let attempt = timeout(CONNECT_TIMEOUT, establish(name, &candidate, url.security)).await;
        match attempt.unwrap_or_else(late) {
            Ok(mut connection) => {
                connection.teach(servers);
                return Ok(connection);
            }
            // The order of the servers is random; what is told must not be.
            Err(failure) => BrokerFailure::keep_worst(&mut worst, failure.of(&candidate.server)),
        }
    }
    Err(worst.unwrap_or_else(|| BrokerFailure::new(BrokerCause::Connect, "there is no server")))
}

async fn establish(
    name: &str,
    candidate: &Candidate,
    security: Security,
) -> Result<Connection, BrokerFailure> {
    let Candidate { server, certified } = candidate;
    let stream = dial::tcp(&server.host, server.port).await?;
    let secure = |stream| dial::secure(certified, stream);
    if security == Security::First {
        let (stream, buffer, info) = introduce(secure(stream).await?).await?;
        return authenticate(name, server, (stream, buffer, info), true).await;
    }
    let (stream, buffer, info) = introduce(stream).await?;
    if !must_secure(&info, security)? {
        return authenticate(name, server, (stream, buffer, info), false).await;
    }
    if !buffer.is_empty() {
        // Whoever is in the middle could make it look as if it came by TLS.
        return Err(BrokerFailure::new(BrokerCause::Protocol, "the server goes on in plain text before TLS"));
    }
    authenticate(name, server, (secure(stream).await?, buffer, info), true).await
}

/// Whether TLS is next.
fn must_secure(info: &Info, security: Security) -> Result<bool, BrokerFailure> {
    let is_wanted = info.requires_tls || security == Security::Required;
    if is_wanted && !info.requires_tls && !info.offers_tls {
        return Err(BrokerFailure::new(BrokerCause::Tls, "the server does not offer TLS"));
    }
    Ok(is_wanted)
}

type Introduced = (Box<dyn Stream>, BytesMut, Info);

/// Reads what the server says of itself, and what follows it.
async fn introduce(mut stream: Box<dyn Stream>) -> Result<Introduced, BrokerFailure> {
    let (mut parser, mut buffer) = (Parser::default(), BytesMut::with_capacity(FIRST_READ));
    loop {
        match parser.next(&mut buffer)? {
            Some(Operation::Info(info)) => return Ok((stream, buffer, info)),
            Some(Operation::Error(text)) => return Err(protocol::failure_of(&text)),
            Some(_) => {
                return Err(BrokerFailure::new(
                    BrokerCause::Protocol,
                    "the server does not introduce itself",
                ));
            }
            None => {}
        }
        match stream.read_buf(&mut buffer).await {
            Ok(0) => return Err(driver::closed()),
            Ok(_) => {}
            Err(error) => return Err(BrokerFailure::new(BrokerCause::Closed, error)),
        }
    }
}

/// Says who asks, and waits until the server accepts that.
async fn authenticate(
    name: &str,
    server: &NatsServer,
    introduced: Introduced,
    is_secure: bool,
) -> Result<Connection, BrokerFailure> {
    let connection = Connection::new(server.clone(), introduced);
    let credentials: Option<&Credentials> = server.credentials.as_ref();
    let errors = connection.order(protocol::connect(credentials, &format!("ferrows:{name}"), is_secure));
    match errors.await?.first() {
        None => Ok(connection),
        Some(text) => Err(protocol::failure_of(text)),
    }
}

impl Connection {
    /// Starts the driver of a stream.
    fn new(server: NatsServer, (stream, buffer, info): Introduced) -> Self {
        let (orders, ordered) = mpsc::unbounded_channel();
        let (deliver, incoming) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(MAX_RECEIVED));
        let verdict = Verdict::default();
        let written = Arc::new(AtomicU64::new(0));
        let driver =
            Driver::new(stream, buffer, (ordered, Arc::clone(&written)), (deliver, Arc::clone(&room)));
        tokio::spawn(driver.run(Verdict::clone(&verdict)));
        Self {
            server,
            orders: Some(orders),
            incoming,
            written,
            room,
            weight: 0,
            received: VecDeque::new(),
            verdict,
            info,
            is_news: true,
            sources: HashMap::new(),
            subscriptions: HashMap::new(),
            latest: 0,
        }
    }

    /// Sends operations; the result has the errors by which the server answers them, and after which it goes on.
    fn order(&self, bytes: Vec<u8>) -> Reply<Vec<String>> {
        let (answer, answered) = oneshot::channel();
        // If the driver has ended, `answered` says so.
        let _ = self.orders.as_ref().map(|orders| orders.send(Order { bytes, answer }));
        let (verdict, written) = (Verdict::clone(&self.verdict), Arc::clone(&self.written));
        Box::pin(async move {
            let mut answered = answered;
            let mut before = written.load(Ordering::Relaxed);
            loop {
                match timeout(RESPONSE_TIMEOUT, &mut answered).await {
                    Ok(Ok(errors)) => return Ok(errors),
                    Ok(Err(_)) => return Err(verdict.get().cloned().unwrap_or_else(driver::closed)),
                    Err(_) => {}
                }
                // A server that is far away may need longer for what is in front of the question.
                let now = written.load(Ordering::Relaxed);
                if now - before < MIN_PROGRESS {
                    return Err(BrokerFailure::new(BrokerCause::Timeout, "the broker does not answer"));
                }
                before = now;
            }
        })
    }

    /// The server.
    pub(super) const fn server(&self) -> &NatsServer {
        &self.server
    }

    /// Notes the servers that this one has named.
    pub(super) fn teach(&mut self, servers: &mut Servers) {
        if std::mem::take(&mut self.is_news) {
            servers.note(&self.info.others, self.server.credentials.as_ref());
        }
    }

    /// Publishes; the result has an outcome for each parcel.
    pub(super) fn publish(&self, parcels: &[Parcel]) -> Reply<Vec<Outcome>> {
        let limit = self.info.max_payload.min(protocol::MAX_MESSAGE);
        let length =
            parcels.iter().map(|parcel| parcel.channel.len() + parcel.bytes.len() + PUBLISH_WEIGHT).sum();
        let mut bytes = Vec::with_capacity(length);
        let mut outcomes = Vec::with_capacity(parcels.len());
        for Parcel { channel, reply, bytes: payload, .. } in parcels {
            let is_too_large = payload.len() as u64 > limit;
            outcomes.push(if is_too_large {
                too_large(payload.len(), limit)
            } else {
                Outcome::Taken { receivers: None }
            });
            if !is_too_large {
                protocol::publish(&mut bytes, channel, reply.as_deref(), payload);
            }
        }
        let reply = self.order(bytes);
        let subjects: Vec<_> = parcels.iter().map(|parcel| parcel.channel.clone()).collect();
        Box::pin(async move {
            let errors = reply.await?;
            let forbidden: HashSet<_> =
                errors.iter().filter_map(|text| protocol::forbidden_subject(text)).collect();
            if forbidden.is_empty() {
                return Ok(outcomes);
            }
            for (outcome, subject) in outcomes.iter_mut().zip(&subjects) {
                let quoted = format!("{:?}", String::from_utf8_lossy(subject));
                if forbidden.contains(&*quoted) && matches!(outcome, Outcome::Taken { .. }) {
                    let detail = format!("the server does not allow to publish to {quoted}");
                    *outcome = Outcome::Refused(BrokerFailure::new(BrokerCause::Auth, detail));
                }
            }
            Ok(outcomes)
        })
    }

    /// Subscribes.
    pub(super) fn subscribe(&mut self, channels: &Channels, sources: Vec<Source>) -> Reply<()> {
        let mut bytes = Vec::new();
        for source in sources {
            let source = Arc::new(source);
            if self.subscriptions.contains_key(&source) {
                continue;
            }
            self.latest += 1;
            protocol::subscribe(&mut bytes, &channels.of(&source), self.latest);
            self.subscriptions.insert(Arc::clone(&source), self.latest);
            self.sources.insert(self.latest, source);
        }
        let reply = self.order(bytes);
        Box::pin(async move {
            let errors = reply.await?;
            let refusal = errors.iter().find(|text| protocol::is_forbidden_subscription(text));
            refusal.map_or(Ok(()), |text| Err(protocol::failure_of(text)))
        })
    }

    /// Ends subscriptions.
    pub(super) fn unsubscribe(&mut self, sources: &[Source]) -> Reply<()> {
        let mut bytes = Vec::new();
        for source in sources {
            if let Some(subscription) = self.subscriptions.remove(source) {
                self.sources.remove(&subscription);
                protocol::unsubscribe(&mut bytes, subscription);
            }
        }
        let reply = self.order(bytes);
        Box::pin(async move { reply.await.map(drop) })
    }

    /// Asks whether the server is there.
    pub(super) fn ping(&self) -> Reply<()> {
        let reply = self.order(Vec::new());
        Box::pin(async move { reply.await.map(drop) })
    }

    /// Waits for the next message; `None` at the end. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        loop {
            while let Some(incoming) = self.received.pop_front() {
                match incoming {
                    Incoming::Info(info) => {
                        let is_leaving = info.is_leaving && !self.info.is_leaving;
                        (self.info, self.is_news) = (info, true);
                        if is_leaving {
                            return Some(Delivery::Leaving);
                        }
                    }
                    Incoming::Message(message) => {
                        // What arrives after the end of its subscription has none.
                        let Some(source) = self.sources.get(&message.subscription) else { continue };
                        let source = Arc::clone(source);
                        let protocol::Message { subject, reply, is_unheard, payload, .. } = message;
                        let is_question = reply.is_some();
                        let arrival = Arrival { source, subject, is_question, is_unheard, payload };
                        return Some(Delivery::Nats(arrival));
                    }
                }
            }
            self.room.add_permits(std::mem::take(&mut self.weight));
            let Batch { arrived, weight } = self.incoming.recv().await?;
            (self.received, self.weight) = (arrived.into(), weight);
        }
    }

    /// Ends it. [`Self::next`] still returns what had arrived, and then `None`.
    pub(super) fn close(&mut self) {
        self.orders = None;
    }

    /// Why it has ended.
    pub(super) fn failure(&self) -> BrokerFailure {
        self.verdict.get().cloned().unwrap_or_else(driver::closed)
    }
}

fn too_large(length: usize, limit: u64) -> Outcome {
    let length = length.saturating_sub(header::LENGTH);
    let most = limit.saturating_sub(header::LENGTH as u64);
    let detail = format!("a message has {length} bytes; the server takes {most} (max_payload)");
    Outcome::Refused(BrokerFailure::new(BrokerCause::TooLarge, detail))
}

/// How long connecting to one server and authenticating may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Room for an INFO.
const FIRST_READ: usize = 4096;
/// Bytes that must be written within the time for an answer, if there is none.
const MIN_PROGRESS: u64 = 64 * 1024;
/// The weight of a message beside its bytes: of the line in front of it.
const PUBLISH_WEIGHT: usize = 24;

#[cfg(test)]
mod tests;
