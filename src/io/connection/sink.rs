//! Turns what the protocols found into events.

use std::net::SocketAddr;

use crate::bridge::event::{Event, EventBatch, Slice};
use crate::bridge::id::{AppId, ConnectionId, RequestNumber};
use crate::protocol::http::exchange;
use crate::protocol::http::head::RequestHead;
use crate::protocol::websocket::{self, Closure, MessageKind};

/// Appends the requests of one HTTP connection to the batch.
pub struct RequestSink<'a> {
    pub events: &'a mut EventBatch,
    pub connection: ConnectionId,
    pub app: AppId,
    pub peer: Option<SocketAddr>,
    /// The latest request of the connection; counts up with each one.
    pub request: &'a mut RequestNumber,
}

impl exchange::Sink for RequestSink<'_> {
    fn request(&mut self, head: &RequestHead, bytes: &[u8]) {
        *self.request = self.request.next();
        tracing::debug!(request = self.request.0, "request received");
        self.events.push_request(self.connection, *self.request, self.app, self.peer, head, bytes);
    }

    fn body(&mut self, chunk: &[u8], last: bool) {
        let data = Slice::append(&mut self.events.bytes, chunk);
        let (connection, request) = (self.connection, *self.request);
        self.events.events.push(Event::BodyReceived { connection, request, data, last });
    }
}

/// Appends what one WebSocket received to the batch.
pub struct MessageSink<'a> {
    pub events: &'a mut EventBatch,
    pub connection: ConnectionId,
}

impl websocket::Sink for MessageSink<'_> {
    fn message(&mut self, kind: MessageKind, payload: &[u8]) {
        let payload = Slice::append(&mut self.events.bytes, payload);
        self.events.events.push(Event::MessageReceived { connection: self.connection, kind, payload });
    }

    fn ping(&mut self, payload: &[u8]) {
        let payload = Slice::append(&mut self.events.bytes, payload);
        self.events.events.push(Event::PingReceived { connection: self.connection, payload });
    }

    fn pong(&mut self, payload: &[u8]) {
        let payload = Slice::append(&mut self.events.bytes, payload);
        self.events.events.push(Event::PongReceived { connection: self.connection, payload });
    }

    fn closed(&mut self, closure: Closure<'_>) {
        tracing::debug!(
            cause = closure.cause.verdict().name,
            code = closure.code,
            reason = closure.reason,
            "WebSocket closed"
        );
        let reason = Slice::append(&mut self.events.bytes, closure.reason.as_bytes());
        let (connection, code, cause) = (self.connection, closure.code, closure.cause);
        self.events.events.push(Event::WebSocketClosed { connection, code, cause, reason });
    }
}
