//! The streams of a connection that are not closed.

/// A stream, as the table has to know it.
pub(in crate::protocol) trait Numbered {
    /// Its number.
    type Id: Copy + Ord;

    /// Its number.
    fn id(&self) -> Self::Id;

    /// Notes when it was last its turn to send: how many turns there were, this one included.
    fn note_turn(&mut self, turn: u64);
}

/// Sorted by number; there are at most a hundred or so.
#[derive(Debug)]
pub(in crate::protocol) struct StreamTable<T> {
    /// Boxed, so that removing one moves little.
    list: Vec<Box<T>>,
    /// How often it was the turn of one of them to send.
    turns: u64,
}

impl<T> Default for StreamTable<T> {
    fn default() -> Self {
        Self { list: Vec::new(), turns: 0 }
    }
}

impl<T: Numbered> StreamTable<T> {
    /// How many there are.
    pub(in crate::protocol) const fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub(in crate::protocol) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn position(&self, id: T::Id) -> Result<usize, usize> {
        self.list.binary_search_by_key(&id, |stream| stream.id())
    }

    /// The stream with this number.
    pub(in crate::protocol) fn get(&self, id: T::Id) -> Option<&T> {
        self.position(id).ok().map(|position| &*self.list[position])
    }

    /// The same, mutable.
    pub(in crate::protocol) fn get_mut(&mut self, id: T::Id) -> Option<&mut T> {
        self.position(id).ok().map(|position| &mut *self.list[position])
    }

    /// Adds a stream. With HTTP/2 its number is the highest so far; packets of QUIC overtake each other.
    pub(in crate::protocol) fn insert(&mut self, stream: T) {
        match self.position(stream.id()) {
            Ok(position) => *self.list[position] = stream,
            Err(position) => self.list.insert(position, Box::new(stream)),
        }
    }

    /// Removes a stream.
    pub(in crate::protocol) fn remove(&mut self, id: T::Id) -> Option<Box<T>> {
        self.position(id).ok().map(|position| self.list.remove(position))
    }

    /// All of them.
    pub(in crate::protocol) fn iter(&self) -> impl Iterator<Item = &T> {
        self.list.iter().map(Box::as_ref)
    }

    /// All of them, mutable.
    pub(in crate::protocol) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.list.iter_mut().map(Box::as_mut)
    }

    /// Counts a turn, after which streams of equal rank come before this one.
    pub(in crate::protocol) fn note_turn(&mut self, id: T::Id) {
        self.turns += 1;
        let turn = self.turns;
        if let Some(stream) = self.get_mut(id) {
            stream.note_turn(turn);
        }
    }
}
