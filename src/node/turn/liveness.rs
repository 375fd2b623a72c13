//! Whether Node is kept alive.

use crate::node::abi::Register;
use crate::node::environment::Environment;
use crate::node::js::Env;

/// Keeps Node alive as long as somebody listens or is connected, events wait to be handled, or a shutdown, a connect or the
/// request of a connection that was taken over is waited for. Ends the I/O threads when that has not been so for a while.
pub(crate) fn update(environment: &mut Environment, env: Env<'_>) {
    let awaited = environment.apps.await_connections()
        || !environment.shutdowns.is_empty()
        || !environment.connects.is_empty()
        || !environment.takeovers.is_empty();
    let is_alive = environment.workers.update_liveness(env, awaited);
    environment.registers.set(Register::Referenced, f64::from(u8::from(is_alive)));
}
