//! Whether Node is kept alive.

use crate::node::abi::Register;
use crate::node::environment::Environment;
use crate::node::js::Env;

/// Keeps Node alive while there are listening sockets, connections, queued events, shutdowns, connects, or takeovers
/// whose request is under way. Ends the I/O threads after a while without any of these.
pub(crate) fn update(environment: &mut Environment, env: Env<'_>) {
    let awaited = environment.apps.await_connections()
        || !environment.shutdowns.is_empty()
        || !environment.connects.is_empty()
        || !environment.takeovers.is_empty();
    let is_alive = environment.workers.update_liveness(env, awaited);
    environment.registers.set(Register::Referenced, f64::from(u8::from(is_alive)));
}
