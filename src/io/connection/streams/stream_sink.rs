//! Turns what arrives on the streams of one connection into events.

use super::open_streams::{Kind, OpenStream, OpenStreams};
use crate::bridge::event::EventBatch;
use crate::bridge::id::{AppId, ConnectionId};
use crate::bridge::peer::Peer;
use crate::bridge::sync::Arc;
use crate::bridge::tally::Tally;
use crate::bridge::tls_peer::TlsPeerInfo;
use crate::io::names::Names;
use crate::io::stream_work::{StreamNumber, StreamPlace, StreamWork};
use crate::protocol::cause::CloseCause;
use crate::protocol::http::head::RequestHead;

/// Appends requests to the batch of events, and leaves the rest to the worker. The sinks of the sessions call it.
pub(crate) struct StreamSink<'a> {
    /// The batch.
    pub events: &'a mut EventBatch,
    /// Names for new streams.
    pub names: &'a mut Names,
    /// For the worker.
    pub work: &'a mut Vec<StreamWork>,
    /// Those that are open.
    pub streams: &'a mut OpenStreams,
    /// The connection that they are on.
    pub socket: ConnectionId,
    /// The app of the connection.
    pub app: AppId,
    /// The client.
    pub peer: Peer,
    /// Counts the requests.
    pub tally: &'a Tally,
    /// Server name and certificate of the client's TLS handshake.
    pub tls_peer: Option<&'a Arc<TlsPeerInfo>>,
    /// How often the session has called.
    pub calls: usize,
}

impl StreamSink<'_> {
    /// A stream has been opened by a request, or by an extended CONNECT (`is_tunnel`).
    pub(crate) fn open(&mut self, stream: StreamNumber, head: &RequestHead, bytes: &[u8], is_tunnel: bool) {
        self.calls += 1;
        let id = self.names.take();
        tracing::debug!(
            stream = stream.0,
            name = %id,
            method = %String::from_utf8_lossy(head.method.of(bytes)),
            path = %String::from_utf8_lossy(head.path.of(bytes)),
            "request received"
        );
        self.tally.requests.add(1);
        self.work.push(StreamWork::Opened { id, place: StreamPlace { socket: self.socket.slot, stream } });
        let kind =
            if is_tunnel { Kind::Handshake { early: Vec::new(), has_ended: false } } else { Kind::Request };
        self.streams.insert(OpenStream { stream, id, kind, meter: None });
        self.events.push_request(id, OpenStreams::REQUEST, self.app, self.peer, head, bytes);
        if let Some(tls_peer) = self.tls_peer {
            self.events.note_tls_peer(tls_peer);
        }
        if is_tunnel {
            // As a request it has no body.
            self.events.push_body(id, OpenStreams::REQUEST, b"", true);
        }
    }

    /// A piece of a body, or of what a tunnel carries.
    pub(crate) fn take_body(&mut self, stream: StreamNumber, chunk: &[u8], last: bool) {
        self.calls += 1;
        let Some(open) = self.streams.get_mut(stream) else { return };
        match &mut open.kind {
            Kind::Request => self.events.push_body(open.id, OpenStreams::REQUEST, chunk, last),
            Kind::Handshake { early, has_ended } => {
                early.extend_from_slice(chunk);
                *has_ended |= last;
            }
            Kind::Tunnel { .. } => match self.work.last_mut() {
                Some(StreamWork::Received { id, data, is_last }) if *id == open.id => {
                    data.extend_from_slice(chunk);
                    *is_last |= last;
                }
                _ => {
                    self.work.push(StreamWork::Received { id: open.id, data: chunk.to_vec(), is_last: last })
                }
            },
        }
    }

    /// A stream has ended before its response was complete.
    pub(crate) fn abort(&mut self, stream: StreamNumber, cause: CloseCause) {
        self.calls += 1;
        if let Some(open) = self.streams.get_mut(stream) {
            open.abort(cause, None, self.events, self.work);
        }
    }
}
