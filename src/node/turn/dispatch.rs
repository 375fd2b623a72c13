//! Hands events to JavaScript, one by one. `lib/runtime/dispatcher.js` runs the loop: it asks for the next event, calls
//! the handler, lets microtasks and `process.nextTick` run, and asks again. A request for the next event also means
//! that the last handler has returned.

use super::{
    app, broker, connect, connection, handshake, liveness, log, pending, request, response, websocket,
};
use crate::bridge::event::Event;
use crate::node::abi::{Register, step};
use crate::node::environment::Environment;
use crate::node::error::Misuse;
use crate::node::js::{Brought, Env, Value};
use crate::node::turn::Step;

/// The next step for JavaScript, which may be that there is none.
///
/// # Errors
/// `lib/` has not called `start` yet.
pub(crate) fn next_step<'c>(environment: &mut Environment, env: Env<'c>) -> Result<Step<'c>, Misuse> {
    if environment.workers.begin_turn() {
        environment.pending.begin_turn();
        environment.dispatcher.begin_turn(environment.workers.turns_of_loop());
    }
    if !environment.pending.is_empty() {
        if environment.dispatcher.is_budget_used_up(&mut environment.workers) {
            return Ok(yield_turn(environment));
        }
        // Before all other events, and before the handler that left them is concluded.
        if let Some(step) = pending::take(environment, env, 0) {
            return Ok(step);
        }
    }
    if let Some(step) = request::conclude_handler(environment, env) {
        return Ok(step);
    }
    loop {
        if environment.dispatcher.is_budget_used_up(&mut environment.workers) {
            return Ok(yield_turn(environment));
        }
        let step = if let Some(handle) = environment.dispatcher.next_late_body() {
            response::late_body(environment, env, handle)
        } else if let Some(event) = environment.dispatcher.next_event() {
            handle(environment, env, event)
        } else if let Some(record) = environment.dispatcher.next_record(&environment.workers) {
            Some(log::record(env, record))
        } else if let Some(event) = environment.dispatcher.next_broker_event(&environment.workers) {
            Some(broker::handle(environment, env, event))
        } else if environment.dispatcher.next_batch(&mut environment.workers)? {
            continue;
        } else {
            environment.dispatcher.end_turn(&mut environment.workers);
            liveness::update(environment, env);
            return Ok((step::SLEEP, Value::UNDEFINED));
        };
        if let Some(step) = step {
            return Ok(step);
        }
    }
}

/// Brings the next event from a callback of Node's loop: the first one, or the one behind that. `buffer` is that of the last
/// event, which its handler has finished with; what the handler has sent is written before it is detached, because the peer
/// waits for that.
pub(crate) fn bring<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    buffer: Value<'c>,
    is_first: bool,
) -> Brought<'c> {
    if environment.dispatcher.is_yielding() {
        return Brought::Nothing;
    }
    environment.dispatcher.handler_serial += 1;
    let next = next_step(environment, env);
    env.detach(buffer);
    match next {
        Err(_) => Brought::Unknown,
        Ok((step::SLEEP, _)) => Brought::Nothing,
        Ok((step, value)) => {
            let may_return = is_first
                && environment.dispatcher.is_empty()
                && environment.pending.is_empty()
                && !environment.workers.is_more_ready();
            environment.registers.set(Register::Step, step);
            environment.registers.set(Register::MayReturn, f64::from(u8::from(may_return)));
            Brought::Argument { value, may_return }
        }
    }
}

fn yield_turn<'c>(environment: &mut Environment) -> Step<'c> {
    environment.dispatcher.yield_turn(&mut environment.workers);
    (step::YIELD, Value::UNDEFINED)
}

fn handle<'c>(environment: &mut Environment, env: Env<'c>, event: Event) -> Option<Step<'c>> {
    match event {
        Event::ConnectionOpened { connection, record } => {
            let record = environment.dispatcher.batch()?.openings[record as usize];
            connection::opened(environment, env, connection, record)
        }
        Event::ConnectionClosed { connection } => connection::closed(environment, connection),
        Event::ServerNameRequested { connection, app, name } => {
            handshake::unknown_server_name(environment, env, connection, app, name)
        }
        Event::RequestReceived { connection, request, record } => {
            request::received(environment, connection, request, record as usize)
        }
        Event::BodyReceived { connection, request, data, last } => {
            response::body_received(environment, env, (connection, request), data, last)
        }
        Event::BodyOffered { connection, request, offer, len } => {
            response::body_offered(environment, env, (connection, request), (offer, len))
        }
        Event::ResponseWritable { connection, request } => {
            response::writable(environment, connection, request)
        }
        Event::ResponseAborted { connection, request, cause, reason } => {
            response::aborted(environment, env, (connection, request), cause, reason)
        }
        Event::WebSocket { connection, event } => websocket::handle(environment, env, connection, event),
        Event::ConnectEnded { client, record } => {
            let outcome = environment.dispatcher.batch_mut()?.connects[record as usize].take()?;
            connect::ended(environment, env, client, outcome)
        }
        Event::TakeoverRefused { ticket } => request::skip_refused_takeover(environment, ticket),
        Event::AppEnded { app } => app::ended(environment, app),
        Event::AppShutDown { app, forced } => app::shut_down(environment, app, forced),
    }
}
