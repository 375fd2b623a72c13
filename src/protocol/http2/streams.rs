//! The streams of a connection that are not closed.

use super::frame::StreamId;
use super::stream::Stream;

/// Sorted by number, which rise; there are at most a hundred or so.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Boxed, so that removing one moves little.
    #[expect(clippy::vec_box, reason = "so that removing one moves little")]
    list: Vec<Box<Stream>>,
    /// Frames that were sent, for the turns of the streams.
    turns: u64,
}

impl Streams {
    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.list.len()
    }

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

    /// Adds a stream with the highest number so far.
    pub(super) fn push(&mut self, stream: Stream) {
        self.list.push(Box::new(stream));
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

    /// The stream whose turn it is to send a frame, if one can.
    pub(super) fn next_sender(&self, has_connection_window: bool) -> Option<StreamId> {
        let senders = self.iter().filter(|stream| stream.can_send(has_connection_window));
        senders.min_by_key(|stream| stream.rank()).map(|stream| stream.id)
    }

    /// Counts a frame, after which streams of equal rank come before this one.
    pub(super) fn note_turn(&mut self, id: StreamId) {
        self.turns += 1;
        let turn = self.turns;
        if let Some(stream) = self.get_mut(id) {
            stream.turn = turn;
        }
    }

    /// Whether output of any stream waits.
    pub(super) fn have_output(&self) -> bool {
        self.iter().any(|stream| !stream.output.is_empty())
    }
}
