//! The end of a connect: the WebSocket to the server is open, or the connect has failed.

use super::Step;
use crate::bridge::command::Command;
use crate::bridge::connect::{ConnectOutcome, Connected};
use crate::bridge::id::{AppId, ClientId};
use crate::io::worker::clock::present;
use crate::node::abi::{Register, step};
use crate::node::environment::Environment;
use crate::node::js::{Env, Value};
use crate::node::state::connects::Connect;
use crate::node::state::handles::JsHandle;
use crate::node::state::live::socket::Socket;
use crate::protocol::cause::Cause;
use crate::protocol::connect::{ConnectFailure, ResponseFields};

/// A worker has made a connection, or failed to. Does nothing if the connect was cancelled.
pub(crate) fn ended<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    client: ClientId,
    outcome: ConnectOutcome,
) -> Option<Step<'c>> {
    let handle = JsHandle { slot: client.slot, generation: client.generation };
    let connect = environment.connects.remove(handle);
    match (outcome, connect) {
        (ConnectOutcome::Connected(connected), Some(connect)) => {
            Some(open(environment, env, handle, connect, *connected))
        }
        (ConnectOutcome::Connected(connected), None) => {
            let connection = connected.connection;
            environment.workers.push(connection.worker, Command::CloseConnection { connection });
            None
        }
        (ConnectOutcome::Failed(failure), Some(_)) => {
            environment.registers.set(Register::Connect, handle.to_number());
            Some((step::NOT_CONNECTED, failure_values(env, &failure)))
        }
        (ConnectOutcome::Failed(_), None) => None,
    }
}

fn open<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    client: JsHandle,
    connect: Connect,
    connected: Connected,
) -> Step<'c> {
    let Connected { connection, peer, grant } = connected;
    let socket = Socket::new(connection, AppId::CLIENTS, connect.behavior, connect.ledger, peer, present());
    let socket = match environment.live.insert_socket(socket) {
        Ok(socket) => socket,
        Err(misuse) => {
            // 16.7 million WebSockets are open.
            environment.workers.push(connection.worker, Command::CloseConnection { connection });
            environment.registers.set(Register::Connect, client.to_number());
            let values = [misuse.code, &misuse.message].map(|text| env.string(text.as_bytes()));
            return (step::NOT_CONNECTED, env.array(values));
        }
    };
    environment.registers.set(Register::Handle, socket.to_number());
    environment.registers.set(Register::Connect, client.to_number());
    let words = [grant.subprotocol, grant.extensions].map(|word| env.string(word.as_bytes()));
    let values = words.into_iter().chain(field_values(env, &grant.fields));
    (step::CONNECTED, env.array(values))
}

/// Code, message, code of the system error, status and body, then names and values of the header fields.
fn failure_values<'c>(env: Env<'c>, failure: &ConnectFailure) -> Value<'c> {
    let text = |text: &str| env.string(text.as_bytes());
    let response = failure.response.as_deref();
    let mut values = vec![
        text(failure.code()),
        text(&failure.text()),
        failure.system.map_or(Value::UNDEFINED, text),
        response.map_or(Value::UNDEFINED, |response| env.from_number(f64::from(response.status))),
        response.map_or(Value::UNDEFINED, |response| text(&String::from_utf8_lossy(&response.body))),
    ];
    values.extend(response.into_iter().flat_map(|response| field_values(env, &response.fields)));
    env.array(values)
}

fn field_values<'c>(env: Env<'c>, fields: &ResponseFields) -> impl Iterator<Item = Value<'c>> {
    fields.iter().flat_map(move |(name, value)| [env.string(name.as_bytes()), env.latin1(value)])
}
