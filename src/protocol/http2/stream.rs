//! One stream: a request and its response (RFC 9113 §5.1, §8.1).
//!
//! | `Receiving` | `Sending` | state of RFC 9113 §5.1 |
//! |---|---|---|
//! | `Body` | `Owed`, `Started`, `Ending` | open |
//! | `Ended` | `Owed`, `Started`, `Ending` | half-closed (remote) |
//! | `Body` | – | half-closed (local), which a tunnel may be; for all others the stream is reset with NO_ERROR (§8.1) |
//!
//! A stream that is idle or closed is not in the table: its number tells which of the two it is.

use super::frame::StreamId;
use super::window::{ReceiveWindow, SendWindow};
use crate::protocol::http::limits::HttpLimits;
use crate::protocol::http::pace::Pace;
use crate::protocol::http::response_framing::{AskedMethod, BodyEncoding};
use crate::protocol::multiplexed::body::Body;
use crate::protocol::multiplexed::priority::Priority;
use crate::protocol::time::Timestamp;

/// See the top of this file.
#[derive(Debug)]
pub(super) struct Stream {
    pub id: StreamId,
    pub receiving: Receiving,
    /// What the client may send.
    pub receive_window: ReceiveWindow,
    /// When the application paused the request body; the client gets no room for more while it is set.
    pub paused: Option<Timestamp>,
    pub sending: Sending,
    /// What this side may send.
    pub send_window: SendWindow,
    pub output: Output,
    /// When a byte of it last left, or it was last empty.
    pub progress: Timestamp,
    pub priority: Priority,
    /// When it was last its turn, counted in frames; 0 if it never was.
    pub turn: u64,
    /// The rate at which the client opens a window that output waits for.
    pub stall: Option<Pace>,
    /// It is an extended CONNECT.
    pub is_tunnel: bool,
}

/// The request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Receiving {
    /// The body arrives.
    Body(Body),
    /// It is complete.
    Ended,
}

/// The response.
#[derive(Clone, Debug)]
pub(super) enum Sending {
    /// It has not started.
    Owed(AskedMethod),
    /// Its head is sent.
    Started(BodyEncoding),
    /// All of it is queued; then come these trailers, if there are any.
    Ending(Option<Box<[u8]>>),
    /// It is sent.
    Ended,
}

/// Bytes of a response that flow control, or the socket, does not let through yet.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    sent: usize,
}

impl Output {
    /// How many bytes wait.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether none do.
    pub(super) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds bytes.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Moves the first `length` bytes to `out`.
    pub(super) fn move_to(&mut self, length: usize, out: &mut Vec<u8>) {
        let end = self.sent + length;
        out.extend_from_slice(&self.bytes[self.sent..end]);
        self.sent = end;
        if self.is_empty() {
            *self = Self::default();
        } else if self.sent >= COMPACT_FROM && self.sent * 2 >= self.bytes.len() {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }
}

impl Stream {
    /// Whether the request is complete.
    pub(super) const fn has_ended(&self) -> bool {
        matches!(self.receiving, Receiving::Ended)
    }

    /// How the response is framed, once it has started and until all of it is queued.
    pub(super) const fn body(&mut self) -> Option<&mut BodyEncoding> {
        match &mut self.sending {
            Sending::Started(body) => Some(body),
            Sending::Owed(_) | Sending::Ending(_) | Sending::Ended => None,
        }
    }

    /// Whether something can be sent now: data within the window, or the end.
    pub(super) fn can_send(&self, has_connection_window: bool) -> bool {
        if self.output.is_empty() {
            matches!(self.sending, Sending::Ending(_))
        } else {
            has_connection_window && self.send_window.available() > 0
        }
    }

    /// Whose turn it is: the smallest value first (RFC 9218 §10). More urgent streams precede less urgent ones; of equal
    /// ones those that are not incremental come first, in the order of their requests, and the others take turns.
    pub(super) const fn rank(&self) -> (u8, bool, u64, StreamId) {
        let Priority { urgency, incremental } = self.priority;
        (urgency, incremental, if incremental { self.turn } else { 0 }, self.id)
    }

    /// When the client's time to send the rest of the body, or to open its window, is over. What a tunnel carries has
    /// timeouts of its own.
    pub(super) fn deadline(&self, limits: &HttpLimits) -> Option<Timestamp> {
        if self.is_tunnel {
            return None;
        }
        let stall = self.stall.and_then(|pace| pace.deadline(limits.response_pace));
        stall.into_iter().chain(self.body_deadline(limits)).min()
    }

    /// The same for the body alone.
    pub(super) fn body_deadline(&self, limits: &HttpLimits) -> Option<Timestamp> {
        match self.receiving {
            Receiving::Body(body) if self.paused.is_none() => body.deadline(limits),
            Receiving::Body(_) | Receiving::Ended => None,
        }
    }

    /// Excludes a pause from the time of the body.
    pub(super) fn restart_clock(&mut self, paused: Timestamp, now: Timestamp) {
        if let Receiving::Body(body) = &mut self.receiving {
            body.restart_clock(paused, now);
        }
    }
}

/// Bytes that were sent from which on they are freed while others still wait.
const COMPACT_FROM: usize = 64 * 1024;
