//! The lock that `lock()` and `unlock()` hand from thread to thread. A program may hold it for as long as it likes, so
//! nothing may depend on it: it protects only the critical sections of programs, and no thread waits for it for ever.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use crate::bridge::patience::wait_while;

/// The lock, which knows its holder.
#[derive(Debug, Default)]
pub(crate) struct StoreLock {
    holder: Mutex<Option<ThreadId>>,
    /// Wakes one of the waiting threads when there is no holder any more.
    released: Condvar,
}

/// Why a thread does not get the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockRefusal {
    /// It has the lock already: waiting for itself would never end.
    Held,
    /// Another thread has not released it in time.
    TimedOut,
}

impl StoreLock {
    /// Gives the lock to `thread`, once it is free; waits at most `patience`.
    ///
    /// # Errors
    /// [`LockRefusal`]
    pub(crate) fn acquire(&self, thread: ThreadId, patience: Duration) -> Result<(), LockRefusal> {
        // Nothing panics while it holds this mutex.
        let holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        if *holder == Some(thread) {
            return Err(LockRefusal::Held);
        }
        let mut holder = wait_while(&self.released, holder, patience, Option::is_some);
        if holder.is_some() {
            return Err(LockRefusal::TimedOut);
        }
        *holder = Some(thread);
        Ok(())
    }

    /// Releases the lock of `thread`. Returns whether it had it.
    pub(crate) fn release(&self, thread: ThreadId) -> bool {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        let held = *holder == Some(thread);
        if held {
            *holder = None;
            // After that: the thread that is woken would otherwise only wait for the mutex.
            drop(holder);
            self.released.notify_one();
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    /// Longer than any of these tests.
    const LONG: Duration = Duration::from_secs(60);

    fn me() -> ThreadId {
        thread::current().id()
    }

    /// The id of a thread that has ended.
    fn another() -> ThreadId {
        thread::spawn(me).join().unwrap()
    }

    #[test]
    fn a_thread_does_not_wait_for_itself() {
        let lock = StoreLock::default();
        assert_eq!(lock.acquire(me(), LONG), Ok(()));
        assert_eq!(lock.acquire(me(), LONG), Err(LockRefusal::Held));
        assert!(lock.release(me()));
        assert_eq!(lock.acquire(me(), LONG), Ok(()));
    }

    #[test]
    fn only_the_holder_releases() {
        let lock = StoreLock::default();
        assert!(!lock.release(me()));
        lock.acquire(another(), LONG).unwrap();
        assert!(!lock.release(me()));
        assert_eq!(lock.acquire(me(), Duration::from_millis(1)), Err(LockRefusal::TimedOut));
    }

    #[test]
    fn those_who_wait_get_it_one_after_the_other() {
        let (lock, inside, entered) = (StoreLock::default(), AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        lock.acquire(me(), LONG).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                        entered.fetch_add(1, Ordering::Relaxed);
                        inside.fetch_sub(1, Ordering::Relaxed);
                        assert!(lock.release(me()));
                    }
                });
            }
        });
        assert_eq!(entered.into_inner(), 4000);
    }
}
