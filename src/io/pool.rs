//! The I/O threads of one Node environment, shared by all its apps: started when they are first needed, ended when they
//! are needed for nothing, and started anew. A worker outlives its thread: its number, its queues, and the generation
//! of its connections continue, so that a command for a connection of an earlier thread never applies to one of a later
//! thread.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::peers::Peers;
use super::reactor::Reactor;
use super::thread_clock::ThreadClock;
use super::worker::Worker;
use crate::bridge::command::{Command, CommandBatch, LentCommand};
use crate::bridge::event_interest::EventInterest;
use crate::bridge::id::WorkerId;
use crate::bridge::latch::Latch;
use crate::bridge::queue::{Downlink, NodeBell, Uplink};
use crate::log::journal::Journal;

/// What the pool needs of the operating system beside sockets and threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System {
    /// Makes another thread return free memory to the system.
    pub give_memory_back: fn(),
    /// Copies a descriptor.
    #[cfg(unix)]
    pub duplicate: fn(u32) -> io::Result<std::os::fd::OwnedFd>,
}

/// The workers of one environment, as Node's thread holds them.
#[derive(Debug)]
pub(crate) struct Pool {
    bell: Arc<NodeBell>,
    journal: Arc<Journal>,
    peers: Arc<Peers>,
    event_interest: Arc<EventInterest>,
    system: System,
    workers: Vec<WorkerHandle>,
    /// How often the threads were started after they had all ended.
    starts: u64,
}

/// One worker, as Node's thread holds it.
#[derive(Debug)]
pub(crate) struct WorkerHandle {
    id: WorkerId,
    /// Its events.
    pub uplink: Arc<Uplink>,
    /// Its commands.
    pub downlink: Arc<Downlink>,
    /// The first generation of the connections of its next thread.
    generation: u32,
    /// Processor time of its threads that have ended; `None` where the system does not report it.
    spent: Option<Duration>,
    /// How often the lead of its earlier reactors has changed, and how often of these it was seized.
    switches: (u64, u64),
    /// What drives its sockets; `None` while it does not run.
    reactor: Option<Arc<Reactor>>,
    /// `None` while there is none: the worker does not run, or Node's loop alone leads it.
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
    /// A pool without threads. Its workers will ring `bell` and log to `journal`.
    #[must_use]
    pub(crate) fn new(bell: Arc<NodeBell>, journal: Arc<Journal>, system: System) -> Self {
        let (peers, event_interest) = Default::default();
        Self { bell, journal, peers, event_interest, system, workers: Vec::new(), starts: 0 }
    }

    /// Starts workers until there are `count`; after a [`Self::stop`] all that there have been, because apps share their
    /// connections among them. With `count` 0 there is one, without a thread: Node's loop has to lead it. Where
    /// `is_watchable`, Node's loop can lead the first one.
    ///
    /// # Errors
    /// The system refuses a thread or a descriptor.
    pub(crate) fn ensure(&mut self, count: usize, is_watchable: bool) -> io::Result<()> {
        let count = count.min(MAX_WORKERS);
        if !self.is_running() {
            self.starts += 1;
        }
        let was_running = self.is_running();
        let mut workers = std::mem::take(&mut self.workers);
        let mut started = workers.iter_mut().enumerate().try_for_each(|(index, worker)| {
            self.start(worker, is_watchable && index == 0, count > 0 || index > 0)
        });
        self.workers = workers;
        if started.is_err() && !was_running {
            // All or none: no command has been sent to the new threads yet.
            self.stop();
        }
        while started.is_ok() && self.workers.len() < count.max(1) {
            let number = u8::try_from(self.workers.len()).map_err(io::Error::other)?;
            let mut worker = WorkerHandle::new(WorkerId(number), Arc::clone(&self.bell));
            started = self.start(&mut worker, is_watchable && number == 0, count > 0);
            if started.is_ok() {
                self.peers.add(Arc::clone(&worker.downlink));
                self.workers.push(worker);
            }
        }
        started
    }

    /// Starts a worker that does not run, and its thread, unless that runs.
    fn start(&self, worker: &mut WorkerHandle, is_watchable: bool, with_thread: bool) -> io::Result<()> {
        let reactor = match &worker.reactor {
            Some(reactor) => Arc::clone(reactor),
            None => Arc::clone(worker.reactor.insert(Arc::new(self.make_reactor(worker, is_watchable)?))),
        };
        if with_thread && worker.thread.is_none() {
            worker.thread = Some(self.start_thread(worker.id, reactor)?);
        }
        Ok(())
    }

    fn make_reactor(&self, worker: &WorkerHandle, is_watchable: bool) -> io::Result<Reactor> {
        let WorkerHandle { id, generation, uplink, downlink, .. } = worker;
        let worker = Worker::new(
            *id,
            *generation,
            Arc::clone(uplink),
            Arc::clone(downlink),
            Arc::clone(&self.peers),
            Arc::clone(&self.event_interest),
            self.system.give_memory_back,
        )?;
        #[cfg(not(unix))]
        let _ = is_watchable;
        Ok(Reactor::new(
            id.0,
            worker,
            Arc::clone(&self.peers),
            Arc::clone(&self.journal),
            #[cfg(unix)]
            is_watchable.then_some(self.system.duplicate),
        ))
    }

    fn start_thread(&self, id: WorkerId, reactor: Arc<Reactor>) -> io::Result<Thread> {
        let number = id.0;
        let journal = Arc::clone(&self.journal);
        let clock = Arc::new(OnceLock::new());
        let (its_clock, its_reactor) = (Arc::clone(&clock), Arc::clone(&reactor));
        let handle = std::thread::Builder::new().name(id.thread_name()).spawn(move || {
            journal.attach();
            if let Some(clock) = ThreadClock::of_this_thread() {
                its_clock.get_or_init(|| clock);
            }
            match catch_unwind(AssertUnwindSafe(|| its_reactor.run())) {
                Ok(Ok(generation)) => return generation,
                Ok(Err(error)) => {
                    tracing::error!(worker = number, %error, "an I/O thread ended by an error of the system");
                }
                Err(_) => {
                    tracing::error!(worker = number, "an I/O thread ended by a bug in the server");
                }
            }
            its_reactor.give_up();
            None
        })?;
        reactor.set_thread(handle.thread());
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
        self.workers.iter().any(|worker| worker.reactor.is_some())
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
        self.workers.iter().all(|worker| worker.reactor.is_none() || worker.uplink.rests())
    }

    /// Waits until a latch in commands for any workers is released, at most `patience`; where Node's loop leads a reactor,
    /// runs its turns meanwhile. Returns whether it is released.
    pub(crate) fn wait(&self, latch: &Latch, patience: Duration) -> bool {
        match self.workers.first() {
            Some(first) => first.wait(latch, patience),
            None => latch.wait(patience),
        }
    }

    /// Where Node's loop leads, runs a turn: afterwards all is known that peers have sent before, as it would be to a
    /// thread.
    pub(crate) fn catch_up(&self) {
        let reactor = self.workers.first().and_then(WorkerHandle::reactor);
        let _ = reactor.is_some_and(|reactor| reactor.whole_turn(Duration::ZERO));
    }

    /// Ends every worker, and its thread, and waits for it. A worker never blocks on another thread, so this takes one
    /// pass. Node's loop must not watch the descriptor of any worker any more.
    pub(crate) fn stop(&mut self) {
        for worker in &self.workers {
            if let Some(reactor) = &worker.reactor {
                reactor.take_back();
                worker.downlink.push(&mut CommandBatch::of(Command::Stop));
            }
        }
        for worker in &mut self.workers {
            worker.join();
        }
    }
}

impl WorkerHandle {
    /// A worker that does not run.
    fn new(id: WorkerId, bell: Arc<NodeBell>) -> Self {
        let spent = ThreadClock::EXISTS.then_some(Duration::ZERO);
        let (uplink, downlink) = (Arc::new(Uplink::new(bell)), Arc::default());
        Self { id, uplink, downlink, generation: 0, spent, switches: (0, 0), reactor: None, thread: None }
    }

    /// A worker that never runs.
    #[cfg(test)]
    pub(crate) fn idle() -> Self {
        Self::new(WorkerId(0), Arc::new(NodeBell::new(Box::new(|| {}))))
    }

    /// What drives its sockets; `None` while it does not run.
    #[must_use]
    pub(crate) const fn reactor(&self) -> Option<&Arc<Reactor>> {
        self.reactor.as_ref()
    }

    /// How often the lead has changed, and how often of these the thread seized it.
    #[must_use]
    pub(crate) fn switches(&self) -> (u64, u64) {
        let current = self.reactor.as_ref().map_or((0, 0), |reactor| reactor.switches());
        add(self.switches, current)
    }

    /// Hands commands over, and gets an empty batch in place of `batch`. Where Node's loop leads they are carried out
    /// on the spot.
    pub(crate) fn push(&self, batch: &mut CommandBatch) {
        if !self.carry_out(batch) {
            self.downlink.push(batch);
        }
    }

    /// The same, for commands that Node's thread waits for: the worker should apply them before it serves further
    /// sockets.
    pub(crate) fn push_urgently(&self, batch: &mut CommandBatch) {
        if !self.carry_out(batch) {
            self.downlink.push_urgently(batch);
        }
    }

    /// Waits until a latch is released, at most `patience`; where Node's loop leads this worker, runs its turns
    /// meanwhile, because nobody else may. Returns whether it is released.
    #[expect(clippy::disallowed_methods, reason = "how long Node's thread waits is no time of the engine")]
    pub(crate) fn wait(&self, latch: &Latch, patience: Duration) -> bool {
        let mut left = patience;
        while !latch.is_released() && !left.is_zero() {
            let step = left.min(WAIT_STEP);
            let started = Instant::now();
            // The two take turns: other workers may have to release the latch, too, and the lead may change meanwhile.
            let is_led = self.reactor.as_ref().is_some_and(|reactor| reactor.whole_turn(Duration::ZERO));
            if !latch.wait(if is_led { step / 8 } else { step }) && is_led {
                let _ = self.reactor.as_ref().is_some_and(|reactor| reactor.whole_turn(step / 2));
            }
            // A suspension of the process counts as one step.
            left -= started.elapsed().clamp(MIN_STEP, step);
        }
        latch.is_released()
    }

    fn carry_out(&self, batch: &mut CommandBatch) -> bool {
        batch.is_empty() || self.reactor.as_ref().is_some_and(|reactor| reactor.carry_out(batch, None))
    }

    /// Where Node's loop leads, carries out `batch` and then `lent`. Otherwise returns `false`, and neither was.
    pub(crate) fn carry_out_lent(&self, batch: &mut CommandBatch, lent: LentCommand<'_>) -> bool {
        self.reactor.as_ref().is_some_and(|reactor| reactor.carry_out(batch, Some(lent)))
    }

    /// The same as [`Self::push`]; where Node's loop leads, serves the next sockets afterwards, of those that are ready.
    pub(crate) fn advance(&self, batch: &mut CommandBatch) {
        if !self.reactor.as_ref().is_some_and(|reactor| reactor.advance(batch)) {
            self.push(batch);
        }
    }

    /// Waits for the end of the thread, and of the worker.
    fn join(&mut self) {
        let Some(reactor) = self.reactor.take() else { return };
        self.switches = add(self.switches, reactor.switches());
        let generation = match self.thread.take() {
            Some(thread) => {
                if let (Some(clock), Some(spent)) = (thread.clock.get(), &mut self.spent) {
                    *spent += clock.now().unwrap_or_default();
                }
                // An error means that the thread panicked, which it has logged itself.
                thread.handle.join().ok().flatten()
            }
            None => reactor.end(),
        };
        // Unknown if there was a bug; it is practically certain that not as many were used as are skipped here.
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

const fn add(one: (u64, u64), other: (u64, u64)) -> (u64, u64) {
    (one.0 + other.0, one.1 + other.1)
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How long one step of [`WorkerHandle::wait`] takes at most, and how much of its patience it uses up at least.
const WAIT_STEP: Duration = Duration::from_millis(8);
const MIN_STEP: Duration = Duration::from_micros(1);

/// Threads that a pool starts at most, which is also the largest value of the `threads` option.
pub(crate) const MAX_WORKERS: usize = 64;
