//! The receiving half of an exchange: what the next byte of the client belongs to, and until when it has to come.

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
    Body { decoder: BodyDecoder, span: BodySpan },
    /// The body of a request that has been answered; `budget` further bytes of input are put up with.
    Discard { decoder: BodyDecoder, span: BodySpan, budget: u32 },
    /// The next request, whose turn has not come.
    Complete,
    /// Another protocol.
    Left,
    /// Nothing: what comes is dropped.
    Closed,
}

/// A request head that has not arrived, or not all of it.
#[derive(Debug)]
pub(super) struct PendingHead {
    /// How far it is.
    pub phase: HeadPhase,
    /// When that phase began.
    pub since: Timestamp,
    /// Bytes of the input in which the end of the head has been looked for.
    pub scanned: u16,
    /// Empty lines before the request line so far.
    pub empty_lines: u8,
}

/// How far a request head is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadPhase {
    /// Nothing arrived on this connection.
    New,
    /// Nothing arrived since the last response.
    Idle,
    /// The first bytes arrived.
    Partial,
}

/// The time a body takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodySpan {
    /// When its request began. Moved by the time in which nobody read.
    pub begun: Timestamp,
    /// Whether it comes fast enough.
    pub pace: Pace,
}

impl Reading {
    /// Whether what is known to be missing of the request body may be read and dropped.
    pub(super) fn can_discard(&self, limits: &HttpLimits) -> bool {
        match self {
            Self::Body { decoder, .. } => {
                decoder.remaining().is_none_or(|remaining| remaining <= u64::from(limits.max_discard))
            }
            Self::Head(_) | Self::Discard { .. } | Self::Complete | Self::Left | Self::Closed => true,
        }
    }

    /// Nothing was read since `paused`: the timer of what is being read starts anew, and that of the whole request leaves
    /// the pause out.
    pub(super) fn restart(&mut self, paused: Timestamp, now: Timestamp) {
        match self {
            Self::Head(opening) => opening.since = now,
            Self::Body { span, .. } | Self::Discard { span, .. } => {
                *span = BodySpan { begun: span.begun + now.since(paused), pace: Pace::new(now) };
            }
            Self::Complete | Self::Left | Self::Closed => {}
        }
    }

    /// When the client has been given long enough to send what is expected of it.
    pub(super) fn deadline(&self, limits: &HttpLimits, is_taking_output: bool) -> Option<Timestamp> {
        match self {
            Self::Head(PendingHead { phase: HeadPhase::New | HeadPhase::Partial, since, .. }) => earlier(
                limits.headers_timeout.map(|timeout| *since + timeout),
                limits.request_timeout.map(|timeout| *since + timeout),
            ),
            // The client is not idle while it still takes the last response.
            Self::Head(PendingHead { phase: HeadPhase::Idle, .. }) if is_taking_output => None,
            Self::Head(PendingHead { phase: HeadPhase::Idle, since, .. }) => {
                limits.keep_alive_timeout.map(|timeout| *since + timeout)
            }
            Self::Body { span, .. } | Self::Discard { span, .. } => earlier(
                span.pace.deadline(limits.body_pace),
                limits.request_timeout.map(|timeout| span.begun + timeout),
            ),
            Self::Complete | Self::Left | Self::Closed => None,
        }
    }
}

impl PendingHead {
    /// Nothing has arrived.
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

    /// What is wrong with a head that begins like this and breaks a rule: a header of the PROXY protocol breaks some, too,
    /// and its sender wants to know that it was not expected. Version 2 begins with two empty lines and a NUL.
    pub(super) fn explain(&self, error: HttpError, head: &[u8]) -> HttpError {
        let lines: [&[u8]; 3] = [b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN"];
        let is_binary = self.empty_lines == 2 && head.first() == Some(&0);
        if is_binary || lines.iter().any(|line| head.starts_with(line)) {
            HttpError::ProxyHeader
        } else {
            error
        }
    }

    /// The first `len` bytes of the head are there. Of a new connection the time runs since it was accepted.
    pub(super) fn wait_for_more(&mut self, len: usize, now: Timestamp) {
        // A head that is not complete is shorter than its limit of 65,535.
        self.scanned = u16::try_from(len).unwrap_or(u16::MAX);
        if self.phase == HeadPhase::Idle {
            self.since = now;
        }
        self.phase = HeadPhase::Partial;
    }

    /// When the request began whose head is complete at `now`.
    pub(super) const fn begun(&self, now: Timestamp) -> Timestamp {
        match self.phase {
            HeadPhase::New | HeadPhase::Partial => self.since,
            HeadPhase::Idle => now,
        }
    }
}

impl BodySpan {
    /// `len` more bytes of the body arrived.
    pub(super) fn count(&mut self, len: usize, limits: &HttpLimits, now: Timestamp) {
        self.pace.count(len as u64, limits.body_pace, now);
    }
}

/// The earlier of two deadlines that there may be.
pub(super) fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

/// Old clients send one after a POST body; more than a few are no accident.
const MAX_EMPTY_LINES: u8 = 8;
