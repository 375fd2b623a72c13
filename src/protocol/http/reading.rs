//! The receiving half of an exchange: what the next byte of the client belongs to, and until when it has to come.

use super::body::BodyDecoder;
use super::error::HttpError;
use super::limits::{Limits, Moment};
use crate::protocol::time::Timestamp;

/// What the next byte of the client belongs to.
#[derive(Debug)]
pub(super) enum Reading {
    /// A request head.
    Head(Opening),
    /// The body of a request that is being handled.
    Body { decoder: BodyDecoder, pace: Pace },
    /// The body of a request that has been answered; `budget` further bytes of input are put up with.
    Discard { decoder: BodyDecoder, pace: Pace, budget: u32 },
    /// The next request, whose turn has not come.
    Complete,
    /// Another protocol.
    Left,
    /// Nothing: what comes is dropped.
    Closed,
}

/// A request head that has not arrived, or not all of it.
#[derive(Debug)]
pub(super) struct Opening {
    /// How far it is.
    pub phase: Phase,
    /// When that phase began.
    pub since: Timestamp,
    /// Bytes of the input in which the end of the head has been looked for.
    pub scanned: u16,
    /// Empty lines before the request line so far.
    pub empty_lines: u8,
}

/// How far a request head is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing arrived on this connection.
    New,
    /// Nothing arrived since the last response.
    Idle,
    /// The first bytes arrived.
    Partial,
}

/// Whether a body comes fast enough.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// When the current step began.
    pub since: Timestamp,
    /// Body bytes of the current step.
    pub bytes: u32,
}

impl Reading {
    /// Whether what is known to be missing of the request body may be read and dropped.
    pub(super) fn can_discard(&self, limits: &Limits) -> bool {
        match self {
            Self::Body { decoder, .. } => {
                decoder.remaining().is_none_or(|remaining| remaining <= u64::from(limits.max_discard))
            }
            Self::Head(_) | Self::Discard { .. } | Self::Complete | Self::Left | Self::Closed => true,
        }
    }

    /// Starts the timer of what is being read anew.
    pub(super) const fn restart(&mut self, now: Timestamp) {
        match self {
            Self::Head(opening) => opening.since = now,
            Self::Body { pace, .. } | Self::Discard { pace, .. } => *pace = Pace::new(now),
            Self::Complete | Self::Left | Self::Closed => {}
        }
    }

    /// When the client has been given long enough to send what is expected of it.
    pub(super) fn deadline(&self, limits: &Limits, is_taking_output: bool) -> Option<Timestamp> {
        match self {
            Self::Head(Opening { phase: Phase::New | Phase::Partial, since, .. }) => {
                Some(*since + limits.header_timeout)
            }
            // The client is not idle while it still takes the last response.
            Self::Head(Opening { phase: Phase::Idle, .. }) if is_taking_output => None,
            Self::Head(Opening { phase: Phase::Idle, since, .. }) => Some(*since + limits.keep_alive_timeout),
            Self::Body { pace, .. } | Self::Discard { pace, .. } => Some(pace.since + limits.body_timeout),
            Self::Complete | Self::Left | Self::Closed => None,
        }
    }
}

impl Opening {
    /// Nothing has arrived.
    pub(super) const fn new(phase: Phase, since: Timestamp) -> Self {
        Self { phase, since, scanned: 0, empty_lines: 0 }
    }

    /// RFC 9112 §2.2: an empty line before the request line is ignored. It does not count as the begin of a request.
    pub(super) const fn skip_empty_line(&mut self) -> Result<usize, HttpError> {
        if self.empty_lines == MAX_EMPTY_LINES {
            return Err(HttpError::TooManyEmptyLines);
        }
        self.empty_lines += 1;
        Ok(2)
    }

    /// The first `len` bytes of the head are there. Of a new connection the time runs since it was accepted.
    pub(super) fn wait_for_more(&mut self, len: usize, now: Timestamp) {
        // A head that is not complete is shorter than its limit of 65,535.
        self.scanned = u16::try_from(len).unwrap_or(u16::MAX);
        if self.phase == Phase::Idle {
            self.since = now;
        }
        self.phase = Phase::Partial;
    }
}

impl Pace {
    /// A step that begins at `now`.
    pub(super) const fn new(now: Timestamp) -> Self {
        Self { since: now, bytes: 0 }
    }

    /// `len` more body bytes arrived; enough of them begin a new step.
    pub(super) fn count(&mut self, len: usize, moment: Moment<'_>) {
        self.bytes = self.bytes.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
        if self.bytes >= moment.limits.body_step {
            *self = Self::new(moment.now);
        }
    }
}

/// Old clients send one after a POST body; more than a few are no accident.
const MAX_EMPTY_LINES: u8 = 8;
