//! What is published, and what has arrived.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::Msg;

use super::channels::Source;
use crate::broker::cause::BrokerFailure;

/// Something to publish.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Where.
    pub channel: Vec<u8>,
    /// Where an answer is to go to (NATS).
    pub reply: Option<Vec<u8>>,
    /// Header and payload.
    pub bytes: Vec<u8>,
    /// The question that this asks.
    pub question: Option<u64>,
    /// Whether it is a message of the application.
    pub is_message: bool,
}

impl Parcel {
    /// Bytes that it takes while it waits.
    pub(super) const fn weight(&self) -> usize {
        self.channel.len() + self.bytes.len() + size_of::<Self>()
    }
}

/// What the broker did with a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It has taken it. Redis says for how many.
    Taken {
        /// Connections that got it.
        receivers: Option<u64>,
    },
    /// It has refused it.
    Refused(BrokerFailure),
    /// The part of it that this is for is away; others take what they get.
    Deferred,
}

/// Something that has arrived.
pub(super) enum Delivery {
    /// A message of Redis.
    Redis(Msg),
    /// A message of a cluster of Redis.
    Sharded {
        /// Its channel.
        channel: Bytes,
        /// Header and payload.
        payload: Bytes,
    },
    /// A message of NATS.
    Nats(Arrival),
    /// A part of the broker is away, or its channels are moving for a while already; others go on.
    Torn {
        /// Why.
        failure: BrokerFailure,
    },
    /// Everything is in order again.
    Mended {
        /// Since when messages may be missing, in milliseconds since the epoch, if they may.
        since: Option<u64>,
    },
    /// The server is about to end; others that are known of go on.
    Leaving,
}

/// Something that the broker was asked for; an error if it does not answer in time.
pub(super) type Reply<T> = Pin<Box<dyn Future<Output = Result<T, BrokerFailure>> + Send>>;

/// A message that has arrived.
pub(super) struct Arrival {
    /// Of which subscription.
    pub source: Arc<Source>,
    /// The subject.
    pub subject: Bytes,
    /// Whether an answer is wanted.
    pub is_question: bool,
    /// Whether it says that nobody hears a question.
    pub is_unheard: bool,
    /// The message, without headers of NATS.
    pub payload: Bytes,
}

/// How long a broker may take to answer.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
