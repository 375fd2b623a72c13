//! Functions that `lib/` calls at the start and at the end of a load of the addon.

use std::time::Duration;

use crate::node::calls::logger;
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::{Registers, Value};
use crate::node::state::node_loop::Hooks;
use crate::node::state::store;
use crate::node::turn::dispatch;
use crate::protocol::cause::CloseCause;

/// `start(registers, onBell, level, resource, isInline)`: once per load. Records up to `level` go to stderr; none with 0.
/// `resource` is the async resource of the bell (`async_hooks`). `isInline`: whether Node's loop may drive sockets, which
/// takes libuv.
pub(crate) fn start<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let registers = Registers::new(call.env(), call.argument(0))?;
    let hooks = call.truthy(4).then(|| Hooks {
        flush: call.later(|environment| environment.workers.flush()),
        bring: call.later_bring(dispatch::bring),
    });
    let mut environment = call.environment()?;
    let level = logger::level_argument(call, 2);
    environment.workers.start(call.env(), call.argument(1), call.argument(3), level, hooks)?;
    environment.registers = registers;
    environment.pending.begin_turn();
    Ok(Value::UNDEFINED)
}

/// `exit()`: the process is about to exit; waits until what was sent is written.
pub(crate) fn exit<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    store::abandon_lock();
    environment.workers.prepare_exit();
    environment.apps.await_sent(EXIT_PATIENCE);
    Ok(Value::UNDEFINED)
}

/// `causes()`: name, initiator, whether clean, and text of every close cause, in turn, by number.
pub(crate) fn causes<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let items = CloseCause::ALL.into_iter().flat_map(|cause| {
        let verdict = cause.verdict();
        let initiator = verdict.initiator.name();
        [
            env.string(verdict.name.as_bytes()),
            env.string(initiator.as_bytes()),
            env.from_bool(verdict.was_clean),
            env.string(verdict.text.as_bytes()),
        ]
    });
    Ok(env.array(items))
}

/// How long the exit of the process may wait for brokers.
const EXIT_PATIENCE: Duration = Duration::from_secs(1);
