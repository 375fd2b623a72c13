//! The I/O threads of one Node environment, shared by all its apps: started when they are first needed, ended when they
//! are needed for nothing, and started anew. A worker outlives its thread: its number, its queues, and the generation
//! of its connections continue, so that a command for a connection of an earlier thread never applies to one of a later
//! thread.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use super::peers::Peers;
use super::thread_clock::ThreadClock;
use super::worker::Worker;
use crate::bridge::command::{Command, CommandBatch};
use crate::bridge::event_interest::EventInterest;
use crate::bridge::id::WorkerId;
use crate::bridge::queue::{Downlink, NodeBell, Uplink};
use crate::log::journal::Journal;

/// The workers of one environment, as Node's thread holds them.
#[derive(Debug)]
pub(crate) struct Pool {
    bell: Arc<NodeBell>,
    journal: Arc<Journal>,
    peers: Arc<Peers>,
    event_interest: Arc<EventInterest>,
    /// Makes another thread return free memory to the system.
    give_memory_back: fn(),
    workers: Vec<WorkerHandle>,
    /// How often the threads were started after they had all ended.
    starts: u64,
}

/// One worker, as Node's thread holds it.
#[derive(Debug)]
pub(crate) struct WorkerHandle {
    /// Its events.
    pub uplink: Arc<Uplink>,
    /// Its commands.
    pub downlink: Arc<Downlink>,
    /// The first generation of the connections of its next thread.
    generation: u32,
    /// Processor time of its threads that have ended; `None` where the system does not report it.
    spent: Option<Duration>,
    /// `None` while there is none.
    thread: Option<Thread>,
}

/// The thread of a worker.
#[derive(Debug)]
struct Thread {
    /// Set by the thread itself when it starts.
    clock: Arc<OnceLock<ThreadClock>>,
    /// Returns the generation for its successor.
    handle: JoinHandle<Option<u32>>,
}

impl Pool {
    /// A pool without threads. Its workers will ring `bell`, log to `journal`, and call `give_memory_back` some time
    /// after a peak of memory use.
    #[must_use]
    pub(crate) fn new(bell: Arc<NodeBell>, journal: Arc<Journal>, give_memory_back: fn()) -> Self {
        let (peers, event_interest) = Default::default();
        Self { bell, journal, peers, event_interest, give_memory_back, workers: Vec::new(), starts: 0 }
    }

    /// Starts threads until there are `count`; after a [`Self::stop`] those of all workers that there have been,
    /// because apps share their connections among them.
    ///
    /// # Errors
    /// The system refuses a thread or a descriptor.
    pub(crate) fn ensure(&mut self, count: usize) -> io::Result<()> {
        let count = count.min(MAX_WORKERS);
        if !self.is_running() {
            self.starts += 1;
        }
        for (number, index) in (0..).zip(0..self.workers.len()) {
            let WorkerHandle { uplink, downlink, generation, thread, .. } = &self.workers[index];
            if thread.is_none() {
                match self.start(WorkerId(number), *generation, uplink, downlink) {
                    Ok(thread) => self.workers[index].thread = Some(thread),
                    Err(error) => {
                        // All or none: no command has been sent to the new threads yet.
                        self.stop();
                        return Err(error);
                    }
                }
            }
        }
        while self.workers.len() < count {
            let uplink = Arc::new(Uplink::new(Arc::clone(&self.bell)));
            let downlink = Arc::new(Downlink::default());
            let number = u8::try_from(self.workers.len()).map_err(io::Error::other)?;
            let thread = self.start(WorkerId(number), 0, &uplink, &downlink)?;
            self.peers.add(Arc::clone(&downlink));
            let spent = ThreadClock::EXISTS.then_some(Duration::ZERO);
            self.workers.push(WorkerHandle { uplink, downlink, generation: 0, spent, thread: Some(thread) });
        }
        Ok(())
    }

    fn start(
        &self,
        id: WorkerId,
        generation: u32,
        uplink: &Arc<Uplink>,
        downlink: &Arc<Downlink>,
    ) -> io::Result<Thread> {
        let number = id.0;
        let (uplink, downlink) = (Arc::clone(uplink), Arc::clone(downlink));
        let (peers, event_interest) = (Arc::clone(&self.peers), Arc::clone(&self.event_interest));
        let worker =
            Worker::new(id, generation, uplink, downlink, peers, event_interest, self.give_memory_back)?;
        let journal = Arc::clone(&self.journal);
        let clock = Arc::new(OnceLock::new());
        let its_clock = Arc::clone(&clock);
        let handle = std::thread::Builder::new().name(id.thread_name()).spawn(move || {
            journal.attach();
            if let Some(clock) = ThreadClock::of_this_thread() {
                its_clock.get_or_init(|| clock);
            }
            match catch_unwind(AssertUnwindSafe(|| worker.run())) {
                Ok(Ok(generation)) => Some(generation),
                Ok(Err(error)) => {
                    tracing::error!(worker = number, %error, "an I/O thread ended by an error of the system");
                    None
                }
                Err(_) => {
                    tracing::error!(worker = number, "an I/O thread ended by a bug in the server");
                    None
                }
            }
        })?;
        Ok(Thread { clock, handle })
    }

    /// The downlinks of all workers, including those that are added later.
    #[must_use]
    pub(crate) const fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }

    /// The events that workers report in addition to those with a handler.
    #[must_use]
    pub(crate) fn event_interest(&self) -> &EventInterest {
        &self.event_interest
    }

    /// The workers, by number, whether or not their threads run ([`Self::is_running`]).
    #[must_use]
    pub(crate) fn workers(&self) -> &[WorkerHandle] {
        &self.workers
    }

    /// Whether threads run, so that commands can be sent to them. They end together.
    #[must_use]
    pub(crate) fn is_running(&self) -> bool {
        self.workers.iter().any(|worker| worker.thread.is_some())
    }

    /// How often the threads were started after they had all ended. A new thread has none of the state that earlier
    /// commands set up.
    #[must_use]
    pub(crate) const fn starts(&self) -> u64 {
        self.starts
    }

    /// Whether all workers have reported that they are idle.
    #[must_use]
    pub(crate) fn rests(&self) -> bool {
        self.workers.iter().all(|worker| worker.thread.is_none() || worker.uplink.rests())
    }

    /// Ends every thread and waits for it. A worker never blocks on another thread, so this takes one pass.
    pub(crate) fn stop(&mut self) {
        for worker in self.workers.iter().filter(|worker| worker.thread.is_some()) {
            worker.downlink.push(&mut CommandBatch::of(Command::Stop));
        }
        for worker in &mut self.workers {
            worker.join();
        }
    }
}

impl WorkerHandle {
    /// Waits for the end of the thread.
    fn join(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if let (Some(clock), Some(spent)) = (thread.clock.get(), &mut self.spent) {
            *spent += clock.now().unwrap_or_default();
        }
        // An error means that the thread panicked, which it has logged itself. Its last generation is unknown then; it
        // is practically certain that it has not used as many as are skipped here.
        let generation = thread.handle.join().ok().flatten();
        self.generation = generation.unwrap_or_else(|| self.generation.wrapping_add(u32::MAX / 4));
        self.downlink.clear();
        self.uplink.release_spares();
        self.uplink.report_population(0);
        self.uplink.report_rest(false);
    }

    /// Processor time that the threads of the worker have used; `None` where the system does not report it, and before
    /// the first one runs.
    #[must_use]
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        match &self.thread {
            Some(thread) => Some(self.spent? + thread.clock.get()?.now()?),
            None => self.spent,
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Threads that a pool starts at most, which is also the largest value of the `threads` option.
pub(crate) const MAX_WORKERS: usize = 64;
