//! What logging costs while nobody wants it. A process of its own, because `tracing` keeps its state per process.

use std::sync::Arc;

use ferrows::log_access::{Journal, Level, NodeBell, journals};
use tracing::dispatcher::has_been_set;
use tracing::level_filters::LevelFilter;

fn journal(stderr: Option<Level>) -> Arc<Journal> {
    journals::open(stderr, Arc::new(NodeBell::new(Box::new(|| {}))))
}

#[test]
fn nothing_is_installed_before_somebody_wants_records_and_the_level_follows_the_wishes() {
    let (one, other) = (journal(None), journal(None));
    one.scope(|| tracing::error!("nobody listens"));
    assert!(!has_been_set());
    assert_eq!(LevelFilter::current(), LevelFilter::OFF);

    journals::set_listener(&one, Some(Level::Warn));
    assert!(has_been_set());
    assert_eq!(LevelFilter::current(), LevelFilter::WARN);
    journals::set_listener(&other, Some(Level::Trace));
    assert_eq!(LevelFilter::current(), LevelFilter::TRACE);
    journals::close(&other);
    assert_eq!(LevelFilter::current(), LevelFilter::WARN);

    let talkative = journal(Some(Level::Debug));
    assert_eq!(LevelFilter::current(), LevelFilter::DEBUG);
    journals::close(&talkative);
    journals::set_listener(&one, None);
    assert_eq!(LevelFilter::current(), LevelFilter::OFF);
}
