//! What waits for Node's loop while that leads a reactor, besides what makes the descriptor readable: sockets whose
//! readiness was taken from the selector, and deadlines. Node's thread notes it, the watchdog reads it.
//!
//! The watchdog looks at it now and then, or, when all has been quiet for a while, dozes: it sleeps until the descriptor is
//! readable, or something is due. What is noted meanwhile, and would end that sleep earlier, has to make the descriptor
//! readable.

use std::time::Duration;

use crate::bridge::sync::{AtomicBool, AtomicU64, Ordering, fence};

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct Agenda {
    /// Whether Node's loop has been told of sockets that it has not served.
    has_ready_sockets: AtomicBool,
    /// When the next pass is due at the latest, in milliseconds of the stopwatch.
    due: AtomicU64,
    /// Whether the watchdog dozes.
    is_dozing: AtomicBool,
}

impl Agenda {
    /// Nothing waits.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self {
            has_ready_sockets: AtomicBool::new(false),
            due: AtomicU64::new(NEVER),
            is_dozing: AtomicBool::new(false),
        }
    }

    /// Node's thread: whether sockets are ready that will only be served after handlers have run, and when the next pass is
    /// `due`. Returns whether the descriptor has to be made readable, because the watchdog would sleep too long.
    #[must_use]
    pub(crate) fn note(&self, has_ready_sockets: bool, due: u64) -> bool {
        // Relaxed (all): written by this thread alone, and the fence orders what matters.
        let before = (self.has_ready_sockets.load(Ordering::Relaxed), self.due.load(Ordering::Relaxed));
        self.has_ready_sockets.store(has_ready_sockets, Ordering::Relaxed);
        self.due.store(due, Ordering::Relaxed);
        if !(has_ready_sockets && !before.0 || due < before.1) {
            return false;
        }
        // Either this sees that the watchdog dozes, or that sees what was noted ([`Self::doze`]).
        fence(Ordering::SeqCst);
        self.is_dozing.load(Ordering::Relaxed)
    }

    /// When the next pass is due at the latest, in milliseconds of the stopwatch; [`NEVER`] if nothing has a deadline.
    #[must_use]
    pub(crate) fn due(&self) -> u64 {
        self.due.load(Ordering::Relaxed)
    }

    /// The watchdog: whether something has waited at `now`, by the stopwatch, for longer than it may.
    #[must_use]
    pub(crate) fn is_overdue(&self, now: Duration, patience: Duration) -> bool {
        self.has_ready_sockets.load(Ordering::Relaxed)
            || now > Duration::from_millis(self.due()).saturating_add(patience)
    }

    /// The watchdog: dozes, in `sleep`, until the moment that is passed to it; or not at all if something waits already.
    pub(crate) fn doze(&self, sleep: impl FnOnce(u64)) {
        self.is_dozing.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !self.has_ready_sockets.load(Ordering::Relaxed) {
            sleep(self.due());
        }
        self.is_dozing.store(false, Ordering::Relaxed);
    }
}

/// Nothing is due.
pub(crate) const NEVER: u64 = u64::MAX;

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn whoever_dozes_is_woken_for_what_is_due_earlier_and_for_nothing_else() {
        let agenda = Agenda::new();
        assert!(!agenda.note(false, 100), "nobody dozes");
        agenda.doze(|due| {
            assert_eq!(due, 100);
            assert!(!agenda.note(false, 100));
            assert!(!agenda.note(false, NEVER), "it wakes for nothing, and looks again");
            assert!(agenda.note(false, 100));
            assert!(agenda.note(true, 100));
            assert!(!agenda.note(true, 100), "it was woken for that");
        });
        agenda.doze(|_| panic!("sockets wait"));
        assert!(!agenda.note(false, 50), "nobody dozes any more");
    }

    #[test]
    fn sockets_wait_at_once_and_deadlines_when_they_are_late() {
        let (agenda, millis) = (Agenda::new(), Duration::from_millis);
        assert!(!agenda.is_overdue(millis(1 << 50), millis(1)));
        assert!(!agenda.note(false, 100));
        assert!(!agenda.is_overdue(millis(101), millis(1)));
        assert!(agenda.is_overdue(millis(102), millis(1)));
        assert!(!agenda.note(true, NEVER));
        assert!(agenda.is_overdue(millis(0), millis(1)));
    }
}

#[cfg(all(test, feature = "loom"))]
mod loom_tests {
    use super::*;
    use crate::bridge::sync::Arc;

    #[test]
    fn nobody_dozes_beyond_what_is_due() {
        loom::model(|| {
            let agenda = Arc::new(Agenda::new());
            let node = {
                let agenda = Arc::clone(&agenda);
                loom::thread::spawn(move || agenda.note(false, 100))
            };
            // Who sleeps longer has to be woken.
            agenda.doze(|due| assert!(due <= 100 || node.join().unwrap()));
        });
    }
}
