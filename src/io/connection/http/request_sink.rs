//! Turns the requests of one HTTP connection into events.

use crate::bridge::event::{Event, EventBatch, Payload};
use crate::bridge::id::{AppId, ConnectionId, RequestNumber};
use crate::bridge::peer::Peer;
use crate::bridge::sync::Arc;
use crate::bridge::tally::Tally;
use crate::bridge::tls_peer::TlsPeerInfo;
use crate::protocol::http::exchange::HttpSink;
use crate::protocol::http::head::RequestHead;

/// Appends requests to the batch of events.
pub(super) struct RequestSink<'a> {
    /// The batch.
    pub events: &'a mut EventBatch,
    /// The connection that they arrive on.
    pub connection: ConnectionId,
    /// The app of the connection.
    pub app: AppId,
    /// The client.
    pub peer: Peer,
    /// Counts the requests.
    pub tally: &'a Tally,
    /// Server name and certificate of the client's TLS handshake.
    pub tls_peer: Option<&'a Arc<TlsPeerInfo>>,
    /// The latest request of the connection; counts up with each one.
    pub request: &'a mut RequestNumber,
}

impl HttpSink for RequestSink<'_> {
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
        let data = self.events.keep(chunk);
        let (connection, request) = (self.connection, *self.request);
        if !self.extend_body(data, last) {
            self.events.events.push(Event::BodyReceived { connection, request, data, last });
        }
    }
}

impl RequestSink<'_> {
    /// Extends the last event of the batch by a piece of the body, if that event has the preceding piece of the same
    /// body. Otherwise chunks of one byte would cost a call into JavaScript for every six bytes on the wire. Returns
    /// whether it did.
    fn extend_body(&mut self, piece: Payload, is_last: bool) -> bool {
        let (its_connection, its_request) = (self.connection, *self.request);
        let Some(Event::BodyReceived { connection, request, data, last }) = self.events.events.last_mut()
        else {
            return false;
        };
        let follows =
            *connection == its_connection && *request == its_request && data.extend(piece, MAX_JOINED);
        if follows {
            *last = is_last;
        }
        follows
    }
}

/// Bytes of one event with a piece of a request body: about what one read yields.
const MAX_JOINED: u32 = 128 * 1024;
