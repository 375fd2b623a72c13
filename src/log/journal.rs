//! The log of one environment: which records it accepts, and its outputs.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::stderr;
use crate::bridge::queue::NodeBell;
use crate::bridge::record::{Level, Record};
use crate::bridge::record_queue::RecordQueue;

/// The log of one environment. Node's thread opens it, sets its listener and closes it; the threads attached to it
/// write records.
#[derive(Debug)]
pub struct Journal {
    /// The most detailed level that is written to stderr.
    stderr: Option<Level>,
    /// The most detailed level that the listener receives, as a number; 0 for none. A copy of the level in
    /// [`RecordQueue`] that can be read without its lock.
    listener: AtomicU8,
    /// Records for the listener.
    queue: RecordQueue,
}

thread_local! {
    /// The journal of this thread.
    static CURRENT: RefCell<Option<Arc<Journal>>> = const { RefCell::new(None) };
}

impl Journal {
    /// A journal without a listener, which writes records up to `stderr` to stderr. `bell` wakes Node's thread for the
    /// listener. It gets no records before it is registered with [`journals`](super::journals).
    pub(super) fn new(stderr: Option<Level>, bell: Arc<NodeBell>) -> Self {
        Self { stderr, listener: AtomicU8::new(0), queue: RecordQueue::new(bell) }
    }

    /// Sets the most detailed level that the listener receives; `None` for none. Queued records of other levels are
    /// dropped.
    pub(super) fn set_listener(&self, max_level: Option<Level>) {
        self.queue.set_level(max_level);
        // Relaxed: it only avoids making records that no output takes. The queue decides, under its lock.
        self.listener.store(max_level.map_or(0, Level::number), Ordering::Relaxed);
    }

    /// Ends delivery to the listener.
    pub(super) fn close(&self) {
        self.queue.set_level(None);
    }

    /// Waits until the records are written to stderr, as long as its reader reads.
    pub fn flush(&self) {
        if self.stderr.is_some() {
            stderr::flush();
        }
    }

    /// The most detailed level that any output takes.
    #[must_use]
    pub fn max_level(&self) -> Option<Level> {
        self.stderr.max(self.listener())
    }

    /// Whether any output takes records of this level.
    #[must_use]
    pub fn is_enabled(&self, level: Level) -> bool {
        self.max_level().is_some_and(|max| level <= max)
    }

    fn listener(&self) -> Option<Level> {
        Level::from_number(self.listener.load(Ordering::Relaxed))
    }

    /// Passes a record to the outputs that take its level.
    pub fn write(&self, record: Record) {
        let has_listener = self.listener().is_some();
        if self.stderr.is_some_and(|max| record.level <= max) {
            if !has_listener {
                return stderr::write(record);
            }
            stderr::write(record.clone());
        }
        if has_listener {
            self.queue.push(record);
        }
    }

    /// How many records are queued for the listener. Called on Node's thread.
    #[must_use]
    pub fn waiting(&self) -> usize {
        // Only this thread sets it, so the value is current.
        if self.listener().is_some() { self.queue.waiting() } else { 0 }
    }

    /// The next record for the listener. Called on Node's thread.
    #[must_use]
    pub fn take(&self) -> Option<Record> {
        self.queue.take()
    }

    /// Receives the records of this thread until the thread ends.
    pub fn attach(self: &Arc<Self>) {
        CURRENT.set(Some(Arc::clone(self)));
    }

    /// Receives the records of this thread while `act` runs. Node's thread may belong to several journals, one for each
    /// load of the addon, so it is attached to none.
    pub fn scope<R>(self: &Arc<Self>, act: impl FnOnce() -> R) -> R {
        let before = CURRENT.replace(Some(Arc::clone(self)));
        let result = act();
        CURRENT.set(before);
        result
    }
}

/// Calls `act` with the journal of this thread, if it has one.
pub(crate) fn with_current<R>(act: impl FnOnce(&Journal) -> R) -> Option<R> {
    // Fails only during the end of the thread; the record is dropped then.
    CURRENT.try_with(|current| current.borrow().as_deref().map(act)).ok().flatten()
}
