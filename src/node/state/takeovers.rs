//! Connections that were given to workers together with a request that was read elsewhere.

use std::collections::HashMap;

use crate::bridge::id::WorkerId;
use crate::bridge::sync::Arc;
use crate::bridge::takeover::TakenPlace;

/// See the top of the file.
#[derive(Debug, Default)]
pub(crate) struct Takeovers {
    /// Those whose request is still to be told, or said to have been refused.
    under_way: usize,
    /// Those whose bytes go through JavaScript, by ticket, until they have gone.
    passages: HashMap<u32, Passage>,
    /// How many there have been, to spread them over the workers.
    count: usize,
}

/// One whose bytes go through JavaScript.
#[derive(Clone, Debug)]
pub(crate) struct Passage {
    /// Who serves it.
    pub(crate) worker: WorkerId,
    /// Under which name.
    pub(crate) place: Arc<TakenPlace>,
}

impl Takeovers {
    /// Whether workers have heard of all of them.
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.under_way == 0
    }

    /// Who serves the next connection, of these workers: they take turns.
    pub(crate) fn next_worker(&mut self, share: &[WorkerId]) -> WorkerId {
        self.count = self.count.wrapping_add(1);
        share[self.count % share.len()]
    }

    /// A connection is on its way to its worker.
    pub(crate) fn start(&mut self, ticket: u32, passage: Option<Passage>) {
        self.under_way += 1;
        if let Some(passage) = passage {
            self.passages.insert(ticket, passage);
        }
    }

    /// The worker has told of its request, or refused it.
    pub(crate) const fn conclude(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// One whose bytes went through JavaScript has gone, in whatever way. `None` if that is known.
    pub(crate) fn remove(&mut self, ticket: u32) -> Option<Passage> {
        self.passages.remove(&ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_takeover_is_under_way_until_its_worker_has_heard_of_it() {
        let mut takeovers = Takeovers::default();
        takeovers.start(1, None);
        takeovers.start(2, Some(Passage { worker: WorkerId(0), place: Arc::default() }));
        takeovers.conclude();
        assert!(!takeovers.is_empty());
        takeovers.conclude();
        assert!(takeovers.is_empty());
        assert!(takeovers.remove(1).is_none());
        assert!(takeovers.remove(2).is_some());
        assert!(takeovers.remove(2).is_none());
    }

    #[test]
    fn workers_take_turns() {
        let (mut takeovers, share) = (Takeovers::default(), [WorkerId(0), WorkerId(1)]);
        let turns: Vec<_> = (0..4).map(|_| takeovers.next_worker(&share).0).collect();
        assert_eq!(turns, [1, 0, 1, 0]);
    }
}
