//! WebSocket on a connection: feeds the session, applies commands, keeps the ledger. `delivery` queues published
//! messages.

pub(super) mod delivery;
mod held;
mod message_sink;
mod unhandled;

use std::collections::VecDeque;

use self::held::{Held, HeldMessage};
use self::message_sink::{MessageSink, log_closed};
use self::unhandled::Unhandled;
use super::shell::Shell;
use crate::bridge::event::{Event, WebSocketEvent};
use crate::bridge::id::TopicId;
use crate::bridge::ledger::WebSocketLedger;
use crate::bridge::moment::Moment;
use crate::bridge::rules::Rules;
use crate::bridge::sync::Arc;
use crate::io::context::Context;
use crate::io::outbox::Outbox;
use crate::io::topics::{Memberships, Moved, Subscriber};
use crate::protocol::cause::CloseCause;
use crate::protocol::time::Timestamp;
use crate::protocol::websocket::fragment::Fragment;
use crate::protocol::websocket::session::TcpCloser;
use crate::protocol::websocket::{
    Closure, Codecs, MessageKind, WebSocketPhase, WebSocketSession, WebSocketSink,
};
use crate::tls;

/// State of a WebSocket.
#[derive(Debug)]
pub(crate) struct WebSocket {
    session: WebSocketSession,
    rules: Arc<Rules>,
    ledger: Arc<WebSocketLedger>,
    /// Payload bytes of the applied send and ping commands, for the ledger.
    applied: u64,
    /// When it was opened.
    opened: Moment,
    /// Topics; boxed because typical connections have none or few.
    memberships: Option<Box<Memberships>>,
    /// Node's thread waits until the outbox is empty.
    is_drain_awaited: bool,
    /// Why the WebSocket is closed, once it is.
    closed: Option<CloseCause>,
    /// Published messages that were dropped since one was last reported to Node's thread.
    unreported: u32,
    /// Messages published since the first fragment of a message was sent; `None` while no message is incomplete.
    held: Option<Box<Held>>,
    /// Input that waits for Node's thread.
    unhandled: Option<Box<Unhandled>>,
    /// The application wants nothing more for now (`ws.pause()` of `ferrows/ws`).
    is_paused: bool,
    /// Output whose end Node's thread waits for; boxed because most WebSockets have none.
    awaited: Option<Box<Awaited>>,
}

/// Positions in the output of a WebSocket of which Node's thread wants to know when they are written.
#[derive(Debug, Default)]
struct Awaited {
    /// Bytes written since the first of them was noted.
    written: u64,
    /// The positions, in the same count, in their order.
    positions: VecDeque<u64>,
}

impl Awaited {
    /// Counts bytes that were written, and takes the positions that are reached; all of them if nothing is left.
    fn advance(&mut self, written: u64, left: usize) -> u32 {
        self.written += written;
        let reached = if left == 0 { u64::MAX } else { self.written };
        let count = self.positions.iter().take_while(|position| **position <= reached).count();
        self.positions.drain(..count);
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

impl WebSocket {
    /// An open WebSocket. `before` bytes of HTTP still wait for its socket.
    #[must_use]
    pub(crate) fn new(
        session: WebSocketSession,
        rules: Arc<Rules>,
        ledger: Arc<WebSocketLedger>,
        before: usize,
        now: Moment,
    ) -> Self {
        ledger.traffic.open(before, now);
        Self {
            session,
            rules,
            ledger,
            applied: 0,
            opened: now,
            memberships: None,
            is_drain_awaited: false,
            closed: None,
            unreported: 0,
            held: None,
            unhandled: None,
            is_paused: false,
            awaited: None,
        }
    }

    /// Bytes that may be read at a time. After the peer's Close frame none, until ours is sent.
    pub(crate) fn room(&self) -> usize {
        match self.session.phase() {
            _ if self.is_paused => 0,
            WebSocketPhase::Open | WebSocketPhase::Closing if self.inflates() => COMPRESSED_READ,
            WebSocketPhase::Open | WebSocketPhase::Closing => usize::MAX,
            WebSocketPhase::Concluding | WebSocketPhase::Finished => 0,
        }
    }

    /// The same for the last look before a deadline: few bytes, but even if the outbox is full.
    pub(crate) fn last_look_room(&self) -> usize {
        self.room().min(COMPRESSED_READ)
    }

    /// Whether messages arrive compressed, so that input may become much larger.
    pub(crate) fn inflates(&self) -> bool {
        self.session.inflates()
    }

    /// Bytes that waited for the kernel after the last flush.
    pub(crate) fn backlog(&self) -> u64 {
        self.ledger.output.backlog()
    }

    /// Whether it was closed because the peer reads too slowly.
    pub(crate) fn is_limited(&self) -> bool {
        self.closed == Some(CloseCause::BackpressureLimit)
    }

    /// Whether this side sends FIN first (RFC 6455 §7.1.1).
    pub(crate) fn sends_fin_first(&self) -> bool {
        self.session.tcp_closer() == TcpCloser::Us
    }

    /// When [`Self::handle_deadline`] is due.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.session.poll_deadline(&self.rules.limits)
    }

    /// Takes the subscriptions of a connection that is being closed.
    pub(crate) const fn take_memberships(&mut self) -> Option<Box<Memberships>> {
        self.memberships.take()
    }

    /// Updates the ledger: `left` bytes were refused.
    pub(crate) fn record_backlog(&self, left: usize) {
        self.ledger.output.record(self.applied, left as u64);
    }

    /// Follows a flush: notifies Node's thread if it waits for an empty outbox.
    pub(crate) fn handle_flush(&mut self, before: usize, left: usize, shell: &Shell, context: &mut Context) {
        if left < before && left > 0 {
            self.session.handle_progress(context.now);
        }
        if let Some(awaited) = &mut self.awaited {
            let count = awaited.advance(before.saturating_sub(left) as u64, left);
            if awaited.positions.is_empty() {
                self.awaited = None;
            }
            // Nothing follows the event of the close.
            if count > 0 && self.closed.is_none() {
                let event = WebSocketEvent::Written { count };
                context.emit(Event::WebSocket { connection: shell.id, event });
            }
        }
        if left == 0 && self.is_drain_awaited {
            self.is_drain_awaited = false;
            context.emit(Event::WebSocket { connection: shell.id, event: WebSocketEvent::Drained });
        }
    }

    /// Runs `act` on the session while the peer is served, and drains the connection if that has finished it.
    fn with_session(
        &mut self,
        shell: &mut Shell,
        context: &mut Context,
        act: impl FnOnce(&mut Self, &mut Vec<u8>, &mut MessageSink<'_>, &mut Codecs),
    ) {
        if !shell.is_serving() {
            return;
        }
        let out = shell.outbox.tail(&mut context.pool);
        let (events, tally) = (&mut context.events, context.tallies.of(shell.app));
        let mut sink = MessageSink::new(events, shell.id, tally);
        act(self, out, &mut sink, &mut context.codecs);
        sink.conclude(&self.ledger.traffic, self.opened, context.moment);
        self.closed = self.closed.or(sink.closed);
        if self.session.phase() == WebSocketPhase::Finished {
            let cause = self.closed.unwrap_or(CloseCause::TransportFailed);
            shell.drain(cause.verdict().name, context);
        }
        if shell.outbox.is_empty() {
            shell.outbox.release(&mut context.pool);
        }
        shell.mark_dirty(context);
    }

    /// Bytes that were read, but wait for Node's thread.
    pub(crate) fn unhandled(&self) -> usize {
        self.unhandled.as_ref().map_or(0, |unhandled| unhandled.len())
    }

    /// Takes bytes that were read, after those that were left before. What holds more events than the connection may add
    /// now is left for the next call.
    pub(crate) fn handle_input(&mut self, input: &mut [u8], shell: &mut Shell, context: &mut Context) {
        if self.closed.is_none() && !input.is_empty() {
            self.ledger.traffic.count_received(input.len(), context.moment);
        }
        let room = shell.event_room(context);
        let Some(mut unhandled) = self.unhandled.take() else {
            let taken = self.feed_session(input, room, shell, context);
            if taken < input.len() {
                let mut unhandled = Box::<Unhandled>::default();
                unhandled.append(&input[taken..]);
                context.unhandled += unhandled.len();
                self.unhandled = Some(unhandled);
            }
            return;
        };
        context.unhandled -= unhandled.len();
        unhandled.append(input);
        let taken = self.feed_session(unhandled.bytes(), room, shell, context);
        unhandled.advance(taken);
        if unhandled.len() > 0 {
            context.unhandled += unhandled.len();
            self.unhandled = Some(unhandled);
        }
    }

    /// Lets the session take what it can of `input`, with at most `room` events. Returns how many bytes that is.
    fn feed_session(
        &mut self,
        input: &mut [u8],
        room: usize,
        shell: &mut Shell,
        context: &mut Context,
    ) -> usize {
        let (now, mut taken) = (context.now, input.len());
        self.with_session(shell, context, |socket, out, sink, codecs| {
            sink.limit_events(room);
            taken = socket.session.handle_bytes(input, now, &socket.rules.limits, codecs, out, sink);
        });
        taken
    }

    /// Acts on [`Self::deadline`].
    pub(crate) fn handle_deadline(&mut self, shell: &mut Shell, context: &mut Context) {
        let now = context.now;
        self.with_session(shell, context, |socket, out, sink, _| {
            socket.session.handle_timeout(now, &socket.rules.limits, out, sink);
        });
    }

    /// The peer has sent FIN. Messages that are on their way from Node's thread still reach one that only closed its
    /// own direction: the connection closes when Node's thread has handled the event.
    pub(crate) fn handle_fin(&mut self, shell: &mut Shell, context: &mut Context) {
        let has_reached_limit =
            shell.transport.session().is_some_and(tls::session::TlsSession::has_peer_reached_key_limit);
        let cause =
            if has_reached_limit { CloseCause::TlsPeerKeysExhausted } else { CloseCause::FinWithoutClose };
        let now = context.now;
        self.with_session(shell, context, |socket, _, sink, _| {
            socket.session.handle_fin(cause, now, &socket.rules.limits, sink);
        });
    }

    /// Closes an open WebSocket whose connection cannot last, and asks the peer to reconnect.
    pub(crate) fn ask_to_reconnect(&mut self, cause: CloseCause, shell: &mut Shell, context: &mut Context) {
        if self.session.phase() != WebSocketPhase::Open {
            return;
        }
        let now = context.now;
        self.with_session(shell, context, |socket, out, sink, _| {
            socket.session.ask_to_reconnect(cause, now, &socket.rules.limits, out, sink);
        });
    }

    /// The socket is broken. `reason` is that in words, where the peer gave some.
    pub(crate) fn handle_transport_end(
        &mut self,
        cause: CloseCause,
        reason: Option<&str>,
        shell: &mut Shell,
        context: &mut Context,
    ) {
        self.with_session(shell, context, |socket, _, sink, _| {
            socket.session.handle_transport_end(cause, reason, sink);
        });
    }

    /// Records that this side closes; the close handler of the application has run. An earlier cause stays in force.
    fn close_locally(&mut self, cause: CloseCause, code: u16, reason: &str, now: Moment) {
        if self.closed.is_none() {
            self.closed = Some(cause);
            log_closed((cause, code, reason), now.since(self.opened), &self.ledger.traffic.facts(now));
        }
    }

    /// Counts bytes that the socket has taken.
    pub(crate) fn count_sent(&self, bytes: u64, now: Moment) {
        if bytes > 0 && self.closed.is_none() {
            self.ledger.traffic.count_sent(bytes, now);
        }
    }

    /// Closes without waiting for the peer's Close frame and without an event: the close handler has run.
    pub(crate) fn abort(&mut self, cause: CloseCause, shell: &mut Shell, context: &mut Context) {
        let (verdict, now) = (cause.verdict(), context.moment);
        self.with_session(shell, context, |socket, out, _, _| {
            socket.close_locally(cause, verdict.local_code, verdict.text, now);
            socket.session.abort(cause, out);
        });
    }

    /// `Command::SendMessage`.
    pub(crate) fn send_message(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        compress: bool,
        shell: &mut Shell,
        context: &mut Context,
    ) {
        let mut is_started = false;
        self.with_session(shell, context, |socket, out, sink, codecs| {
            socket.applied += payload.len() as u64;
            sink.count_sent(socket.session.can_send());
            let threshold = socket.rules.compression_threshold;
            if compress && socket.session.is_worth_compressing(payload.len(), threshold) {
                socket.session.send_compressed(kind, payload, codecs, out);
                return;
            }
            is_started = Outbox::is_written_through(payload.len())
                && socket.session.start_message(kind, payload.len(), out);
            if !is_started {
                socket.session.send(kind, payload, out);
            }
        });
        if is_started {
            self.append_payload(payload, shell, context);
        }
    }

    /// Queues the payload of a message whose header is queued, or writes it at once.
    fn append_payload(&mut self, payload: &[u8], shell: &mut Shell, context: &mut Context) {
        let before = context.tallies.sent();
        shell.append_output(payload, context);
        let written = context.tallies.sent().wrapping_sub(before);
        self.count_sent(written, context.moment);
        if let Some(awaited) = &mut self.awaited {
            awaited.written += written;
        }
    }

    /// `Command::SendFragment`. Node's thread guarantees their order.
    pub(crate) fn send_fragment(
        &mut self,
        fragment: Fragment,
        payload: &[u8],
        shell: &mut Shell,
        context: &mut Context,
    ) {
        let fragment = match fragment {
            // The first fragment decides for the whole message.
            Fragment::First { kind, compress: true } => {
                let threshold = self.rules.compression_threshold;
                let compress = self.session.is_worth_compressing(payload.len(), threshold);
                Fragment::First { kind, compress }
            }
            other => other,
        };
        self.with_session(shell, context, |socket, out, sink, codecs| {
            socket.applied += payload.len() as u64;
            sink.count_sent(fragment == Fragment::Last && socket.session.can_send());
            socket.session.send_fragment(fragment, payload, codecs, out);
            if matches!(fragment, Fragment::First { .. }) {
                socket.held = Some(Box::default());
            }
        });
        if fragment == Fragment::Last {
            self.release_held(shell, context);
        }
    }

    /// The message is complete: queues what was published meanwhile.
    fn release_held(&mut self, shell: &mut Shell, context: &mut Context) {
        let Some(held) = self.held.take() else { return };
        if !self.session.can_send() || !shell.is_serving() {
            return;
        }
        for message in held.into_messages() {
            match message {
                HeldMessage::Frame(frame) => shell.outbox.push_shared(&frame, &mut context.pool),
                HeldMessage::Message(kind, payload) => {
                    let out = shell.outbox.tail(&mut context.pool);
                    self.session.send_compressed(kind, &payload, &mut context.codecs, out);
                }
            }
        }
        shell.mark_dirty(context);
    }

    /// `Command::SendPing`.
    pub(crate) fn send_ping(&mut self, payload: &[u8], shell: &mut Shell, context: &mut Context) {
        let now = context.now;
        self.with_session(shell, context, |socket, out, sink, _| {
            socket.applied += payload.len() as u64;
            if socket.session.can_send() {
                sink.pinged();
            }
            socket.session.ping(payload, now, out);
        });
    }

    /// `Command::SendPong`.
    pub(crate) fn send_pong(&mut self, payload: &[u8], shell: &mut Shell, context: &mut Context) {
        self.with_session(shell, context, |socket, out, _, _| {
            socket.applied += payload.len() as u64;
            socket.session.pong(payload, out);
        });
    }

    /// `Command::AwaitWritten`. The answer comes with the flush at the end of the pass, at the earliest.
    pub(crate) fn await_written(&mut self, shell: &mut Shell, context: &mut Context) {
        if !shell.is_serving() {
            return;
        }
        let awaited = self.awaited.get_or_insert_default();
        awaited.positions.push_back(awaited.written + shell.backlog() as u64);
        shell.mark_dirty(context);
    }

    /// `Command::PauseWebSocket`.
    pub(crate) fn set_paused(&mut self, is_paused: bool, shell: &mut Shell, context: &mut Context) {
        self.is_paused = is_paused;
        if !is_paused {
            context.again.push(shell.id);
        }
        shell.mark_dirty(context);
    }

    /// `Command::StartClose`: sends a Close frame. The application is notified when the peer has answered it.
    pub(crate) fn start_close(&mut self, code: u16, reason: &[u8], shell: &mut Shell, context: &mut Context) {
        let reason = String::from_utf8_lossy(reason);
        let now = context.now;
        self.with_session(shell, context, |socket, out, _, _| {
            socket.session.start_close(code, &reason, now, &socket.rules.limits, out);
        });
    }

    /// `Command::LimitWebSocket`: closes because the peer reads too slowly. Earlier output precedes the Close frame,
    /// but has little time: see [`Self::is_limited`].
    pub(crate) fn limit(&mut self, shell: &mut Shell, context: &mut Context) {
        let cause = CloseCause::BackpressureLimit;
        self.with_session(shell, context, |socket, out, sink, _| {
            if socket.session.phase() == WebSocketPhase::Open {
                let verdict = cause.verdict();
                sink.closed(Closure { cause, code: verdict.local_code, reason: verdict.text });
            }
            socket.session.abort(cause, out);
        });
    }

    /// `Command::EndWebSocket`: sends a Close frame. The close handler of the application has run.
    pub(crate) fn end(
        &mut self,
        cause: CloseCause,
        code: u16,
        reason: &[u8],
        shell: &mut Shell,
        context: &mut Context,
    ) {
        let reason = String::from_utf8_lossy(reason);
        let (now, moment) = (context.now, context.moment);
        self.with_session(shell, context, |socket, out, _, _| {
            let logged = if reason.is_empty() { cause.verdict().text } else { &*reason };
            socket.close_locally(cause, code, logged, moment);
            socket.session.end(code, &reason, now, &socket.rules.limits, out);
        });
    }

    /// `Command::ConcludeWebSocket`: the last messages are queued; the Close frame follows them.
    pub(crate) fn conclude(&mut self, shell: &mut Shell, context: &mut Context) {
        self.with_session(shell, context, |socket, out, _, _| socket.session.conclude(out));
    }

    /// `Command::CloseWebSocket`: drops the connection. The close handler of the application has run.
    pub(crate) fn close(&mut self, shell: &mut Shell, context: &mut Context) {
        let cause = CloseCause::ApplicationClosed;
        let verdict = cause.verdict();
        self.close_locally(cause, verdict.local_code, verdict.text, context.moment);
        shell.drop_after_flush(cause, context);
    }

    /// `Command::NotifyDrain`.
    pub(crate) fn notify_drain(&mut self, shell: &mut Shell, context: &mut Context) {
        self.with_session(shell, context, |socket, _, _, _| socket.is_drain_awaited = true);
    }

    /// `Command::Subscribe`.
    pub(crate) fn subscribe(&mut self, topic: TopicId, shell: &Shell, context: &mut Context) {
        let who = Subscriber { slot: shell.id.slot, generation: shell.id.generation };
        let memberships = self.memberships.get_or_insert_default();
        context.topics.subscribe(who, memberships, topic);
    }

    /// `Command::Unsubscribe`. Returns the subscriber that has taken the free place in the topic.
    pub(crate) fn unsubscribe(&mut self, topic: TopicId, context: &mut Context) -> Option<Moved> {
        context.topics.unsubscribe(self.memberships.as_mut()?, topic)
    }

    /// Notes the new place in a topic, after another subscriber has left it.
    pub(crate) fn handle_moved(&mut self, moved: Moved) {
        if let Some(memberships) = &mut self.memberships {
            memberships.moved(moved);
        }
    }
}

/// Bytes read at a time while messages are compressed. Inflated they may be a thousand times as much, all of which
/// Node's thread receives before the worker can notice that it lags.
const COMPRESSED_READ: usize = 16 * 1024;
