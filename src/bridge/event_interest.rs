//! What Node's thread wants to hear of beyond what the handlers of the routes ask for.

use std::sync::atomic::{AtomicBool, Ordering};

/// Written by Node's thread, read by the workers of its environment.
#[derive(Debug, Default)]
pub struct EventInterest {
    dropped_messages: AtomicBool,
}

impl EventInterest {
    /// From the next command on, every published message that is dropped is told, or only those that a `dropped` handler
    /// asks for. Relaxed: the queue that carries the next publication orders the two.
    pub fn set_dropped_messages(&self, wanted: bool) {
        self.dropped_messages.store(wanted, Ordering::Relaxed);
    }

    /// Whether every published message that is dropped is to be told.
    #[must_use]
    pub fn dropped_messages(&self) -> bool {
        self.dropped_messages.load(Ordering::Relaxed)
    }
}
