//! The body of a request: its handler, and how much of it is left.

use crate::bridge::command::Command;
use crate::node::abi::taker;
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::{Type, Value};
use crate::node::state::live::request_body::{MAX_COLLECTED, Taker};

/// `resAttachData(response, taker, maxSize)`: a body handler is attached. The dispatcher passes it what arrived before.
pub(crate) fn attach<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let Environment { live, workers, dispatcher, .. } = &mut *guard;
    let (handle, exchange) = live.response(call.number(0))?;
    let taker = taker_argument(call)?;
    let is_due = exchange.body.attach(taker);
    let to = exchange.to;
    if exchange.body.resume() && !exchange.output.is_paused {
        workers.push(to.connection.worker, Command::ResumeReading { to });
        workers.settle();
    }
    if is_due {
        dispatcher.deliver_body(handle);
        workers.ring();
    }
    Ok(Value::UNDEFINED)
}

/// `resRemaining(response)`: bytes of the body that no handler has been given yet, as a BigInt.
pub(crate) fn remaining<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let remaining = call.environment()?.live.response(call.number(0))?.1.body.remaining();
    Ok(call.env().from_u64(remaining))
}

fn taker_argument(call: &Call<'_>) -> Result<Taker, Misuse> {
    match call.number(1) {
        taker::PIECES => Ok(Taker::Pieces),
        taker::PIECES_OR_ABORT => Ok(Taker::PiecesOrAbort),
        taker::WHOLE => Ok(Taker::Whole { max: max_size_argument(call)? }),
        _ => Err(Misuse::bug()),
    }
}

fn max_size_argument(call: &Call<'_>) -> Result<u64, Misuse> {
    let (env, value) = (call.env(), call.argument(2));
    match env.type_of(value) {
        Type::Number => match call.number(2) {
            // Integers up to 2^53 are exact.
            max if (0.0..=9_007_199_254_740_991.0).contains(&max) && max.fract() == 0.0 => {
                Ok((max as u64).min(MAX_COLLECTED))
            }
            _ => Err(Misuse::out_of_range("maxSize must be an integer from 0 to 2^53-1")),
        },
        Type::Nothing | Type::String | Type::Boolean | Type::Other => {
            Err(Misuse::invalid_type("maxSize must be a number"))
        }
    }
}
