//! What a WebSocket sends to its peer: messages, whole or in fragments, and Pings.

use crate::bridge::command::{Command, LentCommand};
use crate::bridge::event::Slice;
use crate::bridge::id::ConnectionId;
use crate::node::abi::{Handlers, Register, absent, sent};
use crate::node::calls::payload::{append_payload, append_unless_lendable, lend_payload, message_kind};
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::Value;
use crate::node::state::handles::JsHandle;
use crate::node::state::live::socket::{Fragments, Socket};
use crate::node::state::pending::PendingEvent;
use crate::protocol::websocket::MessageKind;
use crate::protocol::websocket::fragment::Fragment;

/// `wsSend(socket, message, isBinary, compress)`: one of `sent`. With `DROPPED`, the register `MARK` has the position
/// of the event for `nextPending`, or `NONE` if there is no handler for it.
pub(crate) fn send<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (kind, compress) = (message_kind(call.truthy(2)), call.truthy(3));
    let mut environment = call.environment()?;
    let (handle, socket) = environment.live.socket(call.number(0))?;
    refuse_between_fragments(socket)?;
    let droppable = Droppable::Yes(kind);
    let lendable = (!compress).then_some(kind);
    let sent = transmit(call, &mut environment, handle, (droppable, lendable), |connection, payload| {
        Command::SendMessage { connection, kind, payload, compress }
    })?;
    Ok(call.env().from_number(sent.number()))
}

/// Refuses a message while another one is incomplete: the peer would have to fail the connection (RFC 6455 §5.4).
fn refuse_between_fragments(socket: &Socket) -> Result<(), Misuse> {
    match socket.fragments {
        Fragments::None => Ok(()),
        Fragments::Sent(_) | Fragments::Dropped(_) => Err(Misuse::invalid_state(
            "a message is being sent in fragments: sendLastFragment must come before the next message",
        )),
    }
}

/// `wsFirstFragment(socket, message, isBinary, compress)`: as `wsSend`; `compress` counts for the whole message.
pub(crate) fn first_fragment<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (kind, compress) = (message_kind(call.truthy(2)), call.truthy(3));
    let mut environment = call.environment()?;
    let (handle, socket) = environment.live.socket(call.number(0))?;
    refuse_between_fragments(socket)?;
    let fragment = Fragment::First { kind, compress };
    let sent =
        transmit(call, &mut environment, handle, (Droppable::Yes(kind), None), |connection, payload| {
            Command::SendFragment { connection, fragment, payload }
        })?;
    if let Some(socket) = environment.live.socket_mut(handle) {
        socket.fragments = match sent {
            Sent::Dropped => Fragments::Dropped(kind),
            Sent::Now | Sent::Queued => Fragments::Sent(kind),
        };
    }
    Ok(call.env().from_number(sent.number()))
}

/// `wsFragment(socket, message, isLast)`: as `wsSend`.
pub(crate) fn fragment<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let is_last = call.truthy(2);
    let fragment = if is_last { Fragment::Last } else { Fragment::Middle };
    let mut environment = call.environment()?;
    let (handle, socket) = environment.live.socket(call.number(0))?;
    let droppable = match socket.fragments {
        Fragments::None => {
            return Err(Misuse::invalid_state("no message is being sent: sendFirstFragment must come first"));
        }
        // `closeOnBackpressureLimit` applies in the middle of a message, too: only dropping a fragment would corrupt
        // the message.
        Fragments::Sent(kind) if socket.closes_at_limit() => Droppable::Yes(kind),
        Fragments::Sent(_) => Droppable::No,
        Fragments::Dropped(kind) => Droppable::Already(kind),
    };
    let sent = transmit(call, &mut environment, handle, (droppable, None), |connection, payload| {
        Command::SendFragment { connection, fragment, payload }
    })?;
    if is_last && let Some(socket) = environment.live.socket_mut(handle) {
        socket.fragments = Fragments::None;
    }
    Ok(call.env().from_number(sent.number()))
}

/// `wsPing(socket, message)`: as `wsSend`, but never dropped.
pub(crate) fn ping<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (handle, _) = environment.live.socket(call.number(0))?;
    let mut payload = Vec::new();
    call.append(1, &mut payload)?;
    if payload.len() > 125 {
        return Err(Misuse::out_of_range("ping payload must not exceed 125 bytes (RFC 6455 §5.5)"));
    }
    let sent = transmit(call, &mut environment, handle, (Droppable::No, None), |connection, payload| {
        Command::SendPing { connection, payload }
    })?;
    Ok(call.env().from_number(sent.number()))
}

/// `wsBuffered(socket)`: bytes of back-pressure.
pub(crate) fn buffered_amount<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let Environment { live, workers, dispatcher, .. } = &mut *guard;
    let (_, socket) = live.socket(call.number(0))?;
    let amount = socket.find_waiting(dispatcher.handler_serial, workers);
    if amount > 0 {
        workers.settle();
    }
    Ok(call.env().from_number(amount as f64))
}

/// Whether a frame is subject to `maxBackpressure`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Droppable {
    /// It is.
    Yes(MessageKind),
    /// It is a control frame, or belongs to a message whose first fragment was accepted.
    No,
    /// It belongs to a message whose first fragment was dropped.
    Already(MessageKind),
}

/// What became of a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// Sent, or accepted without back-pressure.
    Now,
    /// Accepted, but something waits for the peer.
    Queued,
    /// Not accepted.
    Dropped,
}

impl Sent {
    /// The value that JavaScript gets.
    const fn number(self) -> f64 {
        match self {
            Self::Now => sent::NOW,
            Self::Queued => sent::QUEUED,
            Self::Dropped => sent::DROPPED,
        }
    }
}

/// Sends argument 1 as the payload of `command`; if it is `lendable`, a message of that kind, long data is not copied.
fn transmit(
    call: &Call<'_>,
    environment: &mut Environment,
    handle: JsHandle,
    (droppable, lendable): (Droppable, Option<MessageKind>),
    command: impl FnOnce(ConnectionId, Slice) -> Command,
) -> Result<Sent, Misuse> {
    let Environment { live, workers, dispatcher, .. } = environment;
    let socket = live.socket_mut(handle).ok_or_else(Misuse::websocket_closed)?;
    let connection = socket.connection;
    // Before anything is added to the batch, because this call may hand the batch over.
    let must_drop = match droppable {
        _ if socket.is_closing => true,
        Droppable::Yes(_) => socket.is_over_limit(workers),
        Droppable::No => false,
        Droppable::Already(_) => true,
    };
    if must_drop {
        let payload = append_payload(call, workers, connection.worker, 1)?;
        drop_frame(environment, handle, droppable, payload);
        return Ok(Sent::Dropped);
    }
    let (length, payload) = if let Some(kind) = lendable {
        let appended = append_unless_lendable(call, workers, connection.worker, 1)?;
        let copied = lend_payload(call, workers, connection.worker, (1, appended), |payload| {
            LentCommand::SendMessage { connection, kind, payload }
        })?;
        (appended.length(), copied)
    } else {
        let payload = append_payload(call, workers, connection.worker, 1)?;
        (payload.len, Some(payload))
    };
    if let Some(payload) = payload {
        workers.push(connection.worker, command(connection, payload));
    }
    let is_queued = socket.accept_frame(length, dispatcher.handler_serial, workers);
    workers.settle();
    Ok(if is_queued { Sent::Queued } else { Sent::Now })
}

/// Removes the payload of a frame that is not accepted from the arena, and adds a `dropped` event if there is a
/// handler. Otherwise a loop that continues to send would fill the memory with dropped messages.
#[cold]
fn drop_frame(environment: &mut Environment, handle: JsHandle, droppable: Droppable, payload: Slice) {
    let Environment { live, workers, dispatcher, pending, apps, registers, .. } = environment;
    let Some(socket) = live.socket_mut(handle) else { return };
    let wanted = !socket.is_closing && (socket.has(Handlers::DROPPED) || dispatcher.reports_drops);
    let arena = workers.arena(socket.connection.worker);
    let message = wanted.then(|| arena[payload.start as usize..].to_vec());
    arena.truncate(payload.start as usize);
    registers.set(Register::Mark, absent::NONE);
    if socket.is_closing {
        return;
    }
    if let Droppable::Yes(_) = droppable
        && let Some(stats) = apps.stats(socket.app)
    {
        stats.note_dropped();
    }
    if let Droppable::Yes(kind) | Droppable::Already(kind) = droppable
        && let Some(payload) = message
    {
        registers.set(Register::Mark, pending.len() as f64);
        pending.add(PendingEvent::Dropped { socket: handle, kind, payload }, workers);
    }
    socket.act_on_limit(workers);
    workers.settle();
}
