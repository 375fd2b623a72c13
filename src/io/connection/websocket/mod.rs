//! The WebSocket side of a connection: feeds the session, applies commands, keeps the ledger.

mod held;

use self::held::Held;
use super::sink::{MessageSink, tell_closed};
use super::{Connection, Protocol, Stage};
use crate::bridge::event::{Event, Slice};
use crate::bridge::id::{ConnectionId, TopicId};
use crate::bridge::ledger::Ledger;
use crate::bridge::rules::{OnLimit, Rules};
use crate::bridge::sync::Arc;
use crate::io::context::Context;
use crate::io::publication::Publication;
use crate::io::topics::{Memberships, Moved, Subscriber};
use crate::protocol::cause::CloseCause;
use crate::protocol::time::Timestamp;
use crate::protocol::websocket::{
    Closure, Codecs, MessageKind, WebSocketPhase, WebSocketSession, WebSocketSink,
};
use crate::tls;

/// State of a WebSocket connection.
#[derive(Debug)]
pub struct WebSocketSide {
    pub(super) session: WebSocketSession,
    rules: Arc<Rules>,
    ledger: Arc<Ledger>,
    /// Payload bytes of the applied send and ping commands, for the ledger.
    applied: u64,
    /// Topics; boxed because most connections of most programs have none or few.
    pub(super) memberships: Option<Box<Memberships>>,
    /// Node's thread waits to hear that the outbox is empty.
    notify: bool,
    /// Why the WebSocket is closed, once it is.
    closed: Option<CloseCause>,
    /// Published messages that it missed since Node's thread was told of one.
    unreported: u32,
    /// What was published since the first fragment of a message went out; `None` while no message is incomplete.
    pub(super) held: Option<Box<Held>>,
}

/// What became of a published message at one of its subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is queued, or the WebSocket is about to close.
    Done,
    /// It was dropped, because the backlog exceeds `maxBackpressure`.
    Missed {
        /// Whether Node's thread wants to hear of it.
        report: bool,
    },
}

/// What an act on a WebSocket may need beside it.
pub(super) struct Surroundings<'a> {
    /// The moment of this pass.
    now: Timestamp,
    pub(super) codecs: &'a mut Codecs,
}

impl WebSocketSide {
    /// An open WebSocket.
    pub fn new(session: WebSocketSession, rules: Arc<Rules>, ledger: Arc<Ledger>) -> Self {
        Self {
            session,
            rules,
            ledger,
            applied: 0,
            memberships: None,
            notify: false,
            closed: None,
            unreported: 0,
            held: None,
        }
    }

    /// Once the peer has said its last word, its bytes are left alone until ours is said.
    pub fn wants_input(&self) -> bool {
        match self.session.phase() {
            WebSocketPhase::Open | WebSocketPhase::Closing => true,
            WebSocketPhase::Concluding | WebSocketPhase::Finished => false,
        }
    }

    /// Payload of a command has arrived.
    pub(super) const fn count_applied(&mut self, length: usize) {
        self.applied += length as u64;
    }

    /// Whether a published message must be dropped.
    fn must_drop(&self, backlog: usize) -> bool {
        let held = self.held.as_ref().map_or(0, |held| held.len());
        self.rules.must_drop((backlog + held) as u64)
    }

    /// Bytes that waited for the kernel after the last flush.
    pub(super) fn backlog(&self) -> u64 {
        self.ledger.backlog()
    }

    /// Whether it was closed because its peer reads too slowly.
    pub fn is_limited(&self) -> bool {
        self.closed == Some(CloseCause::BackpressureLimit)
    }

    /// Whether messages arrive compressed.
    pub fn inflates(&self) -> bool {
        self.session.inflates()
    }

    pub fn deadline(&self) -> Option<Timestamp> {
        self.session.poll_deadline(&self.rules.limits)
    }

    /// This side closes, and the application knows. If the WebSocket was closed already, that is what counts.
    fn close_locally(&mut self, cause: CloseCause, code: u16, reason: &str) {
        if self.closed.is_none() {
            self.closed = Some(cause);
            tell_closed(cause, code, reason);
        }
    }

    /// Brings the ledger up to date, and says `Drained` if somebody waits for it.
    pub fn after_flush(
        &mut self,
        connection: ConnectionId,
        before: usize,
        left: usize,
        context: &mut Context,
    ) {
        self.ledger.record(self.applied, left as u64);
        if left < before && left > 0 {
            self.session.handle_progress(context.now);
        }
        if left == 0 && self.notify {
            self.notify = false;
            context.emit(Event::Drained { connection });
        }
    }
}

impl Connection {
    /// Runs `act` on the open WebSocket, and sees to what it led to.
    pub(super) fn with_session(
        &mut self,
        context: &mut Context,
        act: impl FnOnce(&mut WebSocketSide, &mut Vec<u8>, &mut MessageSink<'_>, &mut Surroundings<'_>),
    ) {
        if !self.is_serving() {
            return;
        }
        let Protocol::WebSocket(socket) = &mut self.protocol else { return };
        let out = self.outbox.tail(&mut context.pool);
        let (events, tally) = (&mut context.events, context.tallies.of(self.app));
        let mut sink = MessageSink { events, connection: self.id, tally, closed: None };
        let mut surroundings = Surroundings { now: context.now, codecs: &mut context.codecs };
        act(socket, out, &mut sink, &mut surroundings);
        socket.closed = socket.closed.or(sink.closed);
        if socket.session.phase() == WebSocketPhase::Finished {
            let cause = socket.closed.unwrap_or(CloseCause::TransportFailed);
            self.drain(cause.verdict().name, context);
        }
        if self.outbox.is_empty() {
            self.outbox.release(&mut context.pool);
        }
        self.mark_dirty(context);
    }

    pub(super) fn handle_websocket_input(&mut self, input: &mut [u8], context: &mut Context) {
        self.with_session(context, |socket, out, sink, around| {
            socket.session.handle_bytes(input, around.now, &socket.rules.limits, around.codecs, out, sink);
        });
    }

    pub(super) fn handle_websocket_deadline(&mut self, context: &mut Context) {
        self.with_session(context, |socket, out, sink, around| {
            socket.session.handle_timeout(around.now, &socket.rules.limits, out, sink);
        });
    }

    /// The peer has sent FIN. Answers that are on their way from Node's thread still reach one that only closed its own
    /// direction: the connection is given up when Node's thread has heard.
    pub(super) fn handle_websocket_fin(&mut self, context: &mut Context) {
        let has_worn = self.transport.session().is_some_and(tls::session::TlsSession::has_peer_worn);
        let cause = if has_worn { CloseCause::TlsPeerKeysExhausted } else { CloseCause::FinWithoutClose };
        self.with_session(context, |socket, _, sink, around| {
            socket.session.handle_end(cause, around.now, &socket.rules.limits, sink);
        });
    }

    /// The connection below cannot go on for long: the peer is to come back with another one.
    pub(super) fn ask_to_reconnect(&mut self, cause: CloseCause, context: &mut Context) {
        self.with_session(context, |socket, out, sink, around| {
            socket.session.ask_to_reconnect(cause, around.now, &socket.rules.limits, out, sink);
        });
    }

    /// The socket is broken.
    pub(super) fn end_websocket_transport(&mut self, cause: CloseCause, context: &mut Context) {
        self.with_session(context, |socket, _, sink, _| socket.session.handle_transport_end(cause, sink));
    }

    pub(super) fn abort_websocket(&mut self, cause: CloseCause, context: &mut Context) {
        let verdict = cause.verdict();
        self.with_session(context, |socket, out, _, _| {
            socket.close_locally(cause, verdict.local_code, verdict.text);
            socket.session.abort(cause, out);
        });
    }

    /// `Command::SendMessage`.
    pub fn send_message(&mut self, kind: MessageKind, payload: &[u8], compress: bool, context: &mut Context) {
        self.with_session(context, |socket, out, sink, around| {
            socket.applied += payload.len() as u64;
            sink.tally.messages_sent.add(u64::from(socket.session.can_send()));
            if compress {
                socket.session.send_compressed(kind, payload, around.codecs, out);
            } else {
                socket.session.send(kind, payload, out);
            }
        });
    }

    /// `Command::SendPing`.
    pub fn send_ping(&mut self, payload: &[u8], context: &mut Context) {
        self.with_session(context, |socket, out, _, _| {
            socket.applied += payload.len() as u64;
            socket.session.ping(payload, out);
        });
    }

    /// A message published to a topic. A subscriber that does not keep up misses it.
    pub fn send_published(&mut self, publication: &mut Publication<'_>, context: &mut Context) -> Delivery {
        let Protocol::WebSocket(socket) = &mut self.protocol else { return Delivery::Done };
        if self.stage != Stage::Serving || !socket.session.can_send() {
            return Delivery::Done;
        }
        if socket.must_drop(self.outbox.len() + self.transport.unsent()) {
            // Only what the kernel refuses is a backlog. That the socket may be broken is found at the end of the pass.
            let _ = self.flush_outbox(context);
        }
        let Protocol::WebSocket(socket) = &mut self.protocol else { return Delivery::Done };
        if socket.must_drop(self.outbox.len() + self.transport.unsent()) {
            context.tallies.of(self.app).messages_dropped.add(1);
            return Delivery::Missed { report: socket.rules.reports_drops };
        }
        context.tallies.of(self.app).messages_sent.add(1);
        let form = socket.session.form(publication.compress);
        if let Some(held) = &mut socket.held {
            held.push(publication, form, &mut context.codecs);
            return Delivery::Done;
        }
        match publication.frame(form, &mut context.codecs) {
            Some(frame) => self.outbox.push_shared(frame, &mut context.pool),
            None => {
                let (kind, payload) = (publication.kind, publication.payload);
                let out = self.outbox.tail(&mut context.pool);
                socket.session.send_compressed(kind, payload, &mut context.codecs, out);
            }
        }
        self.mark_dirty(context);
        Delivery::Done
    }

    /// A published message was missed, and Node's thread is to be told: now, or, where `payload` is `None`, with the next
    /// one, as it is too far behind.
    pub fn report_missed(&mut self, kind: MessageKind, payload: Option<Slice>, context: &mut Context) {
        let Protocol::WebSocket(socket) = &mut self.protocol else { return };
        match payload {
            None => socket.unreported = socket.unreported.saturating_add(1),
            Some(payload) => {
                let unreported = std::mem::take(&mut socket.unreported);
                let connection = self.id;
                context.emit(Event::MessageDropped { connection, kind, payload, unreported });
            }
        }
    }

    /// A message was dropped: closes the WebSocket, if that is the rule.
    pub fn act_on_limit(&mut self, context: &mut Context) {
        if let Protocol::WebSocket(socket) = &self.protocol
            && socket.rules.on_limit == OnLimit::Close
        {
            self.limit_websocket(context);
        }
    }

    /// `Command::LimitWebSocket`: the peer reads too slowly. What it has not read by now waits in front of the Close frame
    /// that says so, but not for long: see `Connection::may_take_its_time`.
    pub fn limit_websocket(&mut self, context: &mut Context) {
        let cause = CloseCause::BackpressureLimit;
        self.with_session(context, |socket, out, sink, _| {
            if socket.session.phase() == WebSocketPhase::Open {
                let verdict = cause.verdict();
                sink.closed(Closure { cause, code: verdict.local_code, reason: verdict.text });
            }
            socket.session.abort(cause, out);
        });
    }

    /// `Command::EndWebSocket`: the application knows and its handler has run.
    pub fn end_websocket(&mut self, cause: CloseCause, code: u16, reason: &[u8], context: &mut Context) {
        let reason = String::from_utf8_lossy(reason);
        self.with_session(context, |socket, out, _, around| {
            let told = if reason.is_empty() { cause.verdict().text } else { &*reason };
            socket.close_locally(cause, code, told);
            socket.session.end(code, &reason, around.now, &socket.rules.limits, out);
        });
    }

    /// `Command::ConcludeWebSocket`: answers to what came before the end are queued; the Close frame follows them.
    pub fn conclude_websocket(&mut self, context: &mut Context) {
        self.with_session(context, |socket, out, _, _| socket.session.conclude(out));
    }

    /// `Command::CloseWebSocket`: the application knows and its handler has run.
    pub fn close_websocket(&mut self, context: &mut Context) {
        let verdict = CloseCause::ApplicationClosed.verdict();
        if let Protocol::WebSocket(socket) = &mut self.protocol {
            socket.close_locally(CloseCause::ApplicationClosed, verdict.local_code, verdict.text);
        }
        self.drop_after_flush(CloseCause::ApplicationClosed, context);
    }

    /// `Command::NotifyDrain`.
    pub fn notify_drain(&mut self, context: &mut Context) {
        self.with_session(context, |socket, _, _, _| socket.notify = true);
    }

    /// `Command::Subscribe`.
    pub fn subscribe(&mut self, topic: TopicId, context: &mut Context) {
        let who = Subscriber { slot: self.id.slot, generation: self.id.generation };
        if let Protocol::WebSocket(socket) = &mut self.protocol {
            let memberships = socket.memberships.get_or_insert_default();
            context.topics.subscribe(who, memberships, topic);
        }
    }

    /// `Command::Unsubscribe`.
    pub fn unsubscribe(&mut self, topic: TopicId, context: &mut Context) -> Option<Moved> {
        let Protocol::WebSocket(socket) = &mut self.protocol else { return None };
        context.topics.unsubscribe(socket.memberships.as_mut()?, topic)
    }

    /// Another subscriber left a topic of this one.
    pub fn moved(&mut self, moved: Moved) {
        if let Protocol::WebSocket(socket) = &mut self.protocol
            && let Some(memberships) = &mut socket.memberships
        {
            memberships.moved(moved);
        }
    }
}
