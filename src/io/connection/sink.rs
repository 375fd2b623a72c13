//! Turns what the protocols found into events.

use crate::bridge::event::{Event, EventBatch, Slice};
use crate::bridge::id::{AppId, ConnectionId, RequestNumber};
use crate::bridge::peer::Peer;
use crate::bridge::sync::Arc;
use crate::bridge::tally::Tally;
use crate::bridge::tls_peer::TlsPeerInfo;
use crate::protocol::cause::{CloseCause, Initiator, Verdict};
use crate::protocol::http::exchange;
use crate::protocol::http::head::RequestHead;
use crate::protocol::websocket::{self, Closure, MessageKind};

/// Appends the requests of one HTTP connection to the batch.
pub struct RequestSink<'a> {
    pub events: &'a mut EventBatch,
    pub connection: ConnectionId,
    pub app: AppId,
    pub peer: Peer,
    pub tally: &'a Tally,
    /// What the peer has said in its TLS handshake.
    pub tls_peer: Option<&'a Arc<TlsPeerInfo>>,
    /// The latest request of the connection; counts up with each one.
    pub request: &'a mut RequestNumber,
}

impl exchange::HttpSink for RequestSink<'_> {
    fn request(&mut self, head: &RequestHead, bytes: &[u8]) {
        *self.request = self.request.next();
        tracing::debug!(
            request = self.request.0,
            method = %String::from_utf8_lossy(head.method.of(bytes)),
            path = %String::from_utf8_lossy(head.path.of(bytes)),
            "request received"
        );
        self.tally.requests.add(1);
        self.events.push_request(self.connection, *self.request, self.app, self.peer, head, bytes);
        if let Some(tls_peer) = self.tls_peer {
            self.events.note_tls_peer(tls_peer);
        }
    }

    fn body(&mut self, chunk: &[u8], last: bool) {
        let data = Slice::append(&mut self.events.bytes, chunk);
        let (connection, request) = (self.connection, *self.request);
        if !self.extend_body(data, last) {
            self.events.events.push(Event::BodyReceived { connection, request, data, last });
        }
    }
}

impl RequestSink<'_> {
    /// Adds a piece to the one before it, if that was of the same body and is still here. Chunks of one byte would
    /// otherwise cost a call of JavaScript for every six bytes on the wire. Returns whether it could.
    fn extend_body(&mut self, piece: Slice, is_last: bool) -> bool {
        let (its_connection, its_request) = (self.connection, *self.request);
        let Some(Event::BodyReceived { connection, request, data, last }) = self.events.events.last_mut()
        else {
            return false;
        };
        let follows = *connection == its_connection
            && *request == its_request
            && data.start + data.len == piece.start
            && data.len + piece.len <= MOST_JOINED;
        if follows {
            data.len += piece.len;
            *last = is_last;
        }
        follows
    }
}

/// Bytes of a piece of a request body beyond which no further one is added: about what one read brings.
const MOST_JOINED: u32 = 128 * 1024;

/// Appends what one WebSocket received to the batch.
pub struct MessageSink<'a> {
    pub events: &'a mut EventBatch,
    pub connection: ConnectionId,
    pub tally: &'a Tally,
    /// Why the WebSocket is closed, once it is.
    pub closed: Option<CloseCause>,
}

impl websocket::WebSocketSink for MessageSink<'_> {
    fn message(&mut self, kind: MessageKind, payload: &[u8]) {
        self.tally.messages_received.add(1);
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
        let Verdict { name, initiator, was_clean, text, .. } = closure.cause.verdict();
        if initiator == Initiator::Peer && !was_clean {
            tracing::warn!(cause = name, rule = text, "peer broke a rule of WebSocket");
        }
        tell_closed(closure.cause, closure.code, closure.reason);
        self.closed = Some(closure.cause);
        let reason = Slice::append(&mut self.events.bytes, closure.reason.as_bytes());
        let (connection, code, cause) = (self.connection, closure.code, closure.cause);
        self.events.events.push(Event::WebSocketClosed { connection, code, cause, reason });
    }
}

/// Tells the log of the end of a WebSocket, whoever brought it about.
pub fn tell_closed(cause: CloseCause, code: u16, reason: &str) {
    tracing::debug!(cause = cause.verdict().name, code, reason, "WebSocket closed");
}
