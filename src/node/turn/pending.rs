//! Events that the application itself causes (`state/pending`): the call adds its event together with the change of
//! state, and [`take`] turns the event into a step for JavaScript.

use super::{Step, connection, response, websocket};
use crate::io::worker::clock::present;
use crate::node::abi::{Register, step};
use crate::node::environment::Environment;
use crate::node::js::{Env, Value};
use crate::node::state::handles::JsHandle;
use crate::node::state::live::exchange::Stage;
use crate::node::state::pending::PendingEvent;
use crate::node::state::topics::Change;
use crate::protocol::cause::CloseCause;

/// Closes a WebSocket: sends its worker the command, and adds the event for its handlers. `close_frame` are code and
/// reason of the Close frame, if one is sent. Does nothing if it was closed before.
pub(crate) fn close_socket(
    environment: &mut Environment,
    handle: JsHandle,
    cause: CloseCause,
    close_frame: Option<(u16, Vec<u8>)>,
) {
    let Environment { live, workers, pending, .. } = environment;
    let frame = close_frame.as_ref().map(|(code, reason)| (*code, &reason[..]));
    if live.socket_mut(handle).is_some_and(|socket| socket.close(cause, frame, workers)) {
        pending.add(PendingEvent::Close { socket: handle, cause, close_frame }, workers);
        workers.settle();
    }
}

/// Aborts a response: sends its worker the command, and adds the event for its handler. Does nothing if it was aborted
/// before.
pub(crate) fn abort_response(environment: &mut Environment, handle: JsHandle) {
    let Environment { live, workers, pending, .. } = environment;
    if live.exchange_mut(handle).is_some_and(|exchange| exchange.close(workers)) {
        pending.add(PendingEvent::Abort { exchange: handle, cause: CloseCause::ApplicationClosed }, workers);
        workers.settle();
    }
}

/// Takes the first event from the position `mark` on that still applies, as a step for JavaScript.
pub(crate) fn take<'c>(environment: &mut Environment, env: Env<'c>, mark: usize) -> Option<Step<'c>> {
    while let Some(event) = environment.pending.take(mark) {
        let step = match event {
            PendingEvent::Open(socket) => open_step(environment, socket),
            PendingEvent::Close { socket, cause, close_frame } => {
                close_step(environment, env, socket, cause, close_frame)
            }
            PendingEvent::Abort { exchange, cause } => abort_step(environment, env, exchange, cause),
            PendingEvent::ConnectionClosed(connection) => connection::forget(environment, connection),
            PendingEvent::Subscription { socket, change } => {
                subscription_step(environment, env, socket, &change)
            }
            PendingEvent::Dropped { socket, kind, payload } => {
                let is_open = environment.live.is_open(socket);
                let registers = &mut environment.registers;
                is_open.then(|| websocket::dropped_step(registers, env, (socket, kind), &payload, 0))
            }
            PendingEvent::Warning { code, text } => {
                let items = [code, &text].map(|item| env.string(item.as_bytes()));
                Some((step::WARNING, env.array(items)))
            }
            PendingEvent::Told => None,
        };
        if step.is_some() {
            return step;
        }
    }
    None
}

fn open_step<'c>(environment: &mut Environment, socket: JsHandle) -> Option<Step<'c>> {
    if !environment.live.is_open(socket) {
        return None;
    }
    environment.registers.set(Register::Handle, socket.to_number());
    Some((step::UPGRADED, Value::UNDEFINED))
}

fn close_step<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    handle: JsHandle,
    cause: CloseCause,
    close_frame: Option<(u16, Vec<u8>)>,
) -> Option<Step<'c>> {
    let is_closing = environment.live.socket_mut(handle)?.is_closing;
    match close_frame {
        // A handler of this `app.close()` has closed it with an event of its own.
        None if is_closing && cause != CloseCause::ApplicationClosed => None,
        None => websocket::close_step(environment, env, handle, (cause, None), present()),
        Some((code, mut reason)) => {
            if reason.is_empty() {
                reason.extend_from_slice(cause.verdict().text.as_bytes());
            }
            websocket::close(environment, handle, (code, cause), present());
            Some((step::CLOSE, env.array_buffer(&reason)))
        }
    }
}

fn abort_step<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    handle: JsHandle,
    cause: CloseCause,
) -> Option<Step<'c>> {
    let exchange = environment.live.exchange_mut(handle)?;
    let cause = match std::mem::take(&mut exchange.is_closing) {
        true => CloseCause::ApplicationClosed,
        false if exchange.stage == Stage::Over => return None,
        false => cause,
    };
    response::abort_step(environment, env, handle, (cause, None), present())
}

fn subscription_step<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    socket: JsHandle,
    change: &Change,
) -> Option<Step<'c>> {
    if !environment.live.is_open(socket) {
        return None;
    }
    environment.registers.set(Register::Slot, f64::from(socket.slot));
    environment.registers.set(Register::CountNow, f64::from(change.new));
    environment.registers.set(Register::CountBefore, f64::from(change.old));
    Some((step::SUBSCRIPTION, env.array_buffer(&change.name)))
}
