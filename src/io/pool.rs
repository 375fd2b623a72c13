//! The I/O threads of one Node environment: started when they are first needed, shared by all its apps.

use std::io;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use super::thread_clock::ThreadClock;
use super::worker::Worker;
use crate::bridge::attention::Attention;
use crate::bridge::command::{Command, CommandBatch};
use crate::bridge::id::WorkerId;
use crate::bridge::queue::{Downlink, NodeBell, Uplink};
use crate::log::journal::Journal;

/// The downlinks of all workers, for handing accepted connections round.
#[derive(Debug, Default)]
pub struct Peers {
    downlinks: RwLock<Vec<Arc<Downlink>>>,
}

impl Peers {
    /// Adds the next worker.
    pub fn add(&self, downlink: Arc<Downlink>) {
        self.downlinks.write().unwrap_or_else(PoisonError::into_inner).push(downlink);
    }

    /// Sends one command to a worker.
    pub fn send(&self, worker: WorkerId, command: Command) {
        let downlinks = self.downlinks.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(downlink) = downlinks.get(worker.index()) {
            downlink.push(&mut CommandBatch::of(command));
        }
    }
}

/// Node's handle on the workers.
#[derive(Debug)]
pub struct Pool {
    bell: Arc<NodeBell>,
    journal: Arc<Journal>,
    peers: Arc<Peers>,
    attention: Arc<Attention>,
    workers: Vec<Handle>,
}

/// What Node's thread holds of one worker.
#[derive(Debug)]
pub struct Handle {
    /// Its events.
    pub uplink: Arc<Uplink>,
    /// Its commands.
    pub downlink: Arc<Downlink>,
    /// Set by the thread itself when it starts.
    clock: Arc<OnceLock<ThreadClock>>,
    thread: Option<JoinHandle<()>>,
}

impl Pool {
    /// A pool without threads, whose workers will ring `bell` and be heard by `journal`.
    #[must_use]
    pub fn new(bell: Arc<NodeBell>, journal: Arc<Journal>) -> Self {
        Self { bell, journal, peers: Arc::default(), attention: Arc::default(), workers: Vec::new() }
    }

    /// Starts threads until there are `count`.
    ///
    /// # Errors
    /// The system has no more threads or descriptors to give.
    pub fn ensure(&mut self, count: usize) -> io::Result<()> {
        while self.workers.len() < count.min(MOST_WORKERS) {
            self.start()?;
        }
        Ok(())
    }

    fn start(&mut self) -> io::Result<()> {
        let number = u8::try_from(self.workers.len()).map_err(io::Error::other)?;
        let uplink = Arc::new(Uplink::new(Arc::clone(&self.bell)));
        let downlink = Arc::new(Downlink::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            // There is one task; between two of its polls the sockets are looked at, always.
            .event_interval(1)
            // What blocks is only the system: it resolves names, and reads its certificates once. 512 threads per worker,
            // as is the default, would not make a name server that hangs answer sooner.
            .max_blocking_threads(BLOCKING_THREADS)
            .build()?;
        let worker = {
            let _inside = runtime.enter();
            let (uplink, downlink) = (Arc::clone(&uplink), Arc::clone(&downlink));
            let (peers, attention) = (Arc::clone(&self.peers), Arc::clone(&self.attention));
            Worker::new(WorkerId(number), uplink, downlink, peers, attention)
        };
        let journal = Arc::clone(&self.journal);
        let clock = Arc::new(OnceLock::new());
        let its_clock = Arc::clone(&clock);
        let thread = std::thread::Builder::new().name(format!("ferrows-{number}")).spawn(move || {
            journal.attach();
            if let Some(clock) = ThreadClock::of_this_thread() {
                its_clock.get_or_init(|| clock);
            }
            // Spawned, not blocked on: a task woken by the runtime's own thread costs no system call. Unconstrained,
            // because the worker shares its time among sockets by itself.
            let task = runtime.spawn(tokio::task::unconstrained(worker));
            if runtime.block_on(task).is_err() {
                tracing::error!(worker = number, "an I/O thread ended by a bug in the server");
            }
            // The system may be resolving a name, which nothing can interrupt: nobody is to wait for that.
            runtime.shutdown_background();
        })?;
        self.peers.add(Arc::clone(&downlink));
        self.workers.push(Handle { uplink, downlink, clock, thread: Some(thread) });
        Ok(())
    }

    /// The downlinks of all workers, also of those that are still to come.
    #[must_use]
    pub const fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }

    /// What the workers are to tell beyond what handlers ask for.
    #[must_use]
    pub fn attention(&self) -> &Attention {
        &self.attention
    }

    /// The workers, by number.
    #[must_use]
    pub fn workers(&self) -> &[Handle] {
        &self.workers
    }

    /// Ends every thread and waits for it. A worker never waits for anybody, so this takes one pass.
    pub fn stop(&mut self) {
        for worker in &self.workers {
            worker.downlink.push(&mut CommandBatch::of(Command::Stop));
        }
        for mut worker in self.workers.drain(..) {
            if let Some(thread) = worker.thread.take() {
                // An error means that the thread panicked, which it has reported itself.
                let _ = thread.join();
            }
        }
    }
}

impl Handle {
    /// Processor time that the thread has used; `None` where the system does not tell, and before the thread runs.
    #[must_use]
    pub fn processor_time(&self) -> Option<Duration> {
        self.clock.get()?.now()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The most threads a pool starts, which is also the largest value of the `threads` option.
pub const MOST_WORKERS: usize = 64;
/// Names that one worker has resolved at once. `getaddrinfo` may hang for half a minute each.
const BLOCKING_THREADS: usize = 16;
