//! `WebSocket`: one open WebSocket, as Node's thread sees it.

use std::rc::Rc;

use crate::bridge::command::Command;
use crate::bridge::id::{AppId, ConnectionId};
use crate::bridge::ledger::{IN_FLIGHT_ALLOWANCE, Ledger};
use crate::bridge::peer::{KeptPeer, Peer};
use crate::bridge::rules::OnLimit;
use crate::bridge::sync::Arc;
use crate::node::abi::{Register, absent, sent};
use crate::node::calls::address as of_peer;
use crate::node::calls::http_response::append_payload;
use crate::node::environment::{Call, Environment, Occupant};
use crate::node::error::Misuse;
use crate::node::js::{Type, Value};
use crate::node::state::burst::Burst;
use crate::node::state::handles::Handle;
use crate::node::state::pending::PendingEvent;
use crate::node::state::pubsub::Subscriptions;
use crate::node::state::routes::behavior::{Behavior, Handlers};
use crate::node::state::topics::Change;
use crate::protocol::cause::CloseCause;
use crate::protocol::websocket::MessageKind;
use crate::protocol::websocket::fragment::Fragment;

/// One open WebSocket.
#[derive(Debug)]
pub struct Socket {
    /// Its connection.
    pub connection: ConnectionId,
    /// Whose it is.
    pub app: AppId,
    /// The options of its route, or of its connect. Shared with that, so that they are at hand with every message, and
    /// stay whatever becomes of the route.
    pub behavior: Rc<Behavior>,
    /// What the worker has done of what was accepted.
    ledger: Arc<Ledger>,
    /// Payload bytes accepted by `send` and `ping`.
    accepted: u64,
    /// Those accepted when the worker was last asked how it gets on.
    looked: u64,
    /// Those accepted when they were last handed over before the handler had returned.
    handed: u64,
    /// What the handler that sent last has sent.
    burst: Burst,
    /// Whether the application has seen back-pressure, so that it is owed a `drain`.
    drain: DrainRequest,
    /// The message that is being sent in fragments.
    fragments: Fragments,
    /// It was told to close because of its backlog; nothing more is sent.
    limited: bool,
    /// The application has closed it, and its handlers have not run yet: nothing more is sent.
    pub is_closing: bool,
    /// Its topics.
    topics: Subscriptions,
    peer: KeptPeer,
}

impl Socket {
    /// A WebSocket that has just been opened.
    #[must_use]
    pub fn new(
        connection: ConnectionId,
        app: AppId,
        behavior: Rc<Behavior>,
        ledger: Arc<Ledger>,
        peer: Peer,
    ) -> Self {
        Self {
            connection,
            app,
            behavior,
            ledger,
            accepted: 0,
            looked: 0,
            handed: 0,
            burst: Burst::default(),
            drain: DrainRequest::None,
            fragments: Fragments::None,
            limited: false,
            is_closing: false,
            topics: Subscriptions::new(),
            peer: peer.into(),
        }
    }
}

impl Socket {
    /// The app among whose WebSockets it may publish.
    ///
    /// # Errors
    /// It is a client, and what it sends is for its server alone.
    fn topical_app(&self) -> Result<u32, Misuse> {
        if self.app == AppId::CLIENTS {
            return Err(Misuse::invalid_state("a WebSocket of connect belongs to no app and has no topics"));
        }
        Ok(self.app.app)
    }

    /// Counts payload that is accepted now. Returns whether the burst has just become a long one.
    fn accept(&mut self, length: u32, asked: u64) -> bool {
        self.accepted += u64::from(length);
        self.burst.add(u64::from(length), asked)
    }

    /// Bytes that the application is told are waiting: those that really are, as far as is known, and if that is more, what
    /// one handler has sent beyond what it may.
    fn waiting(&self, asked: u64) -> u64 {
        self.ledger.outstanding(self.accepted).max(self.burst.excess(asked))
    }

    /// Whether the worker should begin to write, while the handler goes on: otherwise neither would do anything while the other
    /// does, and the handler would have to wait for all of it.
    fn is_enough_to_begin_with(&mut self) -> bool {
        let under_way = self.ledger.held(self.accepted).saturating_sub(self.ledger.backlog());
        let is_enough = under_way.min(self.accepted - self.handed) >= IN_FLIGHT_ALLOWANCE / 2;
        if is_enough {
            self.handed = self.accepted;
        }
        is_enough
    }

    /// Whether so much is on its way to the worker that it is to be asked what the kernel takes. Once for each time that as
    /// much was sent, whatever came of it; and not while the kernel takes nothing anyway.
    fn is_far_ahead(&self) -> bool {
        self.accepted - self.looked > IN_FLIGHT_ALLOWANCE
            && self.ledger.backlog() == 0
            && self.ledger.held(self.accepted) > IN_FLIGHT_ALLOWANCE
    }
}

/// Whether a `drain` is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DrainRequest {
    /// It is not.
    None,
    /// A `Drained` is under way.
    Pending,
    /// Another one is, because something was under way to the worker when the first came.
    Confirming,
}

/// How far a message in fragments has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fragments {
    /// There is none.
    None,
    /// The first fragment has been accepted, so all others are, whatever waits for the peer.
    Sent(MessageKind),
    /// The first fragment was dropped, and all others are: a message is lost as a whole or not at all.
    Dropped(MessageKind),
}

impl Environment {
    /// The WebSocket of a handle, if it is open.
    ///
    /// # Errors
    /// [`Misuse::websocket_closed`]
    pub fn socket(&mut self, number: f64) -> Result<(Handle, &mut Socket), Misuse> {
        let handle = Handle::from_number(number).ok_or_else(Misuse::websocket_closed)?;
        self.sockets.get_mut(handle).map(|socket| (handle, socket)).ok_or_else(Misuse::websocket_closed)
    }

    /// The WebSocket is closed as far as JavaScript is concerned: its handle is refused from now on, and nothing that
    /// arrives for it is of interest. What its topics lost can be taken as departures. Fills the registers for the close
    /// handler.
    pub fn close_socket(&mut self, handle: Handle, code: u16, cause: CloseCause) {
        let Some(socket) = self.sockets.remove(handle) else { return };
        if let Some(stats) = self.apps.stats(socket.app) {
            stats.note_closed(cause);
        }
        if self.occupants.get(socket.connection) == Occupant::Socket(handle) {
            self.occupants.set(socket.connection, Occupant::Nobody);
        }
        let wanted = socket.behavior.handlers.has(Handlers::SUBSCRIPTION);
        let left = self.pubsub.leave_all(&socket.topics, socket.connection.worker, wanted);
        self.registers.set(Register::Slot, f64::from(handle.slot));
        self.registers.set(Register::Code, f64::from(code));
        self.registers.set(Register::Cause, f64::from(cause.number()));
        self.registers.set(Register::TopicsLeft, left as f64);
    }

    /// Asks the worker to say when everything is written, once.
    fn request_drain(&mut self, handle: Handle) {
        self.ask_for_drain(handle, DrainRequest::Pending);
    }

    fn ask_for_drain(&mut self, handle: Handle, request: DrainRequest) {
        let Some(socket) = self.sockets.get_mut(handle) else { return };
        if socket.drain == DrainRequest::None {
            socket.drain = request;
            let connection = socket.connection;
            self.workers.push(connection.worker, Command::NotifyDrain { connection });
        }
    }

    /// Bytes that the application is to be told are waiting for the peer. Those that are merely on their way to the worker
    /// may well be taken by the kernel at once: before they are told, the worker is given the time to find out.
    fn find_waiting(&mut self, handle: Handle) -> u64 {
        let asked = self.dispatcher.asked;
        let Some(socket) = self.sockets.get_mut(handle) else { return 0 };
        let connection = socket.connection;
        let is_enough = socket.is_enough_to_begin_with();
        if socket.is_far_ahead() {
            socket.looked = socket.accepted;
            self.workers.look_at(connection);
        } else if is_enough {
            self.workers.hand_over(connection.worker);
        }
        self.sockets.get(handle).map_or(0, |socket| socket.waiting(asked))
    }

    /// Whether a message to this WebSocket must be dropped. Before what is merely on its way to the worker costs a message,
    /// the worker is given the time to find out.
    fn is_over_limit(&mut self, handle: Handle) -> bool {
        let Some(socket) = self.sockets.get(handle) else { return false };
        if socket.limited {
            return true;
        }
        let outstanding = socket.ledger.outstanding(socket.accepted);
        let behavior = &socket.behavior;
        if !behavior.rules.must_drop(outstanding) {
            return false;
        }
        if behavior.rules.must_drop(socket.ledger.backlog()) || socket.looked == socket.accepted {
            return true;
        }
        let (rules, connection) = (Arc::clone(&behavior.rules), socket.connection);
        if let Some(socket) = self.sockets.get_mut(handle) {
            socket.looked = socket.accepted;
        }
        self.workers.look_at(connection);
        let socket = self.sockets.get(handle);
        socket.is_some_and(|socket| rules.must_drop(socket.ledger.outstanding(socket.accepted)))
    }

    /// Whether `closeOnBackpressureLimit` is set.
    fn closes_at_limit(&self, handle: Handle) -> bool {
        let socket = self.sockets.get(handle);
        socket.is_some_and(|socket| socket.behavior.rules.on_limit == OnLimit::Close)
    }

    /// A message was dropped: closes the WebSocket, if that is the rule; else says when it may go on.
    fn act_on_limit(&mut self, handle: Handle) {
        if !self.closes_at_limit(handle) {
            return self.request_drain(handle);
        }
        let Some(socket) = self.sockets.get_mut(handle) else { return };
        if !std::mem::replace(&mut socket.limited, true) {
            let connection = socket.connection;
            self.workers.push(connection.worker, Command::LimitWebSocket { connection });
        }
    }

    /// A `Drained` has arrived. Returns whether it answers a request of this WebSocket and is still true. Where more was
    /// accepted since the worker said it, asks again: what is under way does not count as waiting, but may do so by the time
    /// the `drain` handler looks. A WebSocket that always has something under way is asked about it once, so that it
    /// is not left without its `drain`.
    pub fn take_drain(&mut self, handle: Handle) -> bool {
        let Some(socket) = self.sockets.get_mut(handle) else { return false };
        let (ledger, accepted) = (&socket.ledger, socket.accepted);
        let again = match std::mem::replace(&mut socket.drain, DrainRequest::None) {
            DrainRequest::None => return false,
            DrainRequest::Pending if ledger.held(accepted) == 0 => return true,
            DrainRequest::Confirming if ledger.outstanding(accepted) == 0 => return true,
            DrainRequest::Pending if ledger.outstanding(accepted) == 0 => DrainRequest::Confirming,
            unchanged @ (DrainRequest::Pending | DrainRequest::Confirming) => unchanged,
        };
        self.ask_for_drain(handle, again);
        false
    }

    /// Publishes to everybody but `except`. Returns whether there was anybody.
    pub fn publish(
        &mut self,
        call: &Call<'_>,
        app: u32,
        except: Option<(Handle, ConnectionId)>,
        first: usize,
    ) -> Result<bool, Misuse> {
        let (mut topic, mut message) = (Vec::new(), Vec::new());
        call.append(first, &mut topic)?;
        // The message is checked in any case: a mistake shall not wait for the first subscriber to show.
        call.append(first + 1, &mut message)?;
        let own = except.and_then(|(handle, _)| self.sockets.get(handle)).map(|socket| &socket.topics);
        let Some((topic, workers)) = self.pubsub.recipients(app, &topic, own) else { return Ok(false) };
        let (kind, compress) = (kind_of(call.truthy(first + 2)), call.truthy(first + 3));
        self.workers.flush_if_long();
        for worker in workers {
            let payload = self.workers.copy(worker, &message);
            let except = except.map(|(_, connection)| connection).filter(|it| it.worker == worker);
            self.workers.push(worker, Command::Publish { topic, except, kind, payload, compress });
            self.workers.note_message(worker, message.len());
        }
        self.workers.settle();
        Ok(true)
    }
}

const fn kind_of(is_binary: bool) -> MessageKind {
    if is_binary { MessageKind::Binary } else { MessageKind::Text }
}

/// `wsSend(socket, message, isBinary, compress)`: one of `sent`. With `DROPPED`, the register `MARK` has the place of the event
/// for `told`, or `NONE` if nobody wants to know.
pub fn send<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (kind, compress) = (kind_of(call.truthy(2)), call.truthy(3));
    require_no_fragments(call)?;
    transmit(call, Droppable::Yes(kind), |connection, payload| Command::SendMessage {
        connection,
        kind,
        payload,
        compress,
    })
}

/// Refuses a message while another one is incomplete: the peer would take it for a broken one (RFC 6455 §5.4).
fn require_no_fragments(call: &Call<'_>) -> Result<(), Misuse> {
    match call.environment()?.socket(call.number(0))?.1.fragments {
        Fragments::None => Ok(()),
        Fragments::Sent(_) | Fragments::Dropped(_) => Err(Misuse::invalid_state(
            "a message is being sent in fragments: sendLastFragment must come before the next message",
        )),
    }
}

/// `wsFirstFragment(socket, message, isBinary, compress)`: as `wsSend`; `compress` counts for the whole message.
pub fn first_fragment<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (kind, compress) = (kind_of(call.truthy(2)), call.truthy(3));
    require_no_fragments(call)?;
    let status = transmit(call, Droppable::Yes(kind), |connection, payload| Command::SendFragment {
        connection,
        fragment: Fragment::First { kind, compress },
        payload,
    })?;
    let is_dropped = call.env().number(status) == Some(sent::DROPPED);
    let fragments = if is_dropped { Fragments::Dropped(kind) } else { Fragments::Sent(kind) };
    call.environment()?.socket(call.number(0))?.1.fragments = fragments;
    Ok(status)
}

/// `wsFragment(socket, message, isLast)`: as `wsSend`.
pub fn fragment<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let is_last = call.truthy(2);
    let fragment = if is_last { Fragment::Last } else { Fragment::Middle };
    let (handle, before) = {
        let mut environment = call.environment()?;
        let (handle, socket) = environment.socket(call.number(0))?;
        (handle, socket.fragments)
    };
    let droppable = match before {
        Fragments::None => {
            return Err(Misuse::invalid_state("no message is being sent: sendFirstFragment must come first"));
        }
        // To be closed is no worse in the middle of a message than elsewhere; to miss a part of it would be.
        Fragments::Sent(kind) if call.environment()?.closes_at_limit(handle) => Droppable::Yes(kind),
        Fragments::Sent(_) => Droppable::No,
        Fragments::Dropped(kind) => Droppable::Already(kind),
    };
    let status = transmit(call, droppable, |connection, payload| Command::SendFragment {
        connection,
        fragment,
        payload,
    })?;
    if is_last {
        call.environment()?.socket(call.number(0))?.1.fragments = Fragments::None;
    }
    Ok(status)
}

/// `wsPing(socket, message)`: as `wsSend`, but never dropped.
pub fn ping<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut payload = Vec::new();
    check(call)?;
    call.append(1, &mut payload)?;
    if payload.len() > 125 {
        return Err(Misuse::out_of_range("ping payload must not exceed 125 bytes (RFC 6455 §5.5)"));
    }
    transmit(call, Droppable::No, |connection, payload| Command::SendPing { connection, payload })
}

/// Whether a frame is subject to `maxBackpressure`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Droppable {
    /// It is.
    Yes(MessageKind),
    /// It is a control frame, or belongs to a message that has begun.
    No,
    /// It belongs to a message whose begin was dropped.
    Already(MessageKind),
}

fn transmit<'c>(
    call: &Call<'c>,
    droppable: Droppable,
    command: impl FnOnce(ConnectionId, crate::bridge::event::Slice) -> Command,
) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let environment = &mut *guard;
    let (handle, socket) = environment.socket(call.number(0))?;
    let (connection, app, is_closing) = (socket.connection, socket.app, socket.is_closing);
    // Before anything is added to the batch, which this may hand over.
    let must_drop = match droppable {
        _ if is_closing => true,
        Droppable::Yes(_) => environment.is_over_limit(handle),
        Droppable::No => false,
        Droppable::Already(_) => true,
    };
    let payload = append_payload(call, &mut environment.workers, connection.worker, 1)?;
    if must_drop {
        // Otherwise a loop that goes on sending would fill the memory with what it was told is dropped.
        let wanted = !is_closing && environment.wants_dropped(handle);
        let arena = environment.workers.arena(connection.worker);
        let message = wanted.then(|| arena[payload.start as usize..].to_vec());
        arena.truncate(payload.start as usize);
        environment.registers.set(Register::Mark, absent::NONE);
        if !is_closing {
            environment.note_dropped(handle, app, droppable, message);
            environment.act_on_limit(handle);
            environment.workers.settle();
        }
        return Ok(call.env().from_number(sent::DROPPED));
    }
    environment.workers.push(connection.worker, command(connection, payload));
    let asked = environment.dispatcher.asked;
    let (_, socket) = environment.socket(call.number(0))?;
    let is_long = socket.accept(payload.len, asked);
    environment.workers.note_message(connection.worker, payload.len as usize);
    let queued = environment.find_waiting(handle) > 0;
    if queued {
        environment.request_drain(handle);
    }
    if is_long {
        // Sent from a timer, a promise or a stream. Without a turn of the dispatcher it would never end, however many turns
        // of Node's loop it takes.
        environment.workers.ring();
    }
    environment.workers.settle();
    Ok(call.env().from_number(if queued { sent::QUEUED } else { sent::NOW }))
}

impl Environment {
    /// Whether anybody wants to know of a message that is dropped.
    fn wants_dropped(&self, handle: Handle) -> bool {
        let socket = self.sockets.get(handle);
        let has_handler = socket.is_some_and(|socket| socket.behavior.handlers.has(Handlers::DROPPED));
        has_handler || self.dispatcher.tells_drops
    }

    /// A message, or a part of one, was dropped: counts it, and tells it to whoever wants to know.
    fn note_dropped(&mut self, socket: Handle, app: AppId, droppable: Droppable, message: Option<Vec<u8>>) {
        let kind = match droppable {
            Droppable::Yes(kind) => {
                if let Some(stats) = self.apps.stats(app) {
                    stats.note_dropped();
                }
                kind
            }
            Droppable::Already(kind) => kind,
            Droppable::No => return,
        };
        if let Some(payload) = message {
            self.registers.set(Register::Mark, self.pending.len() as f64);
            self.pending.add(PendingEvent::Dropped { socket, kind, payload }, &self.workers);
        }
    }
}

/// `wsBuffered(socket)`: bytes of back-pressure.
pub fn buffered_amount<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (handle, _) = environment.socket(call.number(0))?;
    let amount = environment.find_waiting(handle);
    if amount > 0 {
        environment.request_drain(handle);
        environment.workers.settle();
    }
    Ok(call.env().from_number(amount as f64))
}

/// `wsEnd(socket, code, message)`: returns the place of the event for `told`. `lib/` sees to it that the code may be used.
pub fn end<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (handle, _) = environment.socket(call.number(0))?;
    let code = close_code(call, 1)?.unwrap_or(0);
    let reason = call.bytes(2)?;
    let mark = environment.pending.len();
    environment.close_pending(handle, CloseCause::ApplicationEnded, Some((code, reason)));
    Ok(call.env().from_number(mark as f64))
}

/// An argument that is a close code; `None` if it is left out.
///
/// # Errors
/// It is no number, or neither 0 nor an integer from 1000 to 4999.
pub fn close_code(call: &Call<'_>, index: usize) -> Result<Option<u16>, Misuse> {
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

/// `wsClose(socket)`: returns the place of the event for `told`.
pub fn close<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (handle, _) = environment.socket(call.number(0))?;
    let mark = environment.pending.len();
    environment.close_pending(handle, CloseCause::ApplicationClosed, None);
    Ok(call.env().from_number(mark as f64))
}

/// `wsSubscribe(socket, topic)`: returns the place of the event for `told`, `NONE` if there is none.
pub fn subscribe<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let environment = &mut *guard;
    let (handle, socket) = environment.socket(call.number(0))?;
    let (connection, app) = (socket.connection, socket.topical_app()?);
    let name = topic_argument(call)?;
    let Some(socket) = environment.sockets.get_mut(handle) else { return Err(Misuse::websocket_closed()) };
    if socket.is_closing {
        // Its close waits to be told, and what would be told of this topic could only come behind that.
        return Ok(call.env().from_number(absent::NONE));
    }
    let (topics, workers) = (&mut socket.topics, &mut environment.workers);
    let Some(change) = environment.pubsub.subscribe((app, name), connection, topics, workers) else {
        return Ok(call.env().from_number(absent::NONE));
    };
    workers.settle();
    let mark = environment.add_subscription(handle, change);
    Ok(call.env().from_number(mark.map_or(absent::NONE, |mark| mark as f64)))
}

/// `wsUnsubscribe(socket, topic)`: returns the place of the event for `told`, `NONE` if there is none,
/// `NOT_SUBSCRIBED` if there was nothing to undo.
pub fn unsubscribe<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut guard = call.environment()?;
    let environment = &mut *guard;
    let (handle, socket) = environment.socket(call.number(0))?;
    let (connection, app) = (socket.connection, socket.app.app);
    let name = topic_argument(call)?;
    let Some(socket) = environment.sockets.get_mut(handle) else { return Err(Misuse::websocket_closed()) };
    if socket.is_closing {
        // As in `subscribe`; the close tells that it leaves the topic.
        return Ok(call.env().from_number(absent::NOT_SUBSCRIBED));
    }
    let (topics, workers) = (&mut socket.topics, &mut environment.workers);
    let Some(change) = environment.pubsub.unsubscribe((app, &name), connection, topics, workers) else {
        return Ok(call.env().from_number(absent::NOT_SUBSCRIBED));
    };
    workers.settle();
    let mark = environment.add_subscription(handle, change);
    Ok(call.env().from_number(mark.map_or(absent::NONE, |mark| mark as f64)))
}

/// `wsIsSubscribed(socket, topic)`
pub fn is_subscribed<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (handle, socket) = environment.socket(call.number(0))?;
    let app = socket.app.app;
    let name = topic_argument(call)?;
    let socket = environment.sockets.get(handle);
    let subscribed = socket.is_some_and(|it| environment.pubsub.is_subscribed(app, &name, &it.topics));
    Ok(call.env().from_bool(subscribed))
}

/// `wsTopics(socket)`
pub fn topics<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (handle, _) = environment.socket(call.number(0))?;
    let env = call.env();
    let socket = environment.sockets.get(handle);
    let names = socket.iter().flat_map(|socket| environment.pubsub.names(&socket.topics));
    Ok(env.array(names.map(|name| env.string(name))))
}

/// `wsDeparture()`: the name of the next topic that the WebSocket closed last has left; `COUNT_NOW` and `COUNT_BEFORE` hold
/// the counts.
pub fn departure<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let Some(Change { name, new, old }) = environment.pubsub.next_departure() else {
        return Ok(Value::UNDEFINED);
    };
    environment.registers.set(Register::CountNow, f64::from(new));
    environment.registers.set(Register::CountBefore, f64::from(old));
    Ok(call.env().array_buffer(&name))
}

/// `wsPublish(socket, topic, message, isBinary, compress)`
pub fn publish<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (handle, socket) = environment.socket(call.number(0))?;
    let (connection, app) = (socket.connection, socket.topical_app()?);
    if call.count() < 3 {
        return Err(Misuse::missing_args(2));
    }
    if socket.topics.is_empty() {
        // As in uWebSockets.js, a socket that is subscribed to nothing publishes to nobody. A mistake shows all the same.
        for index in [1, 2] {
            call.append(index, &mut Vec::new())?;
        }
        return Ok(call.env().from_bool(false));
    }
    let published = environment.publish(call, app, Some((handle, connection)), 1)?;
    Ok(call.env().from_bool(published))
}

/// `wsAddress(socket, proxied)`
pub fn address<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let peer = call.environment()?.socket(call.number(0))?.1.peer.peer();
    Ok(of_peer::bytes(call, peer))
}

/// `wsAddressText(socket, proxied)`
pub fn address_text<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let peer = call.environment()?.socket(call.number(0))?.1.peer.peer();
    Ok(of_peer::text(call, peer))
}

/// `wsPort(socket, proxied)`
pub fn port<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let peer = call.environment()?.socket(call.number(0))?.1.peer.peer();
    Ok(of_peer::port(call, peer))
}

/// `wsCheck(socket)`: throws if it is closed.
pub fn check<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    call.environment()?.socket(call.number(0))?;
    Ok(Value::UNDEFINED)
}

fn topic_argument(call: &Call<'_>) -> Result<Vec<u8>, Misuse> {
    let name = call.bytes(1)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::id::WorkerId;

    #[test]
    fn what_the_kernel_takes_never_counts_and_what_it_refuses_counts_once() {
        let connection = ConnectionId { worker: WorkerId(0), slot: 0, generation: 0 };
        let ledger = Arc::new(Ledger::default());
        let mut socket = Socket::new(
            connection,
            AppId { app: 0, epoch: 0 },
            Rc::new(Behavior::plain()),
            Arc::clone(&ledger),
            Peer::default(),
        );
        let piece = 8 * 1024 * 1024;
        socket.accept(piece, 1);
        assert!(socket.is_far_ahead());
        socket.looked = socket.accepted;
        assert!(!socket.is_far_ahead(), "the worker does not answer sooner if it is asked more often");
        ledger.record(socket.accepted, 5000);
        assert_eq!(socket.waiting(1), 5000);
        ledger.record(socket.accepted, 0);
        assert_eq!(socket.waiting(1), 0);
        socket.accept(100_000, 1);
        assert_eq!((socket.waiting(1), socket.is_far_ahead()), (0, false));
    }
}
