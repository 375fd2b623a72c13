//! One stream: a request and its response (RFC 9114 §4.1).

use bytes::Bytes;

use super::stream_id::StreamId;
use crate::protocol::http::limits::HttpLimits;
use crate::protocol::http::pace::Pace;
use crate::protocol::http::response_framing::{AskedMethod, BodyEncoding};
use crate::protocol::multiplexed::body::Body;
use crate::protocol::multiplexed::priority::Priority;
use crate::protocol::time::Timestamp;

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub id: StreamId,
    pub input: Input,
    pub receiving: Receiving,
    /// When the application paused the request body; the stream is not read while it is set.
    pub paused: Option<Timestamp>,
    /// Whether the sink knows of its request, and not of its end.
    pub is_announced: bool,
    pub sending: Sending,
    pub output: Output,
    /// Whether the transport takes no more of its output.
    pub is_blocked: bool,
    pub priority: Priority,
    /// When it was last its turn, counted in pieces of output; 0 if it never was.
    pub turn: u64,
    /// The rate at which the client gives the credit that output waits for.
    pub stall: Option<Pace>,
    /// When the transport last took a byte of its output, or it started to wait.
    pub progress: Timestamp,
    /// It is an extended CONNECT.
    pub is_tunnel: bool,
}

/// What has arrived and is not processed.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The stream ends behind them.
    pub has_fin: bool,
    /// What the next byte belongs to.
    pub reading: Reading,
    /// What is needed to go on.
    pub waits_for: WaitsFor,
    /// The trailers have arrived.
    pub has_trailers: bool,
}

/// What the next byte of a stream belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reading {
    /// The header of a frame.
    #[default]
    Frame,
    /// The rest of a DATA frame, so many bytes.
    Data(u64),
    /// The rest of a payload that is ignored.
    Skip(u64),
}

/// What is needed to go on with the input of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// More of it.
    #[default]
    Bytes,
    /// Room for further calls of the sink.
    Room,
    /// So many insertions into the dynamic table of QPACK.
    Insertions(u64),
}

/// The request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Receiving {
    /// Its head has not arrived.
    Head {
        /// When the stream was opened.
        since: Timestamp,
        /// A PRIORITY_UPDATE frame has said its priority.
        has_priority: bool,
    },
    /// The body arrives.
    Body(Body),
    /// It is complete, or the client was asked to stop.
    Ended,
}

/// The response.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sending {
    /// There is no request to answer yet.
    Nothing,
    /// It has not started.
    Owed(AskedMethod),
    /// Its head is sent.
    Started(BodyEncoding),
    /// All of it is queued.
    Ending,
    /// The transport has all of it.
    Ended,
}

/// Bytes of a response that the transport has not taken.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// The first ones, which the transport was offered.
    offered: Bytes,
    /// The others.
    tail: Vec<u8>,
}

impl Output {
    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.offered.len() + self.tail.len()
    }

    /// Whether none do.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where to append bytes.
    pub(super) const fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// The first bytes, at most `max`, and whether they are all.
    pub(super) fn peek(&mut self, max: usize) -> (Bytes, bool) {
        if self.offered.is_empty() {
            self.offered = std::mem::take(&mut self.tail).into();
        }
        let piece = self.offered.slice(..self.offered.len().min(max));
        let is_all = piece.len() == self.len();
        (piece, is_all)
    }

    /// The transport has taken so many bytes of what [`Self::peek`] returned.
    pub(super) fn advance(&mut self, length: usize) {
        let _ = self.offered.split_to(length.min(self.offered.len()));
        if self.offered.is_empty() {
            // Lets go of the memory.
            self.offered = Bytes::new();
        }
    }
}

impl Stream {
    /// A stream whose first byte arrives.
    pub(super) fn new(id: StreamId, priority: Option<Priority>, now: Timestamp) -> Self {
        Self {
            id,
            input: Input::default(),
            receiving: Receiving::Head { since: now, has_priority: priority.is_some() },
            paused: None,
            is_announced: false,
            sending: Sending::Nothing,
            output: Output::default(),
            is_blocked: false,
            priority: priority.unwrap_or(Priority::UNSAID),
            turn: 0,
            stall: None,
            progress: now,
            is_tunnel: false,
        }
    }

    /// Whether the request is complete.
    pub(super) const fn has_ended(&self) -> bool {
        matches!(self.receiving, Receiving::Ended)
    }

    /// Whether it is to be read.
    pub(super) fn wants_input(&self) -> bool {
        let may_go_on = self.input.waits_for == WaitsFor::Bytes && self.paused.is_none();
        may_go_on && !self.input.has_fin && !self.has_ended()
    }

    /// How the response is framed, once it has started and until all of it is queued.
    pub(super) const fn body(&mut self) -> Option<&mut BodyEncoding> {
        match &mut self.sending {
            Sending::Started(body) => Some(body),
            Sending::Nothing | Sending::Owed(_) | Sending::Ending | Sending::Ended => None,
        }
    }

    /// Whether something can be sent now: data, or the end.
    pub(super) fn can_send(&self) -> bool {
        !self.is_blocked && (!self.output.is_empty() || matches!(self.sending, Sending::Ending))
    }

    /// Whose turn it is: the smallest value first (RFC 9218 §10). More urgent streams precede less urgent ones; of equal
    /// ones those that are not incremental come first, in the order of their requests, and the others take turns.
    pub(super) const fn rank(&self) -> (u8, bool, u64, StreamId) {
        let Priority { urgency, incremental } = self.priority;
        (urgency, incremental, if incremental { self.turn } else { 0 }, self.id)
    }

    /// When the client's time to send the head, the rest of the body, or to give credit, is over. What a tunnel carries
    /// has timeouts of its own.
    pub(super) fn deadline(&self, limits: &HttpLimits) -> Option<Timestamp> {
        if self.is_tunnel {
            return None;
        }
        let stall = self.stall.and_then(|pace| pace.deadline(limits.response_pace));
        let head = self.head_deadline(limits);
        stall.into_iter().chain(head).chain(self.body_deadline(limits)).min()
    }

    /// The same for the head alone.
    pub(super) fn head_deadline(&self, limits: &HttpLimits) -> Option<Timestamp> {
        match self.receiving {
            Receiving::Head { since, .. } => limits.headers_timeout.map(|timeout| since + timeout),
            Receiving::Body(_) | Receiving::Ended => None,
        }
    }

    /// The same for the body alone.
    pub(super) fn body_deadline(&self, limits: &HttpLimits) -> Option<Timestamp> {
        match self.receiving {
            Receiving::Body(body) if self.paused.is_none() => body.deadline(limits),
            Receiving::Head { .. } | Receiving::Body(_) | Receiving::Ended => None,
        }
    }

    /// Excludes a pause from the time of the request.
    pub(super) fn restart_clock(&mut self, paused: Timestamp, now: Timestamp) {
        match &mut self.receiving {
            Receiving::Head { since, .. } => *since = now,
            Receiving::Body(body) => body.restart_clock(paused, now),
            Receiving::Ended => {}
        }
    }
}
