//! Where the records of one environment go.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::{stderr, threshold};
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
    /// listener.
    #[must_use]
    pub fn open(stderr: Option<Level>, bell: Arc<NodeBell>) -> Arc<Self> {
        let journal = Arc::new(Self { stderr, listener: AtomicU8::new(0), queue: RecordQueue::new(bell) });
        threshold::add(&journal);
        journal
    }

    /// Sets what the listener wants; `None` for nothing. What waits for it stays, as far as it is still wanted.
    pub fn set_listener(&self, wanted: Option<Level>) {
        self.queue.set_wanted(wanted);
        // Relaxed: it only spares the making of records that nobody wants. The queue decides, under its lock.
        self.listener.store(wanted.map_or(0, Level::number), Ordering::Relaxed);
        threshold::update();
    }

    /// Nothing is written any more; what is under way to stderr is waited for, if somebody reads it.
    pub fn close(self: Arc<Self>) {
        self.queue.set_wanted(None);
        threshold::remove(&self);
        self.flush();
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

    /// Hears this thread, until it ends.
    pub fn attach(self: &Arc<Self>) {
        CURRENT.set(Some(Arc::clone(self)));
    }

    /// Hears what `act` does on this thread. Node's thread may belong to several journals, one for each load of the
    /// addon, so it is attached to none.
    pub fn hear<R>(self: &Arc<Self>, act: impl FnOnce() -> R) -> R {
        let before = CURRENT.replace(Some(Arc::clone(self)));
        let result = act();
        CURRENT.set(before);
        result
    }
}

/// Calls `act` with the journal of this thread, if it has one.
pub fn with_current<R>(act: impl FnOnce(&Journal) -> R) -> Option<R> {
    // Fails while the thread ends, when there is nobody to hear it.
    CURRENT.try_with(|current| current.borrow().as_deref().map(act)).ok().flatten()
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::bridge::record::{Field, Value};

    fn journal(stderr: Option<Level>) -> Arc<Journal> {
        Journal::open(stderr, Arc::new(NodeBell::new(Box::new(|| {}))))
    }

    fn messages(journal: &Journal) -> Vec<String> {
        std::iter::from_fn(|| journal.take()).map(|record| record.message).collect()
    }

    #[test]
    fn a_journal_hears_its_own_threads_only() {
        let (one, other) = (journal(None), journal(None));
        one.set_listener(Some(Level::Debug));
        other.set_listener(Some(Level::Warn));
        let thread = {
            let other = Arc::clone(&other);
            std::thread::spawn(move || {
                other.attach();
                tracing::debug!("not wanted here");
                tracing::warn!("on the other thread");
            })
        };
        thread.join().unwrap();
        one.hear(|| {
            tracing::debug!("on this thread");
            other.hear(|| tracing::error!("within"));
            tracing::trace!("not wanted");
            tracing::info!("behind");
        });
        tracing::error!("heard by nobody");
        assert_eq!(messages(&one), ["on this thread", "behind"]);
        assert_eq!(messages(&other), ["on the other thread", "within"]);
        one.close();
        other.close();
    }

    #[test]
    fn a_closed_journal_and_one_without_listener_keep_nothing() {
        let journal = journal(None);
        journal.hear(|| tracing::error!("too early"));
        assert_eq!(journal.waiting(), 0);
        journal.set_listener(Some(Level::Trace));
        journal.hear(|| tracing::trace!("wanted"));
        assert_eq!(journal.waiting(), 1);
        journal.set_listener(None);
        journal.hear(|| tracing::error!("too late"));
        assert_eq!(journal.waiting(), 0);
        journal.set_listener(Some(Level::Trace));
        Arc::clone(&journal).close();
        journal.hear(|| tracing::error!("much too late"));
        assert_eq!((journal.waiting(), journal.take()), (0, None));
    }

    #[test]
    fn the_more_talkative_of_both_readers_decides() {
        let journal = journal(Some(Level::Error));
        assert_eq!(journal.wanted(), Some(Level::Error));
        journal.set_listener(Some(Level::Info));
        assert_eq!(journal.wanted(), Some(Level::Info));
        assert!(journal.wants(Level::Info) && !journal.wants(Level::Debug));
        journal.set_listener(None);
        assert_eq!(journal.wanted(), Some(Level::Error));
        journal.close();
    }

    #[test]
    fn fields_keep_their_types_and_those_of_the_spans_follow() {
        let journal = journal(None);
        journal.set_listener(Some(Level::Info));
        journal.hear(|| {
            let absent: Option<u64> = None;
            let outer = tracing::error_span!("worker", worker = 3_u8).entered();
            let _inner = tracing::error_span!("connection", conn = %"3.1.0", absent).entered();
            tracing::info!(
                code = 1006_u16,
                left = -2,
                share = 0.5,
                clean = false,
                reason = "a\nb",
                "closed {}",
                "now"
            );
            drop(outer);
        });
        let record = journal.take().unwrap();
        let text = |text: &str| Value::Text(text.into());
        let expected = [
            ("code", Value::Number(1006.0)),
            ("left", Value::Number(-2.0)),
            ("share", Value::Number(0.5)),
            ("clean", Value::Boolean(false)),
            ("reason", text("a\nb")),
            ("conn", text("3.1.0")),
            ("worker", Value::Number(3.0)),
        ];
        assert_eq!((record.level, record.message.as_str()), (Level::Info, "closed now"));
        assert_eq!(record.target, module_path!());
        assert_eq!(record.fields, expected.map(|(name, value)| Field { name, value }));
        journal.close();
    }

    #[test]
    fn a_span_that_was_not_wanted_when_it_was_made_is_disabled() {
        let journal = journal(None);
        journal.hear(|| assert!(tracing::error_span!("connection").is_disabled()));
        journal.set_listener(Some(Level::Error));
        journal.hear(|| assert!(!tracing::error_span!("connection").is_disabled()));
        journal.close();
    }
}
