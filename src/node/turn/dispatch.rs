//! Hands events to JavaScript, one by one. `lib/runtime/dispatcher.js` runs the loop: it asks for the next event, calls
//! the handler, lets microtasks and `process.nextTick` run, and asks again. Asking also means that the last handler has
//! returned.
//!
//! Events of a batch are taken in their order, batches of several workers in turn. A turn of Node's loop has a budget,
//! so that timers and other I/O of the application never starve.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::bridge::command::{Command, ResponseId};
use crate::bridge::event::{Event, EventBatch, Slice};
use crate::bridge::id::{ConnectionId, RequestNumber, WorkerId};
use crate::node::abi::{Register, step};
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::{Env, Value};
use crate::node::state::handles::Handle;
use crate::node::state::routes::behavior::Handlers;
use crate::protocol::cause::CloseCause;
use crate::protocol::websocket::MessageKind;

/// The events being handled.
#[derive(Debug, Default)]
pub struct Dispatcher {
    /// The current batch, its worker, and the position of the next event.
    batch: Option<(WorkerId, EventBatch, usize)>,
    /// The worker to ask first for the next batch.
    turn: usize,
    /// The response whose handler is running.
    pub serving: Option<Handle>,
    /// Responses with body that arrived before its handler was attached.
    late_bodies: VecDeque<Handle>,
    /// Whether a turn goes on.
    pub is_turning: bool,
    /// What may still be done before the loop gets a turn of its own; `None` once it had one. A turn that ends asleep may
    /// be rung again before, and does not begin anew.
    budget: Option<Budget>,
    /// How often JavaScript has asked for an event.
    pub asked: u64,
    /// Records for the listener of `setLogger` that are to be handed over before the next batch.
    pub records: usize,
    /// Every published message that was dropped is told, whether or not there is a handler for it.
    pub tells_drops: bool,
    /// Events since commands were handed over.
    unflushed: u32,
}

#[derive(Debug)]
struct Budget {
    events: u32,
    started: Instant,
}

impl Budget {
    #[expect(
        clippy::disallowed_methods,
        reason = "the budget of a turn is time on Node's thread, not of the engine"
    )]
    fn new() -> Self {
        Self { events: EVENTS_PER_TURN, started: Instant::now() }
    }
}

impl Dispatcher {
    /// The body of this response is to be delivered. Returns whether the loop has to be started for it.
    pub fn deliver_body(&mut self, handle: Handle) -> bool {
        self.late_bodies.push_back(handle);
        !self.is_turning
    }

    /// The batch whose events are being handled.
    #[must_use]
    pub fn batch(&self) -> Option<&EventBatch> {
        self.batch.as_ref().map(|(_, batch, _)| batch)
    }

    /// The next event, with a copy of nothing: payloads are read from the batch by the caller.
    fn next_event(&mut self) -> Option<Event> {
        let (_, batch, position) = self.batch.as_mut()?;
        let event = batch.events.get(*position).copied()?;
        *position += 1;
        Some(event)
    }

    /// Events of the current batch that are still to be handled.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.batch.as_ref().map_or(0, |(_, batch, position)| batch.events.len() - position)
    }

    /// What the spans and slices of the current batch refer to.
    pub fn bytes(&self) -> &[u8] {
        self.batch.as_ref().map_or(&[], |(_, batch, _)| &batch.bytes)
    }
}

/// What came of one event: something for JavaScript to do, or nothing.
pub(in crate::node) enum Outcome<'c> {
    Step(f64, Value<'c>),
    Nothing,
}

impl<'c> From<Option<(f64, Value<'c>)>> for Outcome<'c> {
    fn from(step: Option<(f64, Value<'c>)>) -> Self {
        step.map_or(Self::Nothing, |(step, value)| Self::Step(step, value))
    }
}

/// `next(buffer)`: detaches the buffer of the last event, if the handler is done with it, and returns the next event.
pub fn next<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    env.detach(call.argument(0));
    let mut environment = call.environment()?;
    environment.dispatcher.asked += 1;
    let (step, value) = environment.next_step(env)?;
    environment.registers.set(Register::Step, step);
    Ok(value)
}

impl Environment {
    fn next_step<'c>(&mut self, env: Env<'c>) -> Result<(f64, Value<'c>), Misuse> {
        self.begin_turn();
        if !self.pending.is_empty() {
            if self.is_budget_used_up() {
                return Ok(self.yield_turn());
            }
            // In front of all else, and the handler that left them has not been concluded.
            if let Some(step) = self.take_pending(env, 0) {
                return Ok(step);
            }
        }
        if let Outcome::Step(step, value) = self.conclude_handler(env) {
            return Ok((step, value));
        }
        loop {
            if self.is_budget_used_up() {
                return Ok(self.yield_turn());
            }
            let outcome = if let Some(handle) = self.dispatcher.late_bodies.pop_front() {
                data_step(self.late_body(env, handle))
            } else if let Some(event) = self.dispatcher.next_event() {
                self.handle(env, event)
            } else if let Some(record) = self.next_record(env) {
                Outcome::Step(step::LOG, record)
            } else if self.take_batch()? {
                continue;
            } else {
                self.end_turn();
                self.update_liveness(env);
                return Ok((step::SLEEP, Value::UNDEFINED));
            };
            if let Outcome::Step(step, value) = outcome {
                return Ok((step, value));
            }
        }
    }

    fn begin_turn(&mut self) {
        if !std::mem::replace(&mut self.dispatcher.is_turning, true) {
            self.workers.hold();
            self.pending.begin_turn();
        }
    }

    fn yield_turn<'c>(&mut self) -> (f64, Value<'c>) {
        self.dispatcher.budget = None;
        self.end_turn();
        (step::YIELD, Value::UNDEFINED)
    }

    fn end_turn(&mut self) {
        self.dispatcher.is_turning = false;
        self.dispatcher.unflushed = 0;
        self.workers.let_go();
        self.workers.settle();
    }

    /// Counts one event. Looks at the clock now and then only.
    fn is_budget_used_up(&mut self) -> bool {
        self.dispatcher.unflushed += 1;
        if self.dispatcher.unflushed > EVENTS_PER_FLUSH {
            self.dispatcher.unflushed = 0;
            self.workers.flush();
        }
        let budget = self.dispatcher.budget.get_or_insert_with(Budget::new);
        budget.events -= 1;
        budget.events == 0
            || (budget.events.is_multiple_of(EVENTS_PER_LOOK) && budget.started.elapsed() > TIME_PER_TURN)
    }

    /// Gets the next batch, and counts the records that wait. When there is nothing, goes to sleep, and looks once more.
    fn take_batch(&mut self) -> Result<bool, Misuse> {
        let threads = self.workers.threads.as_ref().ok_or_else(Misuse::bug)?;
        let workers = threads.pool.workers();
        if let Some((worker, batch, _)) = self.dispatcher.batch.take()
            && let Some(handle) = workers.get(worker.index())
        {
            handle.uplink.recycle(batch);
        }
        for asleep in [false, true] {
            if asleep {
                threads.bell.sleep();
            }
            self.dispatcher.records = threads.journal.waiting();
            for offset in 0..workers.len() {
                let number = (self.dispatcher.turn + offset) % workers.len();
                if let Some((batch, resume)) = workers[number].uplink.take() {
                    if asleep {
                        threads.bell.rise();
                    }
                    if resume {
                        workers[number].downlink.wake();
                    }
                    self.dispatcher.turn = number + 1;
                    // There are at most 64 workers.
                    let worker = WorkerId(u8::try_from(number).unwrap_or(0));
                    self.dispatcher.batch = Some((worker, batch, 0));
                    return Ok(true);
                }
            }
            if self.dispatcher.records > 0 {
                if asleep {
                    threads.bell.rise();
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn handle<'c>(&mut self, env: Env<'c>, event: Event) -> Outcome<'c> {
        match event {
            Event::ConnectionOpened { connection, record } => {
                let Some((_, batch, _)) = &self.dispatcher.batch else { return Outcome::Nothing };
                let record = batch.openings[record as usize];
                self.handle_opened(env, connection, record).into()
            }
            Event::ConnectionClosed { connection } => self.handle_closed(connection).into(),
            Event::ServerNameWanted { connection, app, name } => {
                let name = String::from_utf8_lossy(name.of(self.dispatcher.bytes())).into_owned();
                let Some(handle) = self.await_name(connection, app, &name) else { return Outcome::Nothing };
                self.registers.set(Register::Handshake, handle.to_number());
                self.registers.set(Register::App, f64::from(app.app));
                Outcome::Step(step::SERVER_NAME, env.string(name.as_bytes()))
            }
            Event::RequestReceived { connection, request, record } => {
                self.handle_request(connection, request, record as usize)
            }
            Event::BodyReceived { connection, request, data, last } => {
                let Some(handle) = self.occupants.exchange(connection, request) else {
                    return Outcome::Nothing;
                };
                data_step(self.receive_body(env, handle, data.range(), last))
            }
            Event::ResponseWritable { connection, request } => self.handle_writable(connection, request),
            Event::ResponseAborted { connection, request, cause } => {
                self.handle_abort(env, connection, request, cause)
            }
            Event::MessageReceived { connection, kind, payload } => {
                self.handle_message(env, connection, kind, payload)
            }
            Event::PingReceived { connection, payload } => {
                self.handle_control(env, connection, payload, Handlers::PING, step::PING)
            }
            Event::PongReceived { connection, payload } => {
                self.handle_control(env, connection, payload, Handlers::PONG, step::PONG)
            }
            Event::MessageDropped { connection, kind, payload, unreported } => {
                self.registers.set(Register::Unreported, f64::from(unreported));
                self.handle_dropped(env, connection, kind, payload)
            }
            Event::Drained { connection } => {
                let Some(handle) = self.occupants.socket(connection) else { return Outcome::Nothing };
                if !self.take_drain(handle) || self.handler_for(connection, Handlers::DRAIN).is_none() {
                    return Outcome::Nothing;
                }
                self.registers.set(Register::Slot, f64::from(handle.slot));
                Outcome::Step(step::DRAIN, Value::UNDEFINED)
            }
            Event::WebSocketClosed { connection, code, cause, reason } => {
                // What the handlers sent in answer to earlier messages is in front of this: the session may now say
                // its last word.
                self.workers.push(connection.worker, Command::ConcludeWebSocket { connection });
                let Some(handle) = self.occupants.socket(connection) else { return Outcome::Nothing };
                self.close_socket(handle, code, cause);
                Outcome::Step(step::CLOSE, env.array_buffer(reason.of(self.dispatcher.bytes())))
            }
            Event::ConnectEnded { client, record } => {
                let batch = self.dispatcher.batch.as_mut();
                let outcome = batch.and_then(|(_, batch, _)| batch.connects[record as usize].take());
                outcome.and_then(|outcome| self.handle_connect_ended(env, client, outcome)).into()
            }
            Event::AppEnded { app } => self.handle_ended(app).into(),
            Event::AppShutDown { app, forced } => {
                let Some((shutdown, forced)) = self.shutdowns.note_worker(app, forced) else {
                    return Outcome::Nothing;
                };
                self.registers.set(Register::Shutdown, shutdown);
                self.registers.set(Register::Forced, f64::from(forced));
                Outcome::Step(step::SHUT_DOWN, Value::UNDEFINED)
            }
        }
    }

    /// A Ping or a Pong, for the handler that it has.
    fn handle_control<'c>(
        &mut self,
        env: Env<'c>,
        connection: ConnectionId,
        payload: Slice,
        handler: u32,
        step: f64,
    ) -> Outcome<'c> {
        let Some(handle) = self.handler_for(connection, handler) else { return Outcome::Nothing };
        self.registers.set(Register::Slot, f64::from(handle.slot));
        Outcome::Step(step, env.array_buffer(payload.of(self.dispatcher.bytes())))
    }

    fn handle_message<'c>(
        &mut self,
        env: Env<'c>,
        connection: ConnectionId,
        kind: MessageKind,
        payload: Slice,
    ) -> Outcome<'c> {
        let Some((handle, handlers)) = self.handlers_of(connection) else { return Outcome::Nothing };
        if !handlers.has(Handlers::MESSAGE) {
            return Outcome::Nothing;
        }
        self.registers.set(Register::Slot, f64::from(handle.slot));
        self.registers.set(Register::IsBinary, f64::from(u8::from(kind == MessageKind::Binary)));
        let payload = payload.of(self.dispatcher.bytes());
        let wants_string = kind == MessageKind::Text && handlers.has(Handlers::MESSAGE_STRINGS);
        let message = if wants_string { env.string(payload) } else { env.array_buffer(payload) };
        Outcome::Step(step::MESSAGE, message)
    }

    fn handle_dropped<'c>(
        &mut self,
        env: Env<'c>,
        connection: ConnectionId,
        kind: MessageKind,
        payload: Slice,
    ) -> Outcome<'c> {
        let Some((handle, handlers)) = self.handlers_of(connection) else { return Outcome::Nothing };
        if !handlers.has(Handlers::DROPPED) && !self.dispatcher.tells_drops {
            return Outcome::Nothing;
        }
        self.set_dropped(handle, kind);
        Outcome::Step(step::MESSAGE_DROPPED, env.array_buffer(payload.of(self.dispatcher.bytes())))
    }

    /// The same, of a message that was not even handed over.
    pub(in crate::node) fn dropped_step<'c>(
        &mut self,
        env: Env<'c>,
        handle: Handle,
        kind: MessageKind,
        payload: &[u8],
    ) -> Option<(f64, Value<'c>)> {
        self.sockets.get(handle)?;
        self.set_dropped(handle, kind);
        Some((step::MESSAGE_DROPPED, env.array_buffer(payload)))
    }

    fn set_dropped(&mut self, handle: Handle, kind: MessageKind) {
        self.registers.set(Register::Slot, f64::from(handle.slot));
        self.registers.set(Register::IsBinary, f64::from(u8::from(kind == MessageKind::Binary)));
    }

    /// The WebSocket of a connection, if JavaScript has a handler for the event.
    fn handler_for(&self, connection: ConnectionId, handler: u32) -> Option<Handle> {
        let (handle, handlers) = self.handlers_of(connection)?;
        handlers.has(handler).then_some(handle)
    }

    /// The WebSocket of a connection, and which handlers it has.
    fn handlers_of(&self, connection: ConnectionId) -> Option<(Handle, Handlers)> {
        let handle = self.occupants.socket(connection)?;
        let behavior = self.behavior(self.sockets.get(handle)?.route)?;
        Some((handle, behavior.handlers))
    }

    fn handle_writable<'c>(&mut self, connection: ConnectionId, request: RequestNumber) -> Outcome<'c> {
        let Some(handle) = self.occupants.exchange(connection, request) else { return Outcome::Nothing };
        let Some(exchange) = self.exchanges.get_mut(handle) else { return Outcome::Nothing };
        if !exchange.output.take_writable() {
            return Outcome::Nothing;
        }
        self.registers.set(Register::Slot, f64::from(handle.slot));
        self.registers.set(Register::Offset, exchange.output.written as f64);
        Outcome::Step(step::WRITABLE, Value::UNDEFINED)
    }

    fn handle_abort<'c>(
        &mut self,
        env: Env<'c>,
        connection: ConnectionId,
        request: RequestNumber,
        cause: CloseCause,
    ) -> Outcome<'c> {
        if let Some(handle) = self.occupants.exchange(connection, request) {
            // A worker that has seen FIN keeps the connection for answers that were under way; there will be none.
            let to = ResponseId { connection, request };
            self.workers.push(connection.worker, Command::AbortResponse { to });
            return self.abort_step(env, handle, cause).into();
        }
        // The response became a WebSocket in the meantime: its connection was dead before the 101 could be written.
        let Some(handle) = self.occupants.socket(connection) else { return Outcome::Nothing };
        let cause = if cause == CloseCause::FinBeforeResponse { CloseCause::FinWithoutClose } else { cause };
        self.close_step(env, handle, cause).into()
    }

    /// The response is aborted as far as JavaScript is concerned.
    pub(in crate::node) fn abort_step<'c>(
        &mut self,
        env: Env<'c>,
        handle: Handle,
        cause: CloseCause,
    ) -> Option<(f64, Value<'c>)> {
        let exchange = self.exchanges.get(handle)?;
        let (app, written) = (exchange.app, exchange.output.written);
        let (_, reason) = self.farewell(app, cause);
        if let Some(stats) = self.stats(app) {
            stats.note_aborted(cause);
        }
        self.finish_exchange(handle);
        self.registers.set(Register::Offset, written as f64);
        self.registers.set(Register::Slot, f64::from(handle.slot));
        self.registers.set(Register::Cause, f64::from(cause.number()));
        Some((step::ABORT, env.string(reason.as_bytes())))
    }

    /// The WebSocket is closed as far as JavaScript is concerned.
    pub(in crate::node) fn close_step<'c>(
        &mut self,
        env: Env<'c>,
        handle: Handle,
        cause: CloseCause,
    ) -> Option<(f64, Value<'c>)> {
        let socket = self.sockets.get(handle)?;
        let (code, reason) = self.farewell(socket.app, cause);
        self.close_socket(handle, code, cause);
        Some((step::CLOSE, env.array_buffer(reason.as_bytes())))
    }
}

/// What there is for a body handler, if anything, as an event.
fn data_step(chunk: Option<Value<'_>>) -> Outcome<'_> {
    chunk.map_or(Outcome::Nothing, |chunk| Outcome::Step(step::DATA, chunk))
}

/// Events per turn of Node's loop.
const EVENTS_PER_TURN: u32 = 4096;
/// Time per turn of Node's loop; looked at every [`EVENTS_PER_LOOK`] events.
const TIME_PER_TURN: Duration = Duration::from_millis(4);
/// Events between two looks at the clock.
const EVENTS_PER_LOOK: u32 = 16;
/// Events after which commands are handed over, so that the workers write while the next handlers run. Fewer make
/// smaller batches and more wake-ups; more would only delay, as a turn ends after [`TIME_PER_TURN`] anyway.
const EVENTS_PER_FLUSH: u32 = 256;
