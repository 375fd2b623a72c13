//! What belongs to each open stream of a connection on this side of the session.

use crate::bridge::event::{Event, EventBatch, Slice};
use crate::bridge::id::{ConnectionId, RequestNumber};
use crate::io::connection::http::meter::Meter;
use crate::io::stream_work::{StreamNumber, StreamWork};
use crate::protocol::cause::CloseCause;

/// One stream.
#[derive(Debug)]
pub(crate) struct OpenStream {
    /// Its number.
    pub stream: StreamNumber,
    /// Its name for Node's thread.
    pub id: ConnectionId,
    /// What it carries.
    pub kind: Kind,
    /// Accounts for the output of a response whose body comes in pieces.
    pub meter: Option<Meter>,
}

/// What a stream carries.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A request and its response.
    Request,
    /// An extended CONNECT that is not answered.
    Handshake {
        /// What has arrived behind it: at most the first window.
        early: Vec<u8>,
        /// Nothing follows that.
        has_ended: bool,
    },
    /// A WebSocket.
    Tunnel {
        /// Whether it waits until it takes more bytes.
        is_full: bool,
    },
}

impl OpenStream {
    /// Reports that it has ended before it was complete. `reason` is that in words, where the peer gave some.
    pub(crate) fn abort(
        &self,
        cause: CloseCause,
        reason: Option<&str>,
        events: &mut EventBatch,
        work: &mut Vec<StreamWork>,
    ) {
        match self.kind {
            Kind::Request | Kind::Handshake { .. } => {
                let (connection, request) = (self.id, OpenStreams::REQUEST);
                let reason = Slice::append(&mut events.bytes, reason.unwrap_or("").as_bytes());
                events.events.push(Event::ResponseAborted { connection, request, cause, reason });
            }
            Kind::Tunnel { .. } => {
                let is_fin = cause == CloseCause::FinBeforeResponse;
                let cause = if is_fin { CloseCause::FinWithoutClose } else { cause };
                work.push(StreamWork::Lost { id: self.id, cause, reason: reason.map(Box::from) });
            }
        }
    }
}

/// Those of a connection, in the order of their numbers.
#[derive(Debug, Default)]
pub(crate) struct OpenStreams(Vec<OpenStream>);

impl OpenStreams {
    /// The number of the request of every stream.
    pub(crate) const REQUEST: RequestNumber = RequestNumber(1);

    /// Adds one. With HTTP/2, its number is the highest so far; with HTTP/3, a request may arrive behind a later one.
    pub(crate) fn insert(&mut self, stream: OpenStream) {
        if self.0.capacity() == 0 {
            // Most connections of clients with one request at a time never need more.
            self.0.reserve_exact(1);
        }
        let place = self.0.partition_point(|open| open.stream < stream.stream);
        self.0.insert(place, stream);
    }

    fn position(&self, stream: StreamNumber) -> Option<usize> {
        self.0.binary_search_by_key(&stream, |open| open.stream).ok()
    }

    /// The one with this number.
    pub(crate) fn get_mut(&mut self, stream: StreamNumber) -> Option<&mut OpenStream> {
        let position = self.position(stream)?;
        self.0.get_mut(position)
    }

    /// Forgets one that is closed on both sides.
    pub(crate) fn forget(&mut self, stream: StreamNumber, work: &mut Vec<StreamWork>) {
        let Some(position) = self.position(stream) else { return };
        let OpenStream { id, kind, .. } = self.0.remove(position);
        work.push(match kind {
            Kind::Request | Kind::Handshake { .. } => StreamWork::Ended { id },
            // A tunnel that has broken off knows that already.
            Kind::Tunnel { .. } => StreamWork::Received { id, data: Vec::new(), is_last: true },
        });
    }

    /// Follows a flush, after which as many bytes wait in each stream as `queued` says. A response that waits is continued
    /// from `writable_below` on.
    pub(crate) fn handle_flush(
        &mut self,
        queued: impl Fn(StreamNumber) -> usize,
        writable_below: usize,
        events: &mut EventBatch,
        work: &mut Vec<StreamWork>,
    ) {
        for OpenStream { stream, id, kind, meter } in &mut self.0 {
            let left = queued(*stream);
            if let Some(meter) = meter
                && meter.record(left, writable_below)
            {
                events.events.push(Event::ResponseWritable { connection: *id, request: Self::REQUEST });
            }
            if let Kind::Tunnel { is_full: is_full @ true } = kind
                && left < TUNNEL_WRITABLE
            {
                *is_full = false;
                work.push(StreamWork::Writable { id: *id, queued: left });
            }
        }
    }

    /// The connection cannot last, which the WebSockets are told.
    pub(crate) fn doom_tunnels(&self, cause: CloseCause, work: &mut Vec<StreamWork>) {
        let tunnels = self.0.iter().filter(|it| matches!(it.kind, Kind::Tunnel { .. }));
        work.extend(tunnels.map(|it| StreamWork::Doomed { id: it.id, cause }));
    }

    /// Whether there is none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Bytes of a tunnel that wait, below which it takes more.
const TUNNEL_WRITABLE: usize = 32 * 1024;
