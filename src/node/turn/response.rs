//! What workers tell of a response under way: the body of its request, room for its own, its end.

use crate::bridge::command::{Command, ResponseId};
use crate::bridge::event::Slice;
use crate::bridge::id::{ConnectionId, RequestNumber};
use crate::node::abi::{Register, step};
use crate::node::environment::Environment;
use crate::node::js::{Env, Value};
use crate::node::state::handles::Handle;
use crate::node::turn::{Step, websocket};
use crate::protocol::cause::CloseCause;

/// A piece of a request's body has come.
pub fn body_received<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    (connection, request): (ConnectionId, RequestNumber),
    data: Slice,
    last: bool,
) -> Option<Step<'c>> {
    let handle = environment.occupants.exchange(connection, request)?;
    let piece = environment.receive_body(env, handle, data.range(), last)?;
    Some((step::DATA, piece))
}

/// The handler of a request's body was attached after some of it had come.
pub fn late_body<'c>(environment: &mut Environment, env: Env<'c>, handle: Handle) -> Option<Step<'c>> {
    Some((step::DATA, environment.late_body(env, handle)?))
}

/// There is room for more of a response's body.
pub fn writable<'c>(
    environment: &mut Environment,
    connection: ConnectionId,
    request: RequestNumber,
) -> Option<Step<'c>> {
    let handle = environment.occupants.exchange(connection, request)?;
    let exchange = environment.exchanges.get_mut(handle)?;
    if !exchange.output.take_writable() {
        return None;
    }
    environment.registers.set(Register::Slot, f64::from(handle.slot));
    environment.registers.set(Register::Offset, exchange.output.written as f64);
    Some((step::WRITABLE, Value::UNDEFINED))
}

/// The connection of a response is gone.
pub fn aborted<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    (connection, request): (ConnectionId, RequestNumber),
    cause: CloseCause,
) -> Option<Step<'c>> {
    if let Some(handle) = environment.occupants.exchange(connection, request) {
        // A worker that has seen FIN keeps the connection for answers that were under way; there will be none.
        let to = ResponseId { connection, request };
        environment.workers.push(connection.worker, Command::AbortResponse { to });
        return abort_step(environment, env, handle, cause);
    }
    // The response became a WebSocket in the meantime: its connection was dead before the 101 could be written.
    let handle = environment.occupants.socket(connection)?;
    let cause = if cause == CloseCause::FinBeforeResponse { CloseCause::FinWithoutClose } else { cause };
    websocket::close_step(environment, env, handle, cause)
}

/// The response is aborted as far as JavaScript is concerned.
pub fn abort_step<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    handle: Handle,
    cause: CloseCause,
) -> Option<Step<'c>> {
    let exchange = environment.exchanges.get(handle)?;
    let (app, written) = (exchange.app, exchange.output.written);
    let (_, reason) = environment.shutdowns.farewell(app, cause);
    if let Some(stats) = environment.apps.stats(app) {
        stats.note_aborted(cause);
    }
    environment.finish_exchange(handle);
    environment.registers.set(Register::Offset, written as f64);
    environment.registers.set(Register::Slot, f64::from(handle.slot));
    environment.registers.set(Register::Cause, f64::from(cause.number()));
    Some((step::ABORT, env.string(reason.as_bytes())))
}
