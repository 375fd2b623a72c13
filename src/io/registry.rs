//! The connections of one worker, by slot and generation, and the streams of those with HTTP/2 or HTTP/3.

use crate::bridge::id::ConnectionId;
use crate::io::stream_work::StreamPlace;

/// A table whose entries are found by [`ConnectionId`]; an id of an earlier occupant of the slot finds nothing.
#[derive(Debug)]
pub(crate) struct Registry<T> {
    slots: Vec<Slot<T>>,
    /// How many connections there are.
    connections: usize,
}

/// One slot. The connection is boxed, so that an empty slot costs little.
#[derive(Debug)]
struct Slot<T> {
    /// Generation of the occupant.
    generation: u32,
    occupant: Occupant<T>,
}

#[derive(Debug)]
enum Occupant<T> {
    Nobody,
    Connection(Box<T>),
    /// A stream, which is a part of a connection.
    Stream(StreamPlace),
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), connections: 0 }
    }
}

impl<T> Registry<T> {
    /// Number of connections.
    #[must_use]
    pub(crate) const fn len(&self) -> usize {
        self.connections
    }

    /// Whether there are no connections.
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.connections == 0
    }

    /// Adds a connection under a name of which there is no entry.
    pub(crate) fn insert(&mut self, id: ConnectionId, connection: T) {
        self.connections += 1;
        self.set(id, Occupant::Connection(Box::new(connection)));
    }

    /// Adds a stream under a name of which there is no entry.
    pub(crate) fn insert_stream(&mut self, id: ConnectionId, place: StreamPlace) {
        self.set(id, Occupant::Stream(place));
    }

    fn set(&mut self, id: ConnectionId, occupant: Occupant<T>) {
        let slot = id.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || Slot { generation: 0, occupant: Occupant::Nobody });
        }
        self.slots[slot] = Slot { generation: id.generation, occupant };
    }

    /// Slot and generation of the connection that is on `slot` now.
    #[must_use]
    pub(crate) fn key(&self, slot: u32) -> Option<(u32, u32)> {
        let place = self.slots.get(slot as usize)?;
        matches!(place.occupant, Occupant::Connection(_)).then_some((slot, place.generation))
    }

    /// The connection on `slot`, if `generation` is its own.
    pub(crate) fn get(&mut self, slot: u32, generation: u32) -> Option<&mut T> {
        match self.slots.get_mut(slot as usize)? {
            Slot { generation: its, occupant: Occupant::Connection(connection) } if *its == generation => {
                Some(connection)
            }
            Slot { .. } => None,
        }
    }

    /// Where the stream named by `id` is.
    #[must_use]
    pub(crate) fn stream(&self, id: ConnectionId) -> Option<StreamPlace> {
        match self.slots.get(id.slot as usize)? {
            Slot { generation, occupant: Occupant::Stream(place) } if *generation == id.generation => {
                Some(*place)
            }
            Slot { .. } => None,
        }
    }

    /// Removes a connection.
    pub(crate) fn remove(&mut self, slot: u32, generation: u32) -> Option<Box<T>> {
        self.get(slot, generation)?;
        let occupant = std::mem::replace(&mut self.slots[slot as usize].occupant, Occupant::Nobody);
        self.connections -= 1;
        match occupant {
            Occupant::Connection(connection) => Some(connection),
            Occupant::Nobody | Occupant::Stream(_) => None,
        }
    }

    /// Removes a stream. Returns whether it was there.
    pub(crate) fn remove_stream(&mut self, id: ConnectionId) -> bool {
        let is_there = self.stream(id).is_some();
        if is_there {
            self.slots[id.slot as usize].occupant = Occupant::Nobody;
        }
        is_there
    }

    /// Slot and generation of every connection.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (u32, u32)> {
        (0..)
            .zip(&self.slots)
            .filter(|(_, place)| matches!(place.occupant, Occupant::Connection(_)))
            .map(|(slot, place)| (slot, place.generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::id::WorkerId;
    use crate::io::stream_work::StreamNumber;

    const fn id(slot: u32, generation: u32) -> ConnectionId {
        ConnectionId { worker: WorkerId(0), slot, generation }
    }

    #[test]
    fn an_id_of_an_earlier_occupant_finds_nothing() {
        let mut registry = Registry::default();
        for slot in 0..3 {
            registry.insert(id(slot, 7), slot);
        }
        assert_eq!(registry.remove(1, 7).as_deref(), Some(&1));
        assert!(registry.remove(1, 7).is_none() && registry.get(1, 7).is_none());
        assert_eq!((registry.key(1), registry.len()), (None, 2));
        registry.insert(id(1, 8), 9);
        assert_eq!((registry.key(1), registry.key(3)), (Some((1, 8)), None));
        assert!(registry.get(1, 7).is_none() && registry.remove(1, 7).is_none());
        assert_eq!(registry.get(1, 8), Some(&mut 9));
        assert_eq!(registry.keys().collect::<Vec<_>>(), [(0, 7), (1, 8), (2, 7)]);
    }

    #[test]
    fn a_stream_is_an_entry_but_no_connection() {
        let mut registry = Registry::default();
        registry.insert(id(0, 0), ());
        let place = StreamPlace { socket: 0, stream: StreamNumber(5) };
        registry.insert_stream(id(4, 2), place);
        assert_eq!((registry.stream(id(4, 2)), registry.stream(id(4, 1))), (Some(place), None));
        assert!(registry.get(4, 2).is_none());
        assert_eq!((registry.key(4), registry.len()), (None, 1));
        assert_eq!(registry.keys().count(), 1);
        assert!(registry.stream(id(0, 0)).is_none() && registry.remove(4, 2).is_none());
        assert!(registry.remove_stream(id(4, 2)) && !registry.remove_stream(id(4, 2)));
        assert!(registry.remove(0, 0).is_some() && registry.is_empty());
    }
}
