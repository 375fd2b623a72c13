//! Connections that were given to workers together with a request that Node has read.

use std::collections::HashMap;

use crate::bridge::id::WorkerId;
use crate::bridge::sync::Arc;
use crate::bridge::takeover::TakenPlace;

/// The takeovers under way.
#[derive(Debug, Default)]
pub(crate) struct Takeovers {
    /// Number of those whose request the worker has neither reported nor refused yet.
    under_way: usize,
    /// Those whose bytes go through JavaScript, by ticket, until they end.
    passages: HashMap<u32, Passage>,
    /// Number of takeovers so far, to spread them over the workers.
    count: usize,
}

/// One whose bytes go through JavaScript.
#[derive(Clone, Debug)]
pub(crate) struct Passage {
    /// The worker that serves it.
    pub(crate) worker: WorkerId,
    /// The id under which the worker knows it.
    pub(crate) place: Arc<TakenPlace>,
}

impl Takeovers {
    /// Whether the workers have reported or refused all of them.
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.under_way == 0
    }

    /// The worker for the next connection: those of `share` take turns.
    pub(crate) fn next_worker(&mut self, share: &[WorkerId]) -> WorkerId {
        self.count = self.count.wrapping_add(1);
        share[self.count % share.len()]
    }

    /// Adds a connection that is on its way to its worker.
    pub(crate) fn start(&mut self, ticket: u32, passage: Option<Passage>) {
        self.under_way += 1;
        if let Some(passage) = passage {
            self.passages.insert(ticket, passage);
        }
    }

    /// Adds one whose bytes go through JavaScript, and whose handshake was made there.
    pub(crate) fn relay(&mut self, ticket: u32, passage: Passage) {
        self.passages.insert(ticket, passage);
    }

    /// Counts a request that its worker has reported or refused.
    pub(crate) const fn conclude(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Removes one whose bytes went through JavaScript and that has ended. `None` if it was removed before.
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
