//! The connections of one worker, by slot and generation.

use crate::bridge::id::{ConnectionId, WorkerId};

/// A table whose entries are found by [`ConnectionId`]; an id of an earlier occupant of the slot finds nobody.
#[derive(Debug)]
pub struct Registry<T> {
    worker: WorkerId,
    slots: Vec<Slot<T>>,
    /// Empty slots, last used first, so that the table stays dense.
    free: Vec<u32>,
}

/// One place. Boxed, because a slot of a gone connection should cost a pointer and not a connection.
#[derive(Debug)]
struct Slot<T> {
    /// Generation of the occupant, or of the next one.
    generation: u32,
    value: Option<Box<T>>,
}

impl<T> Registry<T> {
    /// An empty table of `worker`.
    #[must_use]
    pub const fn new(worker: WorkerId) -> Self {
        Self { worker, slots: Vec::new(), free: Vec::new() }
    }

    /// Makes an entry; `make` learns its id.
    pub fn insert(&mut self, make: impl FnOnce(ConnectionId) -> T) -> &mut T {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, value: None });
            // A worker runs out of file descriptors long before 2^32 slots.
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let place = &mut self.slots[slot as usize];
        let id = ConnectionId { worker: self.worker, slot, generation: place.generation };
        place.value.insert(Box::new(make(id)))
    }

    /// The entry on `slot`, if `generation` is its own.
    pub fn get(&mut self, slot: u32, generation: u32) -> Option<&mut T> {
        let slot = self.slots.get_mut(slot as usize)?;
        if slot.generation == generation { slot.value.as_deref_mut() } else { None }
    }

    /// The entry named by `id`.
    pub fn find(&mut self, id: ConnectionId) -> Option<&mut T> {
        debug_assert_eq!(id.worker, self.worker, "a command reached the wrong worker");
        self.get(id.slot, id.generation)
    }

    /// Takes the entry out. Its slot is given to the next connection, under the next generation.
    pub fn remove(&mut self, slot: u32, generation: u32) -> Option<Box<T>> {
        let place = self.slots.get_mut(slot as usize)?;
        if place.generation != generation {
            return None;
        }
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(slot);
        Some(value)
    }

    /// Slot and generation of every entry.
    pub fn keys(&self) -> impl Iterator<Item = (u32, u32)> {
        (0..)
            .zip(&self.slots)
            .filter(|(_, place)| place.value.is_some())
            .map(|(slot, place)| (slot, place.generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_reused_under_another_generation() {
        let mut registry = Registry::new(WorkerId(0));
        let mut ids = Vec::new();
        for value in 0..3 {
            registry.insert(|id| {
                ids.push(id);
                value
            });
        }
        assert_eq!(registry.remove(1, 0).as_deref(), Some(&1));
        assert!(registry.remove(1, 0).is_none());
        registry.insert(|id| {
            ids.push(id);
            9
        });
        assert_eq!((ids[3].slot, ids[3].generation), (1, 1));
        assert_eq!(registry.find(ids[1]), None);
        assert_eq!(registry.find(ids[3]), Some(&mut 9));
        assert_eq!(registry.keys().count(), 3);
    }
}
