//! TLS handshakes with a server name (SNI) that their worker does not know.

use crate::bridge::command::Command;
use crate::bridge::event::Slice;
use crate::bridge::id::{AppId, ConnectionId};
use crate::node::abi::{Register, step};
use crate::node::environment::Environment;
use crate::node::js::Env;
use crate::node::turn::Step;

/// A handshake waits for a server name that was unknown to the worker. Calls the handler of missing server names,
/// unless the name was added meanwhile or the app was closed.
pub(crate) fn unknown_server_name<'c>(
    environment: &mut Environment,
    env: Env<'c>,
    connection: ConnectionId,
    app: AppId,
    name: Slice,
) -> Option<Step<'c>> {
    let name = String::from_utf8_lossy(name.of(environment.dispatcher.bytes()));
    let it = environment.apps.get(app.app)?;
    let is_known = it.setup.tls.as_ref().is_none_or(|tls| tls.names.knows(&name));
    let is_asked = !is_known && it.serves(app.epoch);
    let waits = if is_asked { environment.handshakes.insert(connection) } else { None };
    let Some(handle) = waits else {
        environment.workers.push(connection.worker, Command::ResumeHandshake { connection });
        return None;
    };
    environment.registers.set(Register::Handshake, handle.to_number());
    environment.registers.set(Register::App, f64::from(app.app));
    Some((step::SERVER_NAME, env.string(name.as_bytes())))
}
