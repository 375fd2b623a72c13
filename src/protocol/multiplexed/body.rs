//! The body of a request while it arrives.

use crate::protocol::http::limits::HttpLimits;
use crate::protocol::http::pace::Pace;
use crate::protocol::time::Timestamp;

/// How much of a body has arrived, and how fast.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Body {
    /// Bytes that have arrived, or that the header of their frame has announced.
    received: u64,
    /// Bytes that were passed on.
    passed: u64,
    /// Bytes in all, as Content-Length announces.
    announced: Option<u64>,
    /// When its request started, plus the time for which it was paused.
    started: Timestamp,
    /// The rate at which it arrives.
    pace: Pace,
}

impl Body {
    /// A body that follows its head.
    pub(in crate::protocol) const fn new(announced: Option<u64>, now: Timestamp) -> Self {
        Self { received: 0, passed: 0, announced, started: now, pace: Pace::new(now) }
    }

    /// Counts bytes that arrive. Returns how many there are so far.
    pub(in crate::protocol) const fn receive(&mut self, length: u64) -> u64 {
        self.received = self.received.saturating_add(length);
        self.received
    }

    /// Whether more has arrived than Content-Length announces.
    pub(in crate::protocol) fn is_too_long(&self) -> bool {
        self.announced.is_some_and(|announced| self.received > announced)
    }

    /// Whether less has arrived than Content-Length announces, or more: an error where the body ends.
    pub(in crate::protocol) fn is_wrong(&self) -> bool {
        self.announced.is_some_and(|announced| self.received != announced)
    }

    /// Whether all that Content-Length announces was passed on: the sink has been told the end, and what ends the stream
    /// (END_STREAM, FIN) may still be on its way.
    pub(in crate::protocol) fn is_passed(&self) -> bool {
        self.announced == Some(self.passed)
    }

    /// Counts a piece that is passed on, and that is the last one if `is_last`. Returns whether it is the last one that the
    /// sink is told of; `None` if the sink is not to be told of it.
    pub(in crate::protocol) fn pass(
        &mut self,
        length: usize,
        is_last: bool,
        limits: &HttpLimits,
        now: Timestamp,
    ) -> Option<bool> {
        self.pace.count(length as u64, limits.body_pace, now);
        let was_passed = self.is_passed();
        self.passed = self.passed.saturating_add(length as u64);
        let ends = !was_passed && (is_last || self.is_passed());
        (length > 0 || ends).then_some(ends)
    }

    /// When the client's time to send the rest is over.
    pub(in crate::protocol) fn deadline(&self, limits: &HttpLimits) -> Option<Timestamp> {
        if self.is_passed() {
            return None;
        }
        let whole = limits.request_timeout.map(|timeout| self.started + timeout);
        self.pace.deadline(limits.body_pace).into_iter().chain(whole).min()
    }

    /// Excludes a pause from its time.
    pub(in crate::protocol) fn restart_clock(&mut self, paused: Timestamp, now: Timestamp) {
        self.started = self.started + now.since(paused);
        self.pace = Pace::new(now);
    }
}
