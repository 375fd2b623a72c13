//! The two queues of a worker and the bells that wake their readers. Batches are moved whole under a lock that is
//! held for a few instructions; nothing is copied at the border.
//!
//! ```text
//!   worker ── EventBatch ──► Uplink ──► Node's thread        Node's thread ── CommandBatch ──► Downlink ──► worker
//!                               └ NodeBell (one per environment)                                  └ Waker (one per worker)
//! ```
//!
//! A wake-up cannot be lost: a reader that finds its queue empty sets `asleep` before it checks the queue a last time,
//! and a writer checks `asleep` after it has queued its batch. The later of the two sees the other.

use std::collections::VecDeque;
use std::task::Waker;

use super::command::CommandBatch;
use super::event::EventBatch;
use super::progress::{BatchNumber, Progress};
use super::sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering, lock};

/// Bytes of events that may wait for Node's thread, per worker, before the worker stops reading its sockets, so that
/// TCP slows the senders down. With one batch more being handled, twice this bounds what a blocked handler makes a
/// worker hold.
pub(crate) const HIGH_WATER: usize = 4 * 1024 * 1024;

/// Batches kept for reuse in each direction.
const SPARES: usize = 8;

/// Wakes Node's thread, when it sleeps.
pub struct NodeBell {
    /// Set by Node's thread when it has found all uplinks empty and is about to check them a last time.
    asleep: AtomicBool,
    /// Schedules a turn on Node's thread. Callable from any thread.
    ring: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for NodeBell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeBell").finish_non_exhaustive()
    }
}

impl NodeBell {
    /// A bell that calls `ring` when the sleeper has to be woken.
    pub fn new(ring: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { asleep: AtomicBool::new(true), ring }
    }

    /// Called by a writer after its batch is in the queue. Rings at most once per sleep.
    pub fn wake(&self) {
        // The plain load keeps the common case (Node is awake) free of a locked instruction. AcqRel on the swap:
        // of several writers exactly one rings. That a stale `false` cannot lose a wake-up follows from the queue
        // lock: see `sleep`.
        if self.asleep.load(Ordering::Acquire) && self.asleep.swap(false, Ordering::AcqRel) {
            (self.ring)();
        }
    }

    /// Called by Node's thread when all queues are empty. It must check every queue once more afterwards, and call
    /// [`Self::rise`] if one is not empty: a writer that locked the queue before that check is seen by it, and a writer
    /// that locks it afterwards sees `asleep`, through the same lock.
    pub fn sleep(&self) {
        self.asleep.store(true, Ordering::Release);
    }

    /// Called by Node's thread when it is awake anyway.
    pub fn rise(&self) {
        self.asleep.store(false, Ordering::Release);
    }
}

/// Events of one worker on their way up.
#[derive(Debug)]
pub(crate) struct Uplink {
    state: Mutex<UplinkState>,
    /// Whether `batches` seems to hold any, for readers that will look under the lock before they sleep.
    seems_full: AtomicBool,
    bell: Arc<NodeBell>,
}

/// What a worker sees of Node's thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Too much is waiting to read any further. The worker's bell rings once Node's thread has taken enough.
    pub is_choked: bool,
    /// Which batches Node's thread has handled. Every batch goes through [`Uplink::push`], [`Uplink::take`] and
    /// [`Uplink::recycle`], because a connection with many events in batches that are not handled is not read.
    pub progress: Progress,
}

#[derive(Debug, Default)]
struct UplinkState {
    /// Oldest first.
    batches: VecDeque<EventBatch>,
    /// Sum of the weights of `batches`.
    weight: usize,
    /// Emptied batches, for reuse by the worker.
    spares: Vec<EventBatch>,
    /// The worker has stopped reading because of `weight` and must be woken when it falls.
    choked: bool,
    /// Which batches were handed over and handled.
    progress: Progress,
    /// The batch for which the worker waits until it is handled.
    awaited: Option<BatchNumber>,
    /// Connections that the worker serves at the moment: as long as there are any, Node must not exit.
    population: usize,
    /// The worker has been idle for a while: it has no socket and no work.
    rests: bool,
}

impl Uplink {
    /// An empty uplink that rings `bell`.
    #[must_use]
    pub(crate) fn new(bell: Arc<NodeBell>) -> Self {
        Self { state: Mutex::new(UplinkState::default()), seems_full: AtomicBool::new(false), bell }
    }

    /// Worker: hands over `batch` and gets an empty one in its place. Returns what [`Self::look`] would.
    pub(crate) fn push(&self, batch: &mut EventBatch) -> Look {
        if batch.is_empty() {
            return self.look();
        }
        let mut state = lock(&self.state);
        let empty = state.spares.pop().unwrap_or_default();
        let full = std::mem::replace(batch, empty);
        state.weight += full.weight();
        state.progress = state.progress.after_push(full.events.len());
        state.batches.push_back(full);
        self.seems_full.store(true, Ordering::Relaxed);
        let look = state.look();
        drop(state);
        // Ring after releasing the lock: Node's thread would otherwise wake only to block on it.
        self.bell.wake();
        look
    }

    /// Worker: looks how far Node's thread has got.
    #[must_use]
    pub(crate) fn look(&self) -> Look {
        lock(&self.state).look()
    }

    /// Worker: asks to be woken when Node's thread has handled `batch`. Returns `false` if it has already.
    #[must_use]
    pub(crate) fn await_handled(&self, batch: BatchNumber) -> bool {
        let mut state = lock(&self.state);
        let is_handled = state.progress.has_handled(batch);
        state.awaited = (!is_handled).then_some(batch);
        !is_handled
    }

    /// Worker: how many connections it serves now. Node's thread is woken when none is left, so that the process can
    /// exit.
    pub(crate) fn report_population(&self, population: usize) {
        let mut state = lock(&self.state);
        let before = std::mem::replace(&mut state.population, population);
        drop(state);
        if population == 0 && before > 0 {
            self.bell.wake();
        }
    }

    /// Worker: whether it is idle, with no socket and no work. Node's thread is then woken, to end the worker's thread.
    pub(crate) fn report_rest(&self, rests: bool) {
        lock(&self.state).rests = rests;
        if rests {
            self.bell.wake();
        }
    }

    /// Node's thread: whether the worker's thread was idle when it last reported.
    #[must_use]
    pub(crate) fn rests(&self) -> bool {
        lock(&self.state).rests
    }

    /// Node's thread: whether the worker serves connections, or events of it wait.
    #[must_use]
    pub(crate) fn is_in_use(&self) -> bool {
        let state = lock(&self.state);
        state.population > 0 || !state.batches.is_empty()
    }

    /// Node's thread: how many events wait for it, and their weight in bytes.
    #[must_use]
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.batches.iter().map(|batch| batch.events.len()).sum(), state.weight)
    }

    /// Frees the batches that are kept for reuse.
    pub(crate) fn release_spares(&self) {
        let spares = std::mem::take(&mut lock(&self.state).spares);
        drop(spares);
    }

    /// Node's thread: whether there seems to be a batch, at the cost of a load. May overlook one that another thread is
    /// handing over.
    pub(crate) fn seems_full(&self) -> bool {
        self.seems_full.load(Ordering::Relaxed)
    }

    /// Node's thread: takes the oldest batch. The second value is whether the worker waits to resume reading.
    pub(crate) fn take(&self) -> Option<(EventBatch, bool)> {
        let mut state = lock(&self.state);
        let batch = state.batches.pop_front()?;
        self.seems_full.store(!state.batches.is_empty(), Ordering::Relaxed);
        state.weight -= batch.weight();
        let resume = state.choked && state.weight < HIGH_WATER / 2;
        if resume {
            state.choked = false;
        }
        Some((batch, resume))
    }

    /// Node's thread: whether a batch is waiting.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.state).batches.is_empty()
    }

    /// Node's thread: gives the batch that was taken last back for reuse, after its events are handled. Returns whether
    /// the worker waits for that.
    #[must_use]
    pub(crate) fn recycle(&self, mut batch: EventBatch) -> bool {
        let events = batch.events.len();
        batch.clear();
        let mut state = lock(&self.state);
        if state.spares.len() < SPARES {
            state.spares.push(batch);
        }
        state.progress = state.progress.after_handling(events);
        let is_awaited = state.awaited.is_some_and(|batch| state.progress.has_handled(batch));
        if is_awaited {
            state.awaited = None;
        }
        is_awaited
    }
}

impl UplinkState {
    fn look(&mut self) -> Look {
        self.choked = self.weight >= HIGH_WATER;
        Look { is_choked: self.choked, progress: self.progress }
    }
}

/// Commands on their way down to one worker.
#[derive(Debug, Default)]
pub(crate) struct Downlink {
    state: Mutex<DownlinkState>,
    /// Whether there seem to be batches. The worker looks under the lock before it sleeps.
    seems_full: AtomicBool,
    /// Node's thread waits for the commands that it has handed over.
    urgent: AtomicBool,
}

#[derive(Debug, Default)]
struct DownlinkState {
    /// Oldest first.
    batches: VecDeque<CommandBatch>,
    /// Emptied batches, for reuse by Node's thread.
    spares: Vec<CommandBatch>,
    /// Wakes the worker; present from its first sleep on.
    waker: Option<Waker>,
    /// The worker found the queue empty and waits for its waker.
    asleep: bool,
    /// [`Downlink::wake`] was called while the worker was awake: its reason may have come too late for the current
    /// pass, so another one must follow.
    nudged: bool,
}

impl Downlink {
    /// Hands over `batch` and gets an empty one in its place. Wakes the worker if it sleeps.
    pub(crate) fn push(&self, batch: &mut CommandBatch) {
        if batch.is_empty() {
            return;
        }
        let mut state = lock(&self.state);
        let empty = state.spares.pop().unwrap_or_default();
        state.batches.push_back(std::mem::replace(batch, empty));
        self.seems_full.store(true, Ordering::Relaxed);
        Self::wake_locked(state);
    }

    /// The same, for commands that Node's thread waits for: the worker should apply them before it serves further
    /// sockets.
    pub(crate) fn push_urgently(&self, batch: &mut CommandBatch) {
        // Set before the batch is queued: otherwise the worker could have applied the batch already and would look for
        // another one. In this order it may look for the batch too early, and finds it at the latest in its next pass.
        self.urgent.store(true, Ordering::Relaxed);
        self.push(batch);
    }

    /// Worker: takes the flag that Node's thread waits for the commands it has handed over.
    pub(crate) fn take_urgency(&self) -> bool {
        // Relaxed (both): it is no more than a hint. The plain load keeps the common case free of a locked instruction.
        self.urgent.load(Ordering::Relaxed) && self.urgent.swap(false, Ordering::Relaxed)
    }

    /// Wakes the worker if it sleeps; else keeps it from falling asleep once.
    pub(crate) fn wake(&self) {
        let mut state = lock(&self.state);
        state.nudged = true;
        Self::wake_locked(state);
    }

    fn wake_locked(mut state: MutexGuard<'_, DownlinkState>) {
        let waker = if std::mem::take(&mut state.asleep) { state.waker.clone() } else { None };
        drop(state);
        // After releasing the lock, for the reason given in `Uplink::push`.
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether the worker sleeps: a command handed over now is acted on at once, by a thread that has nothing
    /// else to do.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn is_asleep(&self) -> bool {
        lock(&self.state).asleep
    }

    /// Node's thread: how many commands wait for the worker.
    #[must_use]
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.state).batches.iter().map(|batch| batch.commands.len()).sum()
    }

    /// Frees the batches that are kept for reuse.
    pub(crate) fn release_spares(&self) {
        let spares = std::mem::take(&mut lock(&self.state).spares);
        drop(spares);
    }

    /// Worker: takes the oldest batch. May overlook one that another thread is handing over, over which the worker does
    /// not fall asleep.
    pub(crate) fn take(&self) -> Option<CommandBatch> {
        if !self.seems_full.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = lock(&self.state);
        let batch = state.batches.pop_front();
        self.seems_full.store(!state.batches.is_empty(), Ordering::Relaxed);
        batch
    }

    /// Worker: gives an applied batch back for reuse.
    pub(crate) fn recycle(&self, mut batch: CommandBatch) {
        batch.clear();
        let mut state = lock(&self.state);
        if state.spares.len() < SPARES {
            state.spares.push(batch);
        }
    }

    /// Node's thread: resets the queue for the next thread of the worker, after the current one has ended. No thread
    /// waits for the commands that are left.
    pub(crate) fn clear(&self) {
        let mut state = lock(&self.state);
        let left = std::mem::take(&mut *state);
        self.seems_full.store(false, Ordering::Relaxed);
        drop(state);
        // Not under the lock: the commands may own sockets, which are closed here.
        drop(left);
    }

    /// Worker: about to sleep. Returns `false`, and does not count as asleep, when there is a batch after all, or
    /// [`Self::wake`] was called since [`Self::rise`].
    pub(crate) fn sleep(&self, waker: &Waker) -> bool {
        let mut state = lock(&self.state);
        if !state.batches.is_empty() || state.nudged {
            return false;
        }
        if !state.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
        state.asleep = true;
        true
    }

    /// Worker: records that it is awake and about to check its queue and sockets.
    pub(crate) fn rise(&self) {
        let mut state = lock(&self.state);
        state.asleep = false;
        state.nudged = false;
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::bridge::command::Command;
    use crate::bridge::event::Event;
    use crate::bridge::id::{ConnectionId, WorkerId};
    use std::sync::atomic::AtomicUsize;

    fn bell() -> (Arc<NodeBell>, Arc<AtomicUsize>) {
        let rung = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&rung);
        let ring = Box::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        (Arc::new(NodeBell::new(ring)), rung)
    }

    const CONNECTION: ConnectionId = ConnectionId { worker: WorkerId(0), slot: 0, generation: 0 };

    fn batch(weight: usize) -> EventBatch {
        let mut batch = EventBatch::default();
        batch.bytes.resize(weight, 0);
        batch.events.push(Event::ConnectionClosed { connection: CONNECTION });
        batch
    }

    #[test]
    fn the_bell_rings_once_per_sleep() {
        let (bell, rung) = bell();
        let uplink = Uplink::new(Arc::clone(&bell));
        uplink.push(&mut batch(1));
        uplink.push(&mut batch(1));
        assert_eq!(rung.load(Ordering::Relaxed), 1);
        bell.sleep();
        uplink.push(&mut batch(1));
        assert_eq!(rung.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn an_empty_batch_rings_nobody() {
        let (bell, rung) = bell();
        Uplink::new(bell).push(&mut EventBatch::default());
        assert_eq!(rung.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn batches_leave_in_order_and_a_choked_worker_is_resumed_at_half() {
        let (bell, _) = bell();
        let uplink = Uplink::new(bell);
        for weight in [HIGH_WATER / 2, HIGH_WATER / 2, 10] {
            uplink.push(&mut batch(weight));
        }
        assert!(uplink.look().is_choked);
        let (events, weight) = uplink.waiting();
        assert_eq!((events, weight), (3, HIGH_WATER + 10 + 3 * size_of::<Event>()));
        let (first, resume) = uplink.take().unwrap();
        assert_eq!((first.bytes.len(), resume), (HIGH_WATER / 2, false));
        let (_, resume) = uplink.take().unwrap();
        assert!(resume, "only ten bytes are left");
        let (last, resume) = uplink.take().unwrap();
        assert_eq!((last.bytes.len(), resume), (10, false));
        assert!(uplink.take().is_none());
        assert_eq!(uplink.waiting(), (0, 0));
    }

    #[test]
    fn a_worker_is_woken_once_the_batch_that_it_waits_for_is_handled() {
        let (bell, _) = bell();
        let uplink = Uplink::new(bell);
        let numbers = [1, 2, 3].map(|_| {
            let number = uplink.look().progress.open();
            let look = uplink.push(&mut batch(1));
            assert_eq!(look.progress, uplink.look().progress);
            number
        });
        let handle = || uplink.recycle(uplink.take().unwrap().0);
        assert!(uplink.await_handled(numbers[1]));
        let first = uplink.take().unwrap().0;
        assert!(!uplink.look().progress.has_handled(numbers[0]), "it is only taken");
        assert!(!uplink.recycle(first));
        assert!(uplink.look().progress.has_handled(numbers[0]));
        assert!(handle());
        assert!(!uplink.await_handled(numbers[1]), "it is handled");
        assert!(!handle(), "nobody waits");
    }

    #[test]
    fn a_worker_does_not_fall_asleep_over_a_batch() {
        let downlink = Downlink::default();
        assert!(downlink.sleep(Waker::noop()));
        let mut batch = CommandBatch::of(Command::Stop);
        downlink.push(&mut batch);
        assert!(!downlink.is_asleep());
        assert!(!downlink.sleep(Waker::noop()));
        assert_eq!(downlink.waiting(), 1);
        assert!(downlink.take().is_some());
        assert_eq!(downlink.waiting(), 0);
    }

    /// A choked worker that is woken before it sleeps would otherwise never read its sockets again.
    #[test]
    fn a_worker_does_not_fall_asleep_over_a_wake_up() {
        let downlink = Downlink::default();
        downlink.rise();
        downlink.wake();
        assert!(!downlink.sleep(Waker::noop()), "it was woken before it slept");
        downlink.rise();
        assert!(downlink.sleep(Waker::noop()));
    }
}

#[cfg(all(test, feature = "loom"))]
mod loom_tests {
    use super::*;
    use crate::bridge::event::Event;
    use crate::bridge::id::{ConnectionId, WorkerId};

    const CONNECTION: ConnectionId = ConnectionId { worker: WorkerId(0), slot: 0, generation: 0 };

    /// Node's thread goes to sleep while a worker pushes: either the last check finds the batch, or the bell has rung.
    #[test]
    fn no_wake_up_is_lost() {
        loom::model(|| {
            let rung = Arc::new(AtomicBool::new(false));
            let flag = Arc::clone(&rung);
            let bell = Arc::new(NodeBell::new(Box::new(move || flag.store(true, Ordering::SeqCst))));
            bell.rise();
            let uplink = Arc::new(Uplink::new(Arc::clone(&bell)));
            let writer = {
                let uplink = Arc::clone(&uplink);
                loom::thread::spawn(move || {
                    let mut batch = EventBatch::default();
                    batch.events.push(Event::ConnectionClosed { connection: CONNECTION });
                    uplink.push(&mut batch);
                })
            };
            let mut found = uplink.seems_full() && uplink.take().is_some();
            if !found {
                bell.sleep();
                found = uplink.take().is_some();
            }
            writer.join().unwrap();
            assert!(found || rung.load(Ordering::SeqCst), "asleep with a batch in the queue and no bell");
        });
    }

    /// A worker goes to sleep while Node's thread pushes: either it notices in time, or its waker is called.
    #[test]
    fn no_command_is_left_lying() {
        struct Flag(AtomicBool);

        impl std::task::Wake for Flag {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::SeqCst);
            }
        }

        loom::model(|| {
            let flag = Arc::new(Flag(AtomicBool::new(false)));
            let waker = Waker::from(Arc::clone(&flag));
            let downlink = Arc::new(Downlink::default());
            let writer = {
                let downlink = Arc::clone(&downlink);
                loom::thread::spawn(move || {
                    downlink.push(&mut CommandBatch::of(crate::bridge::command::Command::Stop));
                })
            };
            let sleeps = downlink.take().is_none() && downlink.sleep(&waker);
            writer.join().unwrap();
            assert!(
                !sleeps || flag.0.load(Ordering::SeqCst),
                "asleep with a command in the queue and no wake-up"
            );
        });
    }
}
