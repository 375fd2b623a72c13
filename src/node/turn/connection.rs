//! Connections that open and close, for the filters of their app.

use crate::bridge::event::OpeningRecord;
use crate::bridge::id::ConnectionId;
use crate::bridge::peer::Peer;
use crate::node::abi::{Register, step};
use crate::node::address;
use crate::node::environment::Environment;
use crate::node::js::{Env, Value};
use crate::node::state::handles::JsHandle;
use crate::node::turn::Step;

/// A connection was accepted for an app that has filters.
pub(crate) fn opened<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    id: ConnectionId,
    record: OpeningRecord,
) -> Option<Step<'c>> {
    let OpeningRecord { app, peer } = record;
    if !environment.apps.serves(app) {
        // The app, and with it the connection, was closed while this event was under way.
        return None;
    }
    let handle = environment.connections.insert(id, app)?;
    environment.registers.set(Register::Handle, handle.to_number());
    environment.registers.set(Register::App, f64::from(app.app));
    Some((step::OPENED, describe(env, peer)))
}

/// A connection is closed.
pub(crate) fn closed<'c>(environment: &mut Environment, id: ConnectionId) -> Option<Step<'c>> {
    let handle = environment.connections.find(id)?;
    forget(environment, handle)
}

/// Removes the connection of this handle, and returns the step for the filters.
pub(crate) fn forget<'c>(environment: &mut Environment, handle: JsHandle) -> Option<Step<'c>> {
    if !environment.connections.remove(handle) {
        return None;
    }
    environment.registers.set(Register::Handle, handle.to_number());
    Some((step::CLOSED, Value::UNDEFINED))
}

/// Address, its text and the port of the socket's other end, then of the client that a proxy reported.
fn describe<'c>(env: Env<'c>, peer: Peer) -> Value<'c> {
    let items = [peer.address, peer.proxied].into_iter().flat_map(|it| {
        [
            env.array_buffer(&address::bytes(it)),
            env.array_buffer(address::text(it).as_bytes()),
            env.from_number(address::port(it)),
        ]
    });
    env.array(items)
}
