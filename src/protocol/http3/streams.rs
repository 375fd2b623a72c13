//! The requests of a connection whose streams are not closed.

use super::stream::{Stream, WaitsFor};
use super::stream_id::StreamId;

/// Sorted by number; there are at most a hundred or so.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Boxed, so that removing one moves little.
    #[expect(clippy::vec_box, reason = "so that removing one moves little")]
    list: Vec<Box<Stream>>,
    /// Pieces that were sent, for the turns of the streams.
    turns: u64,
}

impl Streams {
    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn position(&self, id: StreamId) -> Result<usize, usize> {
        self.list.binary_search_by_key(&id, |stream| stream.id)
    }

    /// The stream with this number.
    pub(super) fn get(&self, id: StreamId) -> Option<&Stream> {
        self.position(id).ok().map(|position| &*self.list[position])
    }

    /// The same, mutable.
    pub(super) fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.position(id).ok().map(|position| &mut *self.list[position])
    }

    /// Adds a stream. Packets overtake each other, so its number need not be the highest.
    pub(super) fn insert(&mut self, stream: Stream) {
        match self.position(stream.id) {
            Ok(position) => *self.list[position] = stream,
            Err(position) => self.list.insert(position, Box::new(stream)),
        }
    }

    /// Removes a stream.
    pub(super) fn remove(&mut self, id: StreamId) -> Option<Box<Stream>> {
        self.position(id).ok().map(|position| self.list.remove(position))
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.list.iter().map(Box::as_ref)
    }

    /// All of them, mutable.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.list.iter_mut().map(Box::as_mut)
    }

    /// The stream whose turn it is to send, if one can.
    pub(super) fn next_sender(&mut self) -> Option<&mut Stream> {
        self.iter_mut().filter(|stream| stream.can_send()).min_by_key(|stream| stream.rank())
    }

    /// Counts a piece of output, after which streams of equal rank come before this one.
    pub(super) fn note_turn(&mut self, id: StreamId) {
        self.turns += 1;
        let turn = self.turns;
        if let Some(stream) = self.get_mut(id) {
            stream.turn = turn;
        }
    }

    /// How many wait for insertions into the dynamic table.
    pub(super) fn count_blocked(&self) -> usize {
        let is_blocked = |stream: &&Stream| matches!(stream.input.waits_for, WaitsFor::Insertions(_));
        self.iter().filter(is_blocked).count()
    }
}
