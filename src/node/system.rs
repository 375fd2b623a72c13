//! Calls of the operating system that Node's thread makes, beside Node-API.

#![expect(
    unsafe_code,
    reason = "functions of the system that the standard library does not have in safe form"
)]

/// A descriptor of our own for what `number` names. The caller's is unchanged.
///
/// # Errors
/// `EBADF` if it names nothing, `EMFILE` if there are too many.
#[cfg(unix)]
pub(crate) fn duplicate(number: u32) -> std::io::Result<std::os::fd::OwnedFd> {
    let bad = |_| std::io::Error::from(std::io::ErrorKind::InvalidInput);
    let number = i32::try_from(number).map_err(bad)?;
    // SAFETY: it is not -1. A number of JavaScript need not be an open descriptor, and nothing relies on it: the
    // borrowed descriptor is used only to ask the kernel for a copy, and the kernel answers EBADF.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    borrowed.try_clone_to_owned()
}

/// Returns the free memory of the allocator to the system, on a thread of its own. That of glibc keeps
/// what a thread has freed, as long as a single byte after it is in use; other allocators return it without a call.
pub(crate) fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::sync::atomic::{AtomicUsize, Ordering};

        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }

        /// How often this was called since the running thread last checked.
        static CALLS: AtomicUsize = AtomicUsize::new(0);

        if CALLS.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        let trim = || loop {
            let seen = CALLS.load(Ordering::Acquire);
            // SAFETY: it takes the allocator's own locks, and may be called at any time by any thread.
            unsafe { malloc_trim(0) };
            if CALLS.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return;
            }
        };
        if std::thread::Builder::new().name("memory-trim".to_owned()).spawn(trim).is_err() {
            // There are too many threads; the next peak tries again.
            CALLS.store(0, Ordering::Release);
        }
    }
}
