//! Events of WebSockets.

use std::borrow::Cow;
use std::time::Duration;

use crate::bridge::command::Command;
use crate::bridge::event::{Payload, Slice, WebSocketEvent};
use crate::bridge::id::ConnectionId;
use crate::bridge::moment::Moment;
use crate::bridge::traffic::Report;
use crate::node::abi::{Handlers, Register, absent, step};
use crate::node::environment::Environment;
use crate::node::js::{Env, Registers, Value};
use crate::node::state::handles::JsHandle;
use crate::node::state::live::{Closed, Live};
use crate::node::state::pending::PendingEvent;
use crate::node::turn::Step;
use crate::protocol::cause::CloseCause;
use crate::protocol::websocket::MessageKind;

/// Handles an event of a WebSocket.
pub(crate) fn handle<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    connection: ConnectionId,
    event: WebSocketEvent,
) -> Option<Step<'c>> {
    match event {
        WebSocketEvent::MessageReceived { kind, payload } => {
            message(environment, env, connection, kind, payload)
        }
        WebSocketEvent::PingReceived { payload } => {
            control(environment, env, connection, payload, (Handlers::PING, step::PING))
        }
        WebSocketEvent::PongReceived { payload } => {
            control(environment, env, connection, payload, (Handlers::PONG, step::PONG))
        }
        WebSocketEvent::MessageDropped { kind, payload, unreported } => {
            message_dropped(environment, env, connection, (kind, payload), unreported)
        }
        WebSocketEvent::Drained => drained(environment, connection),
        WebSocketEvent::Written { count } => written(environment, connection, count),
        WebSocketEvent::Closed { code, cause, reason } => {
            // What the handlers sent in answer to earlier messages precedes this command: the session may now send its
            // Close frame.
            environment.workers.push(connection.worker, Command::ConcludeWebSocket { connection });
            closed(environment, env, connection, (code, cause), reason)
        }
    }
}

/// A message has arrived.
fn message<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    connection: ConnectionId,
    kind: MessageKind,
    payload: Payload,
) -> Option<Step<'c>> {
    let (handle, handlers) = handlers_of(&environment.live, connection)?;
    if !handlers.has(Handlers::MESSAGE) {
        return None;
    }
    environment.registers.set(Register::Slot, f64::from(handle.slot));
    environment.registers.set(Register::IsBinary, f64::from(u8::from(kind == MessageKind::Binary)));
    let payload = environment.dispatcher.payload(payload);
    let wants_string = kind == MessageKind::Text && handlers.has(Handlers::TEXT_AS_STRING);
    let message = if wants_string { env.string(payload) } else { env.array_buffer(payload) };
    Some((step::MESSAGE, message))
}

/// A Ping or a Pong has arrived.
fn control<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    connection: ConnectionId,
    payload: Slice,
    (handler, step): (u32, f64),
) -> Option<Step<'c>> {
    let (handle, handlers) = handlers_of(&environment.live, connection)?;
    if !handlers.has(handler) {
        return None;
    }
    environment.registers.set(Register::Slot, f64::from(handle.slot));
    Some((step, env.array_buffer(payload.of(environment.dispatcher.bytes()))))
}

/// A published message was dropped, and before it so many that were not reported.
fn message_dropped<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    connection: ConnectionId,
    (kind, payload): (MessageKind, Slice),
    unreported: u32,
) -> Option<Step<'c>> {
    let (handle, handlers) = handlers_of(&environment.live, connection)?;
    if !handlers.has(Handlers::DROPPED) && !environment.dispatcher.reports_drops {
        return None;
    }
    let payload = payload.of(environment.dispatcher.bytes());
    Some(dropped_step(&mut environment.registers, env, (handle, kind), payload, unreported))
}

/// A message to this WebSocket was dropped, and before it so many that were not reported.
pub(crate) fn dropped_step<'c>(
    registers: &mut Registers<Register>,
    env: Env<'c>,
    (handle, kind): (JsHandle, MessageKind),
    payload: &[u8],
    unreported: u32,
) -> Step<'c> {
    registers.set(Register::Slot, f64::from(handle.slot));
    registers.set(Register::IsBinary, f64::from(u8::from(kind == MessageKind::Binary)));
    registers.set(Register::Unreported, f64::from(unreported));
    (step::MESSAGE_DROPPED, env.array_buffer(payload))
}

/// Nothing waits for the peer any more.
fn drained<'c>(environment: &mut Environment, connection: ConnectionId) -> Option<Step<'c>> {
    let Environment { live, workers, registers, .. } = environment;
    let (handle, _) = live.socket_of(connection)?;
    let socket = live.socket_mut(handle)?;
    if !socket.take_drain(workers) || !socket.has(Handlers::DRAIN) {
        return None;
    }
    registers.set(Register::Slot, f64::from(handle.slot));
    Some((step::DRAIN, Value::UNDEFINED))
}

/// Output that Node's thread waits for is written.
fn written<'c>(environment: &mut Environment, connection: ConnectionId, count: u32) -> Option<Step<'c>> {
    let Environment { live, registers, .. } = environment;
    let (handle, _) = live.socket_of(connection)?;
    registers.set(Register::Slot, f64::from(handle.slot));
    registers.set(Register::Waits, f64::from(count));
    Some((step::WRITTEN, Value::UNDEFINED))
}

/// A WebSocket is closed.
fn closed<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    connection: ConnectionId,
    (code, cause): (u16, CloseCause),
    reason: Slice,
) -> Option<Step<'c>> {
    let (handle, _) = environment.live.socket_of(connection)?;
    let moment = environment.dispatcher.batch()?.moment;
    close(environment, handle, (code, cause), moment);
    Some((step::CLOSE, env.array_buffer(reason.of(environment.dispatcher.bytes()))))
}

/// Closes a WebSocket for JavaScript, and returns the step that runs its handlers. `reason` is that in words, where the
/// peer gave some.
pub(crate) fn close_step<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    handle: JsHandle,
    (cause, reason): (CloseCause, Option<String>),
    moment: Moment,
) -> Option<Step<'c>> {
    let app = environment.live.socket_mut(handle)?.app;
    let (code, text) = environment.shutdowns.close_status(app, cause);
    let reason = reason.map_or(text, Cow::Owned);
    close(environment, handle, (code, cause), moment);
    Some((step::CLOSE, env.array_buffer(reason.as_bytes())))
}

/// Closes a WebSocket for JavaScript: counts it, and sets the registers for its handlers. `moment` is when it closed.
pub(crate) fn close(
    environment: &mut Environment,
    handle: JsHandle,
    (code, cause): (u16, CloseCause),
    moment: Moment,
) {
    let Environment { live, pubsub, apps, registers, pending, workers, .. } = environment;
    let Some(Closed { app, left, report }) = live.close_socket(handle, moment, pubsub) else { return };
    if let Some(app) = apps.get_mut(app.app)
        && let Some(pattern) = app.stats.note_closed(cause, &report)
    {
        let (cause, seconds, text) = (pattern.cause.verdict().name, pattern.seconds(), pattern.text());
        if let Some(journal) = workers.journal() {
            journal.scope(|| {
                tracing::warn!(
                    cause,
                    seconds,
                    remedy = text,
                    "connections are cut after a fixed time of silence"
                );
            });
        }
        if app.warns_of_cuts {
            pending.add(PendingEvent::Warning { code: PATTERN_WARNING, text }, workers);
        }
    }
    registers.set(Register::Slot, f64::from(handle.slot));
    registers.set(Register::Code, f64::from(code));
    registers.set(Register::Cause, f64::from(cause.number()));
    registers.set(Register::TopicsLeft, left as f64);
    set_report(registers, report);
}

/// The code of the warning of a pattern.
const PATTERN_WARNING: &str = "FERROWS_CUT";

/// Sets the registers for what is reported about a WebSocket.
fn set_report(registers: &mut Registers<Register>, Report { open_for, facts }: Report) {
    registers.set(Register::OpenFor, millis(open_for));
    registers.set(Register::SilentFor, millis(facts.silent_for));
    registers.set(Register::QuietFor, millis(facts.quiet_for));
    registers.set(Register::UnansweredPings, f64::from(facts.unanswered_pings));
    registers.set(Register::RoundTrip, facts.round_trip.map_or(absent::NONE, millis));
    registers.set(Register::BytesReceived, facts.bytes.0 as f64);
    registers.set(Register::BytesSent, facts.bytes.1 as f64);
    registers.set(Register::MessagesReceived, f64::from(facts.messages.0));
    registers.set(Register::MessagesSent, f64::from(facts.messages.1));
}

/// Whole milliseconds.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_millis() as f64
}

/// The WebSocket of a connection, and which handlers it has.
fn handlers_of(live: &Live, connection: ConnectionId) -> Option<(JsHandle, Handlers)> {
    live.socket_of(connection).map(|(handle, socket)| (handle, socket.behavior.handlers))
}
