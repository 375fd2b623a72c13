//! The names that one worker gives to its connections, and to the streams of those with HTTP/2: a place in its table and
//! how often that was used before.

use crate::bridge::id::{ConnectionId, WorkerId};

/// Places and their generations. They lie apart from the table ([`super::registry`]), because a stream needs its name
/// while the table is in use: when its connection is being read.
#[derive(Debug)]
pub(crate) struct Names {
    worker: WorkerId,
    /// Of each place, the generation of its occupant or of the next one.
    generations: Vec<u32>,
    /// Empty places, last used first, so that the table stays dense.
    free: Vec<u32>,
    /// The first generation of a new place.
    first: u32,
}

impl Names {
    /// Those of `worker`, whose places start with the generation `first`: the [`Self::next_generation`] of the worker's
    /// predecessor, so that no name of that is given again.
    #[must_use]
    pub(crate) const fn new(worker: WorkerId, first: u32) -> Self {
        Self { worker, generations: Vec::new(), free: Vec::new(), first }
    }

    /// A generation that no name has had.
    #[must_use]
    pub(crate) fn next_generation(&self) -> u32 {
        // The generation of an empty place is its next occupant's and not used yet; it is skipped all the same.
        let spent = self.generations.iter().map(|generation| generation.wrapping_sub(self.first)).max();
        self.first.wrapping_add(spent.map_or(0, |spent| spent.wrapping_add(1)))
    }

    /// A name that no connection or stream has had.
    #[must_use]
    pub(crate) fn take(&mut self) -> ConnectionId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.generations.push(self.first);
            // A worker runs out of file descriptors and memory long before 2^32 places.
            u32::try_from(self.generations.len() - 1).unwrap_or(u32::MAX)
        });
        ConnectionId { worker: self.worker, slot, generation: self.generations[slot as usize] }
    }

    /// The place of this name is free, and will be used with the next generation.
    pub(crate) fn give_back(&mut self, slot: u32) {
        if let Some(generation) = self.generations.get_mut(slot as usize) {
            *generation = generation.wrapping_add(1);
            self.free.push(slot);
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::new(WorkerId(0), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_under_another_generation() {
        let mut names = Names::new(WorkerId(3), 5);
        let ids = [names.take(), names.take(), names.take()];
        assert_eq!(ids.map(|id| (id.worker.0, id.slot, id.generation)), [(3, 0, 5), (3, 1, 5), (3, 2, 5)]);
        names.give_back(1);
        let next = names.take();
        assert_eq!((next.slot, next.generation), (1, 6));
        assert_eq!(names.take().slot, 3);
    }

    #[test]
    fn those_that_follow_others_repeat_none_of_them() {
        let mut ids = std::collections::HashSet::new();
        let mut first = u32::MAX - 3;
        for turn in 0..20_u32 {
            let mut names = Names::new(WorkerId(0), first);
            for _ in 0..turn % 4 {
                let taken: Vec<_> = (0..turn % 3).map(|_| names.take()).collect();
                for id in taken {
                    assert!(ids.insert(id), "{id} was there before");
                    names.give_back(id.slot);
                }
            }
            first = names.next_generation();
        }
    }
}
