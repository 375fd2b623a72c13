//! Which of the requests of a connection sends next, and which wait.

use super::stream::{Stream, WaitsFor};
use super::stream_id::StreamId;
use crate::protocol::multiplexed::stream_table::{Numbered, StreamTable};

/// The requests of a connection whose streams are not closed.
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
    /// The stream whose turn it is to send, if one can.
    pub(super) fn next_sender(&mut self) -> Option<&mut Stream> {
        self.iter_mut().filter(|stream| stream.can_send()).min_by_key(|stream| stream.rank())
    }

    /// How many wait for insertions into the dynamic table.
    pub(super) fn count_blocked(&self) -> usize {
        let is_blocked = |stream: &&Stream| matches!(stream.input.waits_for, WaitsFor::Insertions(_));
        self.iter().filter(is_blocked).count()
    }
}
