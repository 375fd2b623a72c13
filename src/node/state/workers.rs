//! The I/O threads as seen from Node's thread: the commands queued for them, and the bell by which they wake it.

use std::time::{Duration, Instant};

use super::doorbell::Doorbell;
use super::node_loop::{Hooks, NodeLoop};
use super::outgoing::Outgoing;
use crate::bridge::broker::BrokerEvents;
use crate::bridge::command::{Command, LENT_FROM, LentCommand};
use crate::bridge::event::Slice;
use crate::bridge::id::{ConnectionId, WorkerId};
use crate::bridge::latch::Latch;
use crate::bridge::ledger::IN_FLIGHT_ALLOWANCE;
use crate::bridge::queue::NodeBell;
use crate::bridge::record::Level;
use crate::bridge::sync::Arc;
use crate::broker::neighbours::{Neighbours, Published};
use crate::broker::registry::Membership;
use crate::broker::unsent::Unsent;
use crate::io::leadership::Policy;
use crate::io::pool::{Pool, System, WorkerHandle};
use crate::log::journal::Journal;
use crate::log::journals;
use crate::node::error::{Misuse, code_of};
use crate::node::js::{Env, Value};
#[cfg(unix)]
use crate::node::system::duplicate;
use crate::node::system::give_memory_back;

/// The pool of I/O threads, the queued commands and the bell.
#[derive(Default)]
pub(crate) struct Workers {
    /// Wakes Node's thread.
    doorbell: Doorbell,
    /// Node's loop, if it may lead the first worker.
    node_loop: Option<NodeLoop>,
    /// What Node's loop calls; `None` where it cannot drive sockets.
    hooks: Option<Hooks>,
    /// `None` before [`Self::start`], and after the end.
    threads: Option<Threads>,
    /// Commands that are gathered in batches.
    outgoing: Outgoing,
    /// Commands for the workers of other environments.
    neighbours: Neighbours,
    /// Messages for other processes.
    unsent: Unsent,
    /// Whether a turn of the dispatcher is running.
    is_turning: bool,
    /// Set when the process is about to exit: every later call waits until its commands are written, for no longer than
    /// this in total.
    exit_budget: Option<Duration>,
}

/// The I/O threads and their bell.
pub(crate) struct Threads {
    /// The workers.
    pub pool: Pool,
    /// Rung by them.
    pub bell: Arc<NodeBell>,
    /// The log records of the threads.
    pub journal: Arc<Journal>,
    /// The events of brokers.
    pub broker_events: Arc<BrokerEvents>,
}

/// Start and end of the threads.
impl Workers {
    /// Makes the pool, in which no thread runs yet. The bell calls `function`, with `resource` as its async resource
    /// (`async_hooks`); records up to `level` go to stderr. With `hooks`, of which one has to call [`Self::flush`],
    /// Node's loop may drive sockets.
    ///
    /// # Errors
    /// This was called before.
    pub(crate) fn start(
        &mut self,
        env: Env<'_>,
        function: Value<'_>,
        resource: Value<'_>,
        level: Option<Level>,
        hooks: Option<Hooks>,
    ) -> Result<(), Misuse> {
        if self.threads.is_some() {
            return Err(Misuse::invalid_state("the addon has been started"));
        }
        if !self.doorbell.install(env, function, resource, hooks.is_some()) {
            return Err(Misuse::bug());
        }
        let ringer = Arc::clone(self.doorbell.ringer());
        let bell = Arc::new(NodeBell::new(Box::new(move || ringer.ring())));
        let journal = journals::open(level, Arc::clone(&bell));
        let system = System {
            give_memory_back,
            #[cfg(unix)]
            duplicate,
        };
        let pool = Pool::new(Arc::clone(&bell), Arc::clone(&journal), system);
        self.hooks = hooks;
        let broker_events = Arc::new(BrokerEvents::new(Arc::clone(&bell)));
        self.threads = Some(Threads { pool, bell, journal, broker_events });
        Ok(())
    }

    /// The I/O threads.
    ///
    /// # Errors
    /// `lib/` has not called `start` yet.
    pub(crate) fn threads(&self) -> Result<&Threads, Misuse> {
        self.threads.as_ref().ok_or_else(Misuse::bug)
    }

    /// Starts the I/O threads, at least `count` of them, unless they run. Unless all are to be driven by threads,
    /// Node's loop leads the first worker; with a `count` of 0 it does so alone, where it can.
    ///
    /// # Errors
    /// The system cannot create another thread.
    pub(crate) fn run(&mut self, env: Env<'_>, count: usize, is_inline: bool) -> Result<&Pool, Misuse> {
        let policy = Policy::of_process();
        let hooks = self.hooks.as_ref().filter(|_| policy.is_some());
        let threads = self.threads.as_mut().ok_or_else(Misuse::bug)?;
        let count = if hooks.is_some() { count } else { count.max(1) };
        threads
            .pool
            .ensure(count, hooks.is_some())
            .map_err(|error| Misuse::system(code_of(&error), format!("no I/O thread: {error}")))?;
        self.doorbell.hold(env, true);
        if !is_inline && count > 0 {
            // One app that wants threads has them for all, because they share the workers.
            self.hooks = None;
            self.end_node_loop();
        } else if self.node_loop.is_none()
            && let (Some(hooks), Some(policy)) = (&self.hooks, policy)
            && let Some(reactor) = threads.pool.workers().first().and_then(WorkerHandle::reactor)
        {
            self.node_loop = NodeLoop::new(env, reactor, self.doorbell.ringer(), policy, hooks.clone());
        }
        let threads = self.threads.as_ref().ok_or_else(Misuse::bug)?;
        Ok(&threads.pool)
    }

    /// Starts at least `count` workers, as for an app without options, unless there is one without a thread: then the
    /// program wants none. Returns how many of them
    /// should get new connections now.
    ///
    /// # Errors
    /// The system cannot create another thread.
    pub(crate) fn run_any(&mut self, env: Env<'_>, count: usize) -> Result<usize, Misuse> {
        let first = self.all().first().and_then(WorkerHandle::reactor);
        if first.is_none_or(|reactor| reactor.has_thread()) {
            self.run(env, count, true)?;
        }
        // There are at most 64 workers.
        let all: Vec<_> = (0..).map(WorkerId).take(self.all().len()).collect();
        Ok(self.preferred(&all).len())
    }

    /// The threads lead from now on.
    fn end_node_loop(&mut self) {
        if self.node_loop.take().is_some() {
            let workers = self.threads.iter().flat_map(|threads| threads.pool.workers());
            workers.filter_map(WorkerHandle::reactor).for_each(|reactor| reactor.take_back());
            // Nothing comes before the loop sleeps any more.
            self.flush();
        }
    }

    /// Whether the threads run. While they do not, there are no connections.
    #[must_use]
    pub(crate) fn is_running(&self) -> bool {
        self.threads.as_ref().is_some_and(|threads| threads.pool.is_running())
    }

    /// Every worker there has been so far, by number.
    #[must_use]
    pub(crate) fn all(&self) -> &[WorkerHandle] {
        self.threads.as_ref().map_or(&[], |threads| threads.pool.workers())
    }

    /// Those of the workers `share` that should get new connections now.
    #[must_use]
    pub(crate) fn preferred<'s>(&self, share: &'s [WorkerId]) -> &'s [WorkerId] {
        self.threads.as_ref().map_or(share, |threads| threads.pool.peers().preferred(share))
    }

    /// The log; `None` before [`Self::start`].
    #[must_use]
    pub(crate) fn journal(&self) -> Option<&Arc<Journal>> {
        self.threads.as_ref().map(|threads| &threads.journal)
    }

    /// Keeps Node alive while there are connections, events in the queue, or something else is `awaited`. Ends the I/O
    /// threads after a while without any of these. Returns whether Node is kept alive.
    pub(crate) fn update_liveness(&mut self, env: Env<'_>, awaited: bool) -> bool {
        // A worker hands over the last event of a connection before it reports its end.
        let is_in_use = self.all().iter().any(|worker| worker.uplink.is_in_use());
        self.doorbell.keep_alive(env, is_in_use || awaited);
        self.stop_idle_threads(env);
        self.doorbell.is_alive()
    }

    /// Ends the I/O threads if they have been idle for a while. Until then, and while events or records of the log are
    /// queued, the function of the bell is kept alive.
    fn stop_idle_threads(&mut self, env: Env<'_>) {
        let Some(threads) = &mut self.threads else { return };
        if !self.doorbell.is_alive() && threads.pool.is_running() && threads.pool.rests() {
            self.outgoing.flush(&threads.pool);
            self.neighbours.flush();
            self.unsent.flush();
            drop(self.node_loop.take());
            threads.pool.stop();
        }
        let are_waiting = || {
            threads.journal.waiting() > 0
                || threads.broker_events.waiting() > 0
                || threads.pool.workers().iter().any(|it| !it.uplink.is_empty())
        };
        self.doorbell.hold(env, threads.pool.is_running() || are_waiting());
    }

    /// Starts a turn of the dispatcher: commands gather. Returns `false` if one was running already.
    pub(crate) const fn begin_turn(&mut self) -> bool {
        let is_first = !std::mem::replace(&mut self.is_turning, true);
        if is_first {
            self.outgoing.hold();
        }
        is_first
    }

    /// Ends the turn, in which `events` were handled.
    pub(crate) fn end_turn(&mut self, events: u32) {
        self.is_turning = false;
        self.outgoing.let_go();
        match self.exit_budget {
            None => self.flush(),
            Some(_) => self.settle(),
        }
        if let Some(node_loop) = &self.node_loop {
            node_loop.note_turn(events);
        }
    }

    /// Whether Node's loop leads the first worker now.
    #[must_use]
    pub(crate) fn does_node_lead(&self) -> bool {
        self.node_loop.as_ref().is_some_and(NodeLoop::leads)
    }

    /// How often Node's loop has turned; `None` where that is not counted.
    pub(crate) fn turns_of_loop(&self) -> Option<u64> {
        self.node_loop.as_ref().and_then(NodeLoop::turns)
    }

    /// A sign of life, for the watchdog of a reactor that Node's loop leads.
    pub(crate) fn note_life(&self) {
        if let Some(node_loop) = &self.node_loop {
            node_loop.note_life();
        }
    }

    /// Before the dispatcher looks a last time whether there are events: where Node's loop leads, what the handlers have
    /// sent is written, and further sockets are served.
    pub(crate) fn advance(&mut self) {
        if self.does_node_lead()
            && let Some(threads) = &self.threads
        {
            self.neighbours.flush();
            self.outgoing.advance(&threads.pool);
        }
    }

    /// Whether [`Self::advance`] would serve another socket.
    pub(crate) fn is_more_ready(&self) -> bool {
        let first = self.all().first().and_then(WorkerHandle::reactor);
        first.is_some_and(|reactor| reactor.is_more_ready())
    }

    /// Rings from Node's own thread: the dispatcher gets a turn soon, whether or not there are events. Does nothing
    /// during a turn, which handles everything before it ends. Returns whether it rang.
    pub(crate) fn ring(&self) -> bool {
        if !self.is_turning {
            self.doorbell.ring();
        }
        !self.is_turning
    }

    /// Waits, before the process exits, until what was sent is written.
    pub(crate) fn prepare_exit(&mut self) {
        self.flush_beyond();
        self.wait(EXIT_PATIENCE);
        self.ask_all(Command::SayGoodbye, CALL_PATIENCE);
        self.exit_budget = Some(EXIT_PATIENCE);
        if let Some(threads) = &self.threads {
            threads.journal.flush();
        }
    }

    /// Sends what is queued, stops the threads, and silences the bell for good.
    pub(crate) fn tear_down(&mut self) {
        self.flush_beyond();
        self.wait(self.exit_budget.unwrap_or(EXIT_PATIENCE));
        drop(self.node_loop.take());
        if let Some(mut threads) = self.threads.take() {
            threads.pool.stop();
            journals::close(&threads.journal);
        }
        self.doorbell.remove();
    }
}

/// Commands for the threads.
impl Workers {
    /// Gathers commands until [`Self::let_go`]. Calls nest.
    pub(crate) const fn hold(&mut self) {
        self.outgoing.hold();
    }

    /// Ends one [`Self::hold`].
    pub(crate) const fn let_go(&mut self) {
        self.outgoing.let_go();
    }

    /// The arena for the payload of the next command to `worker`.
    pub(crate) fn arena(&mut self, worker: WorkerId) -> &mut Vec<u8> {
        self.outgoing.arena(worker)
    }

    /// Copies `bytes` for the next command to `worker`.
    pub(crate) fn copy(&mut self, worker: WorkerId, bytes: &[u8]) -> Slice {
        self.outgoing.copy(worker, bytes)
    }

    /// Adds a command.
    pub(crate) fn push(&mut self, worker: WorkerId, command: Command) {
        self.outgoing.push(worker, command);
    }

    /// A message is about to be published to so many subscribers of a worker.
    pub(crate) fn note_publish(&self, worker: WorkerId, subscribers: u32) {
        if worker == WorkerId(0)
            && let Some(node_loop) = &self.node_loop
        {
            node_loop.note_publish(subscribers);
        }
    }

    /// Adds a published message for the subscribers in all other apps of the group. Returns whether there are any in this
    /// process, or there is a broker that takes it.
    pub(crate) fn publish_to_others(
        &mut self,
        membership: &Membership,
        topic: &[u8],
        message: Published<'_>,
    ) -> bool {
        let Self { threads: Some(threads), outgoing, neighbours, unsent, .. } = self else { return false };
        let (own, mut found) = (threads.pool.peers(), false);
        membership.for_each_other(topic, |audience| {
            let peers = audience.member().peers();
            found |= audience.count() > 0;
            for worker in audience.workers() {
                let topic = audience.topic();
                if !Arc::ptr_eq(peers, own) {
                    neighbours.publish(peers, worker, topic, message);
                    continue;
                }
                // An app of this environment.
                let Published { kind, compress, payload } = message;
                let slice = outgoing.copy(worker, payload);
                outgoing
                    .push(worker, Command::Publish { topic, except: None, kind, payload: slice, compress });
                if outgoing.count_message(worker, payload.len()) {
                    outgoing.await_writes_of(&threads.pool, worker);
                }
            }
        });
        if let Some(network) = membership.network() {
            found |= unsent.publish(network, topic, message);
        }
        found
    }

    /// Counts a message sent or published to `worker`, whose command was added, and waits for that worker if it is too
    /// far behind.
    pub(crate) fn note_message(&mut self, worker: WorkerId, length: usize) {
        if self.outgoing.count_message(worker, length)
            && let Some(threads) = &self.threads
        {
            self.outgoing.await_writes_of(&threads.pool, worker);
        }
    }

    /// The same, for a message behind which [`Self::settle_together`] is called.
    pub(crate) fn note_message_together(&mut self, worker: WorkerId, length: usize) {
        let gathers = self.gathers();
        if gathers {
            self.outgoing.hold();
        }
        self.note_message(worker, length);
        if gathers {
            self.outgoing.let_go();
        }
    }

    /// Events that wait for Node's thread and their weight in bytes, and commands that wait for a worker.
    #[must_use]
    pub(crate) fn waiting(&self) -> (usize, usize, usize) {
        let (mut events, mut weight, mut commands) = (0, 0, self.outgoing.waiting());
        for worker in self.all() {
            let (its_events, its_weight) = worker.uplink.waiting();
            events += its_events;
            weight += its_weight;
            commands += worker.downlink.waiting();
        }
        (events, weight, commands)
    }

    /// Hands commands over, unless they are being gathered. Where Node's loop leads, they are carried out before it
    /// sleeps, or at once if there are many: what a program sends from a timer leaves in one write, too.
    pub(crate) fn settle(&mut self) {
        if !self.outgoing.is_holding() {
            self.flush_beyond();
        }
        let Some(threads) = &self.threads else { return };
        match self.exit_budget {
            None if self.outgoing.is_holding() => {}
            None => match self.node_loop.as_ref().filter(|node_loop| node_loop.leads()) {
                Some(node_loop) if !self.outgoing.is_long() => {
                    if self.outgoing.flush_all_but_first(&threads.pool) {
                        node_loop.gather();
                    }
                }
                _ => self.outgoing.flush(&threads.pool),
            },
            Some(left) => self.exit_budget = Some(left.saturating_sub(self.wait(left.min(CALL_PATIENCE)))),
        }
    }

    /// As [`Self::settle`], for messages of which nobody asks what became of them: whoever leads, what one callback of
    /// Node's loop sends outside of handlers is handed over together, before the loop sleeps. A message to each of a
    /// thousand peers would otherwise be a thousand batches, and ten of them to each peer as many writes.
    pub(crate) fn settle_together(&mut self) {
        self.settle_unless(Outgoing::is_long);
    }

    /// The same for a published message, which is more work for others, so that they should not begin late.
    pub(crate) fn settle_published(&mut self) {
        self.settle_unless(Outgoing::is_worth_a_wake);
    }

    fn settle_unless(&mut self, is_much: impl FnOnce(&Outgoing) -> bool) {
        if self.gathers()
            && !is_much(&self.outgoing)
            && let Some(node_loop) = &self.node_loop
        {
            node_loop.gather();
        } else {
            self.settle();
        }
    }

    /// Whether [`Self::settle_together`] leaves commands for later, outside of handlers.
    fn gathers(&self) -> bool {
        self.node_loop.is_some() && self.exit_budget.is_none() && !self.outgoing.is_holding()
    }

    /// Hands commands over now.
    pub(crate) fn flush(&mut self) {
        if let Some(threads) = &self.threads {
            self.outgoing.flush(&threads.pool);
        }
        self.flush_beyond();
    }

    /// Hands over what is for other environments and other processes.
    pub(crate) fn flush_beyond(&mut self) {
        self.neighbours.flush();
        self.unsent.flush();
    }

    /// Hands over what has gathered for one worker, so that it writes while a handler is running.
    pub(crate) fn hand_over(&mut self, worker: WorkerId) {
        if let Some(threads) = &self.threads {
            self.outgoing.hand_over(&threads.pool, worker);
        }
    }

    /// Whether Node's loop leads a worker, so that [`Self::lend`] is worth trying.
    #[must_use]
    pub(crate) fn is_led_by_node(&self, worker: WorkerId) -> bool {
        worker == WorkerId(0) && self.does_node_lead()
    }

    /// Carries out what has gathered for a worker, and then `lent`, if Node's loop leads it. Otherwise returns `false`, and
    /// nothing has happened.
    pub(crate) fn lend(&mut self, worker: WorkerId, lent: LentCommand<'_>) -> bool {
        let Some(threads) = &self.threads else { return false };
        self.outgoing.lend(&threads.pool, worker, lent)
    }

    /// From how many bytes on the messages to one peer should be written before the handler returns.
    ///
    /// Where Node's loop leads, the kernel's answer is known when [`Self::hand_over`] returns, so these bytes are all
    /// that a result of `send` does not know about: as many as uWebSockets.js corks. A thread starts to write them while
    /// the handler is still running; otherwise the two would work one after the other.
    #[must_use]
    pub(crate) fn write_from(&self, worker: WorkerId) -> u64 {
        if self.is_led_by_node(worker) { LENT_FROM as u64 } else { IN_FLIGHT_ALLOWANCE / 2 }
    }

    /// Hands commands over and waits until the worker of `connection` has written as much of its output as the kernel
    /// accepts: what is left is waiting for the peer. Costs two thread switches, about as much as a few writes cost
    /// uWebSockets.js.
    pub(crate) fn await_write_to(&mut self, connection: ConnectionId) {
        if let Some(threads) = &self.threads {
            self.outgoing.await_write_to(&threads.pool, connection);
        }
    }

    /// Hands commands over if there are many, whether or not they are being gathered.
    pub(crate) fn flush_if_long(&mut self) {
        if self.outgoing.is_long() {
            self.flush();
        }
    }

    /// Hands commands over, a last one for each worker included.
    pub(crate) fn push_to_all(&mut self, make: impl Fn() -> Command) {
        if let Some(threads) = &self.threads {
            self.outgoing.push_to_all(&threads.pool, make);
        }
    }

    /// The same, and waits until every worker has released the latch of its command, at most `patience`.
    pub(crate) fn ask_all(&mut self, question: impl Fn(Arc<Latch>) -> Command, patience: Duration) {
        if let Some(threads) = &self.threads {
            self.outgoing.ask_all(&threads.pool, question, patience);
        }
    }

    /// Waits until a latch in commands that were handed over is released, at most `patience`.
    pub(crate) fn wait_for(&self, latch: &Latch, patience: Duration) {
        if let Some(threads) = &self.threads {
            threads.pool.wait(latch, patience);
        }
    }

    /// Hands commands over and waits until they are written, at most `patience`. Returns how long that took.
    #[expect(clippy::disallowed_methods, reason = "how long Node's thread waits is no time of the engine")]
    fn wait(&mut self, patience: Duration) -> Duration {
        let started = Instant::now();
        self.ask_all(Command::Flush, patience);
        started.elapsed()
    }
}

/// How many threads an app has unless it says so: one on a machine with one or two cores, at most four, because Node's
/// thread needs a core, too.
#[must_use]
pub(crate) fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() - 1).clamp(1, 4))
}

/// How long the exit of the process may wait for peers that do not read what is queued; and how long, in total, the
/// calls after that may wait.
const EXIT_PATIENCE: Duration = Duration::from_secs(1);
/// The share of a single call, so that one such peer does not use up the time for all others.
const CALL_PATIENCE: Duration = Duration::from_millis(50);
