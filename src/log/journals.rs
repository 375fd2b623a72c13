//! All journals of the process. The most detailed level that any of them accepts is the threshold of `tracing`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::subscriber::set_global_default;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

use super::journal::Journal;
use super::layer::RecordLayer;
use super::threshold;
use crate::bridge::queue::NodeBell;
use crate::bridge::record::Level;

/// Every open journal.
static JOURNALS: Mutex<Journals> = Mutex::new(Journals { open: Vec::new(), installed: false });

struct Journals {
    open: Vec<Arc<Journal>>,
    /// Whether the global subscriber of `tracing` is set; it cannot be removed.
    installed: bool,
}

/// Opens a journal without a listener, which writes records up to `stderr` to stderr. `bell` wakes Node's thread
/// for the listener.
#[must_use]
pub fn open(stderr: Option<Level>, bell: Arc<NodeBell>) -> Arc<Journal> {
    let journal = Arc::new(Journal::new(stderr, bell));
    let mut journals = lock();
    journals.open.push(Arc::clone(&journal));
    journals.refresh();
    journal
}

/// Sets the most detailed level that the listener of a journal receives; `None` for none. Queued records of other
/// levels are dropped.
pub fn set_listener(journal: &Journal, max_level: Option<Level>) {
    journal.set_listener(max_level);
    lock().refresh();
}

/// Closes a journal: it accepts no more records. Waits until the queued ones are written to stderr, as long as its
/// reader reads.
pub fn close(journal: &Arc<Journal>) {
    journal.close();
    let mut journals = lock();
    journals.open.retain(|open| !Arc::ptr_eq(open, journal));
    journals.refresh();
    drop(journals);
    journal.flush();
}

fn lock() -> MutexGuard<'static, Journals> {
    JOURNALS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journals {
    fn refresh(&mut self) {
        let max_level = self.open.iter().filter_map(|journal| journal.max_level()).max();
        let before = threshold::replace(max_level);
        if self.installed {
            if before != max_level {
                tracing::callsite::rebuild_interest_cache();
            }
        } else if max_level.is_some() {
            self.installed = true;
            // The statics of `tracing` are this library's own, so no other code can have set a subscriber.
            let _ = set_global_default(Registry::default().with(RecordLayer));
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::bridge::record::{Field, FieldValue};

    fn journal(stderr: Option<Level>) -> Arc<Journal> {
        open(stderr, Arc::new(NodeBell::new(Box::new(|| {}))))
    }

    fn messages(journal: &Journal) -> Vec<String> {
        std::iter::from_fn(|| journal.take()).map(|record| record.message).collect()
    }

    #[test]
    fn a_journal_gets_the_records_of_its_own_threads_only() {
        let (one, other) = (journal(None), journal(None));
        set_listener(&one, Some(Level::Debug));
        set_listener(&other, Some(Level::Warn));
        let thread = {
            let other = Arc::clone(&other);
            std::thread::spawn(move || {
                other.attach();
                tracing::debug!("not wanted here");
                tracing::warn!("on the other thread");
            })
        };
        thread.join().unwrap();
        one.scope(|| {
            tracing::debug!("on this thread");
            other.scope(|| tracing::error!("within"));
            tracing::trace!("not wanted");
            tracing::info!("behind");
        });
        tracing::error!("of no journal");
        assert_eq!(messages(&one), ["on this thread", "behind"]);
        assert_eq!(messages(&other), ["on the other thread", "within"]);
        close(&one);
        close(&other);
    }

    #[test]
    fn a_closed_journal_and_one_without_listener_keep_nothing() {
        let journal = journal(None);
        journal.scope(|| tracing::error!("too early"));
        assert_eq!(journal.waiting(), 0);
        set_listener(&journal, Some(Level::Trace));
        journal.scope(|| tracing::trace!("wanted"));
        assert_eq!(journal.waiting(), 1);
        set_listener(&journal, None);
        journal.scope(|| tracing::error!("too late"));
        assert_eq!(journal.waiting(), 0);
        set_listener(&journal, Some(Level::Trace));
        close(&journal);
        journal.scope(|| tracing::error!("much too late"));
        assert_eq!((journal.waiting(), journal.take()), (0, None));
    }

    #[test]
    fn the_more_detailed_level_of_both_outputs_decides() {
        let journal = journal(Some(Level::Error));
        assert_eq!(journal.max_level(), Some(Level::Error));
        set_listener(&journal, Some(Level::Info));
        assert_eq!(journal.max_level(), Some(Level::Info));
        assert!(journal.is_enabled(Level::Info) && !journal.is_enabled(Level::Debug));
        set_listener(&journal, None);
        assert_eq!(journal.max_level(), Some(Level::Error));
        close(&journal);
    }

    #[test]
    fn fields_keep_their_types_and_those_of_the_spans_follow() {
        let journal = journal(None);
        set_listener(&journal, Some(Level::Info));
        journal.scope(|| {
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
        let text = |text: &str| FieldValue::Text(text.into());
        let expected = [
            ("code", FieldValue::Number(1006.0)),
            ("left", FieldValue::Number(-2.0)),
            ("share", FieldValue::Number(0.5)),
            ("clean", FieldValue::Boolean(false)),
            ("reason", text("a\nb")),
            ("conn", text("3.1.0")),
            ("worker", FieldValue::Number(3.0)),
        ];
        assert_eq!((record.level, record.message.as_str()), (Level::Info, "closed now"));
        assert_eq!(record.target, module_path!());
        assert_eq!(record.fields, expected.map(|(name, value)| Field { name, value }));
        close(&journal);
    }

    #[test]
    fn a_span_below_the_level_at_its_creation_is_disabled() {
        let journal = journal(None);
        journal.scope(|| assert!(tracing::error_span!("connection").is_disabled()));
        set_listener(&journal, Some(Level::Error));
        journal.scope(|| assert!(!tracing::error_span!("connection").is_disabled()));
        close(&journal);
    }
}
