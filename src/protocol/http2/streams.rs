//! Which of the streams of a connection sends next.

use super::frame::StreamId;
use super::stream::Stream;
use crate::protocol::multiplexed::stream_table::{Numbered, StreamTable};

/// The streams of a connection that are not closed.
pub(super) type Streams = StreamTable<Stream>;

impl Numbered for Stream {
    type Id = StreamId;

    fn id(&self) -> StreamId {
        self.id
    }

    fn note_turn(&mut self, turn: u64) {
        self.turn = turn;
    }
}

impl StreamTable<Stream> {
    /// The stream whose turn it is to send a frame, if one can.
    pub(super) fn next_sender(&self, has_connection_window: bool) -> Option<StreamId> {
        let senders = self.iter().filter(|stream| stream.can_send(has_connection_window));
        senders.min_by_key(|stream| stream.rank()).map(|stream| stream.id)
    }

    /// Whether output of any stream waits.
    pub(super) fn have_output(&self) -> bool {
        self.iter().any(|stream| !stream.output.is_empty())
    }
}
