//! Hands events to JavaScript, one by one. `lib/dispatcher.js` runs the loop: it asks for the next event, calls the handler, lets
//! microtasks and `process.nextTick` run (S11), and asks again. Asking also means that the last handler has returned.
//!
//! Events of a batch are taken in their order, batches of several workers in turn. A turn of Node's loop has a budget,
//! so that timers and other I/O of the application never starve.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::app::Closing;
use super::behavior::{Behavior, Handlers, Target};
use super::environment::{Environment, Occupant};
use super::error::Misuse;
use super::handles::Handle;
use super::http_response::{Exchange, HandlerState, Stage};
use super::raw::{Call, Env, Value};
use super::request_body::RequestBody;
use crate::bridge::command::{Command, Exchange as Address};
use crate::bridge::event::{Event, EventBatch, RequestRecord, Slice};
use crate::bridge::id::{ConnectionId, RequestNumber, WorkerId};
use crate::bridge::sync::Arc;
use crate::protocol::cause::CloseCause;
use crate::protocol::websocket::handshake::{check_request, check_upgrade};
use crate::protocol::websocket::{Compression, MessageKind};

/// What JavaScript has to do, in register 0. The other registers and the returned value belong to it. The same numbers
/// stand in `lib/steps.js`.
pub mod step {
    /// Nothing is left; the bell will ring.
    pub const SLEEP: f64 = 0.0;
    /// The budget is used up: come again after other work of the loop.
    pub const YIELD: f64 = 1.0;
    /// Call a route handler: response, route, kind ([`super::kind`]).
    pub const REQUEST: f64 = 2.0;
    /// Call an upgrade handler: response, route, kind.
    pub const UPGRADE: f64 = 3.0;
    /// A WebSocket opened without an upgrade handler: WebSocket, route.
    pub const OPEN: f64 = 4.0;
    /// A message: slot, is binary; returns the message, as a string where it is text and the route wants that.
    pub const MESSAGE: f64 = 5.0;
    /// A Ping: slot; returns its payload.
    pub const PING: f64 = 6.0;
    /// A Pong: slot; returns its payload.
    pub const PONG: f64 = 7.0;
    /// Back-pressure is over: slot.
    pub const DRAIN: f64 = 8.0;
    /// A WebSocket is closed: slot, code, cause, number of topics left; returns the reason.
    pub const CLOSE: f64 = 9.0;
    /// A response is aborted: slot, cause, body bytes accepted; returns the reason.
    pub const ABORT: f64 = 10.0;
    /// Request body for its handler: slot, what it is (`request_body.rs`); returns the bytes.
    pub const DATA: f64 = 11.0;
    /// A handler returned and nobody can answer or be told: response slot; returns method and path.
    pub const UNANSWERED: f64 = 12.0;
    /// A record for the listener of `setLogger`: returns it.
    pub const LOG: f64 = 13.0;
    /// A response that had to wait may go on: slot, body bytes accepted.
    pub const WRITABLE: f64 = 14.0;
    /// A connection was opened: its handle, app; returns its addresses.
    pub const OPENED: f64 = 18.0;
    /// A connection was closed: its handle.
    pub const CLOSED: f64 = 19.0;
    /// The last connection of an app that shuts down is gone: shutdown, forced connections.
    pub const SHUT_DOWN: f64 = 20.0;
    /// A published message was dropped: slot, is binary, number of further ones that were not told of; returns the
    /// message.
    pub const DROPPED: f64 = 21.0;
    /// A WebSocket to a server is open: WebSocket, connect; returns subprotocol and extensions, then names and values of the
    /// response's header fields.
    pub const CONNECTED: f64 = 22.0;
    /// A connect has failed: connect; returns code, message, the system's code, status and body of the response, then names
    /// and values of its header fields.
    pub const NOT_CONNECTED: f64 = 23.0;
    /// A TLS handshake waits for a server name: handshake, app; returns the name.
    pub const SERVER_NAME: f64 = 26.0;
}

/// What a request is to JavaScript. The same numbers stand in `lib/dispatcher.js`.
mod kind {
    /// A new one.
    pub const NEW: f64 = 0.0;
    /// The one that the last handler yielded.
    pub const YIELDED: f64 = 1.0;
    /// A new one for a route whose answers are kept.
    pub const CACHED: f64 = 2.0;
    /// A new one of an app that speaks TLS.
    pub const SECURE: f64 = 3.0;
}

/// The events being handled.
#[derive(Debug, Default)]
pub struct Dispatcher {
    /// The current batch, its worker, and the position of the next event.
    batch: Option<(WorkerId, EventBatch, usize)>,
    /// The worker to ask first for the next batch.
    turn: usize,
    /// The response whose handler is running.
    serving: Option<Handle>,
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
enum Outcome<'c> {
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
    environment.registers.set(0, step);
    Ok(value)
}

impl Environment {
    fn next_step<'c>(&mut self, env: Env<'c>) -> Result<(f64, Value<'c>), Misuse> {
        self.begin_turn();
        if let Outcome::Step(step, value) = self.conclude_handler(env) {
            return Ok((step, value));
        }
        loop {
            if self.is_budget_used_up() {
                self.dispatcher.budget = None;
                self.end_turn();
                return Ok((step::YIELD, Value::UNDEFINED));
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
            self.outgoing.hold();
        }
    }

    fn end_turn(&mut self) {
        self.dispatcher.is_turning = false;
        self.dispatcher.unflushed = 0;
        self.outgoing.let_go();
        self.settle();
    }

    /// Counts one event. Looks at the clock now and then only.
    fn is_budget_used_up(&mut self) -> bool {
        self.dispatcher.unflushed += 1;
        if self.dispatcher.unflushed > EVENTS_PER_FLUSH {
            self.dispatcher.unflushed = 0;
            self.flush();
        }
        let budget = self.dispatcher.budget.get_or_insert_with(Budget::new);
        budget.events -= 1;
        budget.events == 0
            || (budget.events.is_multiple_of(EVENTS_PER_LOOK) && budget.started.elapsed() > TIME_PER_TURN)
    }

    /// Gets the next batch, and counts the records that wait. When there is nothing, goes to sleep, and looks once more.
    fn take_batch(&mut self) -> Result<bool, Misuse> {
        let threads = self.threads.as_ref().ok_or_else(Misuse::bug)?;
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
                self.registers.set(1, handle.to_number());
                self.registers.set(2, f64::from(app.app));
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
                self.registers.set(3, f64::from(unreported));
                self.handle_dropped(env, connection, kind, payload)
            }
            Event::Drained { connection } => {
                let Some(handle) = self.occupants.socket(connection) else { return Outcome::Nothing };
                if !self.take_drain(handle) || self.handler_for(connection, Handlers::DRAIN).is_none() {
                    return Outcome::Nothing;
                }
                self.registers.set(1, f64::from(handle.slot));
                Outcome::Step(step::DRAIN, Value::UNDEFINED)
            }
            Event::WebSocketClosed { connection, code, cause, reason } => {
                // What the handlers sent in answer to earlier messages is in front of this: the session may now say
                // its last word.
                self.outgoing.push(connection.worker, Command::ConcludeWebSocket { connection });
                let Some(handle) = self.occupants.socket(connection) else { return Outcome::Nothing };
                self.close_socket(handle, code, cause);
                Outcome::Step(step::CLOSE, env.array_buffer(reason.of(self.dispatcher.bytes())))
            }
            Event::ConnectEnded { client, record } => {
                let batch = self.dispatcher.batch.as_mut();
                let outcome = batch.and_then(|(_, batch, _)| batch.connects[record as usize].take());
                outcome.and_then(|outcome| self.handle_connect_ended(env, client, outcome)).into()
            }
            Event::AppShutDown { app, forced } => {
                let Some((shutdown, forced)) = self.shutdowns.note_worker(app, forced) else {
                    return Outcome::Nothing;
                };
                self.registers.set(1, shutdown);
                self.registers.set(2, f64::from(forced));
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
        self.registers.set(1, f64::from(handle.slot));
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
        self.registers.set(1, f64::from(handle.slot));
        self.registers.set(2, f64::from(u8::from(kind == MessageKind::Binary)));
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
        self.registers.set(1, f64::from(handle.slot));
        self.registers.set(2, f64::from(u8::from(kind == MessageKind::Binary)));
        Outcome::Step(step::DROPPED, env.array_buffer(payload.of(self.dispatcher.bytes())))
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

    fn handle_request<'c>(
        &mut self,
        connection: ConnectionId,
        request: RequestNumber,
        record: usize,
    ) -> Outcome<'c> {
        let Some((_, batch, _)) = &self.dispatcher.batch else { return Outcome::Nothing };
        let record: RequestRecord = batch.requests[record];
        let app = self.apps.get(record.app.app as usize);
        let is_served = app.is_some_and(|app| app.serves(record.app.epoch));
        if !is_served || self.connections.refuses(connection) {
            // The app or this connection was closed while the request was under way.
            return Outcome::Nothing;
        }
        let to = Address { connection, request };
        let mut exchange = match self.spare_exchanges.pop() {
            Some(mut spare) => {
                spare.reset(to, record.app);
                spare
            }
            None => Box::new(Exchange::empty(to, record.app)),
        };
        let fields = &batch.fields[record.first_field as usize..][..record.field_count as usize];
        exchange.head.extend_from_slice(record.head.of(&batch.bytes));
        exchange.request_fields.extend_from_slice(fields);
        (exchange.method, exchange.path, exchange.query) = (record.method, record.path, record.query);
        exchange.peer = record.peer;
        (exchange.version, exchange.body_length) = (record.version, record.body);
        exchange.introduction = record.introduction.map(|it| Arc::clone(&batch.introductions[it as usize]));
        exchange.body = RequestBody::new(record.body);
        match self.exchanges.insert(exchange) {
            Ok(handle) => {
                self.occupants.set(connection, Occupant::Exchange { request, handle });
                self.route(handle, false)
            }
            Err(_) => {
                // 16.7 million responses are outstanding; this one cannot be served.
                self.outgoing.push(connection.worker, Command::AbortResponse { to });
                Outcome::Nothing
            }
        }
    }

    /// Finds the next candidate for a request: the first one, or the one after those that yielded.
    fn route<'c>(&mut self, handle: Handle, again: bool) -> Outcome<'c> {
        loop {
            let Some(exchange) = self.exchanges.get_mut(handle) else { return Outcome::Nothing };
            let Some(app) = self.apps.get(exchange.app.app as usize) else { return Outcome::Nothing };
            let (method, path) = (exchange.method.of(&exchange.head), exchange.path.of(&exchange.head));
            let domain = exchange.introduction.as_ref().and_then(|it| it.domain);
            let found = app.router_of(domain).find(method, path, exchange.nth, &mut exchange.params);
            let Some(route) = found.map(|handler| handler.0 as usize) else {
                // Everybody yielded: contract 2.1.
                self.abort_exchange(handle);
                return Outcome::Nothing;
            };
            exchange.route = route;
            exchange.recording = None;
            let new = if app.setup.tls.is_some() { kind::SECURE } else { kind::NEW };
            let mut kind = if again { kind::YIELDED } else { new };
            let step = match self.routes.get(route).map(|route| &route.target) {
                Some(Target::Handler) => step::REQUEST,
                Some(Target::Cached(cached)) => {
                    let cached = *cached;
                    if self.answer_from_cache(handle, cached) {
                        return Outcome::Nothing;
                    }
                    kind = if again { kind::YIELDED } else { kind::CACHED };
                    step::REQUEST
                }
                Some(Target::Declarative(_)) => {
                    self.answer_declaratively(handle, route);
                    return Outcome::Nothing;
                }
                Some(Target::NotFound) => {
                    self.answer(handle, "404 File Not Found", HTML, NOT_FOUND, false);
                    return Outcome::Nothing;
                }
                Some(Target::WebSocket(behavior)) => match is_upgrade(exchange, behavior) {
                    Handshake::Absent => {
                        exchange.nth += 1;
                        continue;
                    }
                    Handshake::Refused { status, text } => {
                        self.refuse_handshake(handle, status, &text);
                        return Outcome::Nothing;
                    }
                    Handshake::Valid if behavior.handlers.has(Handlers::UPGRADE) => step::UPGRADE,
                    Handshake::Valid => return self.upgrade_without_handler(handle, route),
                },
                None => return Outcome::Nothing,
            };
            if let Some(exchange) = self.exchanges.get_mut(handle) {
                exchange.handler = HandlerState::Running;
            }
            self.dispatcher.serving = Some(handle);
            self.registers.set(1, handle.to_number());
            self.registers.set(2, route as f64);
            self.registers.set(3, kind);
            return Outcome::Step(step, Value::UNDEFINED);
        }
    }

    fn refuse_handshake(&mut self, handle: Handle, status: &str, text: &str) {
        self.tell_refused(handle, text);
        if let Some(app) = self.exchanges.get(handle).map(|exchange| exchange.app)
            && let Some(stats) = self.stats(app)
        {
            stats.note_refused();
        }
        let mut fields = b"Content-Type: text/plain\r\n".to_vec();
        if status.starts_with("426") {
            fields.extend_from_slice(
                b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
            );
        }
        self.answer(handle, status, &fields, text.as_bytes(), true);
    }

    /// The worker saw a valid request; that it is no valid handshake is found here. For the log it is the same.
    fn tell_refused(&self, handle: Handle, rule: &str) {
        let (Some(threads), Some(exchange)) = (&self.threads, self.exchanges.get(handle)) else { return };
        let (conn, peer) = (exchange.to.connection, exchange.peer.address.map(tracing::field::display));
        let worker = conn.worker.0;
        threads.journal.hear(|| tracing::warn!(rule, %conn, worker, peer, "peer broke a rule of WebSocket"));
    }

    /// Contract 2.6: without an upgrade handler the first subprotocol is selected.
    fn upgrade_without_handler<'c>(&mut self, handle: Handle, route: usize) -> Outcome<'c> {
        let Some(exchange) = self.exchanges.get(handle) else { return Outcome::Nothing };
        let key = exchange.request_field(b"sec-websocket-key").unwrap_or_default().to_vec();
        let protocol = exchange.request_field(b"sec-websocket-protocol").unwrap_or_default();
        let protocol = String::from_utf8_lossy(protocol).into_owned();
        let extensions = exchange.joined_request_field(b"sec-websocket-extensions").unwrap_or_default();
        let extensions = extensions.into_owned();
        match self.upgrade_exchange(handle, &key, &protocol, &extensions, route) {
            Ok(socket) => {
                self.registers.set(1, socket.to_number());
                self.registers.set(2, route as f64);
                Outcome::Step(step::OPEN, Value::UNDEFINED)
            }
            Err(misuse) => {
                // Here the arguments come from the peer.
                self.refuse_handshake(handle, "400 Bad Request", &misuse.message);
                Outcome::Nothing
            }
        }
    }

    /// The handler that was called last has returned, and its microtasks have run.
    fn conclude_handler<'c>(&mut self, env: Env<'c>) -> Outcome<'c> {
        let Some(handle) = self.dispatcher.serving.take() else { return Outcome::Nothing };
        let Some(exchange) = self.exchanges.get_mut(handle) else { return Outcome::Nothing };
        let handler_state = std::mem::replace(&mut exchange.handler, HandlerState::Returned);
        if exchange.stage == Stage::Over {
            self.drop_exchange(handle);
            return Outcome::Nothing;
        }
        if handler_state == HandlerState::Yielding {
            self.pass_over(handle);
            return self.route(handle, true);
        }
        if exchange.abort_attached || exchange.body.hears_abort() {
            return Outcome::Nothing;
        }
        let Some(route) = self.routes.get_mut(exchange.route) else { return Outcome::Nothing };
        if std::mem::replace(&mut route.warned, true) {
            return Outcome::Nothing;
        }
        let method = String::from_utf8_lossy(exchange.method.of(&exchange.head));
        let path = String::from_utf8_lossy(exchange.path.of(&exchange.head));
        self.registers.set(1, f64::from(handle.slot));
        Outcome::Step(step::UNANSWERED, env.string(format!("{method} {path}").as_bytes()))
    }

    /// Moves on behind the candidate that yielded. Its handler may have changed the routes, so its place is looked up; if
    /// it is gone, the next candidate has taken its place.
    fn pass_over(&mut self, handle: Handle) {
        let Some(exchange) = self.exchanges.get_mut(handle) else { return };
        let Some(app) = self.apps.get(exchange.app.app as usize) else { return };
        let (method, path) = (exchange.method.of(&exchange.head), exchange.path.of(&exchange.head));
        let (route, nth, params) = (exchange.route, exchange.nth, &mut exchange.params);
        let router = app.router_of(exchange.introduction.as_ref().and_then(|it| it.domain));
        let mut candidate = |nth| router.find(method, path, nth, params).map(|handler| handler.0 as usize);
        let place = match candidate(nth) {
            // Nothing changed, as nearly always.
            Some(found) if found == route => Some(nth),
            Some(_) | None => (0..).map_while(candidate).position(|found| found == route),
        };
        if let Some(place) = place {
            exchange.nth = place + 1;
        }
    }

    /// This number may be given to another route, which the running handler is not the handler of.
    pub fn forget_route(&mut self, route: usize) {
        if let Some(handle) = self.dispatcher.serving
            && let Some(exchange) = self.exchanges.get_mut(handle)
            && exchange.route == route
        {
            exchange.route = usize::MAX;
        }
    }

    fn handle_writable<'c>(&mut self, connection: ConnectionId, request: RequestNumber) -> Outcome<'c> {
        let Some(handle) = self.occupants.exchange(connection, request) else { return Outcome::Nothing };
        let Some(exchange) = self.exchanges.get_mut(handle) else { return Outcome::Nothing };
        if !exchange.output.take_writable() {
            return Outcome::Nothing;
        }
        self.registers.set(1, f64::from(handle.slot));
        self.registers.set(2, exchange.output.written as f64);
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
            let to = Address { connection, request };
            self.outgoing.push(connection.worker, Command::AbortResponse { to });
            return self.abort_step(env, handle, cause);
        }
        // The response became a WebSocket in the meantime: its connection was dead before the 101 could be written.
        let Some(handle) = self.occupants.socket(connection) else { return Outcome::Nothing };
        let cause = if cause == CloseCause::FinBeforeResponse { CloseCause::FinWithoutClose } else { cause };
        self.close_step(env, handle, cause)
    }

    fn abort_step<'c>(&mut self, env: Env<'c>, handle: Handle, cause: CloseCause) -> Outcome<'c> {
        let Some(exchange) = self.exchanges.get(handle) else { return Outcome::Nothing };
        let (app, written) = (exchange.app, exchange.output.written);
        let (_, reason) = self.farewell(app, cause);
        if let Some(stats) = self.stats(app) {
            stats.note_aborted(cause);
        }
        self.finish_exchange(handle);
        self.registers.set(3, written as f64);
        self.registers.set(1, f64::from(handle.slot));
        self.registers.set(2, f64::from(cause.number()));
        Outcome::Step(step::ABORT, env.string(reason.as_bytes()))
    }

    fn close_step<'c>(&mut self, env: Env<'c>, handle: Handle, cause: CloseCause) -> Outcome<'c> {
        let Some(socket) = self.sockets.get(handle) else { return Outcome::Nothing };
        let (code, reason) = self.farewell(socket.app, cause);
        self.close_socket(handle, code, cause);
        Outcome::Step(step::CLOSE, env.array_buffer(reason.as_bytes()))
    }

    /// The next object that `app.close()` or `app.shutdown()` has closed, as an event.
    ///
    /// # Errors
    /// There is no such app.
    pub fn next_closing<'c>(&mut self, env: Env<'c>, app: f64) -> Result<Value<'c>, Misuse> {
        loop {
            let outcome = match self.app(app)?.1.next_closing() {
                Some(Closing::Exchange(handle, cause)) if self.is_unanswered(handle) => {
                    self.abort_step(env, handle, cause)
                }
                Some(Closing::Socket(handle, cause)) if self.sockets.get(handle).is_some() => {
                    self.close_step(env, handle, cause)
                }
                Some(Closing::Connection(handle)) => self.forget_connection(handle).into(),
                Some(Closing::Exchange(..) | Closing::Socket(..)) => continue,
                None => Outcome::Step(step::SLEEP, Value::UNDEFINED),
            };
            if let Outcome::Step(step, value) = outcome {
                self.registers.set(0, step);
                return Ok(value);
            }
        }
    }

    fn is_unanswered(&self, handle: Handle) -> bool {
        self.exchanges.get(handle).is_some_and(|exchange| exchange.stage != Stage::Over)
    }
}

/// What there is for a body handler, if anything, as an event.
fn data_step(chunk: Option<Value<'_>>) -> Outcome<'_> {
    chunk.map_or(Outcome::Nothing, |chunk| Outcome::Step(step::DATA, chunk))
}

/// What a request for a WebSocket route is.
enum Handshake {
    /// No request for a WebSocket: the route does not apply (contract 2.1).
    Absent,
    /// It breaks a rule of RFC 6455 §4.2.1.
    Refused { status: &'static str, text: String },
    /// A valid opening handshake.
    Valid,
}

fn is_upgrade(exchange: &Exchange, behavior: &Behavior) -> Handshake {
    let key = exchange.request_field(b"sec-websocket-key");
    if key.is_none_or(|key| key.len() != 24) {
        return Handshake::Absent;
    }
    let joined = |name: &[u8]| exchange.joined_request_field(name);
    let (version, key) = (joined(b"sec-websocket-version"), joined(b"sec-websocket-key"));
    let (upgrade, connection) = (joined(b"upgrade"), joined(b"connection"));
    let extensions = joined(b"sec-websocket-extensions");
    // RFC 6455 §9.1: a malformed list fails the handshake. Of no interest where none of it would be looked at.
    let negotiate = |compression: Compression| compression.negotiate(&extensions.unwrap_or_default());
    let checked =
        check_upgrade(version.as_deref(), upgrade.as_deref(), connection.as_deref(), key.as_deref())
            .and_then(|()| check_request(exchange.version, exchange.body_length));
    match checked {
        Ok(()) => match behavior.compression.map_or(Ok(None), negotiate) {
            Ok(_) => Handshake::Valid,
            Err(malformed) => Handshake::Refused { status: "400 Bad Request", text: malformed.to_string() },
        },
        Err(error) => {
            let status = if error.status() == 426 { "426 Upgrade Required" } else { "400 Bad Request" };
            Handshake::Refused { status, text: error.to_string() }
        }
    }
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
const HTML: &[u8] = b"Content-Type: text/html\r\n";
const NOT_FOUND: &[u8] = b"<!DOCTYPE html><title>404</title><h1>File Not Found</h1>";
