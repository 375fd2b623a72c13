//! What the connections of one worker share while one of them is being handled.

use super::budget::Budgets;
use super::lead::Window;
use super::names::Names;
use super::outbox::BufferPool;
use super::quic::ports::Ports;
use super::stream_work::StreamWork;
use super::tallies::Tallies;
use super::timers::Wheel;
use super::topics::TopicSubscribers;
use crate::bridge::event::{BodyOffer, Event, EventBatch};
use crate::bridge::id::{AppId, ConnectionId};
use crate::bridge::moment::Moment;
use crate::bridge::progress::{BatchNumber, Progress};
use crate::bridge::queue::HIGH_WATER;
use crate::protocol::http::head::RequestHead;
use crate::protocol::multiplexed::request_head::HeadScratch;
use crate::protocol::time::Timestamp;
use crate::protocol::websocket::Codecs;

/// The shared part of a worker: everything but its sockets.
#[derive(Debug)]
pub(crate) struct Context {
    /// The moment of this pass.
    pub now: Timestamp,
    /// The same for reports.
    pub moment: Moment,
    /// Events of this pass, on their way to Node's thread.
    pub events: EventBatch,
    /// Empty output buffers.
    pub pool: BufferPool,
    /// Deadlines.
    pub wheel: Wheel,
    /// Reused for every request head.
    pub head: RequestHead,
    /// Reused for every request head of HTTP/2.
    pub http2_head: HeadScratch,
    /// The names of connections and streams.
    pub names: Names,
    /// What the connection that is being handled leaves to the worker.
    pub stream_work: Vec<StreamWork>,
    /// UDP sockets; present once there is one.
    pub quic: Option<Box<Ports>>,
    /// The `Date` field value of the current second, as an IMF-fixdate (RFC 9110 §5.6.7).
    pub date: [u8; 29],
    /// Connections with output to flush at the end of the pass.
    pub dirty: Vec<ConnectionId>,
    /// Connections of which the kernel takes nothing more, and whose sockets are not watched for that.
    pub blocked: Vec<ConnectionId>,
    /// WebSockets in streams of which more may be passed on before the flush is over. What is left then was refused.
    pub unsettled: Vec<ConnectionId>,
    /// Connections to serve again in the next pass, without waiting for their sockets.
    pub again: Vec<ConnectionId>,
    /// Connections with input that must wait until Node's thread has caught up.
    pub starved: Vec<ConnectionId>,
    /// Connections with input that must wait until Node's thread has handled a batch with events of theirs.
    pub ahead: Vec<(ConnectionId, BatchNumber)>,
    /// Which batches Node's thread has handled.
    pub progress: Progress,
    /// How many events each connection may add before it waits.
    pub window: Window,
    /// Bytes that were read, but must wait as the connections in `ahead` do.
    pub unhandled: usize,
    /// Whether to leave input in the sockets, so that TCP slows the senders down: too many events are waiting already.
    pub choked: bool,
    /// Apps on which more TLS handshakes are under way than they allow.
    pub crowded: Vec<AppId>,
    /// This worker's share of the topics.
    pub topics: TopicSubscribers,
    /// Compressors and decompressors of its WebSockets.
    pub codecs: Codecs,
    /// Whether pieces of request bodies may be left to Node's thread to read: it handles the events of this pass, and
    /// leads.
    pub offers_bodies: bool,
    /// The number of the last offer.
    pub last_offer: BodyOffer,
    /// Statistics.
    pub tallies: Tallies,
    /// How much output of each app may wait.
    pub budgets: Budgets,
}

impl Context {
    /// Queues an event for Node's thread; it crosses with the others of the pass.
    pub(crate) fn emit(&mut self, event: Event) {
        self.events.events.push(event);
    }

    /// Whether so much input waits that was read already that no more is read.
    pub(crate) const fn is_full(&self) -> bool {
        self.unhandled >= HIGH_WATER
    }
}

impl Default for Context {
    fn default() -> Self {
        Self {
            now: Timestamp::default(),
            moment: Moment::default(),
            events: EventBatch::default(),
            pool: BufferPool::default(),
            wheel: Wheel::default(),
            head: RequestHead::default(),
            http2_head: HeadScratch::default(),
            names: Names::default(),
            stream_work: Vec::new(),
            quic: None,
            date: *b"Thu, 01 Jan 1970 00:00:00 GMT",
            dirty: Vec::new(),
            blocked: Vec::new(),
            unsettled: Vec::new(),
            again: Vec::new(),
            starved: Vec::new(),
            ahead: Vec::new(),
            progress: Progress::default(),
            window: Window::default(),
            unhandled: 0,
            choked: false,
            crowded: Vec::new(),
            topics: TopicSubscribers::default(),
            codecs: Codecs::default(),
            offers_bodies: false,
            last_offer: BodyOffer::default(),
            tallies: Tallies::default(),
            budgets: Budgets::default(),
        }
    }
}
