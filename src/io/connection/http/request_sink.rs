//! Turns the requests of one HTTP connection into events.

use crate::bridge::event::EventBatch;
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
        self.events.push_body(self.connection, *self.request, chunk, last);
    }
}
