//! Turns what one WebSocket received into events.

use std::time::Duration;

use crate::bridge::event::{Event, EventBatch, Slice, WebSocketEvent};
use crate::bridge::id::ConnectionId;
use crate::bridge::moment::Moment;
use crate::bridge::tally::Tally;
use crate::bridge::traffic::{Facts, Traffic};
use crate::protocol::cause::{CloseCause, Initiator, Verdict};
use crate::protocol::websocket::{Closure, MessageKind, WebSocketSink};

/// Appends messages and control frames to the batch of events, and counts them.
pub(super) struct MessageSink<'a> {
    events: &'a mut EventBatch,
    connection: ConnectionId,
    tally: &'a Tally,
    /// The cause, once the WebSocket is closed.
    pub closed: Option<CloseCause>,
    /// Code and reason, which lies in the batch, until they are logged and reported.
    closure: Option<(u16, Slice)>,
    /// Messages that were received.
    received: u32,
    /// Messages that were queued for the peer.
    sent: u32,
    /// Pings that were sent.
    pings: u32,
    /// How long the peer took to answer earlier pings.
    round_trip: Option<Duration>,
    /// Events in the batch beyond which the rest of the input has to wait.
    max_events: usize,
}

impl WebSocketSink for MessageSink<'_> {
    fn message(&mut self, kind: MessageKind, payload: &[u8]) {
        self.tally.messages_received.add(1);
        self.received += 1;
        let payload = self.events.keep(payload);
        self.emit(WebSocketEvent::MessageReceived { kind, payload });
    }

    fn ping(&mut self, payload: &[u8]) {
        let payload = Slice::append(&mut self.events.bytes, payload);
        self.emit(WebSocketEvent::PingReceived { payload });
    }

    fn pong(&mut self, payload: &[u8]) {
        let payload = Slice::append(&mut self.events.bytes, payload);
        self.emit(WebSocketEvent::PongReceived { payload });
    }

    fn pinged(&mut self) {
        self.pings += 1;
    }

    fn round_trip(&mut self, time: Duration) {
        self.round_trip = Some(time);
    }

    fn closed(&mut self, closure: Closure<'_>) {
        let Verdict { name, initiator, was_clean, text, .. } = closure.cause.verdict();
        if initiator == Initiator::Peer && !was_clean {
            tracing::warn!(cause = name, rule = text, "peer broke a rule of WebSocket");
        }
        self.closed = Some(closure.cause);
        self.closure = Some((closure.code, Slice::append(&mut self.events.bytes, closure.reason.as_bytes())));
    }

    fn is_full(&self) -> bool {
        self.events.events.len() >= self.max_events
    }
}

impl<'a> MessageSink<'a> {
    /// For one WebSocket.
    pub(super) const fn new(events: &'a mut EventBatch, connection: ConnectionId, tally: &'a Tally) -> Self {
        Self {
            events,
            connection,
            tally,
            closed: None,
            closure: None,
            received: 0,
            sent: 0,
            pings: 0,
            round_trip: None,
            max_events: usize::MAX,
        }
    }

    /// Limits the number of events that are added to the batch.
    pub(super) fn limit_events(&mut self, room: usize) {
        self.max_events = self.events.events.len() + room;
    }

    /// Counts a message for the peer, if it was queued.
    pub(super) fn count_sent(&mut self, is_queued: bool) {
        self.tally.messages_sent.add(u64::from(is_queued));
        self.sent += u32::from(is_queued);
    }

    /// Passes on what was counted, and after that the end of the WebSocket if it was the last event.
    pub(super) fn conclude(&mut self, traffic: &Traffic, opened: Moment, now: Moment) {
        if self.received > 0 || self.sent > 0 {
            traffic.count_messages(self.received, self.sent);
        }
        if let Some(time) = self.round_trip {
            traffic.note_round_trip(time);
        }
        (0..self.pings).for_each(|_| traffic.count_ping());
        if let (Some(cause), Some((code, reason))) = (self.closed, self.closure) {
            let text = String::from_utf8_lossy(reason.of(&self.events.bytes));
            log_closed((cause, code, &text), now.since(opened), &traffic.facts(now));
            self.emit(WebSocketEvent::Closed { code, cause, reason });
        }
    }

    fn emit(&mut self, event: WebSocketEvent) {
        self.events.events.push(Event::WebSocket { connection: self.connection, event });
    }
}

/// Logs the end of a WebSocket, whichever side brought it about.
pub(super) fn log_closed((cause, code, reason): (CloseCause, u16, &str), open_for: Duration, facts: &Facts) {
    tracing::debug!(
        cause = cause.verdict().name,
        code,
        reason,
        open_ms = millis(open_for),
        silent_ms = millis(facts.silent_for),
        quiet_ms = millis(facts.quiet_for),
        unanswered_pings = facts.unanswered_pings,
        round_trip_ms = facts.round_trip.map(millis),
        bytes_received = facts.bytes.0,
        bytes_sent = facts.bytes.1,
        messages_received = facts.messages.0,
        messages_sent = facts.messages.1,
        "WebSocket closed"
    );
}

/// Whole milliseconds.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
