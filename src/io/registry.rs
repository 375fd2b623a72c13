//! The connections of one worker, by slot and generation.

use crate::bridge::id::{ConnectionId, WorkerId};

/// A table whose entries are found by [`ConnectionId`]; an id of an earlier occupant of the slot finds nothing.
#[derive(Debug)]
pub(crate) struct Registry<T> {
    worker: WorkerId,
    slots: Vec<Slot<T>>,
    /// Empty slots, last used first, so that the table stays dense.
    free: Vec<u32>,
    /// The first generation of a new slot.
    first: u32,
}

/// One slot. The connection is boxed, so that an empty slot costs a pointer rather than a connection.
#[derive(Debug)]
struct Slot<T> {
    /// Generation of the occupant, or of the next one.
    generation: u32,
    value: Option<Box<T>>,
}

impl<T> Registry<T> {
    /// An empty table of `worker`, whose slots start with the generation `first`: the [`Self::next_generation`] of the
    /// worker's previous table, so that no id of that finds an entry here.
    #[must_use]
    pub(crate) const fn new(worker: WorkerId, first: u32) -> Self {
        Self { worker, slots: Vec::new(), free: Vec::new(), first }
    }

    /// A generation that no entry has had.
    #[must_use]
    pub(crate) fn next_generation(&self) -> u32 {
        // The generation of an empty slot is its next occupant's and not used yet; it is skipped all the same.
        let spent = self.slots.iter().map(|slot| slot.generation.wrapping_sub(self.first)).max();
        self.first.wrapping_add(spent.map_or(0, |spent| spent.wrapping_add(1)))
    }

    /// Number of entries.
    #[must_use]
    pub(crate) const fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// Adds the entry that `make` returns for its id.
    ///
    /// # Errors
    /// Those of `make`: then there is no entry, and the id may be given to the next one.
    pub(crate) fn insert<E>(&mut self, make: impl FnOnce(ConnectionId) -> Result<T, E>) -> Result<&mut T, E> {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: self.first, value: None });
            // A worker runs out of file descriptors long before 2^32 slots.
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let place = &mut self.slots[slot as usize];
        let id = ConnectionId { worker: self.worker, slot, generation: place.generation };
        match make(id) {
            Ok(value) => Ok(place.value.insert(Box::new(value))),
            Err(error) => {
                self.free.push(slot);
                Err(error)
            }
        }
    }

    /// Slot and generation of the entry that is on `slot` now.
    #[must_use]
    pub(crate) fn key(&self, slot: u32) -> Option<(u32, u32)> {
        let place = self.slots.get(slot as usize)?;
        place.value.is_some().then_some((slot, place.generation))
    }

    /// The entry on `slot`, if `generation` is its own.
    pub(crate) fn get(&mut self, slot: u32, generation: u32) -> Option<&mut T> {
        let slot = self.slots.get_mut(slot as usize)?;
        if slot.generation == generation { slot.value.as_deref_mut() } else { None }
    }

    /// The entry named by `id`.
    #[cfg(test)]
    pub(crate) fn find(&mut self, id: ConnectionId) -> Option<&mut T> {
        debug_assert_eq!(id.worker, self.worker, "a command reached the wrong worker");
        self.get(id.slot, id.generation)
    }

    /// Removes the entry. Its slot is reused for the next connection, with the next generation.
    pub(crate) fn remove(&mut self, slot: u32, generation: u32) -> Option<Box<T>> {
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
    pub(crate) fn keys(&self) -> impl Iterator<Item = (u32, u32)> {
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
        let mut registry = Registry::new(WorkerId(0), 0);
        let mut ids = Vec::new();
        for value in 0..3 {
            let made = registry.insert(|id| {
                ids.push(id);
                Ok::<_, ()>(value)
            });
            assert_eq!(made, Ok(&mut value.clone()));
        }
        assert_eq!(registry.remove(1, 0).as_deref(), Some(&1));
        assert!(registry.remove(1, 0).is_none());
        // What comes to nothing leaves no trace.
        assert_eq!(registry.insert(|id| Err::<i32, _>(id.generation)), Err(1));
        assert_eq!((registry.key(1), registry.len()), (None, 2));
        let made = registry.insert(|id| {
            ids.push(id);
            Ok::<_, ()>(9)
        });
        assert_eq!(made, Ok(&mut 9));
        assert_eq!((registry.key(1), registry.key(3)), (Some((1, 1)), None));
        assert_eq!((ids[3].slot, ids[3].generation), (1, 1));
        assert_eq!(registry.find(ids[1]), None);
        assert_eq!(registry.find(ids[3]), Some(&mut 9));
        assert_eq!(registry.keys().count(), 3);
    }

    #[test]
    fn a_table_that_follows_another_one_repeats_none_of_its_ids() {
        let mut ids = std::collections::HashSet::new();
        let mut first = u32::MAX - 3;
        for turn in 0..20_u32 {
            let mut registry = Registry::new(WorkerId(0), first);
            for _ in 0..turn % 4 {
                let mut slots = Vec::new();
                for _ in 0..turn % 3 {
                    let made = registry.insert(|id| {
                        assert!(ids.insert(id), "{id} was there before");
                        slots.push((id.slot, id.generation));
                        Ok::<_, ()>(())
                    });
                    assert!(made.is_ok());
                }
                assert_eq!(registry.is_empty(), slots.is_empty());
                slots.into_iter().for_each(|(slot, generation)| {
                    registry.remove(slot, generation);
                });
                assert!(registry.is_empty());
            }
            first = registry.next_generation();
        }
    }
}
