//! Turns what arrives on the streams of one connection into events.

use super::open_streams::{Kind, OpenStream, OpenStreams};
use crate::bridge::event::EventBatch;
use crate::bridge::id::{AppId, ConnectionId};
use crate::bridge::peer::Peer;
use crate::bridge::sync::Arc;
use crate::bridge::tally::Tally;
use crate::bridge::tls_peer::TlsPeerInfo;
use crate::io::names::Names;
use crate::io::stream_work::{StreamPlace, StreamWork};
use crate::protocol::cause::{Cause, CloseCause};
use crate::protocol::http::head::RequestHead;
use crate::protocol::http2::frame::StreamId;
use crate::protocol::http2::session::{Http2Sink, StreamEnd};

/// Appends requests to the batch of events, and leaves the rest to the worker.
pub(super) struct StreamSink<'a> {
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

impl Http2Sink for StreamSink<'_> {
    fn request(&mut self, stream: StreamId, head: &RequestHead, bytes: &[u8], is_tunnel: bool) {
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
        self.streams.push(OpenStream { stream, id, kind, meter: None });
        self.events.push_request(id, OpenStreams::REQUEST, self.app, self.peer, head, bytes);
        if let Some(tls_peer) = self.tls_peer {
            self.events.note_tls_peer(tls_peer);
        }
        if is_tunnel {
            // As a request it has no body.
            self.events.push_body(id, OpenStreams::REQUEST, b"", true);
        }
    }

    fn body(&mut self, stream: StreamId, chunk: &[u8], last: bool) {
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

    fn aborted(&mut self, stream: StreamId, end: StreamEnd) {
        self.calls += 1;
        match end {
            StreamEnd::Reset(code) => tracing::debug!(stream = stream.0, code = code.name(), "stream reset"),
            StreamEnd::Broken(error) => {
                tracing::warn!(stream = stream.0, cause = error.code(), rule = %error, "peer broke a rule of HTTP/2");
            }
            StreamEnd::BodyTooLarge | StreamEnd::BodyTimeout | StreamEnd::ResponseTimeout => {}
        }
        let cause = match end {
            StreamEnd::Reset(code) => CloseCause::StreamReset(code.into()),
            StreamEnd::Broken(_) => CloseCause::InvalidHttp2,
            StreamEnd::BodyTooLarge => CloseCause::BodyTooLarge,
            StreamEnd::BodyTimeout => CloseCause::BodyTimeout,
            StreamEnd::ResponseTimeout => CloseCause::ResponseTimeout,
        };
        if let Some(open) = self.streams.get_mut(stream) {
            open.abort(cause, self.events, self.work);
        }
    }
}
