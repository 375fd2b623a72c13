//! The tokio runtime that runs connects, on a thread that exists only while there are connects. All workers of all
//! environments share it, because connects are rare and short, and wait for the network most of the time.

use std::future::Future;
use std::io;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::task::AbortHandle;

/// The runtime of connects. The process has one, [`Runtime::shared`].
#[derive(Debug, Default)]
pub(super) struct Runtime {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` while there is no thread.
    handle: Option<Handle>,
    /// Number of tasks that have not ended.
    under_way: usize,
    /// Whether a task was started since the thread last checked.
    is_used: bool,
}

/// Counts a task in [`State::under_way`] until it is dropped.
struct UnderWay(&'static Runtime);

impl Runtime {
    /// The runtime of the process.
    pub(super) fn shared() -> &'static Self {
        static SHARED: LazyLock<Runtime> = LazyLock::new(Runtime::default);
        &SHARED
    }

    /// Starts a task, and the thread if it does not run.
    ///
    /// # Errors
    /// The system refuses a thread or a descriptor.
    pub(super) fn spawn(
        &'static self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<AbortHandle> {
        let mut state = self.lock();
        let handle = match &state.handle {
            Some(handle) => handle.clone(),
            None => self.start()?,
        };
        state.handle = Some(handle.clone());
        state.under_way += 1;
        state.is_used = true;
        drop(state);
        let under_way = UnderWay(self);
        let task = async move {
            let _under_way = under_way;
            task.await;
        };
        Ok(handle.spawn(task).abort_handle())
    }

    fn start(&'static self) -> io::Result<Handle> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            // The only blocking work is reading the system's certificates, once per process.
            .max_blocking_threads(MAX_BLOCKING_THREADS)
            .build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name("ferrows-connect".to_owned()).spawn(move || {
            runtime.block_on(async {
                while !self.rests() {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            });
            // A blocking read of the certificates may be in progress: do not wait for it.
            runtime.shutdown_background();
        })?;
        Ok(handle)
    }

    /// Whether no task runs or was started since the last check. If so, the thread ends, and the next task starts
    /// another.
    fn rests(&self) -> bool {
        let mut state = self.lock();
        let was_used = std::mem::take(&mut state.is_used);
        let rests = state.under_way == 0 && !was_used;
        if rests {
            state.handle = None;
        }
        rests
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock is harmless: the state is consistent after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().under_way -= 1;
    }
}

/// How often the thread checks whether it is needed. It ends after two checks in a row without a task.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Maximum number of threads for blocking work.
const MAX_BLOCKING_THREADS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn wait_for_rest(runtime: &Runtime) {
        while runtime.lock().handle.is_some() {
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn the_thread_ends_when_nothing_is_under_way_and_starts_anew() {
        static RUNTIME: LazyLock<Runtime> = LazyLock::new(Runtime::default);
        for _ in 0..2 {
            let (sender, receiver) = mpsc::channel();
            let answer = sender.clone();
            RUNTIME.spawn(async move { answer.send(1).unwrap() }).unwrap();
            let endless = RUNTIME
                .spawn(async move {
                    sender.send(2).unwrap();
                    std::future::pending().await
                })
                .unwrap();
            let mut received = [receiver.recv().unwrap(), receiver.recv().unwrap()];
            received.sort_unstable();
            assert_eq!(received, [1, 2]);
            thread::sleep(3 * LOOK_EVERY);
            assert!(RUNTIME.lock().handle.is_some());
            endless.abort();
            wait_for_rest(&RUNTIME);
            assert_eq!(RUNTIME.lock().under_way, 0);
        }
    }

    #[test]
    fn a_task_that_panics_is_under_way_no_more() {
        static RUNTIME: LazyLock<Runtime> = LazyLock::new(Runtime::default);
        RUNTIME.spawn(async { panic!("as a test wants it") }).unwrap();
        wait_for_rest(&RUNTIME);
    }
}
