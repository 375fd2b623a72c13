//! The body of a response: whole (`end`), in pieces of any length (`write`), or in pieces up to an announced length of
//! which only as much is taken as there is room for (`tryEnd`).

use std::ops::Range;

use crate::bridge::command::Command;
use crate::bridge::event::Slice;
use crate::bridge::id::WorkerId;
use crate::bridge::ledger::Ledger;
use crate::bridge::sync::Arc;
use crate::node::calls::http_response::{Exchange, Stage, append_payload};
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::Payload;
use crate::node::js::{Env, Type, Value};
use crate::node::state::burst::Burst;
use crate::node::state::handles::Handle;
use crate::node::turn::cached_route::{keep_recording, record};
use crate::protocol::http::encode::{FieldFlags, Framing};

/// What has been accepted of the body of a response.
#[derive(Debug)]
pub struct Output {
    /// Body bytes.
    pub written: u64,
    /// The application wants nothing read (`res.pause()`).
    pub is_paused: bool,
    /// What the worker has done of it; `None` unless the body comes in pieces.
    ledger: Option<Arc<Ledger>>,
    /// Bytes that may be on their way to the kernel. Grows while the client keeps up, so that it never waits for the next
    /// piece, and shrinks while it does not.
    window: u64,
    /// The most that `window` grows to.
    widest: u64,
    /// Bytes that had been accepted when the worker was last asked how it gets on.
    looked: u64,
    /// Bytes that had been accepted when they were last handed over before the handler had returned.
    handed: u64,
    /// What the handler that wrote last has written.
    burst: Burst,
    /// The length that the first `tryEnd` announced.
    total: Option<u64>,
    /// Whether the application has to wait.
    wait: Wait,
    /// An `onWritable` handler is attached.
    is_attached: bool,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            written: 0,
            is_paused: false,
            ledger: None,
            window: FIRST_WINDOW,
            widest: WIDEST_WINDOW,
            looked: 0,
            handed: 0,
            burst: Burst::default(),
            total: None,
            wait: Wait::None,
            is_attached: false,
        }
    }
}

/// Whether the application has been told that there is no room. Whoever has been told so hears of it when there is room
/// again, if it wants to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wait {
    /// It has not.
    #[default]
    None,
    /// It has, and the worker will say when there is room.
    Asked,
    /// It has, and there is room, but there was no handler to tell.
    Untold,
}

impl Output {
    /// Bytes that may be accepted now, as far as is known.
    fn room(&self, asked: u64) -> u64 {
        if self.burst.excess(asked) > 0 {
            return 0;
        }
        let held = self.ledger.as_ref().map_or(0, |ledger| ledger.held(self.written));
        self.window.saturating_sub(held)
    }

    /// Whether there may be more room than is known, so that the worker should be asked. Once for each time that as much was
    /// written, whatever came of it.
    fn is_worth_a_look(&self) -> bool {
        let backlog = self.ledger.as_ref().map_or(0, |ledger| ledger.backlog());
        backlog < self.window && self.written - self.looked >= LOOK_FROM
    }

    /// Whether the worker should begin to write, while the handler goes on: otherwise neither would do anything while the other
    /// does, and the handler would have to wait for all of it.
    fn is_enough_to_begin_with(&mut self) -> bool {
        let is_enough = self.written - self.handed >= self.window / 4;
        if is_enough {
            self.handed = self.written;
        }
        is_enough
    }

    /// The worker says that there is room.
    fn adapt(&mut self) {
        let Some(ledger) = &self.ledger else { return };
        self.window = if ledger.backlog() == 0 {
            (self.window * 2).min(self.widest)
        } else {
            (self.window / 2).max(NARROWEST_WINDOW)
        };
    }

    /// The worker says that there is room. Returns whether a handler is to be told.
    pub fn take_writable(&mut self) -> bool {
        self.adapt();
        let tell = self.wait != Wait::None && self.is_attached;
        if tell {
            self.wait = Wait::None;
        } else if self.wait == Wait::Asked {
            self.wait = Wait::Untold;
        }
        tell
    }

    /// Whether the accepted body has the length that was announced, if one was.
    #[must_use]
    pub fn is_as_announced(&self) -> bool {
        self.total.is_none_or(|total| total == self.written)
    }
}

impl Environment {
    /// Sends the head, unless that has happened.
    fn start_response(&mut self, handle: Handle, framing: Framing) {
        let Some(exchange) = self.exchanges.get_mut(handle) else { return };
        if exchange.stage == Stage::Waiting {
            exchange.stage = Stage::Started;
            if let Some((to, head)) = self.take_head(handle, framing) {
                self.workers.push(to.connection.worker, Command::StartResponse { to, head, framing });
            }
        }
    }

    /// The same, for a body that follows in pieces.
    fn start_body(&mut self, handle: Handle, framing: Framing) {
        self.start_response(handle, framing);
        let Some(exchange) = self.exchanges.get_mut(handle) else { return };
        if exchange.output.ledger.is_none() {
            let ledger = Arc::new(Ledger::default());
            exchange.output.ledger = Some(Arc::clone(&ledger));
            let to = exchange.to;
            self.workers.push(to.connection.worker, Command::MeterResponse { to, ledger });
        }
    }

    /// Accepts a piece of the body.
    fn write_piece(&mut self, handle: Handle, data: Slice) {
        let asked = self.dispatcher.asked;
        let Some(exchange) = self.exchanges.get_mut(handle) else { return };
        let to = exchange.to;
        exchange.output.written += u64::from(data.len);
        let is_long = exchange.output.burst.add(u64::from(data.len), asked);
        let is_enough = exchange.output.is_enough_to_begin_with();
        record(exchange, data, &mut self.workers);
        self.workers.push(to.connection.worker, Command::WriteBody { to, data });
        if is_enough {
            self.workers.hand_over(to.connection.worker);
        }
        if is_long {
            // Written from a timer, a promise or a stream: without a turn of the dispatcher it would never end.
            self.workers.ring();
        }
    }

    /// Bytes that may be accepted now. What is merely on its way to the worker may well be taken by the kernel at once:
    /// before the application is told that there is no room, the worker is given the time to find out.
    fn find_room(&mut self, handle: Handle) -> u64 {
        let asked = self.dispatcher.asked;
        let Some(exchange) = self.exchanges.get_mut(handle) else { return 0 };
        let room = exchange.output.room(asked);
        if room > 0 || !exchange.output.is_worth_a_look() {
            return room;
        }
        exchange.output.looked = exchange.output.written;
        let connection = exchange.to.connection;
        self.workers.look_at(connection);
        self.exchanges.get(handle).map_or(0, |exchange| exchange.output.room(asked))
    }

    /// The application is about to learn that there is no room: it will learn when there is.
    fn await_room(&mut self, handle: Handle) {
        let Some(exchange) = self.exchanges.get_mut(handle) else { return };
        if exchange.output.wait != Wait::Asked {
            exchange.output.wait = Wait::Asked;
            let to = exchange.to;
            self.workers.push(to.connection.worker, Command::NotifyWritable { to });
        }
    }

    /// Somebody can be told now: makes up for what could not be told before.
    fn make_up(&mut self, handle: Handle) {
        let is_due = self
            .exchanges
            .get(handle)
            .is_some_and(|exchange| exchange.output.wait == Wait::Untold && exchange.output.is_attached);
        if is_due {
            self.await_room(handle);
        }
    }
}

/// `resBeginWrite(response)`: sends the head of a response whose body will come by `write`.
pub fn begin_write<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (handle, exchange) = environment.response(call.number(0))?;
    refuse_announced(exchange, "beginWrite")?;
    environment.start_body(handle, Framing::Chunked);
    environment.workers.settle();
    Ok(Value::UNDEFINED)
}

/// `resWrite(response, chunk)`: accepts all of it. Returns `false` if the application should wait for `onWritable`.
pub fn write<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (handle, exchange) = environment.response(call.number(0))?;
    refuse_announced(exchange, "write")?;
    let worker = exchange.to.connection.worker;
    let data = append_payload(call, &mut environment.workers, worker, 1)?;
    if data.len == 0 {
        return Ok(call.env().from_bool(true));
    }
    environment.start_body(handle, Framing::Chunked);
    environment.write_piece(handle, data);
    let has_room = environment.find_room(handle) > 0;
    if !has_room {
        environment.await_room(handle);
    }
    environment.workers.settle();
    Ok(call.env().from_bool(has_room))
}

/// After `tryEnd` has announced a length there are no chunks.
fn refuse_announced(exchange: &Exchange, method: &str) -> Result<(), Misuse> {
    match exchange.output.total {
        Some(_) => Err(Misuse::invalid_state(format!("{method} cannot follow tryEnd"))),
        None => Ok(()),
    }
}

/// `resTryEnd(response, chunk, totalSize)`: accepts what there is room for. Returns 1 if that is all of the chunk, plus 2
/// if the response is complete.
pub fn try_end<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let mut guard = call.environment()?;
    let environment = &mut *guard;
    let (handle, exchange) = environment.response(call.number(0))?;
    let announced = whole_number(env, call.argument(2), "totalSize")?.filter(|total| *total > 0);
    let chunk = Payload::of(env, call.argument(1))?;
    let length = chunk.length() as u64;
    let (to, written) = (exchange.to, exchange.output.written);
    if exchange.stage == Stage::Started && exchange.output.total.is_none() {
        return Err(Misuse::invalid_state("tryEnd cannot follow write"));
    }
    let total = exchange.output.total.or(announced).unwrap_or(length);
    if length > total - written {
        let text = format!("chunk has {length} bytes, but only {} of totalSize are left", total - written);
        return Err(Misuse::out_of_range(text));
    }

    let is_whole = exchange.stage == Stage::Waiting && length == total;
    let (is_all, is_complete) = if is_whole && length <= environment.find_room(handle) {
        environment.workers.flush_if_long();
        let data = environment.copy_piece(to.connection.worker, &chunk, 0..chunk.length());
        if let Some(exchange) = environment.exchanges.get_mut(handle) {
            record(exchange, data, &mut environment.workers);
        }
        if let Some((to, head)) = environment.take_head(handle, Framing::Length(total)) {
            let command = Command::Respond { to, head, body: data, close: false };
            environment.workers.push(to.connection.worker, command);
        }
        (true, true)
    } else {
        environment.start_body(handle, Framing::Length(total));
        if let Some(exchange) = environment.exchanges.get_mut(handle) {
            exchange.output.total = Some(total);
        }
        let taken = environment.write_as_far_as_there_is_room(handle, &chunk);
        let is_complete = written + taken == total;
        if is_complete {
            environment.workers.push(to.connection.worker, Command::FinishResponse { to, close: false });
        }
        (taken == length, is_complete)
    };
    if is_complete {
        if let Some(exchange) = environment.exchanges.get_mut(handle) {
            keep_recording(exchange, &mut environment.routes);
        }
        environment.finish_exchange(handle);
    } else if !is_all {
        environment.await_room(handle);
    }
    environment.workers.settle();
    Ok(env.from_number(f64::from(u8::from(is_all) + 2 * u8::from(is_complete))))
}

impl Environment {
    /// Accepts as much of a chunk as there is room for. Returns how many bytes that are.
    fn write_as_far_as_there_is_room(&mut self, handle: Handle, chunk: &Payload<'_>) -> u64 {
        let Some(worker) = self.exchanges.get(handle).map(|exchange| exchange.to.connection.worker) else {
            return 0;
        };
        let mut taken = 0;
        while taken < chunk.length() {
            let room = usize::try_from(self.find_room(handle)).unwrap_or(usize::MAX);
            if room == 0 {
                break;
            }
            self.workers.flush_if_long();
            let part = taken..chunk.length().min(taken.saturating_add(room));
            taken = part.end;
            let data = self.copy_piece(worker, chunk, part);
            self.write_piece(handle, data);
        }
        taken as u64
    }

    /// Copies a part of a chunk for the next command to `worker`.
    fn copy_piece(&mut self, worker: WorkerId, chunk: &Payload<'_>, part: Range<usize>) -> Slice {
        let arena = self.workers.arena(worker);
        let start = arena.len();
        chunk.append(&part, arena);
        Slice::tail(arena, start)
    }
}

/// `resOffset(response)`: body bytes accepted so far.
pub fn write_offset<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let written = environment.response(call.number(0))?.1.output.written;
    Ok(call.env().from_number(written as f64))
}

/// `resAttachWritable(response)`: an `onWritable` handler is attached.
pub fn attach_writable<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (handle, exchange) = environment.response(call.number(0))?;
    exchange.output.is_attached = true;
    environment.make_up(handle);
    environment.workers.settle();
    Ok(Value::UNDEFINED)
}

/// `resNarrow(response)`: as little as possible of the body is to wait in memory, for who can have it again at any time.
/// Before its first piece.
pub fn narrow<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (_, exchange) = environment.response(call.number(0))?;
    exchange.output.widest = NARROWEST_WINDOW;
    exchange.output.window = NARROWEST_WINDOW;
    Ok(Value::UNDEFINED)
}

/// `resPause(response)`: reads no more. `onWritable` goes on: who answers a request while reading it pauses until there is
/// room again, and would wait for ever if it were not told.
pub fn pause<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (_, exchange) = environment.response(call.number(0))?;
    let to = exchange.to;
    if !std::mem::replace(&mut exchange.output.is_paused, true) && !exchange.body.is_paused() {
        environment.workers.push(to.connection.worker, Command::PauseReading { to });
        // At once: the worker goes on reading until it knows.
        environment.workers.flush();
    }
    Ok(Value::UNDEFINED)
}

/// `resResume(response)`
pub fn resume<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (_, exchange) = environment.response(call.number(0))?;
    let to = exchange.to;
    if std::mem::take(&mut exchange.output.is_paused) && !exchange.body.is_paused() {
        environment.workers.push(to.connection.worker, Command::ResumeReading { to });
    }
    environment.workers.settle();
    Ok(Value::UNDEFINED)
}

/// `resEnd(response, body, closeConnection)`
pub fn end<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let environment = &mut *guard;
    let (handle, exchange) = environment.response(call.number(0))?;
    let (to, stage, worker) = (exchange.to, exchange.stage, exchange.to.connection.worker);
    let body = append_payload(call, &mut environment.workers, worker, 1)?;
    let close = call.truthy(2);
    if stage == Stage::Waiting {
        if let Some(exchange) = environment.exchanges.get_mut(handle) {
            record(exchange, body, &mut environment.workers);
        }
        let framing = Framing::Length(u64::from(body.len));
        if let Some((to, head)) = environment.take_head(handle, framing) {
            environment.workers.push(worker, Command::Respond { to, head, body, close });
        }
    } else {
        if body.len > 0 {
            environment.write_piece(handle, body);
        }
        environment.workers.push(worker, Command::FinishResponse { to, close });
    }
    if let Some(exchange) = environment.exchanges.get_mut(handle) {
        keep_recording(exchange, &mut environment.routes);
    }
    environment.finish_exchange(handle);
    environment.workers.settle();
    Ok(Value::UNDEFINED)
}

/// `resEndWithoutBody(response, reportedContentLength, closeConnection)`
pub fn end_without_body<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (handle, exchange) = environment.response(call.number(0))?;
    let framing = match whole_number(call.env(), call.argument(1), "reportedContentLength")? {
        Some(length) => Framing::Length(length),
        None => Framing::None,
    };
    let close = call.truthy(2);
    let to = exchange.to;
    if close && exchange.stage == Stage::Waiting && !exchange.flags.has(FieldFlags::CONNECTION) {
        exchange.fields.extend_from_slice(b"Connection: close\r\n");
        exchange.flags = exchange.flags | FieldFlags::CONNECTION;
    }
    environment.start_response(handle, framing);
    environment.workers.push(to.connection.worker, Command::FinishResponse { to, close });
    environment.finish_exchange(handle);
    environment.workers.settle();
    Ok(Value::UNDEFINED)
}

/// A number or a numeric string, both of which uWebSockets.js takes; `None` for nothing.
fn whole_number(env: Env<'_>, value: Value<'_>, name: &str) -> Result<Option<u64>, Misuse> {
    let number = match env.type_of(value) {
        Type::Nothing => return Ok(None),
        Type::Number => env.number(value),
        Type::String => {
            let mut text = Vec::new();
            env.append_string(value, &mut text);
            std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok())
        }
        Type::Boolean | Type::Other => None,
    };
    match number {
        // Integers up to 2^53 are exact.
        Some(number) if (0.0..=9_007_199_254_740_991.0).contains(&number) && number.fract() == 0.0 => {
            Ok(Some(number as u64))
        }
        Some(_) => Err(Misuse::out_of_range(format!("{name} must be an integer from 0 to 2^53-1"))),
        None => Err(Misuse::invalid_type(format!("{name} must be a number"))),
    }
}

/// Bytes of a body in pieces that may be on their way to the kernel, or wait behind it: `tryEnd` accepts no more, and `write`
/// asks to wait.
const FIRST_WINDOW: u64 = 256 * 1024;
/// The same for a client that has kept up for a while: of the order of the kernel's own largest buffers.
const WIDEST_WINDOW: u64 = 1024 * 1024;
/// The same for a client that has not. Twice what the worker still has when it says that there is room.
const NARROWEST_WINDOW: u64 = 128 * 1024;
/// Bytes that were written since the worker was last asked how it gets on, from which on it is asked again.
const LOOK_FROM: u64 = NARROWEST_WINDOW / 2;
