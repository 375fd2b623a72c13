//! A connection to a broker, whichever it is.

use std::time::Duration;

use futures_util::FutureExt;

use super::channels::{Channels, Scheme, Source};
use super::nats::servers::Servers;
use super::parcel::{Delivery, Outcome, Parcel, Reply};
use super::sentinel::{self, Sentinels};
use super::{cluster, nats, redis};
use crate::broker::cause::BrokerFailure;
use crate::broker::url::{BrokerUrl, Place};

/// A connection that is authenticated.
pub(super) enum Connection {
    /// To a Redis or Valkey server.
    Redis(redis::Connections),
    /// To the masters of a cluster of Redis.
    Cluster(Box<cluster::Connection>),
    /// To a NATS server.
    Nats(Box<nats::Connection>),
}

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector {
    /// The name of the group.
    name: Box<str>,
    url: BrokerUrl,
    /// What is known of the servers of NATS.
    servers: Servers,
    /// What is known of the sentinels of Redis.
    sentinels: Sentinels,
    /// What is known of the nodes of a cluster of Redis.
    nodes: cluster::Known,
}

impl Connector {
    /// Makes connections for a group.
    pub(super) fn new(name: &str, url: BrokerUrl) -> Self {
        Self {
            name: name.into(),
            url,
            servers: Servers::default(),
            sentinels: Sentinels::default(),
            nodes: cluster::Known::default(),
        }
    }

    /// How the names of channels are made.
    pub(super) const fn scheme(&self) -> Scheme {
        match self.url.place {
            Place::Nats(_) => Scheme::Nats,
            Place::Tcp { .. } | Place::Unix(_) | Place::Sentinel(_) | Place::Cluster(_) => Scheme::Redis,
        }
    }

    /// Where the broker is, for the log.
    pub(super) fn place(&self) -> String {
        self.url.place.to_string()
    }

    /// Makes a connection.
    ///
    /// # Errors
    /// Why that is not possible.
    pub(super) async fn connect(&mut self) -> Result<Connection, BrokerFailure> {
        match &self.url.place {
            Place::Nats(url) => nats::connect(&self.name, url, &mut self.servers)
                .await
                .map(|it| Connection::Nats(Box::new(it))),
            Place::Cluster(url) => {
                let connection = cluster::connect(url, &self.url.user, &self.nodes).await;
                connection.map(|connection| Connection::Cluster(Box::new(connection)))
            }
            Place::Sentinel(url) => {
                let connections = sentinel::connect(url, &self.url.user, &mut self.sentinels).await;
                connections.map(Connection::Redis)
            }
            Place::Tcp { .. } | Place::Unix(_) => redis::connect(&self.url).await.map(Connection::Redis),
        }
    }

    /// The longest pause between two attempts to connect.
    pub(super) const fn longest_pause(&self) -> Duration {
        match self.url.place {
            // That nobody is there to connect to is how every failover begins.
            Place::Sentinel(_) | Place::Cluster(_) => LONGEST_PAUSE_OF_FAILOVER,
            Place::Tcp { .. } | Place::Unix(_) | Place::Nats(_) => LONGEST_PAUSE,
        }
    }

    /// Notes what a connection has learned of the servers.
    pub(super) fn learn(&mut self, connection: &mut Connection) {
        if let Connection::Nats(connection) = connection {
            connection.teach(&mut self.servers);
        }
    }

    /// Whether there is another server than the one of a connection.
    pub(super) fn has_others(&self, connection: &Connection) -> bool {
        match (connection, &self.url.place) {
            (Connection::Nats(connection), Place::Nats(url)) => {
                self.servers.has_others(url, connection.server())
            }
            _ => false,
        }
    }

    /// From now on tries the server of a connection after all others.
    pub(super) fn avoid(&mut self, connection: &Connection) {
        if let Connection::Nats(connection) = connection {
            self.servers.avoid(connection.server());
        }
    }
}

impl Connection {
    /// Where it leads to, for the log.
    pub(super) fn place(&self, connector: &Connector) -> String {
        match self {
            Self::Redis(connections) => connections.master().unwrap_or_else(|| connector.place()),
            Self::Cluster(_) => connector.place(),
            Self::Nats(connection) => connection.server().to_string(),
        }
    }

    /// Publishes; the result has an outcome for each parcel.
    pub(super) fn publish(&self, parcels: &[Parcel]) -> Reply<Vec<Outcome>> {
        match self {
            Self::Redis(connections) => connections.publish(parcels),
            Self::Cluster(connection) => connection.publish(parcels),
            Self::Nats(connection) => connection.publish(parcels),
        }
    }

    /// Subscribes.
    pub(super) fn subscribe(&mut self, channels: &Channels, sources: Vec<Source>) -> Reply<()> {
        match self {
            Self::Redis(connections) => connections.subscribe(names(channels, &sources)),
            Self::Cluster(connection) => connection.subscribe(names(channels, &sources)),
            Self::Nats(connection) => connection.subscribe(channels, sources),
        }
    }

    /// Ends subscriptions.
    pub(super) fn unsubscribe(&mut self, channels: &Channels, sources: &[Source]) -> Reply<()> {
        match self {
            Self::Redis(connections) => connections.unsubscribe(names(channels, sources)),
            Self::Cluster(connection) => connection.unsubscribe(&names(channels, sources)),
            Self::Nats(connection) => connection.unsubscribe(sources),
        }
    }

    /// Asks whether it is there.
    pub(super) fn ping(&mut self) -> Reply<()> {
        match self {
            Self::Redis(connections) => connections.ping(),
            Self::Cluster(connection) => connection.ping(),
            Self::Nats(connection) => connection.ping(),
        }
    }

    /// Waits for the next message; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        match self {
            Self::Redis(connections) => connections.next().await.map(Delivery::Redis),
            Self::Cluster(connection) => connection.next().await,
            Self::Nats(connection) => connection.next().await,
        }
    }

    /// The next message, if it has arrived.
    pub(super) fn next_now(&mut self) -> Option<Delivery> {
        self.next().now_or_never().flatten()
    }

    /// Ends it. [`Self::next`] still returns what had arrived, and then `None`.
    pub(super) fn close(&mut self) {
        match self {
            // Never needed: a Redis server does not say that it is about to end.
            Self::Redis(_) | Self::Cluster(_) => {}
            Self::Nats(connection) => connection.close(),
        }
    }

    /// Why a part of it is not in order, although others are. From now on [`Self::next`] says when that changes.
    pub(super) fn take_trouble(&mut self) -> Option<BrokerFailure> {
        match self {
            Self::Cluster(connection) => connection.take_trouble(),
            Self::Redis(_) | Self::Nats(_) => None,
        }
    }

    /// Whether what is published to a channel would be sent now.
    pub(super) fn takes(&self, channel: &[u8]) -> bool {
        match self {
            Self::Cluster(connection) => connection.takes(channel),
            Self::Redis(_) | Self::Nats(_) => true,
        }
    }

    /// Changes whenever what was deferred may be published again.
    pub(super) fn epoch(&self) -> u64 {
        match self {
            Self::Cluster(connection) => connection.epoch(),
            Self::Redis(_) | Self::Nats(_) => 0,
        }
    }

    /// Why it has ended.
    pub(super) fn failure(&self) -> BrokerFailure {
        match self {
            Self::Redis(connections) => connections.failure(),
            Self::Cluster(connection) => connection.failure(),
            Self::Nats(connection) => connection.failure(),
        }
    }
}

fn names(channels: &Channels, sources: &[Source]) -> Vec<Vec<u8>> {
    sources.iter().map(|source| channels.of(source)).collect()
}

/// Longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The same where others see to it that there is a server.
const LONGEST_PAUSE_OF_FAILOVER: Duration = Duration::from_secs(2);
