//! Lets Node's thread wait until workers have carried out a command.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::patience::wait_while;

/// Counts down to zero once. Node's thread waits on it; each worker that got the command releases it.
#[derive(Debug)]
pub(crate) struct Latch {
    /// Workers that have not answered yet.
    outstanding: Mutex<usize>,
    /// Notified when `outstanding` reaches zero.
    done: Condvar,
}

impl Latch {
    /// A latch that `count` workers have to release.
    #[must_use]
    pub(crate) const fn new(count: usize) -> Self {
        Self { outstanding: Mutex::new(count), done: Condvar::new() }
    }

    /// Records that one worker is done.
    pub(crate) fn release(&self) {
        let mut outstanding = self.outstanding.lock().unwrap_or_else(PoisonError::into_inner);
        *outstanding = outstanding.saturating_sub(1);
        if *outstanding == 0 {
            self.done.notify_all();
        }
    }

    /// Whether all are done.
    #[must_use]
    pub(crate) fn is_released(&self) -> bool {
        *self.outstanding.lock().unwrap_or_else(PoisonError::into_inner) == 0
    }

    /// Waits until all are done, at most `patience`. Returns whether they are.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        let outstanding = self.outstanding.lock().unwrap_or_else(PoisonError::into_inner);
        *wait_while(&self.done, outstanding, patience, |count| *count > 0) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn waits_for_every_release() {
        let latch = Arc::new(Latch::new(2));
        latch.release();
        assert!(!latch.wait(Duration::ZERO));
        let other = Arc::clone(&latch);
        let thread = std::thread::spawn(move || other.release());
        assert!(latch.wait(Duration::from_secs(30)));
        thread.join().unwrap();
    }
}
