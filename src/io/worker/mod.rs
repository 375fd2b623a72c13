//! One I/O thread: waits for its sockets, and drives them pass by pass.
//!
//! ```text
//!      ┌── poll: which sockets are ready? waits for the first one, a command or a deadline ◄──────────────────────────┐
//!      ▼                                                                                                              │
//!   commands from Node's thread ─► sockets that are ready ─► timers that are due ─► flush ─► events to Node's thread ──┘
//! ```
//!
//! All output that one pass produced for a socket leaves in one write, and all events of a pass cross the border in
//! one batch. The list of ready sockets belongs to the worker, and so do those that were not read until they were empty
//! (`Context::again`, `Context::starved`): no state of a pass is bound to the thread that runs it
//! (docs/decisions/0017-sockets-without-a-runtime.md).
//!
//! - `clock`: the only file that reads the system's clock.
//! - `accept`: new connections; `room`: which connections are closed for them; `client`: connections to servers.
//! - `apply`: carries out the commands; `publish`: a message for all subscribers.
//! - `streams`: what concerns the streams of a connection with HTTP/2 or HTTP/3; `quic`: UDP sockets and their datagrams.
//! - `relief`: bounds the output that waits for slow readers; `shutdown` and `ending`: how apps end.

mod accept;
mod apply;
mod client;
pub(crate) mod clock;
mod ending;
mod publish;
mod quic;
mod relief;
mod room;
mod shutdown;
mod streams;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use self::clock::Clock;
pub(crate) use self::clock::Stopwatch;
use crate::bridge::command::{CommandBatch, LentCommand};
use crate::bridge::event_interest::EventInterest;
use crate::bridge::id::{ConnectionId, ListenerId, WorkerId};
use crate::bridge::latch::Latch;
use crate::bridge::queue::{Downlink, Look, Uplink};
use crate::bridge::setup::AppSetup;
use crate::io::accept_pause::{AcceptPause, Summary};
use crate::io::connection::{Connection, MAX_READ};
use crate::io::connector::Connector;
use crate::io::context::Context;
use crate::io::endings::Endings;
use crate::io::lead::Window;
use crate::io::listener::ListeningSocket;
use crate::io::names::Names;
use crate::io::peak::Peak;
use crate::io::peers::Peers;
use crate::io::publish_run::PublishRun;
use crate::io::ready::{Readiness, Selector, Token};
use crate::io::registry::Registry;
use crate::io::relief::Relief;
use crate::io::reserve::Reserve;
use crate::io::rest::Rest;
use crate::io::shutdowns::WorkerShutdowns;
use crate::io::solo::Solo;
use crate::io::timers::TimerEntry;
use crate::io::topics::Subscriber;
use crate::io::watch::LONGEST_NAP;
use crate::protocol::time::Timestamp;

/// What came of a step of a pass.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Events were handed over. [`Worker::advance`] goes on, also where no more sockets are ready.
    Under {
        /// Whether more sockets are ready.
        is_more: bool,
        /// As of [`Self::Last`], should the handlers take so long that another leader has to go on.
        patience: Option<Duration>,
    },
    /// The pass is over: for how long the next poll may wait (`None`: for ever).
    Last(Option<Duration>),
}

/// The state of one I/O thread. Ends with [`Command::Stop`](crate::bridge::command::Command::Stop).
pub(crate) struct Worker {
    id: WorkerId,
    uplink: Arc<Uplink>,
    downlink: Arc<Downlink>,
    peers: Arc<Peers>,
    event_interest: Arc<EventInterest>,
    registry: Registry<Connection>,
    listeners: Vec<ListeningSocket>,
    /// Connections to servers that are being made.
    connector: Connector,
    /// The epoch that ended last, of every app that was closed or has shut down.
    ended: HashMap<u32, u32>,
    /// How to serve the connections of each app.
    setups: HashMap<u32, AppSetup>,
    /// Apps that are being shut down.
    shutdowns: WorkerShutdowns,
    /// Apps whose last connection Node's thread waits for.
    endings: Endings,
    context: Context,
    /// The buffer of every read; a connection keeps bytes only while a request or message is incomplete. Where Node's loop
    /// leads, long payloads stay in it, and it crosses with the events.
    scratch: Vec<u8>,
    selector: Selector,
    solo: Solo,
    /// What the selector has reported and this pass or the next one handles.
    ready: VecDeque<(Token, Readiness)>,
    /// Connections that an earlier pass has not read until they were empty, and this pass serves.
    unread: VecDeque<ConnectionId>,
    /// Whether a pass in steps is under way ([`Self::start_pass`]).
    is_in_pass: bool,
    /// Subscribers of the topic being published to, kept for its capacity.
    recipients: Vec<Subscriber>,
    /// Messages published to one topic that are not queued yet. Empty but while commands are applied.
    publish_run: PublishRun,
    /// Connections that still serve their peers.
    population: usize,
    /// Those of them that are WebSockets in streams of other connections.
    tunnels: usize,
    /// The value of `population` that was last reported to Node's thread.
    reported: usize,
    /// Released when all output is written.
    latches: Vec<Arc<Latch>>,
    clock: Clock,
    /// The listeners that failed to accept, and when they try again.
    retry: Option<(Timestamp, Vec<ListenerId>)>,
    rest: Rest,
    reserve: Reserve,
    /// When no connection was last found that could be closed for new ones.
    room_sought: Option<Timestamp>,
    /// When it was last logged that connections were closed for new ones.
    room_logged: Option<Timestamp>,
    /// Set while accepting fails.
    accept_pause: Option<AcceptPause>,
    /// When `Command::Relieve` was last sent to the other workers.
    called: Option<Timestamp>,
    /// When to check apps again whose budgets stay exceeded.
    relief: Relief,
    peak: Peak,
    /// Events that were handed over since the worker started.
    emitted: u64,
    /// Makes another thread return free memory to the system.
    give_memory_back: fn(),
    stopped: bool,
}

impl Worker {
    /// A worker without connections, whose table starts with the generation `first`.
    ///
    /// # Errors
    /// The process or the system is out of descriptors.
    pub(crate) fn new(
        id: WorkerId,
        first: u32,
        uplink: Arc<Uplink>,
        downlink: Arc<Downlink>,
        peers: Arc<Peers>,
        event_interest: Arc<EventInterest>,
        give_memory_back: fn(),
    ) -> io::Result<Self> {
        Ok(Self {
            id,
            uplink,
            connector: Connector::new(Arc::clone(&downlink)),
            downlink,
            peers,
            event_interest,
            registry: Registry::default(),
            listeners: Vec::new(),
            ended: HashMap::new(),
            setups: HashMap::new(),
            shutdowns: WorkerShutdowns::default(),
            endings: Endings::default(),
            context: Context { names: Names::new(id, first), ..Context::default() },
            scratch: vec![0; SCRATCH],
            selector: Selector::new()?,
            solo: Solo::default(),
            ready: VecDeque::new(),
            unread: VecDeque::new(),
            is_in_pass: false,
            recipients: Vec::new(),
            publish_run: PublishRun::default(),
            population: 0,
            tunnels: 0,
            reported: 0,
            latches: Vec::new(),
            clock: Clock::start(),
            retry: None,
            rest: Rest::default(),
            reserve: Reserve::default(),
            room_sought: None,
            room_logged: None,
            accept_pause: None,
            called: None,
            relief: Relief::default(),
            peak: Peak::default(),
            emitted: 0,
            give_memory_back,
            stopped: false,
        })
    }

    /// Ends [`Self::poll`]. For any thread.
    #[must_use]
    pub(crate) const fn waker(&self) -> &Waker {
        self.selector.waker()
    }

    /// Readable while [`Self::poll`] would not wait.
    #[cfg(unix)]
    #[must_use]
    pub(crate) fn descriptor(&self) -> std::os::fd::RawFd {
        self.selector.descriptor()
    }

    /// Reads the clock of the worker.
    #[must_use]
    pub(crate) const fn stopwatch(&self) -> Stopwatch {
        self.clock.stopwatch()
    }

    /// When the next pass is due by the worker's stopwatch, `patience` after the last one.
    #[must_use]
    pub(crate) fn due(&self, patience: Duration) -> Duration {
        self.clock.ended() + patience
    }

    /// By the worker's stopwatch, when the pass under way has started, or the last one, and when the last one ended.
    #[must_use]
    pub(crate) const fn last_pass(&self) -> (Duration, Duration) {
        (self.clock.pass_start(), self.clock.ended())
    }

    /// Bytes that were read and written since the worker started.
    #[must_use]
    pub(crate) fn moved(&self) -> u64 {
        self.context.tallies.moved()
    }

    /// Events that were handed over since the worker started.
    #[must_use]
    pub(crate) const fn emitted(&self) -> u64 {
        self.emitted
    }

    /// After `Command::Stop`: a generation that no connection of the worker has had.
    #[must_use]
    pub(crate) fn end(&self) -> Option<u32> {
        if self.stopped {
            self.release_memory_at_end();
        }
        self.stopped.then(|| self.context.names.next_generation())
    }

    /// Waits until a socket is ready or there is a command, for at most `patience` (`None`: for ever).
    ///
    /// # Errors
    /// Polling the selector failed.
    pub(crate) fn poll(&mut self, patience: Option<Duration>) -> io::Result<()> {
        let result = self.selector.select(patience, &mut self.ready);
        self.downlink.rise();
        result
    }

    /// As [`Self::poll`] without waiting, for a loop that was told that a socket is ready. Returns whether it is a guess which
    /// one ([`Solo`]), so that [`Self::poll`] has to follow unless something is read.
    ///
    /// # Errors
    /// Polling the selector failed.
    pub(crate) fn poll_or_guess(&mut self) -> io::Result<bool> {
        if self.has_ready_sockets() || !self.context.again.is_empty() {
            self.poll(Some(Duration::ZERO))?;
            return Ok(false);
        }
        if let Some(id) = self.solo.guess() {
            self.ready.push_back((Token::Connection(id.slot), Readiness::READABLE));
            self.downlink.rise();
            return Ok(true);
        }
        self.poll(Some(Duration::ZERO))?;
        let alone = match self.ready.iter().next() {
            Some((Token::Connection(slot), _)) if self.ready.len() == 1 => self.registry.key(*slot),
            _ => None,
        };
        let alone = alone.and_then(|(slot, generation)| self.registry.get(slot, generation));
        self.solo.note_selected(
            alone.filter(|connection| connection.only_reads()).map(|connection| connection.id()),
        );
        Ok(false)
    }

    /// The guess was wrong.
    pub(crate) fn note_wrong_guess(&mut self) {
        self.solo.note_missed();
    }

    /// One pass. Returns how long [`Self::poll`] may wait before the next one (`None`: for ever).
    pub(crate) fn pass(&mut self) -> Option<Duration> {
        self.begin_pass(false);
        while self.serve_next() {}
        self.conclude_pass()
    }

    /// A pass in steps, for the thread that runs the handlers, too: it ends a step when there are events, so that they are
    /// handled, and answered, before further sockets are read. That saves the peers waiting, and the processor's caches.
    pub(crate) fn start_pass(&mut self) -> Step {
        self.begin_pass(true);
        self.next_step()
    }

    /// The next step of the pass that is under way, after `batch`; if there is none, a pass without sockets. Applies the
    /// commands that were handed over before, and `batch`, which it empties.
    pub(crate) fn advance(&mut self, batch: &mut CommandBatch) -> Step {
        if !self.is_in_pass {
            return self.carry_out(batch, None);
        }
        self.apply_batches(batch, None);
        self.next_step()
    }

    /// The rest of the pass that is under way, if one is: in one step, because no handlers follow for now, and a batch for each
    /// socket would be more than are kept for reuse. Returns the same as [`Self::pass`].
    pub(crate) fn finish_pass(&mut self) -> Option<Duration> {
        self.flush();
        while self.serve_next() {}
        self.is_in_pass = false;
        self.conclude_pass()
    }

    /// Whether sockets are ready that were not served.
    #[must_use]
    pub(crate) fn has_ready_sockets(&self) -> bool {
        !self.ready.is_empty() || !self.unread.is_empty()
    }

    /// Applies the commands that were handed over before, `batch`, which it empties, and `lent`, and writes. Serves no
    /// socket; a pass in steps remains under way.
    pub(crate) fn carry_out(&mut self, batch: &mut CommandBatch, lent: Option<LentCommand<'_>>) -> Step {
        if self.is_in_pass {
            self.apply_batches(batch, lent);
            let step = self.interrupt_pass();
            self.release_latches();
            return step;
        }
        self.update_clock();
        self.apply_batches(batch, lent);
        Step::Last(self.conclude_pass())
    }

    fn apply_batches(&mut self, batch: &mut CommandBatch, lent: Option<LentCommand<'_>>) {
        while let Some(older) = self.downlink.take() {
            self.apply_all(older);
        }
        self.apply_commands(batch);
        self.finish_publish_run();
        if let Some(lent) = lent {
            self.apply_lent(lent, &batch.bytes);
        }
        batch.clear();
    }

    fn next_step(&mut self) -> Step {
        // The answers to the sockets of the last step.
        self.flush();
        let mut left = ((self.unread.len() + self.ready.len()) / STEPS).max(1);
        while self.serve_next() {
            left = left.saturating_sub(1);
            if left == 0 && !self.context.events.is_empty() {
                return self.interrupt_pass();
            }
        }
        if !self.context.events.is_empty() {
            return self.interrupt_pass();
        }
        self.is_in_pass = false;
        Step::Last(self.conclude_pass())
    }

    /// Hands events over. The pass goes on after their handlers; what needs no handler does not wait for one.
    fn interrupt_pass(&mut self) -> Step {
        self.flush_before_handlers();
        self.hand_events_over();
        self.report_population();
        let next = if self.context.again.is_empty() { self.next_pass() } else { Some(self.context.now) };
        Step::Under { is_more: self.has_ready_sockets(), patience: next.map(|next| self.clock.until(next)) }
    }

    /// The first half of a pass: everything before the sockets that the selector has reported.
    fn begin_pass(&mut self, is_in_steps: bool) {
        // If the other leader has left a pass in the middle, this one takes over the rest of it.
        self.is_in_pass = is_in_steps;
        self.choose_place_of_payloads();
        self.update_clock();
        let again = std::mem::take(&mut self.context.again);
        self.take_commands();
        self.conclude_connects();
        self.serve_waiting();
        self.unread.extend(again);
    }

    /// In a pass in steps, payloads may stay in the read buffer: it is read into again as soon as their handlers have
    /// returned, while it is still in the cache. A thread would read into memory that is in no cache, which costs as much as
    /// the copy.
    fn choose_place_of_payloads(&mut self) {
        self.context.events.read_into(self.is_in_pass.then_some(&self.scratch));
        self.context.offers_bodies = self.is_in_pass;
    }

    /// Serves one socket: of those that an earlier pass has not read until they were empty, or that the selector has reported.
    /// Returns whether there was one.
    fn serve_next(&mut self) -> bool {
        if let Some(id) = self.unread.pop_front() {
            self.take_urgent_commands();
            self.serve(id.slot, id.generation);
            return true;
        }
        let next = self.ready.pop_front();
        next.is_some_and(|(token, reported)| {
            self.serve_token(token, reported);
            true
        })
    }

    /// The second half of a pass: deadlines, writes, reports, and finds out when the next one is due.
    fn conclude_pass(&mut self) -> Option<Duration> {
        self.serve_timers();
        self.relieve_crowds();
        self.flush();
        self.relieve();
        self.conclude_shutdowns();
        self.conclude_endings();
        self.hand_events_over();
        // After the events: otherwise Node could exit before it has received those of the last connection.
        self.report_population();
        self.release_latches();
        self.report_rest();
        self.release_memory_after_peak();
        // Starved connections are served at the start of a pass; if Node's thread caught up during this one, no wake-up
        // follows for them. If so much input waits that was read already, one follows for the connections with that input.
        let is_fed = self.context.choked || self.context.is_full() || self.context.starved.is_empty();
        let is_fed = is_fed && self.await_progress();
        // A connect that could not start wakes no worker, and its command may have arrived while sockets were served.
        let has_failed = self.connector.has_ended();
        let more = !is_fed || has_failed || !self.context.again.is_empty() || self.stopped;
        let next = if more { Some(self.context.now) } else { self.next_pass() };
        let lapse = self.clock.end_pass(next);
        self.log_missed(lapse);
        if more || !self.downlink.sleep(self.selector.waker()) {
            // Even so, the selector is polled between two passes.
            return Some(Duration::ZERO);
        }
        next.map(|next| self.clock.until(next))
    }

    /// Asks to be woken for the first of the connections that are too far ahead of Node's thread. Returns `false` if one of
    /// them may be read already.
    fn await_progress(&self) -> bool {
        let batches = self.context.ahead.iter().map(|(_, batch)| *batch);
        let first = batches.min_by_key(|batch| self.context.progress.distance(*batch));
        first.is_none_or(|batch| self.uplink.await_handled(batch))
    }

    fn hand_events_over(&mut self) {
        if self.context.events.is_empty() {
            return;
        }
        self.emitted += self.context.events.events.len() as u64;
        self.context.events.moment = self.context.moment;
        self.context.events.take_buffer(&mut self.scratch);
        let look = self.uplink.push(&mut self.context.events);
        self.context.events.give_buffer(&mut self.scratch);
        if self.scratch.is_empty() {
            self.scratch = vec![0; SCRATCH];
        }
        self.choose_place_of_payloads();
        self.note_look(look);
    }

    fn take_commands(&mut self) {
        for _ in 0..BATCHES_PER_PASS {
            let Some(batch) = self.downlink.take() else { break };
            self.apply_all(batch);
        }
        self.finish_publish_run();
    }

    /// Takes commands between two sockets if Node's thread waits for them. Must not be called while a command is
    /// applied, because commands are applied in order.
    fn take_urgent_commands(&mut self) {
        if self.downlink.take_urgency() {
            self.take_commands();
        }
    }

    fn update_clock(&mut self) {
        let (now, lapse) = self.clock.start_pass();
        self.context.now = now;
        self.context.moment = self.clock.moment();
        if let Some(ports) = &mut self.context.quic {
            ports.start_pass(self.clock.watched());
        }
        self.log_missed(lapse);
        self.connector.start_pass(self.clock.missed());
        if let Some(date) = self.clock.new_date() {
            self.context.date = date;
        }
    }

    /// Sockets with input that an earlier pass has left for Node's thread to catch up.
    fn serve_waiting(&mut self) {
        self.look_at_node();
        self.context.window = Window::shared_by(self.context.ahead.len());
        let progress = self.context.progress;
        let caught_up: Vec<_> =
            self.context.ahead.extract_if(.., |(_, batch)| progress.has_handled(*batch)).collect();
        for (id, _) in caught_up {
            self.take_urgent_commands();
            self.serve(id.slot, id.generation);
        }
        if !self.context.choked {
            for id in std::mem::take(&mut self.context.starved) {
                self.take_urgent_commands();
                self.serve(id.slot, id.generation);
            }
        }
    }

    /// A socket with input, a socket that can be written again, or new connections.
    fn serve_token(&mut self, token: Token, reported: Readiness) {
        self.take_urgent_commands();
        match token {
            Token::Connection(slot) => {
                let Some((slot, generation)) = self.registry.key(slot) else { return };
                if let Some(connection) = self.registry.get(slot, generation) {
                    connection.note_readiness(reported);
                }
                self.serve(slot, generation);
            }
            Token::Listener(listener) => {
                self.accept(listener);
                self.serve_port(listener, reported);
            }
        }
    }

    fn serve(&mut self, slot: u32, generation: u32) {
        self.with(slot, generation, |connection, context, scratch| connection.handle_ready(context, scratch));
        if self.context.events.weight() >= HAND_OVER {
            // Node's thread handles them while the rest is read.
            self.hand_events_over();
        }
    }

    /// Looks how far Node's thread has got.
    fn look_at_node(&mut self) {
        self.note_look(self.uplink.look());
    }

    const fn note_look(&mut self, look: Look) {
        self.context.choked = look.is_choked;
        self.context.progress = look.progress;
    }

    /// Runs `act` on a connection, and then does what that leaves to other entries of the table. If it panics, only that
    /// connection is closed.
    fn with<R>(
        &mut self,
        slot: u32,
        generation: u32,
        act: impl FnOnce(&mut Connection, &mut Context, &mut [u8]) -> R,
    ) -> Option<R> {
        let result = self.with_one(slot, generation, act);
        if !self.context.stream_work.is_empty() {
            self.do_stream_work();
        }
        result
    }

    /// Runs `act` on a connection.
    fn with_one<R>(
        &mut self,
        slot: u32,
        generation: u32,
        act: impl FnOnce(&mut Connection, &mut Context, &mut [u8]) -> R,
    ) -> Option<R> {
        let connection = self.registry.get(slot, generation)?;
        let (context, scratch) = (&mut self.context, &mut self.scratch[..]);
        let serving = connection.is_serving();
        let _entered = connection.enter_span();
        let result = catch_unwind(AssertUnwindSafe(|| act(connection, context, scratch)));
        if result.is_err() {
            tracing::error!("a bug in the server ended this connection");
            let _ = catch_unwind(AssertUnwindSafe(|| connection.handle_panic(context)));
        }
        if serving && !connection.is_serving() {
            self.population -= 1;
            connection.handle_ended(context);
        }
        if connection.is_gone() {
            self.remove(slot, generation);
        }
        result.ok()
    }

    fn remove(&mut self, slot: u32, generation: u32) {
        let Some(mut connection) = self.registry.remove(slot, generation) else { return };
        self.context.names.give_back(slot);
        connection.deregister(self.selector.registry());
        self.shutdowns.note_removed(connection.app());
        self.endings.note_removed(connection.app().app);
        if let Some(memberships) = connection.handle_removed(&mut self.context) {
            for moved in self.context.topics.unsubscribe_all(*memberships) {
                if let Some(other) = self.registry.get(moved.who.slot, moved.who.generation) {
                    other.handle_moved(moved);
                }
            }
        }
        if let Some(listener) = connection.quic_listener() {
            self.note_quic_removed(listener);
        }
        self.leave_tunnel(*connection);
    }

    fn serve_timers(&mut self) {
        if self.context.wheel.next().is_some_and(|next| next <= self.context.now) {
            let mut due = Vec::new();
            self.context.wheel.advance(self.context.now, &mut due);
            for TimerEntry { slot, generation } in due {
                self.with(slot, generation, Connection::handle_timer);
            }
        }
        if self.retry.as_ref().is_some_and(|(at, _)| *at <= self.context.now)
            && let Some((_, listeners)) = self.retry.take()
        {
            for listener in listeners {
                self.accept(listener);
                self.serve_port(listener, Readiness::UNKNOWN);
            }
        }
        self.serve_quic_deadlines();
        if let Some(Summary { duration, failures }) =
            AcceptPause::finish(&mut self.accept_pause, self.context.now)
        {
            let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(worker = self.id.0, duration_ms, failures, "accepting connections goes on");
        }
        self.force_due();
    }

    /// Writes all that the pass produced.
    fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.context.dirty);
        self.flush_each(&mut dirty);
        for _ in 0..ROUNDS_THROUGH_TUNNELS {
            // What was written into tunnels is now to be written to the sockets.
            if self.tunnels == 0 || self.context.dirty.is_empty() {
                break;
            }
            std::mem::swap(&mut dirty, &mut self.context.dirty);
            self.flush_each(&mut dirty);
        }
        if !self.context.blocked.is_empty() {
            self.watch_blocked();
        }
        for id in std::mem::take(&mut self.context.unsettled) {
            if let Some(connection) = self.registry.get(id.slot, id.generation) {
                connection.settle(&mut self.context);
            }
        }
        if self.context.dirty.is_empty() {
            self.context.dirty = dirty;
        } else {
            // Connections that became dirty during the flush (they were found broken) are served in the next pass.
            self.context.again.extend_from_slice(&self.context.dirty);
        }
    }

    /// Has the selector report when the kernel takes more of what waits.
    fn watch_blocked(&mut self) {
        for id in std::mem::take(&mut self.context.blocked) {
            let Some(connection) = self.registry.get(id.slot, id.generation) else { continue };
            if let Err(error) = connection.watch_writes(self.selector.registry()) {
                self.with(id.slot, id.generation, |connection, context, _| {
                    connection.handle_transport_error(&error, context);
                });
            }
        }
    }

    /// Writes what does not depend on handlers that are about to run. Connections that have nothing to write remain for the
    /// flush behind the handlers, which most of them will need anyway.
    fn flush_before_handlers(&mut self) {
        let registry = &mut self.registry;
        let mut is_idle = |id: &ConnectionId| {
            registry.get(id.slot, id.generation).is_some_and(|connection| connection.is_flush_idle())
        };
        if self.context.dirty.iter().all(&mut is_idle) {
            return;
        }
        let (idle, busy) =
            std::mem::take(&mut self.context.dirty).into_iter().partition::<Vec<_>, _>(is_idle);
        self.context.dirty = busy;
        self.flush();
        self.context.dirty.extend(idle);
    }

    fn flush_each(&mut self, dirty: &mut Vec<ConnectionId>) {
        for id in dirty.drain(..) {
            self.with(id.slot, id.generation, |connection, context, scratch| {
                connection.flush(context, scratch)
            });
        }
    }

    /// When the next pass starts at the latest; `None` if nothing has a deadline.
    fn next_pass(&self) -> Option<Timestamp> {
        let retry = self.retry.as_ref().map(|(at, _)| *at);
        // Connects keep their own deadlines, but only a worker that does not sleep longer than this measures what it
        // missed.
        let connects = (!self.connector.is_idle()).then_some(self.context.now + LONGEST_NAP);
        let (wheel, shutdown) = (self.context.wheel.next(), self.shutdowns.next_deadline());
        let pause = self.accept_pause.as_ref().map(AcceptPause::end);
        let relief = self.relief.due();
        let (rest, peak) = (self.rest.due(), self.peak.due());
        let quic = self.context.quic.as_ref().and_then(|ports| ports.next_deadline());
        let others = [retry, shutdown, connects, pause, rest, peak, relief, quic];
        let earliest = |next: u64, other: Option<Timestamp>| other.map_or(next, |other| next.min(other.0));
        let next = others.into_iter().fold(wheel.map_or(u64::MAX, |next| next.0), earliest);
        (next < u64::MAX).then(|| Timestamp(next).min(self.context.now + LONGEST_NAP))
    }

    /// Logs that the sockets were not watched for `lapse`, if that is not 0.
    fn log_missed(&mut self, lapse: Duration) {
        if lapse.is_zero() {
            return;
        }
        let milliseconds = u64::try_from(lapse.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(
            worker = self.id.0,
            milliseconds,
            "nothing was watched for a while; deadlines are put off"
        );
    }

    /// Removes, deregisters and returns the listening sockets that `matches` selects.
    fn take_listeners(&mut self, matches: impl Fn(&ListeningSocket) -> bool) -> Vec<ListeningSocket> {
        let mut taken: Vec<_> = self.listeners.extract_if(.., |listener| matches(listener)).collect();
        taken.iter_mut().for_each(|listener| listener.deregister(self.selector.registry()));
        taken
    }

    fn report_population(&mut self) {
        if self.reported != self.population {
            self.reported = self.population;
            self.uplink.report_population(self.population);
        }
    }

    /// At the end of a pass: reports to Node's thread when the worker becomes idle or busy.
    fn report_rest(&mut self) {
        // Lingering connections count, too.
        let is_needed = !self.registry.is_empty()
            || !self.listeners.is_empty()
            || self.context.quic.as_ref().is_some_and(|ports| ports.are_accepting())
            || !self.connector.is_empty()
            || !self.shutdowns.is_empty()
            || !self.latches.is_empty();
        if let Some(rests) = self.rest.update(is_needed, self.context.now) {
            self.uplink.report_rest(rests);
        }
    }

    /// Releases the latches once all output is written.
    fn release_latches(&mut self) {
        if self.latches.is_empty() {
            return;
        }
        let keys: Vec<_> = self.registry.keys().collect();
        let written = keys
            .into_iter()
            .all(|(slot, generation)| self.registry.get(slot, generation).is_none_or(|it| !it.has_output()));
        if written {
            self.latches.drain(..).for_each(|latch| latch.release());
        }
    }
}

/// Weight of events, in bytes, that cross to Node's thread before the pass is over.
const HAND_OVER: usize = 256 * 1024;
/// Size of the read buffer, in bytes: for the payloads that are left in it until they cross, and another read.
/// Small enough to stay in the second-level cache, as far as it is used at all.
const SCRATCH: usize = HAND_OVER + MAX_READ;
/// How often a flush goes on with the connections that became dirty during it, where there are tunnels: what is written
/// into one is written to its socket next, 64 KiB at a time. That is as much as a socket takes whose client reads nothing.
const ROUNDS_THROUGH_TUNNELS: usize = 64;
/// Number of steps of a pass in which several sockets are ready, roughly.
const STEPS: usize = 16;
/// Command batches applied before the sockets are served again.
const BATCHES_PER_PASS: usize = 32;
