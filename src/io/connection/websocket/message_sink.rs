//! Turns what one WebSocket received into events.

use crate::bridge::event::{Event, EventBatch, Slice, WebSocketEvent};
use crate::bridge::id::ConnectionId;
use crate::bridge::tally::Tally;
use crate::protocol::cause::{CloseCause, Initiator, Verdict};
use crate::protocol::websocket::{Closure, MessageKind, WebSocketSink};

/// Appends messages and control frames to the batch of events.
pub(super) struct MessageSink<'a> {
    /// The batch.
    pub events: &'a mut EventBatch,
    /// The WebSocket.
    pub connection: ConnectionId,
    /// Counts the messages.
    pub tally: &'a Tally,
    /// The cause, once the WebSocket is closed.
    pub closed: Option<CloseCause>,
}

impl WebSocketSink for MessageSink<'_> {
    fn message(&mut self, kind: MessageKind, payload: &[u8]) {
        self.tally.messages_received.add(1);
        let payload = Slice::append(&mut self.events.bytes, payload);
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

    fn closed(&mut self, closure: Closure<'_>) {
        let Verdict { name, initiator, was_clean, text, .. } = closure.cause.verdict();
        if initiator == Initiator::Peer && !was_clean {
            tracing::warn!(cause = name, rule = text, "peer broke a rule of WebSocket");
        }
        log_closed(closure.cause, closure.code, closure.reason);
        self.closed = Some(closure.cause);
        let reason = Slice::append(&mut self.events.bytes, closure.reason.as_bytes());
        self.emit(WebSocketEvent::Closed { code: closure.code, cause: closure.cause, reason });
    }
}

impl MessageSink<'_> {
    fn emit(&mut self, event: WebSocketEvent) {
        self.events.events.push(Event::WebSocket { connection: self.connection, event });
    }
}

/// Logs the end of a WebSocket, whichever side brought it about.
pub(super) fn log_closed(cause: CloseCause, code: u16, reason: &str) {
    tracing::debug!(cause = cause.verdict().name, code, reason, "WebSocket closed");
}
