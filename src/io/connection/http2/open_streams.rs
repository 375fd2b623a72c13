//! What belongs to each open stream of a connection on this side of the session.

use crate::bridge::event::{Event, EventBatch};
use crate::bridge::id::{ConnectionId, RequestNumber};
use crate::io::connection::http::meter::Meter;
use crate::io::stream_work::StreamWork;
use crate::protocol::cause::CloseCause;
use crate::protocol::http2::frame::StreamId;

/// One stream.
#[derive(Debug)]
pub(super) struct OpenStream {
    /// Its number.
    pub stream: StreamId,
    /// Its name for Node's thread.
    pub id: ConnectionId,
    /// What it carries.
    pub kind: Kind,
    /// Accounts for the output of a response whose body comes in pieces.
    pub meter: Option<Meter>,
}

/// What a stream carries.
#[derive(Debug)]
pub(super) enum Kind {
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
    /// Reports that it has ended before it was complete.
    pub(super) fn abort(&self, cause: CloseCause, events: &mut EventBatch, work: &mut Vec<StreamWork>) {
        match self.kind {
            Kind::Request | Kind::Handshake { .. } => {
                let (connection, request) = (self.id, OpenStreams::REQUEST);
                events.events.push(Event::ResponseAborted { connection, request, cause });
            }
            Kind::Tunnel { .. } => {
                let is_fin = cause == CloseCause::FinBeforeResponse;
                let cause = if is_fin { CloseCause::FinWithoutClose } else { cause };
                work.push(StreamWork::Lost { id: self.id, cause });
            }
        }
    }
}

/// Those of a connection, in the order of their numbers, which rise.
#[derive(Debug, Default)]
pub(super) struct OpenStreams(Vec<OpenStream>);

impl OpenStreams {
    /// The number of the request of every stream.
    pub(super) const REQUEST: RequestNumber = RequestNumber(1);

    /// Adds one with the highest number so far.
    pub(super) fn push(&mut self, stream: OpenStream) {
        self.0.push(stream);
    }

    fn position(&self, stream: StreamId) -> Option<usize> {
        self.0.binary_search_by_key(&stream, |open| open.stream).ok()
    }

    /// The one with this number.
    pub(super) fn get_mut(&mut self, stream: StreamId) -> Option<&mut OpenStream> {
        let position = self.position(stream)?;
        self.0.get_mut(position)
    }

    /// Removes one.
    pub(super) fn remove(&mut self, stream: StreamId) -> Option<OpenStream> {
        let position = self.position(stream)?;
        Some(self.0.remove(position))
    }

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut OpenStream> {
        self.0.iter_mut()
    }
}
