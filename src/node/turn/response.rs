//! Events of a response under way: pieces of the body of its request, room for its own body, its abort.

use std::borrow::Cow;

use crate::bridge::command::{BodyPiece, Command, LentCommand, ResponseId};
use crate::bridge::event::{BodyOffer, Payload, Slice};
use crate::bridge::id::{ConnectionId, RequestNumber};
use crate::bridge::moment::Moment;
use crate::node::abi::{Register, piece, step};
use crate::node::environment::Environment;
use crate::node::js::{Env, Registers, Value};
use crate::node::state::handles::JsHandle;
use crate::node::state::live::exchange::{Exchange, Stage};
use crate::node::state::live::request_body::BodyDelivery;
use crate::node::turn::{Step, websocket};
use crate::protocol::cause::CloseCause;

/// A piece of a request's body has arrived.
pub(crate) fn body_received<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    (connection, request): (ConnectionId, RequestNumber),
    data: Payload,
    last: bool,
) -> Option<Step<'c>> {
    let Environment { live, workers, dispatcher, registers, .. } = environment;
    let handle = live.exchange_of(connection, request)?;
    let exchange = live.exchange_mut(handle)?;
    exchange.received += u64::from(data.len());
    let delivery = exchange.body.receive(dispatcher.payload(data), last);
    let step = data_step(env, handle, delivery, registers);
    if exchange.body.must_pause() {
        let to = exchange.to;
        workers.push(to.connection.worker, Command::PauseReading { to });
        // Handed over at once: the worker reads on until it has the command.
        workers.flush();
    }
    step
}

/// A piece of a request's body lies in the socket: reads it into the buffer that the handler gets.
pub(crate) fn body_offered<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    (connection, request): (ConnectionId, RequestNumber),
    (offer, len): (BodyOffer, u32),
) -> Option<Step<'c>> {
    let Environment { live, workers, registers, .. } = environment;
    let handle = live.exchange_of(connection, request)?;
    let exchange = live.exchange_mut(handle)?;
    let read = |memory: &mut [u8]| {
        let mut taken = None;
        workers.lend(
            connection.worker,
            LentCommand::ReadBody { connection, offer, memory: &mut *memory, taken: &mut taken },
        );
        // Less than was offered, which a system could do, needs a buffer of that length.
        taken.map(|taken: BodyPiece| {
            let shorter = (taken.length < memory.len()).then(|| env.array_buffer(&memory[..taken.length]));
            (taken, shorter)
        })
    };
    let filled =
        exchange.body.passes_pieces().then(|| env.array_buffer_filled_by(len as usize, read)).flatten();
    let Some((buffer, taken)) = filled else {
        workers.push(connection.worker, Command::DeclineBody { to: exchange.to });
        return None;
    };
    let (BodyPiece { length, last }, shorter) = taken?;
    exchange.received += length as u64;
    let kind = if exchange.body.pass(length, last) { piece::LAST } else { piece::MORE_FOLLOWS };
    registers.set(Register::Slot, f64::from(handle.slot));
    registers.set(Register::Piece, kind);
    Some((step::DATA, shorter.unwrap_or(buffer)))
}

/// The handler of a request's body was attached after some of it had arrived.
pub(crate) fn late_body<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    handle: JsHandle,
) -> Option<Step<'c>> {
    let Environment { live, registers, .. } = environment;
    let exchange = live.exchange_mut(handle).filter(|exchange| exchange.stage != Stage::Over)?;
    data_step(env, handle, exchange.body.take(), registers)
}

/// The step that calls the handler of a body, if there is something for it.
fn data_step<'c>(
    env: Env<'c>,
    handle: JsHandle,
    delivery: BodyDelivery<'_>,
    registers: &mut Registers<Register>,
) -> Option<Step<'c>> {
    let (kind, bytes) = match delivery {
        BodyDelivery::Nothing => return None,
        BodyDelivery::Piece { bytes, last: true } => (piece::LAST, env.array_buffer(&bytes)),
        BodyDelivery::Piece { bytes, last: false } => (piece::MORE_FOLLOWS, env.array_buffer(&bytes)),
        BodyDelivery::TooLong => (piece::TOO_LONG, Value::UNDEFINED),
    };
    registers.set(Register::Slot, f64::from(handle.slot));
    registers.set(Register::Piece, kind);
    Some((step::DATA, bytes))
}

/// There is room for more of a response's body.
pub(crate) fn writable<'c>(
    environment: &mut Environment,
    connection: ConnectionId,
    request: RequestNumber,
) -> Option<Step<'c>> {
    let handle = environment.live.exchange_of(connection, request)?;
    let exchange = environment.live.exchange_mut(handle)?;
    if !exchange.output.take_writable() {
        return None;
    }
    environment.registers.set(Register::Slot, f64::from(handle.slot));
    environment.registers.set(Register::Offset, exchange.output.written as f64);
    Some((step::WRITABLE, Value::UNDEFINED))
}

/// The connection of a response has ended.
pub(crate) fn aborted<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    (connection, request): (ConnectionId, RequestNumber),
    cause: CloseCause,
    reason: Slice,
) -> Option<Step<'c>> {
    let reason = Some(reason.of(environment.dispatcher.bytes())).filter(|it| !it.is_empty());
    let reason = reason.map(|it| String::from_utf8_lossy(it).into_owned());
    if let Some(handle) = environment.live.exchange_of(connection, request) {
        // A worker that has received FIN keeps the connection open for responses under way; this one will not be sent.
        let to = ResponseId { connection, request };
        environment.workers.push(connection.worker, Command::AbortResponse { to });
        let moment = environment.dispatcher.batch()?.moment;
        return abort_step(environment, env, handle, (cause, reason), moment);
    }
    // The response became a WebSocket in the meantime: its connection was dead before the 101 could be written.
    let (handle, _) = environment.live.socket_of(connection)?;
    let cause = if cause == CloseCause::FinBeforeResponse { CloseCause::FinWithoutClose } else { cause };
    let moment = environment.dispatcher.batch()?.moment;
    websocket::close_step(environment, env, handle, (cause, reason), moment)
}

/// Sets the registers for what is reported about an aborted response.
pub(crate) fn set_report(exchange: &Exchange, moment: Moment, registers: &mut Registers<Register>) {
    registers.set(Register::OpenFor, websocket::millis(moment.since(exchange.arrived)));
    registers.set(Register::BytesReceived, exchange.received as f64);
    registers.set(Register::BytesSent, exchange.output.sent() as f64);
}

/// Aborts the response for JavaScript, and returns the step that runs its handler. `reason` is that in words, where the
/// peer gave some. `moment` is when it was aborted.
pub(crate) fn abort_step<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    handle: JsHandle,
    (cause, reason): (CloseCause, Option<String>),
    moment: Moment,
) -> Option<Step<'c>> {
    let exchange = environment.live.exchange(handle)?;
    let (app, written) = (exchange.app, exchange.output.written);
    set_report(exchange, moment, &mut environment.registers);
    let reason = reason.map_or_else(|| environment.shutdowns.close_status(app, cause).1, Cow::Owned);
    if let Some(stats) = environment.apps.stats(app) {
        stats.note_aborted(cause);
    }
    environment.live.finish(handle);
    let registers = &mut environment.registers;
    registers.set(Register::Offset, written as f64);
    registers.set(Register::Slot, f64::from(handle.slot));
    registers.set(Register::Cause, f64::from(cause.number()));
    Some((step::ABORT, env.string(reason.as_bytes())))
}
