//! What `ferrows/ws` does with an open WebSocket beside what `messages` has: the calls of `ws` that uWebSockets.js does
//! not know.

use crate::bridge::command::Command;
use crate::bridge::event::Slice;
use crate::bridge::id::AppId;
use crate::node::calls::payload::{append_payload, message_kind};
use crate::node::calls::pubsub::publish_arguments;
use crate::node::calls::websocket::close_code;
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::Value;

/// `wsTransmit(socket, message, isBinary, compress)`: sends a message, as `wsSend` does for programs that ask what became
/// of it.
pub(crate) fn transmit<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (kind, compress) = (message_kind(call.truthy(2)), call.truthy(3));
    let mut guard = call.environment()?;
    let Environment { live, workers, dispatcher, .. } = &mut *guard;
    let (_, socket) = live.socket(call.number(0))?;
    let connection = socket.connection;
    if socket.is_closing {
        return Ok(Value::UNDEFINED);
    }
    let payload = append_payload(call, workers, connection.worker, 1)?;
    workers.push(connection.worker, Command::SendMessage { connection, kind, payload, compress });
    socket.accept_unasked(payload.len, dispatcher.handler_serial, workers);
    workers.settle_together();
    Ok(Value::UNDEFINED)
}

/// `wsPong(socket, message)`
pub(crate) fn pong<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut payload = Vec::new();
    call.append(1, &mut payload)?;
    if payload.len() > 125 {
        return Err(Misuse::out_of_range("pong payload must not exceed 125 bytes (RFC 6455 §5.5)"));
    }
    let mut guard = call.environment()?;
    let Environment { live, workers, .. } = &mut *guard;
    let connection = live.socket(call.number(0))?.1.connection;
    let payload: Slice = append_payload(call, workers, connection.worker, 1)?;
    workers.push(connection.worker, Command::SendPong { connection, payload });
    workers.settle();
    Ok(Value::UNDEFINED)
}

/// `wsAwaitWritten(socket)`: the step `WRITTEN` follows once all that was sent before is written, unless the WebSocket
/// closes first.
pub(crate) fn await_written<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let Environment { live, workers, .. } = &mut *guard;
    let connection = live.socket(call.number(0))?.1.connection;
    workers.push(connection.worker, Command::AwaitWritten { connection });
    workers.settle();
    Ok(Value::UNDEFINED)
}

/// `wsPause(socket, isPaused)`: stops or resumes reading.
pub(crate) fn pause<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let is_paused = call.truthy(1);
    let mut guard = call.environment()?;
    let Environment { live, workers, .. } = &mut *guard;
    let connection = live.socket(call.number(0))?.1.connection;
    workers.push(connection.worker, Command::PauseWebSocket { connection, is_paused });
    workers.settle();
    Ok(Value::UNDEFINED)
}

/// `wsStartClose(socket, code, reason)`: sends a Close frame; the step `CLOSE` follows when the peer has answered it.
pub(crate) fn start_close<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let code = close_code(call, 1)?.unwrap_or(0);
    let reason = call.bytes(2)?;
    let mut guard = call.environment()?;
    let Environment { live, workers, .. } = &mut *guard;
    let connection = live.socket(call.number(0))?.1.connection;
    let reason = workers.copy(connection.worker, &reason);
    workers.push(connection.worker, Command::StartClose { connection, code, reason });
    workers.settle();
    Ok(Value::UNDEFINED)
}

/// `wsAddTopic(socket, topic)`: whether it was not subscribed before. Topics of `ferrows/ws` are those of no app: `lib/ws`
/// gives each server a prefix.
pub(crate) fn add_topic<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let topic = call.bytes(1)?;
    let mut guard = call.environment()?;
    let Environment { live, workers, pubsub, .. } = &mut *guard;
    let (_, socket) = live.socket(call.number(0))?;
    let name = (AppId::CLIENTS.app, topic);
    let change = pubsub.subscribe(name, None, socket.connection, &mut socket.topics, workers);
    workers.settle();
    Ok(call.env().from_bool(change.is_some()))
}

/// `wsRemoveTopic(socket, topic)`: whether it was subscribed.
pub(crate) fn remove_topic<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let topic = call.bytes(1)?;
    let mut guard = call.environment()?;
    let Environment { live, workers, pubsub, .. } = &mut *guard;
    let (_, socket) = live.socket(call.number(0))?;
    let name = (AppId::CLIENTS.app, &topic[..]);
    let change = pubsub.unsubscribe(name, socket.connection, &mut socket.topics, workers);
    workers.settle();
    Ok(call.env().from_bool(change.is_some()))
}

/// `wsBroadcast(publisher, topic, message, isBinary, compress)`: sends a message to the subscribers of a topic, but not
/// to `publisher`, which may be `undefined`. Returns whether there is any other subscriber.
pub(crate) fn broadcast<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let Environment { live, workers, pubsub, .. } = &mut *guard;
    let publisher = match call.env().number(call.argument(0)) {
        Some(handle) => Some(&*live.socket(handle)?.1),
        None => None,
    };
    let published = publish_arguments(call, (AppId::CLIENTS.app, None), publisher, pubsub, workers)?;
    Ok(call.env().from_bool(published))
}
