//! What Node's thread learns of a broker.

use std::collections::VecDeque;

use super::queue::NodeBell;
use super::sync::{Arc, Mutex, lock};

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
    bell: Arc<NodeBell>,
}

impl BrokerEvents {
    /// An empty queue.
    #[must_use]
    pub(crate) fn new(bell: Arc<NodeBell>) -> Self {
        Self { events: Mutex::default(), bell }
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
        drop(events);
        self.bell.wake();
    }

    /// Node's thread: how many events wait.
    #[must_use]
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.events).len()
    }

    /// Node's thread: takes the oldest.
    #[must_use]
    pub(crate) fn take(&self) -> Option<BrokerEvent> {
        lock(&self.events).pop_front()
    }
}

/// Events that may wait.
const MAX_EVENTS: usize = 1000;
