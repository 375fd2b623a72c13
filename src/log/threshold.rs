//! The most that any journal of the process wants: what `tracing` compares with before it does anything else.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::set_global_default;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

use super::journal::Journal;
use super::layer::RecordLayer;
use crate::bridge::record::Level;

/// Every open journal.
static JOURNALS: Mutex<Journals> = Mutex::new(Journals { open: Vec::new(), installed: false });

/// The number of the least important level that a journal wants; 0 while none wants anything.
static MOST: AtomicU8 = AtomicU8::new(0);

struct Journals {
    open: Vec<Arc<Journal>>,
    /// Whether `tracing` has been given its subscriber, which it keeps for ever.
    installed: bool,
}

/// A journal was opened.
pub fn add(journal: &Arc<Journal>) {
    let mut journals = lock();
    journals.open.push(Arc::clone(journal));
    journals.refresh();
}

/// A journal wants more or less than before.
pub fn update() {
    lock().refresh();
}

/// A journal was closed.
pub fn remove(journal: &Arc<Journal>) {
    let mut journals = lock();
    journals.open.retain(|open| !Arc::ptr_eq(open, journal));
    journals.refresh();
}

/// The least important level that any journal wants.
#[must_use]
pub fn most() -> Option<Level> {
    // Relaxed: a thread that sees a change late only starts or stops speaking late.
    Level::from_number(MOST.load(Ordering::Relaxed))
}

fn lock() -> MutexGuard<'static, Journals> {
    JOURNALS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journals {
    fn refresh(&mut self) {
        let most = self.open.iter().filter_map(|journal| journal.wanted()).max();
        let before = MOST.swap(most.map_or(0, Level::number), Ordering::Relaxed);
        if self.installed {
            if before != most.map_or(0, Level::number) {
                tracing::callsite::rebuild_interest_cache();
            }
        } else if most.is_some() {
            self.installed = true;
            // The statics of `tracing` are this library's own, so nobody else can have installed one.
            let _ = set_global_default(Registry::default().with(RecordLayer));
        }
    }
}

/// The threshold in the words of `tracing`.
#[must_use]
pub fn filter() -> LevelFilter {
    match most() {
        None => LevelFilter::OFF,
        Some(Level::Error) => LevelFilter::ERROR,
        Some(Level::Warn) => LevelFilter::WARN,
        Some(Level::Info) => LevelFilter::INFO,
        Some(Level::Debug) => LevelFilter::DEBUG,
        Some(Level::Trace) => LevelFilter::TRACE,
    }
}
