//! One I/O thread: waits for its sockets, and drives them pass by pass.
//!
//! ```text
//!      ┌── look: which sockets are ready? waits for the first one, a command or a deadline ◄──────────────────────────┐
//!      ▼                                                                                                              │
//!   commands from Node's thread ─► sockets that are ready ─► timers that are due ─► flush ─► events to Node's thread ──┘
//! ```
//!
//! All output that one pass produced for a socket leaves in one write, and all events of a pass cross the border in
//! one batch. The list of ready sockets belongs to the worker, and so do those that were not read until they were empty
//! (`Context::again`, `Context::starved`): nothing of a pass hangs on the thread that runs it
//! (docs/decisions/0017-sockets-without-a-runtime.md).
//!
//! - `clock`: the only file that looks at one.
//! - `accept`: new connections; `room`: who gives way to them; `client`: connections to servers.
//! - `apply`: what is done on each command; `publish`: a message for all subscribers.
//! - `relief`: what waits for slow readers; `shutdown` and `ending`: how apps end.

mod accept;
mod apply;
mod client;
mod clock;
mod ending;
mod publish;
mod relief;
mod room;
mod shutdown;

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use self::clock::Clock;
use crate::bridge::event_interest::EventInterest;
use crate::bridge::id::{ConnectionId, ListenerId, WorkerId};
use crate::bridge::latch::Latch;
use crate::bridge::queue::{Downlink, Uplink};
use crate::bridge::setup::AppSetup;
use crate::io::accept_pause::{AcceptPause, Summary};
use crate::io::connection::Connection;
use crate::io::connector::Connector;
use crate::io::context::Context;
use crate::io::endings::Endings;
use crate::io::listener::ListeningSocket;
use crate::io::peak::Peak;
use crate::io::peers::Peers;
use crate::io::ready::{Readiness, Selector, Token};
use crate::io::registry::Registry;
use crate::io::relief::Relief;
use crate::io::reserve::Reserve;
use crate::io::rest::Rest;
use crate::io::shutdowns::WorkerShutdowns;
use crate::io::timers::TimerEntry;
use crate::io::topics::Subscriber;
use crate::io::watch::LONGEST_NAP;
use crate::protocol::time::Timestamp;

/// All that one I/O thread has. Ends when it is told to [`Command::Stop`](crate::bridge::command::Command::Stop).
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
    /// Apps whose last connection is waited for.
    endings: Endings,
    context: Context,
    /// Every read goes here first; a connection keeps bytes only while something is incomplete.
    scratch: Vec<u8>,
    selector: Selector,
    /// What the selector has told, and this pass or the next one acts on.
    ready: Vec<(Token, Readiness)>,
    /// Subscribers of the topic being published to, kept for its capacity.
    recipients: Vec<Subscriber>,
    /// Connections that still serve their peers.
    population: usize,
    /// What Node's thread knows of it.
    reported: usize,
    /// Wait for everything to be written.
    latches: Vec<Arc<Latch>>,
    clock: Clock,
    /// The listeners that failed to accept are tried again at this moment.
    retry: Option<(Timestamp, Vec<ListenerId>)>,
    rest: Rest,
    reserve: Reserve,
    /// When room was last sought in vain.
    room_sought: Option<Timestamp>,
    /// When it was last told that connections had to make room.
    room_logged: Option<Timestamp>,
    /// Set while accepting fails.
    accept_pause: Option<AcceptPause>,
    /// When other workers were last called for relief.
    called: Option<Timestamp>,
    /// When to look again at apps whose budgets stay exceeded.
    relief: Relief,
    peak: Peak,
    /// Has memory that is free given back to the system, by another thread.
    give_memory_back: fn(),
    stopped: bool,
}

impl Worker {
    /// A worker with nothing to do, whose connections have no generation before `first`.
    ///
    /// # Errors
    /// The system has no more descriptors to give.
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
            registry: Registry::new(id, first),
            listeners: Vec::new(),
            ended: HashMap::new(),
            setups: HashMap::new(),
            shutdowns: WorkerShutdowns::default(),
            endings: Endings::default(),
            context: Context::default(),
            scratch: vec![0; SCRATCH],
            selector: Selector::new()?,
            ready: Vec::new(),
            recipients: Vec::new(),
            population: 0,
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
            give_memory_back,
            stopped: false,
        })
    }

    /// Goes on until it is told to stop. Returns a generation of connections that no connection of the worker has had.
    ///
    /// # Errors
    /// The system does not tell any more which sockets are ready.
    pub(crate) fn run(mut self) -> io::Result<u32> {
        let mut patience = Some(Duration::ZERO);
        while !self.stopped {
            self.look(patience)?;
            patience = self.pass();
        }
        self.release_memory_at_end();
        Ok(self.registry.next_generation())
    }

    /// Waits until a socket is ready or there is a command, for at most `patience` (`None`: for ever).
    fn look(&mut self, patience: Option<Duration>) -> io::Result<()> {
        let result = self.selector.select(patience, &mut self.ready);
        self.downlink.rise();
        result
    }

    /// One pass. Returns how long [`Self::look`] may wait before the next one (`None`: for ever).
    fn pass(&mut self) -> Option<Duration> {
        self.serve_all();
        // Starved connections are served at the start of a pass; if Node's thread caught up during this one, nobody wakes
        // the worker for them.
        let is_fed = self.context.choked || self.context.starved.is_empty();
        // A connect that could not start wakes nobody, and its command may have come while sockets were served.
        let has_failed = self.connector.has_ended();
        let more = !is_fed || has_failed || !self.context.again.is_empty() || self.stopped;
        let next = if more { Some(self.context.now) } else { self.next_pass() };
        let lapse = self.clock.end_pass(next);
        self.log_missed(lapse);
        if more || !self.downlink.sleep(self.selector.waker()) {
            // All the same, the sockets are looked at between two passes, always.
            return Some(Duration::ZERO);
        }
        next.map(|next| self.clock.until(next))
    }

    fn serve_all(&mut self) {
        self.update_clock();
        let again = std::mem::take(&mut self.context.again);
        self.take_commands();
        self.conclude_connects();
        self.serve_ready(again);
        self.serve_timers();
        self.relieve_crowds();
        self.flush();
        self.relieve();
        self.conclude_shutdowns();
        self.conclude_endings();
        self.uplink.push(&mut self.context.events);
        // Behind the events: Node would otherwise take leave before it has heard of the end of the last connection.
        self.report_population();
        self.release_latches();
        self.report_rest();
        self.release_memory_after_peak();
    }

    fn take_commands(&mut self) {
        for _ in 0..BATCHES_PER_PASS {
            let Some(batch) = self.downlink.take() else { break };
            self.apply_all(batch);
        }
    }

    /// Between two sockets: Node's thread does not wait until all of them are served. Not to be called while a command is
    /// acted on, as those behind it have to wait for it.
    fn take_urgent_commands(&mut self) {
        if self.downlink.take_urgency() {
            self.take_commands();
        }
    }

    fn update_clock(&mut self) {
        let (now, lapse) = self.clock.start_pass();
        self.context.now = now;
        self.log_missed(lapse);
        self.connector.start_pass(self.clock.missed());
        self.context.date = self.clock.date();
    }

    /// Sockets with input, sockets that can be written again, new connections.
    fn serve_ready(&mut self, again: Vec<ConnectionId>) {
        self.context.choked = self.uplink.is_choked();
        if !self.context.choked {
            for id in std::mem::take(&mut self.context.starved) {
                self.take_urgent_commands();
                self.serve(id.slot, id.generation);
            }
        }
        for id in again {
            self.take_urgent_commands();
            self.serve(id.slot, id.generation);
        }
        let mut ready = std::mem::take(&mut self.ready);
        for (token, news) in ready.drain(..) {
            self.take_urgent_commands();
            match token {
                Token::Connection(slot) => {
                    let Some((slot, generation)) = self.registry.key(slot) else { continue };
                    if let Some(connection) = self.registry.get(slot, generation) {
                        connection.note_readiness(news);
                    }
                    self.serve(slot, generation);
                }
                Token::Listener(listener) => self.accept(listener),
            }
        }
        // For its capacity.
        self.ready = ready;
    }

    fn serve(&mut self, slot: u32, generation: u32) {
        self.with(slot, generation, |connection, context, scratch| connection.handle_ready(context, scratch));
        if self.context.events.weight() >= HAND_OVER {
            // Node's thread starts on them while the rest is read.
            self.uplink.push(&mut self.context.events);
            self.context.choked = self.uplink.is_choked();
        }
    }

    /// Runs `act` on a connection. Should it panic, the fault costs that connection and nobody else.
    fn with<R>(
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
        connection.deregister(self.selector.registry());
        self.shutdowns.note_gone(connection.app());
        self.endings.note_gone(connection.app().app);
        if let Some(memberships) = connection.handle_gone(&self.context) {
            for moved in self.context.topics.unsubscribe_all(*memberships) {
                if let Some(other) = self.registry.get(moved.who.slot, moved.who.generation) {
                    other.handle_moved(moved);
                }
            }
        }
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
            }
        }
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
        for id in dirty.drain(..) {
            self.with(id.slot, id.generation, |connection, context, scratch| {
                connection.flush(context, scratch)
            });
        }
        if self.context.dirty.is_empty() {
            self.context.dirty = dirty;
        } else {
            // What flushing itself made dirty (a connection that was found broken) is seen to in the next pass.
            self.context.again.extend_from_slice(&self.context.dirty);
        }
    }

    /// When the next pass begins at the latest; `None` if nothing has a deadline.
    fn next_pass(&self) -> Option<Timestamp> {
        let retry = self.retry.as_ref().map(|(at, _)| *at);
        // Connects keep their deadlines themselves, but only a worker that does not sleep too long notices what it missed.
        let connects = (!self.connector.is_idle()).then_some(self.context.now + LONGEST_NAP);
        let (wheel, shutdown) = (self.context.wheel.next(), self.shutdowns.next_deadline());
        let pause = self.accept_pause.as_ref().map(AcceptPause::end);
        let relief = self.relief.due();
        let (rest, peak) = (self.rest.due(), self.peak.due());
        let deadlines = [wheel, retry, shutdown, connects, pause, rest, peak, relief];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.min(self.context.now + LONGEST_NAP))
    }

    /// Nobody has watched the sockets for `lapse`, which is 0 in the rule.
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

    /// Those of the listening sockets that `are_meant`, which this worker listens on no more.
    fn take_listeners(&mut self, are_meant: impl Fn(&ListeningSocket) -> bool) -> Vec<ListeningSocket> {
        let mut taken: Vec<_> = self.listeners.extract_if(.., |listener| are_meant(listener)).collect();
        taken.iter_mut().for_each(|listener| listener.deregister(self.selector.registry()));
        taken
    }

    fn report_population(&mut self) {
        if self.reported != self.population {
            self.reported = self.population;
            self.uplink.report_population(self.population);
        }
    }

    /// The last thing in a pass.
    fn report_rest(&mut self) {
        // A connection that only lingers is one, too.
        let is_needed = !self.registry.is_empty()
            || !self.listeners.is_empty()
            || !self.connector.is_empty()
            || !self.shutdowns.is_empty()
            || !self.latches.is_empty();
        if let Some(rests) = self.rest.update(is_needed, self.context.now) {
            self.uplink.report_rest(rests);
        }
    }

    /// Answers those who wait for everything to be written.
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

/// Size of the read buffer, in bytes. Large enough for a burst of small messages or a good part of a large one, small
/// enough to stay in the second-level cache.
const SCRATCH: usize = 128 * 1024;
/// Weight of events, in bytes, that cross to Node's thread before the pass is over.
const HAND_OVER: usize = 256 * 1024;
/// Command batches applied before the sockets are looked at again.
const BATCHES_PER_PASS: usize = 32;
