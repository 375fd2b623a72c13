//! What `lib/runtime` calls to run handlers: it asks for events, and brackets calls whose commands belong together.

use crate::node::abi::{Register, step};
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::Value;
use crate::node::turn::{dispatch, pending};

/// `next(buffer)`: detaches the buffer of the last event, if the handler has finished with it, and returns the next
/// event.
pub(crate) fn next<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    env.detach(call.argument(0));
    let mut environment = call.environment()?;
    environment.dispatcher.handler_serial += 1;
    let (step, value) = dispatch::next_step(&mut environment, env)?;
    environment.registers.set(Register::Step, step);
    Ok(value)
}

/// `nextPending(mark, buffer, isRoomy)`: detaches the buffer of the last event, and returns the next one from the
/// position `mark` on, as `next` does. The step `DEEP` asks `lib/` whether there is stack left for a handler; `isRoomy`
/// is true only in the call after it.
pub(crate) fn next_pending<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
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
        pending::take(&mut environment, env, mark).unwrap_or((step::SLEEP, Value::UNDEFINED))
    };
    environment.registers.set(Register::Step, step);
    Ok(value)
}

/// `hold()`: commands gather until `letGo`.
pub(crate) fn hold<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    call.environment()?.workers.hold();
    Ok(Value::UNDEFINED)
}

/// `letGo()`: the end of `hold`.
pub(crate) fn let_go<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    environment.workers.let_go();
    environment.workers.settle();
    Ok(Value::UNDEFINED)
}

/// `detach(buffer)`
pub(crate) fn detach<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    call.env().detach(call.argument(0));
    Ok(Value::UNDEFINED)
}

/// `copy(data)`: text or data in an ArrayBuffer of its own.
pub(crate) fn copy<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let bytes = call.bytes(0)?;
    Ok(call.env().array_buffer(&bytes))
}

/// `reportUncaught(error)`: 'uncaughtException', as for any event handler of Node that throws.
pub(crate) fn report_uncaught<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    call.env().report_uncaught(call.argument(0));
    Ok(Value::UNDEFINED)
}
