//! What becomes of the events that the application itself causes (`state/pending`): the call adds its event together with
//! the change of state, and [`told`] turns the event into something for JavaScript to do.

use crate::bridge::command::Command;
use crate::node::abi::{Register, step};
use crate::node::calls::http_response::Stage;
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::{Env, Value};
use crate::node::state::handles::Handle;
use crate::node::state::pending::PendingEvent;
use crate::node::state::routes::behavior::Handlers;
use crate::node::state::topics::Change;
use crate::node::turn::{connection, response, websocket};
use crate::protocol::cause::CloseCause;

impl Environment {
    /// Closes a WebSocket: the worker is told now, JavaScript next. Nothing if that has happened.
    pub fn close_pending(&mut self, handle: Handle, cause: CloseCause, said: Option<(u16, Vec<u8>)>) {
        let Some(socket) = self.sockets.get_mut(handle) else { return };
        if std::mem::replace(&mut socket.is_closing, true) {
            return;
        }
        let connection = socket.connection;
        let command = match &said {
            Some((code, reason)) => {
                let reason = self.workers.copy(connection.worker, reason);
                Command::EndWebSocket { connection, cause, code: *code, reason }
            }
            None => Command::CloseWebSocket { connection },
        };
        self.workers.push(connection.worker, command);
        self.pending.add(PendingEvent::Close { socket: handle, cause, said }, &self.workers);
        self.workers.settle();
    }

    /// Aborts a response: the worker is told now, JavaScript next. Nothing if that has happened.
    pub fn abort_pending(&mut self, handle: Handle) {
        let Some(exchange) = self.exchanges.get_mut(handle) else { return };
        if std::mem::replace(&mut exchange.is_closing, true) {
            return;
        }
        exchange.stage = Stage::Over;
        let to = exchange.to;
        self.workers.push(to.connection.worker, Command::AbortResponse { to });
        self.pending.add(
            PendingEvent::Abort { exchange: handle, cause: CloseCause::ApplicationClosed },
            &self.workers,
        );
        self.workers.settle();
    }

    /// A WebSocket has subscribed or unsubscribed. Returns the place of the event, if there is a handler for it.
    pub fn add_subscription(&mut self, socket: Handle, change: Change) -> Option<usize> {
        let handlers = self.sockets.get(socket)?.behavior.handlers;
        let mark = self.pending.len();
        handlers.has(Handlers::SUBSCRIPTION).then(|| {
            self.pending.add(PendingEvent::Subscription { socket, change }, &self.workers);
            mark
        })
    }

    /// Takes the first event from the place `mark` on that is still true, as something for JavaScript to do.
    pub fn take_pending<'c>(&mut self, env: Env<'c>, mark: usize) -> Option<(f64, Value<'c>)> {
        while let Some(event) = self.pending.take(mark) {
            let step = match event {
                PendingEvent::Open(socket) => self.open_step(socket),
                PendingEvent::Close { socket, cause, said } => {
                    self.pending_close_step(env, socket, cause, said)
                }
                PendingEvent::Abort { exchange, cause } => self.pending_abort_step(env, exchange, cause),
                PendingEvent::ConnectionClosed(connection) => connection::forget(self, connection),
                PendingEvent::Subscription { socket, change } => self.subscription_step(env, socket, &change),
                PendingEvent::Dropped { socket, kind, payload } => self
                    .sockets
                    .get(socket)
                    .map(|_| websocket::dropped_step(&mut self.registers, env, (socket, kind), &payload, 0)),
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

    fn open_step<'c>(&mut self, socket: Handle) -> Option<(f64, Value<'c>)> {
        self.sockets.get(socket)?;
        self.registers.set(Register::Handle, socket.to_number());
        Some((step::UPGRADED, Value::UNDEFINED))
    }

    fn pending_close_step<'c>(
        &mut self,
        env: Env<'c>,
        handle: Handle,
        cause: CloseCause,
        said: Option<(u16, Vec<u8>)>,
    ) -> Option<(f64, Value<'c>)> {
        let is_closing = self.sockets.get(handle)?.is_closing;
        match said {
            // A handler of this `app.close()` has closed it for itself, which will be told.
            None if is_closing && cause != CloseCause::ApplicationClosed => None,
            None => websocket::close_step(self, env, handle, cause),
            Some((code, mut reason)) => {
                self.close_socket(handle, code, cause);
                if reason.is_empty() {
                    reason.extend_from_slice(cause.verdict().text.as_bytes());
                }
                Some((step::CLOSE, env.array_buffer(&reason)))
            }
        }
    }

    fn pending_abort_step<'c>(
        &mut self,
        env: Env<'c>,
        handle: Handle,
        cause: CloseCause,
    ) -> Option<(f64, Value<'c>)> {
        let exchange = self.exchanges.get_mut(handle)?;
        let cause = match std::mem::take(&mut exchange.is_closing) {
            true => CloseCause::ApplicationClosed,
            false if exchange.stage == Stage::Over => return None,
            false => cause,
        };
        response::abort_step(self, env, handle, cause)
    }

    fn subscription_step<'c>(
        &mut self,
        env: Env<'c>,
        socket: Handle,
        change: &Change,
    ) -> Option<(f64, Value<'c>)> {
        self.sockets.get(socket)?;
        self.registers.set(Register::Slot, f64::from(socket.slot));
        self.registers.set(Register::CountNow, f64::from(change.new));
        self.registers.set(Register::CountBefore, f64::from(change.old));
        Some((step::SUBSCRIPTION, env.array_buffer(&change.name)))
    }
}

/// `told(mark, buffer, isRoomy)`: detaches the buffer of the last event, and returns the next one from the place `mark`
/// on, as `next` does. `DEEP` asks whether there is stack left for a handler; only after it `isRoomy` is true.
pub fn told<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    env.detach(call.argument(1));
    let mut environment = call.environment()?;
    let mark = call.number(0) as usize;
    let (step, value) = if environment.pending.len() <= mark {
        (step::SLEEP, Value::UNDEFINED)
    } else if environment.pending.is_stack_deep() && !call.truthy(2) {
        environment.pending.leave();
        (step::DEEP, Value::UNDEFINED)
    } else {
        environment.take_pending(env, mark).unwrap_or((step::SLEEP, Value::UNDEFINED))
    };
    environment.registers.set(Register::Step, step);
    Ok(value)
}
