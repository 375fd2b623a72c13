//! What Node's thread learns of a broker.

use std::collections::VecDeque;

use super::queue::NodeBell;
use super::sync::{Arc, AtomicUsize, Mutex, Ordering, lock};

/// Something that has happened at a broker.
#[derive(Clone, Debug)]
pub(crate) enum BrokerEvent {
    /// The connection was made or has ended.
    StateChanged(Arc<StateChange>),
    /// All that were asked have answered.
    Counted {
        /// The number of the question.
        question: u64,
        /// Their subscribers.
        count: u64,
    },
}

/// A change of the state of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateChange {
    /// The name of the apps.
    pub name: Arc<str>,
    /// The state from now on.
    pub state: &'static str,
    /// Since when, in milliseconds since the epoch.
    pub since: u64,
    /// Code and text of the reason why there is no connection.
    pub failure: Option<(&'static str, String)>,
    /// From when to when messages may be missing, in milliseconds since the epoch.
    pub gap: Option<(u64, u64)>,
}

/// Events of brokers on their way to one environment. Rings the bell of Node's thread, as an uplink does, and must be
/// checked together with the uplinks.
#[derive(Debug)]
pub(crate) struct BrokerEvents {
    events: Mutex<VecDeque<BrokerEvent>>,
    /// How many `events` there seem to be, for readers that will look under the lock before they sleep.
    seem: AtomicUsize,
    bell: Arc<NodeBell>,
}

impl BrokerEvents {
    /// An empty queue.
    #[must_use]
    pub(crate) fn new(bell: Arc<NodeBell>) -> Self {
        Self { events: Mutex::default(), seem: AtomicUsize::new(0), bell }
    }

    /// A queue that wakes nobody.
    #[cfg(test)]
    pub(crate) fn silent() -> Arc<Self> {
        Arc::new(Self::new(Arc::new(NodeBell::new(Box::new(|| {})))))
    }

    /// Adds an event. If Node's thread takes none, the oldest are lost.
    pub(crate) fn push(&self, event: BrokerEvent) {
        let mut events = lock(&self.events);
        if events.len() >= MAX_EVENTS {
            events.pop_front();
        }
        events.push_back(event);
        self.seem.store(events.len(), Ordering::Relaxed);
        drop(events);
        self.bell.wake();
    }

    /// Node's thread: how many events wait.
    #[must_use]
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.events).len()
    }

    /// Node's thread: as [`Self::waiting`], at the cost of a load. May overlook an event that another thread is adding.
    #[must_use]
    pub(crate) fn waiting_at_a_glance(&self) -> usize {
        self.seem.load(Ordering::Relaxed)
    }

    /// Node's thread: takes the oldest.
    #[must_use]
    pub(crate) fn take(&self) -> Option<BrokerEvent> {
        let mut events = lock(&self.events);
        let event = events.pop_front();
        self.seem.store(events.len(), Ordering::Relaxed);
        event
    }
}

/// Events that may wait.
const MAX_EVENTS: usize = 1000;
