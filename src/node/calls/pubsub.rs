//! Publish and subscribe: the topics of a WebSocket, and what it or its app publishes.

use crate::bridge::command::Command;
use crate::broker::neighbours::Published;
use crate::broker::registry::Membership;
use crate::node::abi::{Handlers, Register, absent};
use crate::node::calls::payload::message_kind;
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::Value;
use crate::node::state::handles::JsHandle;
use crate::node::state::live::socket::Socket;
use crate::node::state::pending::{Pending, PendingEvent};
use crate::node::state::pubsub::PubSub;
use crate::node::state::topics::Change;
use crate::node::state::workers::Workers;

/// `wsSubscribe(socket, topic)`: returns the position of the event for `nextPending`, `NONE` if there is none.
pub(crate) fn subscribe<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let Environment { apps, live, workers, pubsub, pending, .. } = &mut *guard;
    let (handle, socket) = live.socket(call.number(0))?;
    let app = socket.publishing_app()?;
    let membership = apps.get(app).and_then(|app| app.membership.as_ref());
    let name = call.bytes(1)?;
    if socket.is_closing {
        // The event of its close is queued, and no event of this WebSocket may follow that.
        return Ok(call.env().from_number(absent::NONE));
    }
    let change = pubsub.subscribe((app, name), membership, socket.connection, &mut socket.topics, workers);
    let Some(change) = change else { return Ok(call.env().from_number(absent::NONE)) };
    settle(workers, socket, membership);
    Ok(call.env().from_number(report(handle, socket, change, workers, pending)))
}

/// `wsUnsubscribe(socket, topic)`: returns the position of the event for `nextPending`, `NONE` if there is none,
/// `NOT_SUBSCRIBED` if it was not subscribed.
pub(crate) fn unsubscribe<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let Environment { apps, live, workers, pubsub, pending, .. } = &mut *guard;
    let (handle, socket) = live.socket(call.number(0))?;
    let name = call.bytes(1)?;
    if socket.is_closing {
        // As in `subscribe`; the close reports that it leaves the topic.
        return Ok(call.env().from_number(absent::NOT_SUBSCRIBED));
    }
    let app = socket.app.app;
    let change = pubsub.unsubscribe((app, &name), socket.connection, &mut socket.topics, workers);
    let Some(change) = change else { return Ok(call.env().from_number(absent::NOT_SUBSCRIBED)) };
    settle(workers, socket, apps.get(app).and_then(|app| app.membership.as_ref()));
    Ok(call.env().from_number(report(handle, socket, change, workers, pending)))
}

/// Hands the command of a subscription or its end over. With a broker also while commands are being gathered: another
/// thread publishes to the worker directly, and what it publishes from now on must come behind this command.
fn settle(workers: &mut Workers, socket: &Socket, membership: Option<&Membership>) {
    match membership {
        Some(_) => workers.hand_over(socket.connection.worker),
        None => workers.settle(),
    }
}

/// Adds the event of a subscription or its end. Returns its position for `nextPending`, `NONE` if there is no handler
/// for it.
fn report(
    handle: JsHandle,
    socket: &Socket,
    change: Change,
    workers: &Workers,
    pending: &mut Pending,
) -> f64 {
    if !socket.has(Handlers::SUBSCRIPTION) {
        return absent::NONE;
    }
    let mark = pending.len();
    pending.add(PendingEvent::Subscription { socket: handle, change }, workers);
    mark as f64
}

/// `wsIsSubscribed(socket, topic)`
pub(crate) fn is_subscribed<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let Environment { live, pubsub, .. } = &mut *guard;
    let (_, socket) = live.socket(call.number(0))?;
    let name = call.bytes(1)?;
    let is_subscribed = pubsub.is_subscribed(socket.app.app, &name, &socket.topics);
    Ok(call.env().from_bool(is_subscribed))
}

/// `wsTopics(socket)`
pub(crate) fn topics<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let Environment { live, pubsub, .. } = &mut *guard;
    let (_, socket) = live.socket(call.number(0))?;
    let env = call.env();
    Ok(env.array(pubsub.names(&socket.topics).map(|name| env.string(name))))
}

/// `wsDeparture()`: the name of the next topic that the WebSocket closed last has left; `COUNT_NOW` and `COUNT_BEFORE`
/// hold the counts.
pub(crate) fn departure<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let Some(Change { name, new, old }) = environment.pubsub.next_departure() else {
        return Ok(Value::UNDEFINED);
    };
    environment.registers.set(Register::CountNow, f64::from(new));
    environment.registers.set(Register::CountBefore, f64::from(old));
    Ok(call.env().array_buffer(&name))
}

/// `wsPublish(socket, topic, message, isBinary, compress)`
pub(crate) fn publish<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let Environment { apps, live, workers, pubsub, .. } = &mut *guard;
    let (_, socket) = live.socket(call.number(0))?;
    let app = socket.publishing_app()?;
    if call.count() < 3 {
        return Err(Misuse::missing_args(2));
    }
    if socket.topics.is_empty() {
        // As in uWebSockets.js, a WebSocket without subscriptions publishes to nobody. Its arguments are checked all
        // the same.
        for index in [1, 2] {
            call.append(index, &mut Vec::new())?;
        }
        return Ok(call.env().from_bool(false));
    }
    let membership = apps.get(app).and_then(|app| app.membership.as_ref());
    let published = publish_arguments(call, (app, membership), Some(socket), pubsub, workers)?;
    Ok(call.env().from_bool(published))
}

/// Publishes by the arguments 1 to 4, topic, message, isBinary and compress, to all subscribers but `publisher`: those
/// of the app, and those of the other apps of its group if it has a broker. Returns whether there were any.
pub(crate) fn publish_arguments(
    call: &Call<'_>,
    (app, membership): (u32, Option<&Membership>),
    publisher: Option<&Socket>,
    pubsub: &PubSub,
    workers: &mut Workers,
) -> Result<bool, Misuse> {
    let (mut topic, mut message) = (Vec::new(), Vec::new());
    call.append(1, &mut topic)?;
    // The message is checked in any case, so that a mistake shows before the first subscriber comes.
    call.append(2, &mut message)?;
    let own = publisher.map(|socket| &socket.topics);
    let recipients = pubsub.recipients(app, &topic, own);
    if recipients.is_none() && membership.is_none() {
        return Ok(false);
    }
    let (kind, compress) = (message_kind(call.truthy(3)), call.truthy(4));
    workers.flush_if_long();
    let mut has_recipients = recipients.is_some();
    if let Some((topic, recipients)) = recipients {
        for (worker, subscribers) in recipients {
            workers.note_publish(worker, subscribers);
            let payload = workers.copy(worker, &message);
            let except = publisher.map(|socket| socket.connection).filter(|it| it.worker == worker);
            workers.push(worker, Command::Publish { topic, except, kind, payload, compress });
            workers.note_message(worker, message.len());
        }
    }
    if let Some(membership) = membership {
        let message = Published { kind, payload: &message, compress };
        has_recipients |= workers.publish_to_others(membership, &topic, message);
    }
    workers.settle_published();
    Ok(has_recipients)
}
