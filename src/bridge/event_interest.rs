//! The events that workers report in addition to those with a handler on the route.

use std::sync::atomic::{AtomicBool, Ordering};

/// Written by Node's thread, read by the workers of its environment.
#[derive(Debug, Default)]
pub(crate) struct EventInterest {
    dropped_messages: AtomicBool,
}

impl EventInterest {
    /// Sets whether every dropped published message is reported, or (`false`) only those on routes with a `dropped`
    /// handler. Holds from the next command on. Relaxed: the queue that carries the next publication orders the two.
    pub(crate) fn set_dropped_messages(&self, enabled: bool) {
        self.dropped_messages.store(enabled, Ordering::Relaxed);
    }

    /// Whether every published message that is dropped is reported.
    #[must_use]
    pub(crate) fn dropped_messages(&self) -> bool {
        self.dropped_messages.load(Ordering::Relaxed)
    }
}
