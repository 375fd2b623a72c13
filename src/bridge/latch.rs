//! Waiting for the workers to have done what they were told.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Counts down to zero once. Node's thread waits on it; each worker that was asked releases it.
#[derive(Debug)]
pub struct Latch {
    /// Workers that have not answered yet.
    outstanding: Mutex<usize>,
    /// Told when `outstanding` reaches zero.
    done: Condvar,
}

impl Latch {
    /// A latch that `count` workers have to release.
    #[must_use]
    pub const fn new(count: usize) -> Self {
        Self { outstanding: Mutex::new(count), done: Condvar::new() }
    }

    /// One worker is done.
    pub fn release(&self) {
        let mut outstanding = self.outstanding.lock().unwrap_or_else(PoisonError::into_inner);
        *outstanding = outstanding.saturating_sub(1);
        if *outstanding == 0 {
            self.done.notify_all();
        }
    }

    /// Whether all are done.
    #[must_use]
    pub fn is_released(&self) -> bool {
        *self.outstanding.lock().unwrap_or_else(PoisonError::into_inner) == 0
    }

    /// Waits until all are done, at most `patience`. Returns whether they are.
    ///
    /// It waits a little at a time: if the process is stopped meanwhile, the others have their time all the same.
    pub fn wait(&self, patience: Duration) -> bool {
        let mut left = patience;
        let mut outstanding = self.outstanding.lock().unwrap_or_else(PoisonError::into_inner);
        while *outstanding > 0 && !left.is_zero() {
            let step = left.min(STEP);
            left -= step;
            let waited = self.done.wait_timeout_while(outstanding, step, |count| *count > 0);
            outstanding = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *outstanding == 0
    }
}

/// How long to wait at a time.
const STEP: Duration = Duration::from_millis(50);

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
