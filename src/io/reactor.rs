//! A worker that either its own thread or Node's loop can lead (`io/leader`): whoever leads asks which sockets are ready,
//! and runs the passes.
//!
//! ```text
//!   Node leads:    Node's loop watches the descriptor ─► turn: poll, pass ─► events ─► handlers ─► carry_out: commands, writes
//!   thread leads:  poll ─► pass ─► events ─► Node's thread is woken ─► handlers ─► commands ─► the thread is woken
//! ```
//!
//! The thread holds the lock as long as it leads, Node's thread for one pass: never while JavaScript runs, and Node's
//! thread only tries it. All that a pass leaves to the next one (sockets that were not read until they were empty, what the
//! kernel has reported) lies in the worker, and the new leader's first poll does not wait.
//!
//! While Node's loop leads, the thread is its watchdog: if something waits and Node shows no sign of life, the thread
//! seizes the reactor, so that Pings are answered and deadlines kept while a handler blocks Node's thread. Without a
//! thread there is no watchdog.
//!
//! What other environments and brokers deliver is no work that Node's thread has asked for: it is left to the thread, by
//! whichever of the two sees it first.

use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::task::Waker;
use std::thread::{self, Thread};
use std::time::Duration;

#[cfg(unix)]
use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::agenda::{Agenda, NEVER};
use super::leader::{Lead, Leader};
use super::leadership::{
    CLOSE_LOOKS, LOOKS, LOOKS_IF_COMPUTING, PATIENCE, QUIET_LOOKS, WATCH_CLOSELY, WATCH_EVERY, Work,
};
use super::peers::Peers;
use super::thread_clock::ThreadClock;
use super::worker::{Step, Stopwatch, Worker};
use crate::bridge::command::{CommandBatch, LentCommand};
use crate::log::journal::Journal;

/// See the top of the file.
pub(crate) struct Reactor {
    /// The number of the worker.
    number: u8,
    /// `None` once it has ended.
    worker: Mutex<Option<Worker>>,
    leader: Leader,
    /// Makes the descriptor readable.
    waker: Waker,
    peers: Arc<Peers>,
    journal: Arc<Journal>,
    stopwatch: Stopwatch,
    /// A copy of the descriptor of the worker's selector; `None` if Node's loop cannot watch it.
    #[cfg(unix)]
    descriptor: Option<OwnedFd>,
    thread: OnceLock<Thread>,
    /// The processor time of Node's thread, where the system tells.
    node_clock: OnceLock<ThreadClock>,
    /// That of the thread, and how many bytes it has read and written.
    thread_clock: OnceLock<ThreadClock>,
    moved: AtomicU64,
    /// Set at the end of the thread, or when it or Node's loop fails: there is nothing to lead any more.
    has_ended: AtomicBool,
    /// Signs of life of Node's thread. Written by that alone.
    life: AtomicU64,
    /// What waits for Node's loop while that leads.
    agenda: Agenda,
    /// Node's part of it.
    node: NodeSide,
    /// How often the lead has changed, and how often of these the thread seized it.
    switches: AtomicU64,
    seizures: AtomicU64,
}

/// Written by Node's thread alone; atomic, because the reactor is shared.
#[derive(Debug)]
struct NodeSide {
    /// Whether Node's loop leaves what others deliver to the thread.
    leaves_deliveries: AtomicBool,
    /// How often others had delivered something when it last began to lead.
    delivered: AtomicU64,
    /// Whether a callback of Node's loop is under way, at whose end [`Reactor::next_alarm`] is asked.
    is_in_callback: AtomicBool,
    /// Whether a pass in steps is under way.
    is_in_pass: AtomicBool,
    /// Whether sockets are ready that its steps have not served.
    is_more: AtomicBool,
    /// When Node's loop will look next if nothing happens, in milliseconds of the stopwatch.
    alarm: AtomicU64,
    /// Events that were handed over, bytes that were read and written, and the time that native work has taken, in
    /// nanoseconds.
    events: AtomicU64,
    moved: AtomicU64,
    work: AtomicU64,
}

impl Reactor {
    /// A reactor that its thread leads. With `duplicate`, which copies descriptors, Node's loop can watch it; unless there are
    /// no descriptors left, where the thread leads for good.
    #[must_use]
    pub(crate) fn new(
        number: u8,
        worker: Worker,
        peers: Arc<Peers>,
        journal: Arc<Journal>,
        #[cfg(unix)] duplicate: Option<fn(u32) -> io::Result<OwnedFd>>,
    ) -> Self {
        #[cfg(unix)]
        let descriptor = duplicate
            .zip(u32::try_from(worker.descriptor()).ok())
            .and_then(|(duplicate, descriptor)| duplicate(descriptor).ok());
        Self {
            number,
            leader: Leader::new(Lead::Thread),
            waker: worker.waker().clone(),
            peers,
            journal,
            stopwatch: worker.stopwatch(),
            #[cfg(unix)]
            descriptor,
            worker: Mutex::new(Some(worker)),
            thread: OnceLock::new(),
            node_clock: OnceLock::new(),
            thread_clock: OnceLock::new(),
            moved: AtomicU64::new(0),
            has_ended: AtomicBool::new(false),
            life: AtomicU64::new(0),
            agenda: Agenda::new(),
            node: NodeSide {
                leaves_deliveries: AtomicBool::new(false),
                delivered: AtomicU64::new(0),
                is_in_callback: AtomicBool::new(false),
                is_in_pass: AtomicBool::new(false),
                is_more: AtomicBool::new(false),
                alarm: AtomicU64::new(NEVER),
                events: AtomicU64::new(0),
                moved: AtomicU64::new(0),
                work: AtomicU64::new(0),
            },
            switches: AtomicU64::new(0),
            seizures: AtomicU64::new(0),
        }
    }

    /// Whether Node's loop leads.
    #[must_use]
    pub(crate) fn is_led_by_node(&self) -> bool {
        self.leader.get() == Lead::Node
    }

    /// Whether the thread leads, and was not asked to let go.
    #[must_use]
    pub(crate) fn is_led_by_thread(&self) -> bool {
        self.leader.get() == Lead::Thread
    }

    /// How often the lead has changed, and how often of these the thread seized it.
    #[must_use]
    pub(crate) fn switches(&self) -> (u64, u64) {
        (self.switches.load(Ordering::Relaxed), self.seizures.load(Ordering::Relaxed))
    }

    /// What Node's loop can watch, if anything: it is readable while [`Self::turn`] would find something.
    #[must_use]
    pub(crate) fn descriptor(&self) -> Option<std::ffi::c_int> {
        #[cfg(unix)]
        return self.descriptor.as_ref().map(std::os::fd::AsRawFd::as_raw_fd);
        #[cfg(not(unix))]
        None
    }

    fn lock(&self) -> MutexGuard<'_, Option<Worker>> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often other environments and brokers have handed something to its worker.
    #[must_use]
    pub(crate) fn deliveries(&self) -> u64 {
        self.peers.deliveries()
    }

    /// Whether they have since Node's loop leads, and it leaves that to the thread.
    fn has_delivery_for_thread(&self) -> bool {
        // Relaxed (both): which of the two threads does it changes nothing but where it costs processor time.
        self.node.leaves_deliveries.load(Ordering::Relaxed)
            && self.node.delivered.load(Ordering::Relaxed) != self.deliveries()
    }

    /// For how many nanoseconds in all the thread has worked, 0 where the system does not tell; and how many bytes it has read
    /// and written meanwhile.
    #[must_use]
    pub(crate) fn work_of_thread(&self) -> (u64, u64) {
        let time = self.thread_clock.get().and_then(|clock| clock.now()).unwrap_or_default();
        (u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), self.moved.load(Ordering::Relaxed))
    }

    /// Counts and logs a change of the lead.
    fn note_switch(&self, leader: &'static str, reason: &'static str) {
        self.peers.set_inline(leader == "node");
        self.switches.fetch_add(1, Ordering::Relaxed);
        self.journal.scope(|| tracing::debug!(worker = self.number, leader, reason, "the lead has changed"));
    }
}

/// What the thread does.
impl Reactor {
    /// Leads while it is to, and is the watchdog while Node's loop leads, until `Command::Stop`. Returns a generation that
    /// no connection of the worker has had.
    ///
    /// # Errors
    /// Polling the selector failed.
    pub(crate) fn run(&self) -> io::Result<Option<u32>> {
        self.thread.get_or_init(thread::current);
        if let Some(clock) = ThreadClock::of_this_thread() {
            self.thread_clock.get_or_init(|| clock);
        }
        loop {
            match self.leader.get() {
                Lead::Thread => {
                    let mut guard = self.lock();
                    let Some(worker) = &mut *guard else { return Ok(None) };
                    if let Some(generation) = self.lead(worker)? {
                        *guard = None;
                        self.has_ended.store(true, Ordering::Release);
                        return Ok(Some(generation));
                    }
                }
                Lead::ToNode => {
                    if self.leader.let_go() {
                        self.note_switch("node", "idle");
                        // Node's loop has to find what was not read until it was empty, and the commands.
                        self.waker.wake_by_ref();
                    }
                }
                Lead::Node => self.watch(),
            }
        }
    }

    /// Must be called when [`Self::run`] has failed or panicked: nobody leads any more.
    pub(crate) fn give_up(&self) {
        self.has_ended.store(true, Ordering::Release);
        self.leader.take_back();
    }

    fn lead(&self, worker: &mut Worker) -> io::Result<Option<u32>> {
        let mut patience = Some(Duration::ZERO);
        while self.leader.get() == Lead::Thread {
            worker.poll(patience)?;
            let moved = worker.moved();
            patience = worker.pass();
            add(&self.moved, worker.moved() - moved);
            if let Some(generation) = worker.end() {
                return Ok(Some(generation));
            }
        }
        Ok(None)
    }

    /// Returns when Node's loop does not lead any more.
    fn watch(&self) {
        let mut life = self.life.load(Ordering::Relaxed);
        let (mut suspicion, mut quiet, mut used) = (0, 0, None);
        let mut close = if self.seizures.load(Ordering::Relaxed) > 0 { CLOSE_LOOKS } else { 0 };
        while self.leader.get() == Lead::Node {
            if quiet >= QUIET_LOOKS {
                self.doze();
                quiet = 0;
            }
            if self.has_delivery_for_thread() {
                if self.leader.take_from_node() {
                    self.note_switch("thread", "delivered");
                }
                return;
            }
            close = close.saturating_sub(1);
            let is_close = suspicion > 0 || close > 0;
            thread::park_timeout(if is_close { WATCH_CLOSELY } else { WATCH_EVERY });
            let now = self.life.load(Ordering::Relaxed);
            if now != life {
                (life, suspicion, quiet, used) = (now, 0, 0, None);
            } else if !self.is_anything_waiting() {
                (suspicion, quiet, used) = (0, quiet + 1, None);
            } else {
                let before =
                    std::mem::replace(&mut used, self.node_clock.get().and_then(|clock| clock.now()));
                let computed = used.zip(before).map(|(now, before)| now.saturating_sub(before));
                // Where that is not known, it counts as computing.
                let is_computing = before.is_some() && computed.is_some_and(|time| time >= WATCH_CLOSELY / 2);
                suspicion +=
                    if is_computing || self.node_clock.get().is_none() { LOOKS_IF_COMPUTING } else { 1 };
                if suspicion >= LOOKS && self.leader.take_from_node() {
                    self.seizures.fetch_add(1, Ordering::Relaxed);
                    self.note_switch("thread", "blocked");
                }
            }
        }
    }

    /// Whether an event of a socket, a command or a deadline waits for Node's loop.
    fn is_anything_waiting(&self) -> bool {
        self.is_readable(Some(Duration::ZERO)) || self.agenda.is_overdue(self.stopwatch.elapsed(), PATIENCE)
    }

    /// Sleeps until there is something for Node's loop to do.
    fn doze(&self) {
        self.agenda.doze(|due| {
            let patience = match due {
                NEVER => None,
                due => Some(Duration::from_millis(due).saturating_sub(self.stopwatch.elapsed())),
            };
            self.is_readable(patience);
        });
    }

    #[cfg(unix)]
    fn is_readable(&self, patience: Option<Duration>) -> bool {
        let Some(descriptor) = &self.descriptor else { return false };
        let timeout = patience.map_or(PollTimeout::NONE, |patience| {
            let milliseconds = patience.as_micros().div_ceil(1000);
            PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
        });
        let mut watched = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
        // Fails when a signal arrives, and the next look follows.
        nix::poll::poll(&mut watched, timeout).is_ok_and(|count| count > 0)
    }

    #[cfg(not(unix))]
    fn is_readable(&self, _patience: Option<Duration>) -> bool {
        false
    }
}

/// What Node's thread does.
impl Reactor {
    /// Called on Node's thread before it leads for the first time. With `leaves_deliveries`, it leaves what other
    /// environments and brokers deliver to the thread, if there is one. Returns its clock, where the system has one.
    pub(crate) fn watch_node(&self, leaves_deliveries: bool) -> Option<ThreadClock> {
        self.node.leaves_deliveries.store(leaves_deliveries, Ordering::Relaxed);
        let clock = ThreadClock::of_this_thread()?;
        Some(*self.node_clock.get_or_init(|| clock))
    }

    /// Node's loop is about to watch the descriptor, and would like to lead; it does so once [`Self::turn`] says so.
    pub(crate) fn ask_node(&self) {
        self.node.alarm.store(NEVER, Ordering::Relaxed);
        self.node.delivered.store(self.deliveries(), Ordering::Relaxed);
        // It will in a moment.
        self.peers.set_inline(true);
        if self.thread.get().is_none() {
            // Nobody else can lead.
            self.leader.ask_node();
            self.leader.let_go();
            self.note_switch("node", "idle");
            self.waker.wake_by_ref();
        } else if self.leader.ask_node() {
            self.waker.wake_by_ref();
        }
    }

    /// Node's loop does not lead any more, because its thread is busy. Nothing happens where there is no thread.
    pub(crate) fn hand_to_thread(&self) {
        self.hand_over("busy");
    }

    /// The same, because of what is about to be published.
    pub(crate) fn leave_to_thread(&self) {
        self.hand_over("published");
    }

    fn hand_over(&self, reason: &'static str) {
        if self.has_thread() && self.leader.take_from_node() {
            self.note_switch("thread", reason);
            self.rouse();
        }
    }

    /// The thread leads for good.
    pub(crate) fn take_back(&self) {
        if self.thread.get().is_some() {
            self.leader.take_back();
            self.peers.set_inline(false);
            self.rouse();
        }
    }

    /// Ends the sleep of the watchdog.
    fn rouse(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
        self.waker.wake_by_ref();
    }

    /// Says which thread [`Self::run`] will run on: from now on the reactor has one.
    pub(crate) fn set_thread(&self, thread: &Thread) {
        self.thread.get_or_init(|| thread.clone());
    }

    /// Whether there is a thread that can lead.
    #[must_use]
    pub(crate) fn has_thread(&self) -> bool {
        self.thread.get().is_some()
    }

    /// A sign of life.
    pub(crate) fn note_life(&self) {
        add(&self.life, 1);
    }

    /// A callback of Node's loop begins or ends.
    pub(crate) fn set_in_callback(&self, is_in_callback: bool) {
        self.node.is_in_callback.store(is_in_callback, Ordering::Relaxed);
    }

    /// Polls, and starts a pass in steps, if Node's loop leads. Returns whether it does.
    pub(crate) fn turn(&self) -> bool {
        self.lead_as_node(Start::OfPass, |worker| {
            worker.poll(Some(Duration::ZERO))?;
            Ok(worker.start_pass())
        })
    }

    /// The same, because the descriptor is readable.
    pub(crate) fn turn_if_readable(&self) -> bool {
        self.lead_as_node(Start::OfPass, |worker| {
            let moved = worker.moved();
            let is_guess = worker.poll_or_guess()?;
            let step = worker.start_pass();
            if !is_guess || worker.moved() != moved {
                return Ok(step);
            }
            worker.note_wrong_guess();
            if let Step::Under { .. } = step {
                worker.finish_pass();
            }
            worker.poll(Some(Duration::ZERO))?;
            Ok(worker.start_pass())
        })
    }

    /// Polls for at most `patience`, and runs a whole pass, if Node's loop leads. Returns whether it does.
    pub(crate) fn whole_turn(&self, patience: Duration) -> bool {
        self.lead_as_node(Start::OfPass, |worker| {
            worker.poll(Some(if worker.has_ready_sockets() { Duration::ZERO } else { patience }))?;
            Ok(Step::Last(worker.pass()))
        })
    }

    /// Applies the commands that were handed over before, `batch` and `lent`, and writes, if Node's loop leads; otherwise
    /// returns `false`, and the commands are still in the batch.
    pub(crate) fn carry_out(&self, batch: &mut CommandBatch, lent: Option<LentCommand<'_>>) -> bool {
        self.lead_as_node(Start::Now, |worker| Ok(worker.carry_out(batch, lent)))
    }

    /// The next step of the pass that is under way, after `batch`, if there is either, and Node's loop leads; otherwise
    /// returns `false`, and the commands are still in the batch.
    pub(crate) fn advance(&self, batch: &mut CommandBatch) -> bool {
        let is_anything = self.node.is_in_pass.load(Ordering::Relaxed) || !batch.is_empty();
        is_anything && self.lead_as_node(Start::Now, |worker| Ok(worker.advance(batch)))
    }

    /// Whether the next step of a pass that is under way will serve another socket.
    #[must_use]
    pub(crate) fn is_more_ready(&self) -> bool {
        self.node.is_more.load(Ordering::Relaxed)
    }

    /// The rest of a pass that the handlers have not finished.
    pub(crate) fn finish_pass(&self) {
        if self.node.is_in_pass.load(Ordering::Relaxed) {
            self.lead_as_node(Start::Now, |worker| Ok(Step::Last(worker.finish_pass())));
        }
    }

    /// Returns after what time Node's loop has to look if nothing happens; `None` if that is set already, or not
    /// necessary.
    pub(crate) fn next_alarm(&self) -> Option<Duration> {
        let due = self.agenda.due();
        if due >= self.node.alarm.load(Ordering::Relaxed) || !self.is_led_by_node() {
            return None;
        }
        self.node.alarm.store(due, Ordering::Relaxed);
        Some(Duration::from_millis(due).saturating_sub(self.stopwatch.elapsed()))
    }

    /// The alarm has rung.
    pub(crate) fn note_alarm_rung(&self) {
        self.node.alarm.store(NEVER, Ordering::Relaxed);
    }

    /// What Node's loop has done for the sockets since the last call.
    pub(crate) fn take_work(&self) -> Work {
        let NodeSide { events, moved, work, .. } = &self.node;
        Work {
            events: u32::try_from(take(events)).unwrap_or(u32::MAX),
            moved: take(moved),
            time: Duration::from_nanos(take(work)),
        }
    }

    /// Runs `act` if Node's loop leads, and is to go on doing so. Returns whether it did.
    fn lead_as_node(&self, start: Start, act: impl FnOnce(&mut Worker) -> io::Result<Step>) -> bool {
        if self.has_delivery_for_thread() {
            self.hand_over("delivered");
        }
        let mut guard = match self.worker.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        if self.leader.get() != Lead::Node || self.has_ended.load(Ordering::Acquire) {
            return false;
        }
        let Some(worker) = guard.as_mut() else { return false };
        self.note_life();
        let (events, moved) = (worker.emitted(), worker.moved());
        let started = match start {
            Start::Now => Some(self.stopwatch.elapsed()),
            Start::OfPass => None,
        };
        // A panic must unwind neither into libuv nor through a scope of the journal.
        let acted = self.journal.scope(|| catch_unwind(AssertUnwindSafe(|| act(worker))));
        let failure = match acted {
            Ok(Ok(step)) => {
                self.note_step(step, worker);
                let (pass_start, pass_end) = worker.last_pass();
                let ended = if matches!(step, Step::Last(_)) { pass_end } else { self.stopwatch.elapsed() };
                let (node, work) = (&self.node, ended.saturating_sub(started.unwrap_or(pass_start)));
                add(&node.events, worker.emitted() - events);
                add(&node.moved, worker.moved() - moved);
                add(&node.work, u64::try_from(work.as_nanos()).unwrap_or(0));
                return true;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => String::from("a bug in the server"),
        };
        self.has_ended.store(true, Ordering::Release);
        self.journal.scope(|| tracing::error!(error = failure, "Node's loop cannot drive sockets any more"));
        false
    }

    fn note_step(&self, step: Step, worker: &Worker) {
        let (is_more, patience) = match step {
            Step::Under { is_more, patience } => (is_more, patience),
            Step::Last(patience) => (false, patience),
        };
        let is_last = matches!(step, Step::Last(_));
        self.node.is_in_pass.store(!is_last, Ordering::Relaxed);
        self.node.is_more.store(is_more, Ordering::Relaxed);
        let due = patience.map_or(NEVER, |patience| in_milliseconds(worker.due(patience)));
        let is_watchdog_late = self.agenda.note(is_more, due);
        // Node's loop has to look again, or to set its alarm; unless it will, because a callback or a pass is under way.
        let is_alarm_late = due < self.node.alarm.load(Ordering::Relaxed)
            && !self.node.is_in_callback.load(Ordering::Relaxed);
        if is_watchdog_late || is_last && (patience == Some(Duration::ZERO) || is_alarm_late) {
            self.waker.wake_by_ref();
        }
    }

    /// Node's thread, where there is no other: ends the worker, after `Command::Stop`. Returns a generation that no
    /// connection of the worker has had.
    pub(crate) fn end(&self) -> Option<u32> {
        self.whole_turn(Duration::ZERO);
        let worker = self.lock().take();
        self.has_ended.store(true, Ordering::Release);
        self.journal.scope(|| {
            let generation = worker.as_ref().and_then(Worker::end);
            drop(worker);
            generation
        })
    }
}

/// From when on the time of native work counts. Each reading of the clock costs a hundredth of the time of a small message.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// A pass is going on; the time that handlers have taken does not count.
    Now,
    /// A pass begins, and reads the clock anyway.
    OfPass,
}

impl std::fmt::Debug for Reactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reactor").field("leader", &self.leader).finish_non_exhaustive()
    }
}

fn in_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(NEVER)
}

/// Takes the value of a counter that one thread writes.
fn take(counter: &AtomicU64) -> u64 {
    let count = counter.load(Ordering::Relaxed);
    counter.store(0, Ordering::Relaxed);
    count
}

/// For counters that one thread writes.
fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}
