//! Where connects run: tokio's runtime, on a thread of its own that the process has only while it connects. All workers of
//! all environments share it, because a connect is rare, short and nearly always waits for somebody else.

use std::future::Future;
use std::io;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::task::AbortHandle;

/// See the top of the file. The process has one, [`Runtime::shared`].
#[derive(Debug, Default)]
pub(super) struct Runtime {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` while there is no thread.
    handle: Option<Handle>,
    /// Tasks that have not come to their end.
    under_way: usize,
    /// Whether a task was started since the thread last looked.
    is_used: bool,
}

/// Counts a task as under way until it is dropped.
struct UnderWay(&'static Runtime);

impl Runtime {
    /// That of the process.
    pub(super) fn shared() -> &'static Self {
        static SHARED: LazyLock<Runtime> = LazyLock::new(Runtime::default);
        &SHARED
    }

    /// Starts a task, and a thread if there is none.
    ///
    /// # Errors
    /// The system has no more threads or descriptors to give.
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
            // What blocks is the certificates of the system, which are read once.
            .max_blocking_threads(MAX_BLOCKING_THREADS)
            .build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name("ferrows-connect".to_owned()).spawn(move || {
            runtime.block_on(async {
                while !self.rests() {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            });
            // The system may be reading its certificates: nobody is to wait for that.
            runtime.shutdown_background();
        })?;
        Ok(handle)
    }

    /// Whether the thread has nothing to do, and had not when it last looked. If so, the next task will start another one.
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
        // Whole after every statement: nobody panics in between.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().under_way -= 1;
    }
}

/// How often the thread looks whether it is needed. It ends after it has found twice in a row that it is not.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Threads that wait for the system.
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
            let mut heard = [receiver.recv().unwrap(), receiver.recv().unwrap()];
            heard.sort_unstable();
            assert_eq!(heard, [1, 2]);
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
