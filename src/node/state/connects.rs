//! The connects that JavaScript waits for.

use std::rc::Rc;

use super::routes::behavior::Behavior;
use crate::bridge::id::WorkerId;
use crate::bridge::ledger::WebSocketLedger;
use crate::bridge::sync::Arc;
use crate::node::error::Misuse;
use crate::node::state::handles::{JsHandle, Table};

/// The connects under way.
#[derive(Debug, Default)]
pub(crate) struct Connects {
    under_way: Table<Connect>,
    /// Number of connects so far, to spread them over the workers.
    count: usize,
    /// The options of the latest WebSocket of `ferrows/ws`.
    latest: Option<Rc<Behavior>>,
}

/// One connect.
#[derive(Debug)]
pub(crate) struct Connect {
    /// The worker that makes the connection.
    pub worker: WorkerId,
    /// The options of the WebSocket that will open.
    pub behavior: Rc<Behavior>,
    /// The ledger in which the worker will count what it has written.
    pub ledger: Arc<WebSocketLedger>,
}

impl Connects {
    /// Whether none is under way.
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The worker for the next connection: `workers` workers take turns.
    pub(crate) fn next_worker(&mut self, workers: usize) -> WorkerId {
        self.count = self.count.wrapping_add(1);
        // There are at most 64 workers.
        WorkerId(u8::try_from(self.count % workers).unwrap_or(0))
    }

    /// The options of a WebSocket; those of the latest one if they are the same, as on a server they mostly are: memory
    /// is taken for them once.
    pub(crate) fn share(&mut self, behavior: Behavior) -> Rc<Behavior> {
        if let Some(latest) = self.latest.as_ref().filter(|latest| ***latest == behavior) {
            return Rc::clone(latest);
        }
        let behavior = Rc::new(behavior);
        self.latest = Some(Rc::clone(&behavior));
        behavior
    }

    /// Adds a connect.
    ///
    /// # Errors
    /// There are 2^24 already.
    pub(crate) fn insert(&mut self, connect: Connect) -> Result<JsHandle, Misuse> {
        let handle = self.under_way.insert(connect);
        handle.map_err(|_| Misuse::invalid_state("too many connects are under way"))
    }

    /// Removes a connect that has ended or is cancelled. `None` if it was cancelled before.
    pub(crate) fn remove(&mut self, connect: JsHandle) -> Option<Connect> {
        self.under_way.remove(connect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::abi::Handlers;

    #[test]
    fn workers_take_turns() {
        let mut connects = Connects::default();
        let turns: Vec<_> = (0..4).map(|_| connects.next_worker(3).0).collect();
        assert_eq!(turns, [1, 2, 0, 1]);
    }

    #[test]
    fn the_same_options_take_memory_once() {
        let mut connects = Connects::default();
        let [first, second] = [(); 2].map(|()| connects.share(Behavior::plain()));
        assert!(Rc::ptr_eq(&first, &second));
        let mut other = Behavior::plain();
        other.handlers = Handlers::OF_WS;
        assert!(!Rc::ptr_eq(&first, &connects.share(other)));
        assert!(!Rc::ptr_eq(&first, &connects.share(Behavior::plain())), "only the latest is remembered");
    }

    #[test]
    fn a_connect_ends_once() {
        let mut connects = Connects::default();
        let behavior = Rc::new(Behavior::plain());
        let connect = Connect { worker: WorkerId(7), behavior, ledger: Arc::default() };
        let handle = connects.insert(connect).unwrap();
        assert!(!connects.is_empty());
        assert_eq!(connects.remove(handle).map(|connect| connect.worker), Some(WorkerId(7)));
        assert!(connects.remove(handle).is_none() && connects.is_empty());
    }
}
