//! The most detailed level that any journal of the process accepts. `tracing` compares with it first.

use std::sync::atomic::{AtomicU8, Ordering};

use tracing::level_filters::LevelFilter;

use crate::bridge::record::Level;

/// The number of the most detailed level that any journal accepts; 0 if none accepts records.
static THRESHOLD: AtomicU8 = AtomicU8::new(0);

/// Sets the most detailed level that any journal accepts. Returns the previous one.
pub(crate) fn replace(max_level: Option<Level>) -> Option<Level> {
    Level::from_number(THRESHOLD.swap(max_level.map_or(0, Level::number), Ordering::Relaxed))
}

/// The most detailed level that any journal accepts.
#[must_use]
pub(crate) fn max_level() -> Option<Level> {
    // Relaxed: a thread that sees a change late only starts or stops logging late.
    Level::from_number(THRESHOLD.load(Ordering::Relaxed))
}

/// The threshold as a filter of `tracing`.
#[must_use]
pub(crate) fn filter() -> LevelFilter {
    match max_level() {
        None => LevelFilter::OFF,
        Some(Level::Error) => LevelFilter::ERROR,
        Some(Level::Warn) => LevelFilter::WARN,
        Some(Level::Info) => LevelFilter::INFO,
        Some(Level::Debug) => LevelFilter::DEBUG,
        Some(Level::Trace) => LevelFilter::TRACE,
    }
}
