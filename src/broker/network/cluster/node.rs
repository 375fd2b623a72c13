//! The connections to a master: one that publishes, and one that is subscribed.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use redis::{Value, cmd};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep};

use super::slots::{Slots, redirection};
use super::subscriber::{self, Batch, Orders};
use crate::broker::cause::BrokerFailure;
use crate::broker::network::dial::Endpoint;
use crate::broker::network::parcel::{Outcome, Parcel, Reply};
use crate::broker::network::redis::Publisher;
use crate::broker::network::status::now;
use crate::broker::redis_url::{Address, RedisUser};

/// Which node it is, and which connection to it.
pub(super) type NodeId = u64;

/// A master.
pub(super) struct Node {
    /// Identifies it while it is connected.
    pub id: NodeId,
    /// Where it is.
    pub endpoint: Endpoint,
    publisher: Publisher,
    orders: Orders,
    /// When it was heard of, in milliseconds since the epoch.
    pub heard: u64,
    /// When it last answered, or began to owe an answer.
    pub progress: Instant,
    /// What it was asked to subscribe and has not answered, by the number of the `PING` behind it.
    pub asked: HashMap<u64, Vec<Bytes>>,
    /// What it was told to unsubscribe, and the number of the `PING` behind that.
    pub leaving: HashMap<Bytes, u64>,
    /// Errors since the last answer to a `PING`.
    pub errors: Vec<String>,
    latest: u64,
}

/// Where a channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is not subscribed anywhere.
    Waiting,
    /// A node was asked to subscribe it. Until it has, it may be subscribed at the one where its slot was.
    Asked {
        /// The node.
        node: NodeId,
        /// Where it was.
        from: Option<Origin>,
    },
    /// It is subscribed.
    Subscribed(NodeId),
}

/// Where a channel is subscribed while another node is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The node.
    pub node: NodeId,
    /// When it was last heard of as the other one was asked, in milliseconds since the epoch.
    pub heard: u64,
}

/// Why a node has not taken a message, although the cluster may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// The slot is elsewhere; the words of the server.
    Moved(String),
    /// Not now.
    Stale,
}

/// What was noticed while something was sent.
pub(super) enum Report {
    /// A node does not answer.
    Failed(NodeId, BrokerFailure),
    /// A slot is elsewhere.
    Moved(u16, Address),
    /// A node cannot serve a slot now.
    Stale,
}

impl Standing {
    /// The nodes where it is subscribed, or may be.
    pub(super) fn nodes(self) -> Vec<NodeId> {
        match self {
            Self::Waiting => Vec::new(),
            Self::Asked { node, from } => std::iter::once(node).chain(from.map(|from| from.node)).collect(),
            Self::Subscribed(node) => vec![node],
        }
    }
}

impl Obstacle {
    /// What the cluster is told.
    pub(super) fn report(&self, asked: &Address) -> Report {
        let redirection = match self {
            Self::Moved(details) => redirection(details, asked),
            Self::Stale => None,
        };
        redirection.map_or(Report::Stale, |(slot, address)| Report::Moved(slot, address))
    }
}

/// Asks a node for the slots, over a connection of its own.
///
/// # Errors
/// It does not answer.
pub(super) async fn consult(endpoint: &Endpoint, user: &RedisUser) -> Result<Slots, BrokerFailure> {
    let publisher = Publisher::new(endpoint.dial().await?, user).await?;
    let answer = publisher.ask::<Value>(cmd("CLUSTER").arg("SLOTS")).await?;
    Slots::parse(&answer, &endpoint.address)
}

impl Node {
    /// Makes the connections. What arrives goes to `deliver`, as long as there is `room` for it.
    ///
    /// # Errors
    /// Why that is not possible.
    pub(super) async fn connect(
        endpoint: Endpoint,
        id: NodeId,
        user: &RedisUser,
        deliver: mpsc::UnboundedSender<Batch>,
        room: Arc<Semaphore>,
    ) -> Result<Self, BrokerFailure> {
        let introduced = subscriber::introduce(endpoint.dial().await?, user).await?;
        let publisher = Publisher::new(endpoint.dial().await?, user).await?;
        let orders = subscriber::start(introduced, id, deliver, room);
        Ok(Self::new(endpoint, id, publisher, orders))
    }

    /// A node of these connections.
    pub(super) fn new(endpoint: Endpoint, id: NodeId, publisher: Publisher, orders: Orders) -> Self {
        Self {
            id,
            endpoint,
            publisher,
            orders,
            heard: now(),
            progress: sleep(std::time::Duration::ZERO).deadline(),
            asked: HashMap::new(),
            leaving: HashMap::new(),
            errors: Vec::new(),
            latest: 0,
        }
    }

    /// Publishes; the result says of each parcel what has become of it.
    pub(super) fn publish<'p>(
        &self,
        parcels: impl Iterator<Item = &'p Parcel>,
    ) -> Reply<Vec<Result<Outcome, Obstacle>>> {
        let (answers, publisher) = (self.publisher.send("SPUBLISH", parcels), self.publisher.clone());
        let outcome = move |answer: Value| match obstacle(&answer) {
            Some(obstacle) => Err(obstacle),
            None => Ok(publisher.outcome(answer)),
        };
        Box::pin(async move { Ok(answers.await?.into_iter().map(outcome).collect()) })
    }

    /// Asks for the slots.
    pub(super) fn slots(&self) -> Reply<Value> {
        self.publisher.ask(cmd("CLUSTER").arg("SLOTS"))
    }

    /// Asks whether it is there, by the connection that publishes.
    pub(super) fn ping(&self) -> Reply<()> {
        self.publisher.ask(&cmd("PING"))
    }

    /// Asks it to subscribe channels, and then for a sign that it has seen that.
    pub(super) fn ask(&mut self, channels: Vec<Bytes>) {
        let orders = channels.iter().map(|channel| ("SSUBSCRIBE", channel));
        let number = self.order(orders);
        self.asked.insert(number, channels);
    }

    /// Tells it to unsubscribe channels.
    pub(super) fn unsubscribe(&mut self, channels: Vec<Bytes>) {
        let number = self.order(channels.iter().map(|channel| ("SUNSUBSCRIBE", channel)));
        self.leaving.extend(channels.into_iter().map(|channel| (channel, number)));
        self.asked.insert(number, Vec::new());
    }

    fn order<'c>(&mut self, orders: impl Iterator<Item = (&'static str, &'c Bytes)>) -> u64 {
        if self.asked.is_empty() {
            self.progress = sleep(std::time::Duration::ZERO).deadline();
        }
        self.latest += 1;
        let mut bytes = Vec::new();
        for (order, channel) in orders {
            cmd(order).arg(&channel[..]).write_packed_command(&mut bytes);
        }
        cmd("PING").arg(self.latest).write_packed_command(&mut bytes);
        // If the task has ended, it says so.
        drop(self.orders.send(bytes));
        self.latest
    }
}

/// What stands in the way of a message, if it may be sent again.
fn obstacle(answer: &Value) -> Option<Obstacle> {
    let Value::ServerError(error) = answer else { return None };
    obstacle_of(error.code(), error.details().unwrap_or_default())
}

/// What stands in the way, by an error that may pass.
pub(super) fn obstacle_of(code: &str, details: &str) -> Option<Obstacle> {
    match code {
        "MOVED" => Some(Obstacle::Moved(details.to_owned())),
        "CLUSTERDOWN" | "TRYAGAIN" | "ASK" | "LOADING" | "MASTERDOWN" | "READONLY" | "BUSY" => {
            Some(Obstacle::Stale)
        }
        _ => None,
    }
}
