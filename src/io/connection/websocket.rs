//! The WebSocket side of a connection: feeds the session, applies commands, keeps the ledger.

use super::sink::MessageSink;
use super::{Connection, Protocol};
use crate::bridge::event::Event;
use crate::bridge::id::{ConnectionId, TopicId};
use crate::bridge::ledger::Ledger;
use crate::bridge::sync::Arc;
use crate::io::context::Context;
use crate::io::topics::{Memberships, Moved, Subscriber};
use crate::protocol::cause::CloseCause;
use crate::protocol::time::Timestamp;
use crate::protocol::websocket::{Limits, MessageKind, Phase, Session};

/// State of a WebSocket connection.
#[derive(Debug)]
pub struct WebSocketSide {
    session: Session,
    limits: Arc<Limits>,
    ledger: Arc<Ledger>,
    /// Payload bytes of the applied send and ping commands, for the ledger.
    applied: u64,
    /// Topics; boxed because most connections of most programs have none or few.
    pub(super) memberships: Option<Box<Memberships>>,
    /// Node's thread waits to hear that the outbox is empty.
    notify: bool,
}

impl WebSocketSide {
    /// An open WebSocket.
    pub fn new(limits: Arc<Limits>, ledger: Arc<Ledger>, now: Timestamp) -> Self {
        Self { session: Session::new(now), limits, ledger, applied: 0, memberships: None, notify: false }
    }

    /// Once the peer has said its last word, its bytes are left alone until ours is said.
    pub fn wants_input(&self) -> bool {
        match self.session.phase() {
            Phase::Open | Phase::Closing => true,
            Phase::Concluding | Phase::Finished => false,
        }
    }

    pub fn deadline(&self) -> Option<Timestamp> {
        self.session.poll_deadline(&self.limits)
    }

    /// Brings the ledger up to date, and says `Drained` if somebody waits for it.
    pub fn after_flush(&mut self, connection: ConnectionId, before: usize, left: usize, context: &mut Context) {
        self.ledger.record(self.applied, left as u64);
        if left < before && left > 0 {
            self.session.handle_progress(context.now);
        }
        if left == 0 && self.notify {
            self.notify = false;
            context.events.events.push(Event::Drained { connection });
        }
    }
}

impl Connection {
    /// Runs `act` on the open WebSocket, and sees to what it led to.
    fn with_session(
        &mut self,
        context: &mut Context,
        act: impl FnOnce(&mut WebSocketSide, &mut Vec<u8>, &mut MessageSink<'_>, Timestamp),
    ) {
        if !self.is_serving() {
            return;
        }
        let Protocol::WebSocket(socket) = &mut self.protocol else { return };
        let out = self.outbox.tail(&mut context.pool);
        let mut sink = MessageSink { events: &mut context.events, connection: self.id };
        act(socket, out, &mut sink, context.now);
        if socket.session.phase() == Phase::Finished {
            self.drain(context);
        }
        if self.outbox.is_empty() {
            self.outbox.release(&mut context.pool);
        }
        self.mark_dirty(context);
    }

    pub(super) fn handle_websocket_input(&mut self, input: &mut [u8], context: &mut Context) {
        self.with_session(context, |socket, out, sink, now| {
            socket.session.handle_bytes(input, now, &socket.limits, out, sink);
        });
    }

    pub(super) fn handle_websocket_deadline(&mut self, context: &mut Context) {
        self.with_session(context, |socket, out, sink, now| {
            socket.session.handle_timeout(now, &socket.limits, out, sink);
        });
    }

    /// The socket is broken or at its end.
    pub(super) fn end_websocket_transport(&mut self, cause: CloseCause, context: &mut Context) {
        self.with_session(context, |socket, _, sink, _| socket.session.handle_transport_end(cause, sink));
    }

    pub(super) fn abort_websocket(&mut self, cause: CloseCause, context: &mut Context) {
        self.with_session(context, |socket, out, _, _| socket.session.abort(cause, out));
    }

    /// `Command::SendMessage`.
    pub fn send_message(&mut self, kind: MessageKind, payload: &[u8], context: &mut Context) {
        self.with_session(context, |socket, out, _, _| {
            socket.applied += payload.len() as u64;
            socket.session.send(kind, payload, out);
        });
    }

    /// `Command::SendPing`.
    pub fn send_ping(&mut self, payload: &[u8], context: &mut Context) {
        self.with_session(context, |socket, out, _, _| {
            socket.applied += payload.len() as u64;
            socket.session.ping(payload, out);
        });
    }

    /// A message published to a topic, encoded already.
    pub fn send_encoded(&mut self, frame: &bytes::Bytes, context: &mut Context) {
        if !self.is_serving() {
            return;
        }
        if let Protocol::WebSocket(socket) = &self.protocol
            && socket.session.can_send()
        {
            self.outbox.push_shared(frame, &mut context.pool);
            self.mark_dirty(context);
        }
    }

    /// `Command::EndWebSocket`: the application knows and its handler has run.
    pub fn end_websocket(&mut self, code: u16, reason: &[u8], context: &mut Context) {
        let reason = String::from_utf8_lossy(reason);
        tracing::debug!(code, reason = &*reason, "application ended the WebSocket");
        self.with_session(context, |socket, out, _, now| {
            socket.session.end(code, &reason, now, &socket.limits, out);
        });
    }

    /// `Command::ConcludeWebSocket`: answers to what came before the end are queued; the Close frame follows them.
    pub fn conclude_websocket(&mut self, context: &mut Context) {
        self.with_session(context, |socket, out, _, _| socket.session.conclude(out));
    }

    /// `Command::CloseWebSocket`: the application knows and its handler has run.
    pub fn close_websocket(&mut self, context: &mut Context) {
        self.drop_after_flush(context);
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
