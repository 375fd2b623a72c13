//! Waiting for another thread with a timeout. The wait is divided into short steps: a suspension of the
//! process (`SIGSTOP`) during the wait counts as one step, and the other thread still gets its time.

use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::Duration;

/// Waits on `changed` for at most `patience` while `holds_true` for the data of `guard`, and returns the guard. Code
/// under its mutex must not panic.
pub(crate) fn wait_while<'m, T>(
    changed: &Condvar,
    mut guard: MutexGuard<'m, T>,
    patience: Duration,
    holds_true: impl Fn(&T) -> bool,
) -> MutexGuard<'m, T> {
    let mut left = patience;
    while holds_true(&guard) && !left.is_zero() {
        let step = left.min(STEP);
        left -= step;
        let waited = changed.wait_timeout_while(guard, step, |it| holds_true(it));
        guard = waited.unwrap_or_else(PoisonError::into_inner).0;
    }
    guard
}

/// Length of one step.
const STEP: Duration = Duration::from_millis(50);
