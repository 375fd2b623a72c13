//! The log of one environment: which records it takes, and where they go.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::stderr;
use crate::bridge::queue::NodeBell;
use crate::bridge::record::{Level, Record};
use crate::bridge::record_queue::RecordQueue;

/// The log of one environment. Node's thread opens it, sets its listener and closes it; the threads attached to it
/// write.
#[derive(Debug)]
pub struct Journal {
    /// What is written to stderr.
    stderr: Option<Level>,
    /// What the listener wants, as a number, 0 for nothing: what [`RecordQueue`] knows, readable without its lock.
    listener: AtomicU8,
    /// Records for the listener.
    queue: RecordQueue,
}

thread_local! {
    /// The journal of this thread.
    static CURRENT: RefCell<Option<Arc<Journal>>> = const { RefCell::new(None) };
}

impl Journal {
    /// A journal without a listener, which writes records up to `stderr` to stderr. `bell` will be rung for the
    /// listener. Nothing reaches it before [`journals`](super::journals) knows of it.
    pub(super) fn new(stderr: Option<Level>, bell: Arc<NodeBell>) -> Self {
        Self { stderr, listener: AtomicU8::new(0), queue: RecordQueue::new(bell) }
    }

    /// Sets what the listener wants; `None` for nothing. What waits for it stays, as far as it is still wanted.
    pub(super) fn set_listener(&self, wanted: Option<Level>) {
        self.queue.set_wanted(wanted);
        // Relaxed: it only spares the making of records that nobody wants. The queue decides, under its lock.
        self.listener.store(wanted.map_or(0, Level::number), Ordering::Relaxed);
    }

    /// The listener gets nothing any more.
    pub(super) fn close(&self) {
        self.queue.set_wanted(None);
    }

    /// Waits until stderr has what was written, if somebody reads it.
    pub fn flush(&self) {
        if self.stderr.is_some() {
            stderr::flush();
        }
    }

    /// The least important level that anybody wants.
    #[must_use]
    pub fn wanted(&self) -> Option<Level> {
        self.stderr.max(self.listener())
    }

    /// Whether anybody wants records of this level.
    #[must_use]
    pub fn wants(&self, level: Level) -> bool {
        self.wanted().is_some_and(|wanted| level <= wanted)
    }

    fn listener(&self) -> Option<Level> {
        Level::from_number(self.listener.load(Ordering::Relaxed))
    }

    /// Hands a record to whoever wants it.
    pub fn write(&self, record: Record) {
        let is_heard = self.listener().is_some();
        if self.stderr.is_some_and(|wanted| record.level <= wanted) {
            if !is_heard {
                return stderr::write(record);
            }
            stderr::write(record.clone());
        }
        if is_heard {
            self.queue.push(record);
        }
    }

    /// Node's thread: how many records wait for the listener.
    #[must_use]
    pub fn waiting(&self) -> usize {
        // Set by this very thread, so it cannot be out of date here.
        if self.listener().is_some() { self.queue.waiting() } else { 0 }
    }

    /// Node's thread: the next record for the listener.
    #[must_use]
    pub fn take(&self) -> Option<Record> {
        self.queue.take()
    }

    /// Takes the records of this thread until it ends.
    pub fn attach(self: &Arc<Self>) {
        CURRENT.set(Some(Arc::clone(self)));
    }

    /// Takes the records of this thread while `act` runs. Node's thread may belong to several journals, one for each
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
    // Fails only while the thread ends; the record is dropped then.
    CURRENT.try_with(|current| current.borrow().as_deref().map(act)).ok().flatten()
}
