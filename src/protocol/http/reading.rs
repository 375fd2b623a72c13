//! The receiving half of an exchange: what the next byte of the client belongs to, and when it is due.

use super::body::BodyDecoder;
use super::error::HttpError;
use super::limits::HttpLimits;
use super::pace::Pace;
use crate::protocol::time::Timestamp;

/// What the next byte of the client belongs to.
#[derive(Debug)]
pub(super) enum Reading {
    /// A request head.
    Head(PendingHead),
    /// The body of a request that is being handled.
    Body { decoder: BodyDecoder, timing: BodyTiming },
    /// The body of a request that has been answered; at most `budget` further bytes are read and discarded.
    Discard { decoder: BodyDecoder, timing: BodyTiming, budget: u32 },
    /// The next request: it is not read before the response to the current one is complete.
    Complete,
    /// Another protocol, after an upgrade.
    Left,
    /// Nothing: further bytes are discarded.
    Closed,
}

/// A request head that has not arrived, or not all of it.
#[derive(Debug)]
pub(super) struct PendingHead {
    /// Its phase.
    pub phase: HeadPhase,
    /// When that phase started.
    pub since: Timestamp,
    /// Bytes of the input that have been searched for the end of the head.
    pub scanned: u16,
    /// Empty lines before the request line so far.
    pub empty_lines: u8,
}

/// The phase of a request head that is incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadPhase {
    /// Nothing arrived on this connection.
    New,
    /// Nothing arrived since the last response.
    Idle,
    /// The first bytes arrived.
    Partial,
}

/// The timing of a request body.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyTiming {
    /// When its request started, plus the time for which reading was paused.
    pub started: Timestamp,
    /// The rate at which it arrives.
    pub pace: Pace,
}

impl Reading {
    /// Whether the outstanding rest of the request body is small enough to be read and discarded.
    pub(super) fn can_discard(&self, limits: &HttpLimits) -> bool {
        match self {
            Self::Body { decoder, .. } => {
                decoder.remaining().is_none_or(|remaining| remaining <= u64::from(limits.max_discard))
            }
            Self::Head(_) | Self::Discard { .. } | Self::Complete | Self::Left | Self::Closed => true,
        }
    }

    /// Reading was paused from `paused` to `now`: restarts the timer of the head or body being read, and excludes the
    /// pause from that of the whole request.
    pub(super) fn restart(&mut self, paused: Timestamp, now: Timestamp) {
        match self {
            Self::Head(opening) => opening.since = now,
            Self::Body { timing, .. } | Self::Discard { timing, .. } => {
                *timing = BodyTiming { started: timing.started + now.since(paused), pace: Pace::new(now) };
            }
            Self::Complete | Self::Left | Self::Closed => {}
        }
    }

    /// When the client's time to send the head or body being read is over.
    pub(super) fn deadline(&self, limits: &HttpLimits, has_pending_output: bool) -> Option<Timestamp> {
        match self {
            Self::Head(PendingHead { phase: HeadPhase::New | HeadPhase::Partial, since, .. }) => earlier(
                limits.headers_timeout.map(|timeout| *since + timeout),
                limits.request_timeout.map(|timeout| *since + timeout),
            ),
            // The client is not idle while it still receives the last response.
            Self::Head(PendingHead { phase: HeadPhase::Idle, .. }) if has_pending_output => None,
            Self::Head(PendingHead { phase: HeadPhase::Idle, since, .. }) => {
                limits.keep_alive_timeout.map(|timeout| *since + timeout)
            }
            Self::Body { timing, .. } | Self::Discard { timing, .. } => earlier(
                timing.pace.deadline(limits.body_pace),
                limits.request_timeout.map(|timeout| timing.started + timeout),
            ),
            Self::Complete | Self::Left | Self::Closed => None,
        }
    }
}

impl PendingHead {
    /// A head of which no byte has arrived.
    pub(super) const fn new(phase: HeadPhase, since: Timestamp) -> Self {
        Self { phase, since, scanned: 0, empty_lines: 0 }
    }

    /// RFC 9112 §2.2: an empty line before the request line is ignored. It does not count as the start of a request.
    pub(super) const fn skip_empty_line(&mut self) -> Result<usize, HttpError> {
        if self.empty_lines == MAX_EMPTY_LINES {
            return Err(HttpError::TooManyEmptyLines);
        }
        self.empty_lines += 1;
        Ok(2)
    }

    /// The error to report for a head that starts with these bytes and broke the rule `error`. A PROXY header breaks
    /// rules of HTTP too, and the answer should say that it was not expected. Version 2 starts with two empty lines and
    /// a NUL.
    pub(super) fn explain(&self, error: HttpError, head: &[u8]) -> HttpError {
        let lines: [&[u8]; 3] = [b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN"];
        let is_binary = self.empty_lines == 2 && head.first() == Some(&0);
        if is_binary || lines.iter().any(|line| head.starts_with(line)) {
            HttpError::ProxyHeader
        } else {
            error
        }
    }

    /// The first `len` bytes of the head have arrived. On a new connection the time is counted from the accept.
    pub(super) fn wait_for_more(&mut self, len: usize, now: Timestamp) {
        // A head that is not complete is shorter than its limit of 65,535.
        self.scanned = u16::try_from(len).unwrap_or(u16::MAX);
        if self.phase == HeadPhase::Idle {
            self.since = now;
        }
        self.phase = HeadPhase::Partial;
    }

    /// When the request started whose head is complete at `now`.
    pub(super) const fn started_at(&self, now: Timestamp) -> Timestamp {
        match self.phase {
            HeadPhase::New | HeadPhase::Partial => self.since,
            HeadPhase::Idle => now,
        }
    }
}

impl BodyTiming {
    /// `len` more bytes of the body arrived.
    pub(super) fn count(&mut self, len: usize, limits: &HttpLimits, now: Timestamp) {
        self.pace.count(len as u64, limits.body_pace, now);
    }
}

/// The earlier of two optional deadlines.
pub(super) fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

/// Old clients send one empty line after a POST body (RFC 9112 §2.2); no client sends more than a few.
const MAX_EMPTY_LINES: u8 = 8;
