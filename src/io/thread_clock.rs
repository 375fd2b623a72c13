//! CPU time of a thread, readable from any other thread.

use std::time::Duration;

#[cfg(any(target_os = "linux", target_os = "android"))]
use nix::{sys::time::TimeSpec, time::ClockId, unistd::gettid};

/// The CPU-time clock of one thread. Invalid once the thread has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadClock {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    id: ClockId,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl ThreadClock {
    /// The clock of the calling thread; `None` where the system has none that other threads could read.
    #[must_use]
    pub(crate) fn of_this_thread() -> Option<Self> {
        // How Linux names the clock of a thread, part of its ABI and what `pthread_getcpuclockid` makes, too: the
        // complement of the thread's number, and the type of the clock.
        let id = ClockId::from_raw((!gettid().as_raw() << 3) | PER_THREAD | SCHEDULED);
        id.now().is_ok().then_some(Self { id })
    }

    /// The processor time of the thread, in user and kernel mode.
    #[must_use]
    pub(crate) fn now(self) -> Option<Duration> {
        self.id.now().ok().map(TimeSpec::into)
    }
}

impl ThreadClock {
    /// Whether there are such clocks on this system.
    pub(crate) const EXISTS: bool = cfg!(any(target_os = "linux", target_os = "android"));
}

/// `CPUCLOCK_PERTHREAD_MASK`
#[cfg(any(target_os = "linux", target_os = "android"))]
const PER_THREAD: i32 = 4;
/// `CPUCLOCK_SCHED`
#[cfg(any(target_os = "linux", target_os = "android"))]
const SCHEDULED: i32 = 2;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl ThreadClock {
    /// There is none on this system.
    #[must_use]
    pub fn of_this_thread() -> Option<Self> {
        None
    }

    /// See [`Self::of_this_thread`].
    #[must_use]
    pub fn now(self) -> Option<Duration> {
        None
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn another_thread_reads_it_and_it_only_runs_while_its_own_thread_does() {
        let (sender, receiver) = mpsc::channel();
        let (resume, resumed) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let clock = ThreadClock::of_this_thread().expect("Linux has one");
            let before = clock.now();
            while clock.now() == before {
                std::hint::spin_loop();
            }
            sender.send((clock, before)).unwrap();
            resumed.recv().unwrap_err();
        });
        let (clock, before) = receiver.recv().unwrap();
        assert!(clock.now().unwrap() > before.unwrap());
        drop(resume);
        thread.join().unwrap();
    }
}
