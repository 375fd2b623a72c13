//! `WebSocket`: its close, and the address of its peer. What it sends is in `messages`, its topics are in `pubsub`.

use crate::node::calls::address as of_peer;
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::{Type, Value};
use crate::node::turn::pending;
use crate::protocol::cause::CloseCause;

/// `wsCheck(socket)`: throws if it is closed.
pub(crate) fn check<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    call.environment()?.live.socket(call.number(0))?;
    Ok(Value::UNDEFINED)
}

/// `wsEnd(socket, code, message)`: returns the position of the event for `nextPending`. `lib/` has checked that
/// applications may use the code.
pub(crate) fn end<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (handle, _) = environment.live.socket(call.number(0))?;
    let code = close_code(call, 1)?.unwrap_or(0);
    let reason = call.bytes(2)?;
    let mark = environment.pending.len();
    pending::close_socket(&mut environment, handle, CloseCause::ApplicationEnded, Some((code, reason)));
    Ok(call.env().from_number(mark as f64))
}

/// `wsClose(socket)`: returns the position of the event for `nextPending`.
pub(crate) fn close<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (handle, _) = environment.live.socket(call.number(0))?;
    let mark = environment.pending.len();
    pending::close_socket(&mut environment, handle, CloseCause::ApplicationClosed, None);
    Ok(call.env().from_number(mark as f64))
}

/// An argument that is a close code; `None` if it is left out.
///
/// # Errors
/// It is no number, or neither 0 nor an integer from 1000 to 4999.
pub(crate) fn close_code(call: &Call<'_>, index: usize) -> Result<Option<u16>, Misuse> {
    let env = call.env();
    match (env.type_of(call.argument(index)), env.number(call.argument(index))) {
        (Type::Nothing, _) => Ok(None),
        (_, Some(code)) if code == 0.0 || (code.fract() == 0.0 && (1000.0..5000.0).contains(&code)) => {
            Ok(Some(code as u16))
        }
        (_, Some(code)) => {
            let text = format!("code must be 0 or an integer from 1000 to 4999, got {code}");
            Err(Misuse::out_of_range(text))
        }
        (_, None) => Err(Misuse::invalid_type("code must be a number")),
    }
}

/// `wsAddress(socket, proxied)`
pub(crate) fn address<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let peer = call.environment()?.live.socket(call.number(0))?.1.peer();
    Ok(of_peer::bytes(call, peer))
}

/// `wsAddressText(socket, proxied)`
pub(crate) fn address_text<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let peer = call.environment()?.live.socket(call.number(0))?.1.peer();
    Ok(of_peer::text(call, peer))
}

/// `wsRemoteAddress(socket)`: the address of the peer; `undefined` if it has none or the WebSocket is closed.
pub(crate) fn remote_address<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let peer = call.environment()?.live.socket(call.number(0)).ok().map(|(_, socket)| socket.peer());
    Ok(of_peer::canonical(call, peer))
}

/// `wsPort(socket, proxied)`
pub(crate) fn port<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let peer = call.environment()?.live.socket(call.number(0))?.1.peer();
    Ok(of_peer::port(call, peer))
}
