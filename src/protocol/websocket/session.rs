//! The state machine of one WebSocket, from the 101 to the end of the closing handshake.
//!
//! Four families of methods (times must not go backwards):
//! - `handle_*`: something happened. Bytes arrived, time passed, the peer sent FIN, the transport ended.
//! - `send`, `ping`, `end`, `abort`, `conclude`: the application acts.
//! - `poll_deadline`: when to call [`WebSocketSession::handle_timeout`] next. Every other call may change it.
//! - `phase`, `can_send`: what the caller may still do with the transport.
//!
//! The session appends what is to be sent to `out`, and never reads it.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, OpCode};

use super::assembler::{Assembler, Received};
use super::close::{self, PeerClose};
use super::deflate::{Codecs, Deflation};
use super::extensions::Agreement;
use super::fragment::{Fragment, encode_fragment};
use super::frame::{self, ControlKind, FrameRules, MAX_CONTROL_LENGTH, MessageKind};
use super::role::Role;
use super::utf8;
use crate::protocol::cause::CloseCause;
use crate::protocol::time::Timestamp;

/// Limits and timeouts that the application sets for the connections of a route or a connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebSocketLimits {
    /// The longest message that the peer may send, in bytes after decompression. Control frames are exempt.
    pub max_payload_length: u32,
    /// How long the peer may be silent before the connection is closed. `None`: for ever.
    pub idle_timeout: Option<Duration>,
    /// How long the peer may be silent before it is sent a ping, and after each ping before the next one. If there is an
    /// `idle_timeout`, the first one is sent early enough for an answer, however long this is. `None`: no automatic pings.
    pub ping_interval: Option<Duration>,
    /// How long a connection may last before it is closed with a code that asks the peer to reconnect.
    pub max_lifetime: Option<Duration>,
    /// How long a closing handshake may take: the peer's Close frame, or the application's close handler before ours.
    pub close_timeout: Duration,
    /// How much of the protocol is left to the application.
    pub manners: Manners,
}

/// What the applications of the two programming interfaces expect: uWebSockets.js and `ws`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manners {
    /// Whether pings are answered here (`autoPong` of `ws`).
    pub answers_pings: bool,
    /// Whether text messages must be UTF-8 (RFC 6455 §8.1; `skipUTF8Validation` of `ws`).
    pub checks_utf8: bool,
    /// The most frames of a message; `None`: any number (`maxFragments` of `ws`).
    pub max_fragments: Option<NonZeroU32>,
    /// Whether the reason of the peer's Close frame is reported unchanged. Otherwise a text takes the place of an empty
    /// one.
    pub keeps_reason: bool,
}

impl Manners {
    /// Those of uWebSockets.js.
    pub(crate) const UWS: Self =
        Self { answers_pings: true, checks_utf8: true, max_fragments: None, keeps_reason: false };
}

impl WebSocketLimits {
    /// The interval between pings of a program that asks for none in particular: in time for an answer, and before most
    /// proxies cut a line on which nothing moves, which many do after 50 to 60 s. `None` without an idle timeout.
    #[must_use]
    pub(crate) fn usual_ping_interval(idle_timeout: Option<Duration>) -> Option<Duration> {
        idle_timeout.map(|idle| (idle - answer_margin(idle)).min(LONGEST_USUAL_SILENCE))
    }
}

/// How a connection ended, as reported to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closure<'a> {
    /// Why.
    pub cause: CloseCause,
    /// The peer's status code, 1005 if its Close frame had none; without a Close frame the verdict's local code.
    pub code: u16,
    /// The peer's reason, or the verdict's text if it gave none. Empty only with [`Manners::keeps_reason`].
    pub reason: &'a str,
}

impl Closure<'static> {
    /// A closure whose code and reason are those of the cause's verdict.
    fn by(cause: CloseCause) -> Self {
        let verdict = cause.verdict();
        Self { cause, code: verdict.local_code, reason: verdict.text }
    }
}

/// How a published message is encoded for one of its recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Uncompressed.
    Plain,
    /// Compressed without context takeover: the same bytes fit every recipient with this window.
    Compressed {
        /// The LZ77 window has `2^window_bits` bytes.
        window_bits: u8,
    },
    /// Compressed with context takeover: the bytes fit this recipient only.
    Own,
}

/// Receives the messages and control frames of the peer.
pub(crate) trait WebSocketSink {
    /// A complete message. A text is valid UTF-8.
    fn message(&mut self, kind: MessageKind, payload: &[u8]);
    /// A ping, already answered.
    fn ping(&mut self, payload: &[u8]);
    /// A pong, solicited or not.
    fn pong(&mut self, payload: &[u8]);
    /// An automatic ping was sent.
    fn pinged(&mut self) {}
    /// The pong that is reported next is the first one since pings were sent, the first of them so long ago.
    fn round_trip(&mut self, _time: Duration) {}
    /// The end of the connection: the last call, made at most once. It is not made when [`WebSocketSession::end`] or
    /// [`WebSocketSession::abort`] ends an open session, because the application itself ended it; it is made after
    /// [`WebSocketSession::start_close`].
    fn closed(&mut self, closure: Closure<'_>);
    /// Whether it takes nothing more for now: [`WebSocketSession::handle_bytes`] leaves the rest of its input.
    fn is_full(&self) -> bool {
        false
    }
}

/// The phase of a connection.
///
/// ```text
///          peer's Close or FIN, broken rule         conclude, end, abort, close_timeout
///        Open ─────────────────────► Concluding ────────────────────────────────► Finished
///         │                            Close frame owed by us, then written          ▲
///         │  end, max_lifetime                                                       │
///         ├────────────────────────► Closing ────────────────────────────────────────┤
///         │  or start_close         peer's Close or FIN, broken rule, close_timeout  │
///         │  Close frame written                                                     │
///         │                                                                          │
///         └──────────────────────────────────────────────────────────────────────────┘
///            idle timeout, abort; in any phase: transport end
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WebSocketPhase {
    /// Messages travel both ways.
    Open,
    /// Nothing more is read, and the application has been notified of the end. Messages that it sends until its close
    /// handler has run still go out. Then [`WebSocketSession::conclude`] writes our Close frame, if the verdict has
    /// one.
    Concluding,
    /// Our Close frame is written and the peer's is awaited. Messages are read and discarded; after
    /// [`WebSocketSession::start_close`] the application still gets them.
    Closing,
    /// Nothing more is read or written: the caller flushes `out`, then shuts the transport down.
    Finished,
}

/// Which end closes the TCP connection first, once the session is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TcpCloser {
    /// This end, at once.
    Us,
    /// The peer: it is a server, and Close frames were exchanged. "The underlying TCP connection, in most normal cases,
    /// SHOULD be closed first by the server, so that it holds the TIME_WAIT state and not the client" (RFC 6455
    /// §7.1.1).
    Peer,
}

/// One WebSocket, of a server or a client. It allocates memory only while a frame or message is incomplete, and if
/// permessage-deflate was negotiated.
#[derive(Debug)]
pub(crate) struct WebSocketSession {
    /// Whether this end is the server or the client.
    role: Role,
    /// The phase and its data.
    state: State,
    /// The frame and the message that are incomplete.
    assembler: Assembler,
    /// The state of permessage-deflate; `None` if it was not negotiated. Boxed, so that it takes no memory then.
    deflation: Option<Box<Deflation>>,
}

/// [`WebSocketPhase`] with the data that exists only in that phase.
#[derive(Debug)]
enum State {
    /// See [`WebSocketPhase::Open`].
    Open {
        /// When the WebSocket was opened.
        opened: Timestamp,
        /// When the peer last showed that it is there: sent or took bytes. Initially `opened`.
        alive: Timestamp,
        /// When the last automatic ping was sent, if `is_pinged`.
        pinged: Timestamp,
        /// Whether an automatic ping was sent since `alive`.
        is_pinged: bool,
        /// Whether a ping was sent that no pong has answered.
        is_asked: bool,
        /// The last 32 bits of the moment at which the first such ping was sent.
        asked: u32,
    },
    /// See [`WebSocketPhase::Concluding`].
    Concluding {
        /// Our encoded Close frame; empty if the peer is sent none.
        close_frame: Box<[u8]>,
        /// When it is written even if the application has not called [`WebSocketSession::conclude`].
        deadline: Timestamp,
        /// Which end closes the TCP connection afterwards.
        then: TcpCloser,
    },
    /// See [`WebSocketPhase::Closing`].
    Closing {
        /// When waiting for the peer's Close frame ends.
        deadline: Timestamp,
        /// Whether the application knows of the end. If not, it gets what arrives, and is notified of the end.
        is_reported: bool,
    },
    /// See [`WebSocketPhase::Finished`].
    Finished(TcpCloser),
}

impl WebSocketSession {
    /// A server's WebSocket, whose opening handshake has just been answered. `agreement` has the negotiated parameters
    /// of permessage-deflate.
    #[must_use]
    pub(crate) fn new(now: Timestamp, agreement: Option<Agreement>) -> Self {
        Self::with_role(Role::Server, now, agreement)
    }

    /// A WebSocket of a server or a client.
    #[must_use]
    pub(crate) fn with_role(role: Role, now: Timestamp, agreement: Option<Agreement>) -> Self {
        Self {
            role,
            state: State::Open {
                opened: now,
                alive: now,
                pinged: now,
                is_pinged: false,
                is_asked: false,
                asked: 0,
            },
            assembler: Assembler::default(),
            deflation: agreement.map(|agreement| Box::new(Deflation::new(agreement))),
        }
    }

    /// The current phase.
    #[must_use]
    pub(crate) fn phase(&self) -> WebSocketPhase {
        match self.state {
            State::Open { .. } => WebSocketPhase::Open,
            State::Concluding { .. } => WebSocketPhase::Concluding,
            State::Closing { .. } => WebSocketPhase::Closing,
            State::Finished(_) => WebSocketPhase::Finished,
        }
    }

    /// Whether messages may still be sent: none may follow our Close frame (RFC 6455 §5.5.1).
    #[must_use]
    pub(crate) fn can_send(&self) -> bool {
        match self.state {
            State::Open { .. } | State::Concluding { .. } => true,
            State::Closing { .. } | State::Finished(_) => false,
        }
    }

    /// Which end closes the TCP connection first, once [`WebSocketPhase::Finished`] is reached.
    #[must_use]
    pub(crate) fn tcp_closer(&self) -> TcpCloser {
        match self.state {
            State::Finished(first) => first,
            State::Open { .. } | State::Concluding { .. } | State::Closing { .. } => TcpCloser::Us,
        }
    }

    /// Whether the peer may send compressed messages.
    #[must_use]
    pub(crate) fn inflates(&self) -> bool {
        self.deflation.is_some()
    }

    /// How a published message is encoded for this WebSocket. `compress`: the publisher asked for compression.
    #[must_use]
    pub(crate) fn form(&self, compress: bool) -> Form {
        match self.deflation.as_deref().filter(|_| compress).map(Deflation::shared_window) {
            None => Form::Plain,
            Some(Some(window_bits)) => Form::Compressed { window_bits },
            Some(None) => Form::Own,
        }
    }

    /// Processes `input`, which is unmasked in place, until the sink is full. Returns how many bytes of it are
    /// processed; the rest, if any, starts with a frame, and must be passed again, before what arrives later. In
    /// [`WebSocketPhase::Concluding`] and [`WebSocketPhase::Finished`] all of it is ignored.
    ///
    /// The number of pongs appended to `out` is not bounded here: the caller must stop reading while `out` does not
    /// drain.
    pub(crate) fn handle_bytes(
        &mut self,
        mut input: &mut [u8],
        now: Timestamp,
        limits: &WebSocketLimits,
        codecs: &mut Codecs,
        out: &mut Vec<u8>,
        sink: &mut impl WebSocketSink,
    ) -> usize {
        let all = input.len();
        let deflate = self.deflation.is_some();
        let Manners { answers_pings, checks_utf8, max_fragments, .. } = limits.manners;
        let rules = FrameRules::new(limits.max_payload_length, deflate, self.role.masking());
        let rules = FrameRules { checks_utf8, max_fragments, ..rules };
        if let State::Open { alive, is_pinged, .. } = &mut self.state
            && !input.is_empty()
        {
            (*alive, *is_pinged) = (now, false);
        }
        loop {
            let is_heard = match self.state {
                State::Open { .. } => true,
                State::Closing { is_reported, .. } => !is_reported,
                State::Concluding { .. } | State::Finished(_) => return all,
            };
            if is_heard && sink.is_full() {
                return all - input.len();
            }
            match self.assembler.next(&mut input, rules) {
                Ok(None) => return all,
                Ok(Some(Received::Control(ControlKind::Close, payload))) => {
                    self.handle_last_frame(close::parse(&payload), now, limits, sink);
                }
                Err(cause) => self.handle_last_frame(Err(cause), now, limits, sink),
                // The application has closed: everything but the peer's Close frame is discarded.
                Ok(Some(_)) if !is_heard => {}
                Ok(Some(Received::Message(kind, payload))) => sink.message(kind, &payload),
                Ok(Some(Received::Compressed(kind, payload))) => {
                    match decompress(self.deflation.as_deref_mut(), kind, &payload, rules, codecs) {
                        Ok(message) => sink.message(kind, message),
                        Err(cause) => self.handle_last_frame(Err(cause), now, limits, sink),
                    }
                    codecs.tidy();
                }
                Ok(Some(Received::Control(ControlKind::Ping, payload))) => {
                    if answers_pings {
                        self.pong(&payload, out);
                    }
                    sink.ping(&payload);
                }
                Ok(Some(Received::Control(ControlKind::Pong, payload))) => {
                    if let Some(time) = self.take_round_trip(now) {
                        sink.round_trip(time);
                    }
                    sink.pong(&payload);
                }
            }
        }
    }

    /// The transport has written pending bytes. The peer reads, so it is not idle, even if it is too busy to send.
    pub(crate) fn handle_progress(&mut self, now: Timestamp) {
        if let State::Open { alive, is_pinged, .. } = &mut self.state {
            (*alive, *is_pinged) = (now, false);
        }
    }

    /// Handles the timers that have expired at `now`. Call it once [`Self::poll_deadline`] has passed. A call at
    /// another time has no effect, and a late one does not shorten the time to answer: the peer has its time from the
    /// ping.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Timestamp,
        limits: &WebSocketLimits,
        out: &mut Vec<u8>,
        sink: &mut impl WebSocketSink,
    ) {
        match &mut self.state {
            State::Open { opened, alive, pinged, is_pinged, .. } => {
                let silence = Silence::of(limits, *alive, is_pinged.then_some(*pinged));
                if silence.close_at().is_some_and(|moment| now >= moment) {
                    self.role.put(out, |out| close_for(CloseCause::IdleTimeout, out));
                    sink.closed(Closure::by(CloseCause::IdleTimeout));
                    self.finish();
                } else if limits.max_lifetime.is_some_and(|lifetime| now >= *opened + lifetime) {
                    self.ask_to_reconnect(CloseCause::MaxLifetime, now, limits, out, sink);
                } else if silence.ping_at().is_some_and(|moment| now >= moment) {
                    (*pinged, *is_pinged) = (now, true);
                    self.note_ping(now);
                    self.role.put(out, |out| frame::encode(OpCode::Control(Control::Ping), b"", out));
                    sink.pinged();
                }
            }
            State::Concluding { deadline, .. } if now >= *deadline => self.conclude(out),
            State::Closing { deadline, is_reported } if now >= *deadline => {
                if !*is_reported {
                    sink.closed(Closure::by(CloseCause::CloseTimeout));
                }
                self.finish();
            }
            State::Concluding { .. } | State::Closing { .. } | State::Finished(_) => {}
        }
    }

    /// Starts the closing handshake of an open WebSocket for `cause`, which this side decides: sends a Close frame,
    /// notifies the application and waits for the peer's Close frame.
    pub(crate) fn ask_to_reconnect(
        &mut self,
        cause: CloseCause,
        now: Timestamp,
        limits: &WebSocketLimits,
        out: &mut Vec<u8>,
        sink: &mut impl WebSocketSink,
    ) {
        if let State::Open { .. } = self.state {
            self.role.put(out, |out| close_for(cause, out));
            sink.closed(Closure::by(cause));
            self.state = State::Closing { deadline: now + limits.close_timeout, is_reported: true };
        }
    }

    /// The peer sent FIN, for `cause`. It sends nothing more, but it may have closed only its own direction and still
    /// read. So messages of the application still go out until [`Self::conclude`], as does the Close frame of a closing
    /// handshake in progress. The FIN itself is not answered with a Close frame, because the peer sent none.
    pub(crate) fn handle_fin(
        &mut self,
        cause: CloseCause,
        now: Timestamp,
        limits: &WebSocketLimits,
        sink: &mut impl WebSocketSink,
    ) {
        match self.state {
            State::Open { .. } => {
                sink.closed(Closure::by(cause));
                self.assembler = Assembler::default();
                let deadline = now + limits.close_timeout;
                let (close_frame, then) = (Box::default(), TcpCloser::Us);
                self.state = State::Concluding { close_frame, deadline, then };
            }
            State::Concluding { .. } => {}
            State::Closing { is_reported, .. } => {
                if !is_reported {
                    sink.closed(Closure::by(cause));
                }
                self.finish();
            }
            State::Finished(_) => self.finish(),
        }
    }

    /// The transport failed or was closed, for `cause`: nothing can be sent any more. `reason` is what the application is
    /// told instead of the text of the cause.
    pub(crate) fn handle_transport_end(
        &mut self,
        cause: CloseCause,
        reason: Option<&str>,
        sink: &mut impl WebSocketSink,
    ) {
        match self.state {
            State::Open { .. } | State::Closing { is_reported: false, .. } => {
                let closure = Closure::by(cause);
                sink.closed(Closure { reason: reason.unwrap_or(closure.reason), ..closure });
            }
            State::Concluding { .. } | State::Closing { .. } | State::Finished(_) => {}
        }
        self.finish();
    }

    /// Sends a message as one frame. Has no effect unless [`Self::can_send`].
    pub(crate) fn send(&mut self, kind: MessageKind, payload: &[u8], out: &mut Vec<u8>) {
        if self.can_send() {
            self.role.put(out, |out| frame::encode_message(kind, payload, out));
        }
    }

    /// The first half of [`Self::send`], for a payload that the caller writes itself, and that is not copied so. Appends
    /// what precedes its `length` bytes. Returns `false`, and appends nothing, if no message can be sent, or its payload
    /// would have to be masked: then [`Self::send`] knows what to do.
    #[must_use]
    pub(crate) fn start_message(&self, kind: MessageKind, length: usize, out: &mut Vec<u8>) -> bool {
        let is_plain = self.can_send() && matches!(self.role, Role::Server);
        if is_plain {
            frame::encode_message_header(kind, length, out);
        }
        is_plain
    }

    /// Whether a message of this many bytes is worth compressing: with context takeover any, otherwise one of at least
    /// `threshold` bytes (`perMessageDeflate.threshold` of `ws`).
    #[must_use]
    pub(crate) fn is_worth_compressing(&self, length: usize, threshold: u32) -> bool {
        let is_alone = self.deflation.as_deref().is_none_or(|it| it.shared_window().is_some());
        !is_alone || length >= threshold as usize
    }

    /// Like [`Self::send`], but compresses the message if permessage-deflate was negotiated and the message is not
    /// empty.
    pub(crate) fn send_compressed(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        codecs: &mut Codecs,
        out: &mut Vec<u8>,
    ) {
        let can_send = self.can_send() && !payload.is_empty();
        if let Some(deflation) = self.deflation.as_deref_mut().filter(|_| can_send)
            && let Some(compressed) = deflation.compress(payload, codecs)
        {
            self.role.put(out, |out| frame::encode_compressed(kind, compressed, out));
            return codecs.tidy();
        }
        self.send(kind, payload, out);
    }

    /// Sends one fragment of a message, compressed if the first fragment says so and permessage-deflate was negotiated.
    /// Until the final fragment, the caller may send only control frames in between. Has no effect unless
    /// [`Self::can_send`].
    pub(crate) fn send_fragment(
        &mut self,
        fragment: Fragment,
        payload: &[u8],
        codecs: &mut Codecs,
        out: &mut Vec<u8>,
    ) {
        if !self.can_send() {
            return;
        }
        let deflation = self.deflation.as_deref_mut();
        if let Some(compressed) = deflation.and_then(|it| it.compress_part(fragment, payload, codecs)) {
            self.role.put(out, |out| encode_fragment(fragment, compressed, out));
            return codecs.tidy();
        }
        self.role.put(out, |out| encode_fragment(fragment.uncompressed(), payload, out));
    }

    /// Sends a ping with the first 125 bytes of `payload`. Has no effect unless [`Self::can_send`].
    pub(crate) fn ping(&mut self, payload: &[u8], now: Timestamp, out: &mut Vec<u8>) {
        if self.can_send() {
            self.note_ping(now);
        }
        self.send_control(Control::Ping, payload, out);
    }

    /// Sends a pong with the first 125 bytes of `payload`. Has no effect unless [`Self::can_send`].
    pub(crate) fn pong(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        self.send_control(Control::Pong, payload, out);
    }

    fn send_control(&mut self, kind: Control, payload: &[u8], out: &mut Vec<u8>) {
        if self.can_send() {
            let payload = &payload[..payload.len().min(MAX_CONTROL_LENGTH)];
            self.role.put(out, |out| frame::encode(OpCode::Control(kind), payload, out));
        }
    }

    /// The application starts the closing handshake, and has not been notified of the end: sends a Close frame and
    /// waits for the peer's. Until then messages still reach the application; then it is notified. In any phase but
    /// [`WebSocketPhase::Open`] the earlier close stands.
    pub(crate) fn start_close(
        &mut self,
        code: u16,
        reason: &str,
        now: Timestamp,
        limits: &WebSocketLimits,
        out: &mut Vec<u8>,
    ) {
        if let State::Open { .. } = self.state {
            self.role.put(out, |out| close::encode(code, reason, out));
            self.state = State::Closing { deadline: now + limits.close_timeout, is_reported: false };
        }
    }

    /// Notes when the first ping was sent that is not answered.
    const fn note_ping(&mut self, now: Timestamp) {
        if let State::Open { is_asked, asked, .. } = &mut self.state
            && !*is_asked
        {
            (*is_asked, *asked) = (true, now.0 as u32);
        }
    }

    /// The peer has answered: returns how long it took, if it was asked.
    fn take_round_trip(&mut self, now: Timestamp) -> Option<Duration> {
        let State::Open { is_asked, asked, .. } = &mut self.state else { return None };
        let time = Duration::from_millis(u64::from((now.0 as u32).wrapping_sub(*asked)));
        std::mem::take(is_asked).then_some(time)
    }

    /// The application closes the connection, and its close handler has run. Sends a Close frame ([`close::encode`]
    /// validates code and reason) and waits for the peer's. In any phase but [`WebSocketPhase::Open`] the earlier close
    /// stands.
    pub(crate) fn end(
        &mut self,
        code: u16,
        reason: &str,
        now: Timestamp,
        limits: &WebSocketLimits,
        out: &mut Vec<u8>,
    ) {
        match self.state {
            State::Open { .. } => {
                self.role.put(out, |out| close::encode(code, reason, out));
                self.state = State::Closing { deadline: now + limits.close_timeout, is_reported: true };
            }
            State::Concluding { .. } => self.conclude(out),
            State::Closing { .. } | State::Finished(_) => {}
        }
    }

    /// This side ends the connection for `cause`, and the application's close handler has run. Sends a Close frame if
    /// the verdict has a code for the wire, and does not wait for the peer's.
    pub(crate) fn abort(&mut self, cause: CloseCause, out: &mut Vec<u8>) {
        match self.state {
            State::Open { .. } => self.role.put(out, |out| close_for(cause, out)),
            State::Concluding { .. } => return self.conclude(out),
            State::Closing { .. } | State::Finished(_) => {}
        }
        self.finish();
    }

    /// The application's close handler has run, and the messages that it sent have been passed to this session: writes
    /// the Close frame owed in [`WebSocketPhase::Concluding`]. Has no effect in any other phase.
    pub(crate) fn conclude(&mut self, out: &mut Vec<u8>) {
        if let State::Concluding { close_frame, then, .. } = &self.state {
            let then = *then;
            out.extend_from_slice(close_frame);
            self.finish_with(then);
        }
    }

    /// When the next timer expires: call [`Self::handle_timeout`] then. `None` if no timer runs.
    #[must_use]
    pub(crate) fn poll_deadline(&self, limits: &WebSocketLimits) -> Option<Timestamp> {
        match self.state {
            State::Open { opened, alive, pinged, is_pinged, .. } => {
                let silence = Silence::of(limits, alive, is_pinged.then_some(pinged));
                let lifetime = limits.max_lifetime.map(|lifetime| opened + lifetime);
                silence.ping_at().or(silence.close_at()).into_iter().chain(lifetime).min()
            }
            State::Concluding { deadline, .. } | State::Closing { deadline, .. } => Some(deadline),
            State::Finished(_) => None,
        }
    }

    /// The peer sent its Close frame or violated the protocol; nothing after it is read. In [`WebSocketPhase::Open`],
    /// notifies the application and prepares our Close frame, which echoes code and reason (RFC 6455 §5.5.1) or names
    /// the rule.
    fn handle_last_frame(
        &mut self,
        close: Result<PeerClose<'_>, CloseCause>,
        now: Timestamp,
        limits: &WebSocketLimits,
        sink: &mut impl WebSocketSink,
    ) {
        let then = match (&self.role, &close) {
            (Role::Client(_), Ok(_)) => TcpCloser::Peer,
            // RFC 6455 §7.1.7: a client that fails the connection does not wait for the server.
            (Role::Client(_), Err(_)) | (Role::Server, _) => TcpCloser::Us,
        };
        if let State::Closing { is_reported: false, .. } = self.state {
            report_last_frame(&close, limits, sink);
        }
        if self.phase() != WebSocketPhase::Open {
            return self.finish_with(then);
        }
        report_last_frame(&close, limits, sink);
        let mut close_frame = Vec::new();
        let (role, close_frame_out) = (&mut self.role, &mut close_frame);
        match close {
            Ok(PeerClose::WithCode(code, reason)) => {
                role.put(close_frame_out, |out| close::encode(code, reason, out));
            }
            Ok(PeerClose::WithoutCode) => role.put(close_frame_out, close::encode_empty),
            Err(cause) => role.put(close_frame_out, |out| close_for(cause, out)),
        }
        self.assembler = Assembler::default();
        let deadline = now + limits.close_timeout;
        self.state = State::Concluding { close_frame: close_frame.into_boxed_slice(), deadline, then };
    }

    /// Enters [`WebSocketPhase::Finished`].
    fn finish(&mut self) {
        self.finish_with(TcpCloser::Us);
    }

    fn finish_with(&mut self, first: TcpCloser) {
        self.assembler = Assembler::default();
        self.state = State::Finished(first);
    }
}

/// Notifies the application of the end, after the peer's Close frame or a violation of the protocol.
fn report_last_frame(
    close: &Result<PeerClose<'_>, CloseCause>,
    limits: &WebSocketLimits,
    sink: &mut impl WebSocketSink,
) {
    let keeps_reason = limits.manners.keeps_reason;
    match *close {
        Ok(PeerClose::WithCode(code, reason)) => {
            let is_replaced = reason.is_empty() && !keeps_reason;
            let reported = if is_replaced { default_reason(code) } else { Cow::Borrowed(reason) };
            sink.closed(Closure { cause: CloseCause::PeerClosed, code, reason: &reported });
        }
        Ok(PeerClose::WithoutCode) => {
            let closure = Closure::by(CloseCause::PeerClosedWithoutCode);
            sink.closed(if keeps_reason { Closure { reason: "", ..closure } } else { closure });
        }
        Err(cause) => sink.closed(Closure::by(cause)),
    }
}

/// Decompresses a message, and checks that a text is valid UTF-8.
fn decompress<'c>(
    deflation: Option<&mut Deflation>,
    kind: MessageKind,
    payload: &[u8],
    rules: FrameRules,
    codecs: &'c mut Codecs,
) -> Result<&'c [u8], CloseCause> {
    let limit = rules.max_payload_length;
    // Without permessage-deflate the assembler has refused the frame already, because RSV1 was set.
    let message = deflation.ok_or(CloseCause::ReservedBits)?.decompress(payload, limit, codecs)?;
    if rules.checks_utf8 && kind == MessageKind::Text && !utf8::is_valid(message) {
        return Err(CloseCause::InvalidUtf8);
    }
    Ok(message)
}

/// The reason reported to the application if the peer's Close frame has a code but no reason.
fn default_reason(code: u16) -> Cow<'static, str> {
    let text = CloseCause::PeerClosed.verdict().text;
    Cow::Owned(format!("{text} ({code} {})", close::name(code)))
}

/// Appends a Close frame with code and text of the verdict on `cause`, if that has a code for the wire.
fn close_for(cause: CloseCause, out: &mut Vec<u8>) {
    let verdict = cause.verdict();
    if let Some(code) = verdict.wire_code {
        close::encode(code, verdict.text, out);
    }
}

/// What the idle timer does next if the peer stays silent.
#[derive(Clone, Copy, Debug)]
enum Silence {
    /// Nothing: there is no idle timeout.
    Allowed,
    /// It sends an automatic ping at this moment.
    PingAt(Timestamp),
    /// It closes the connection at this moment.
    CloseAt(Timestamp),
}

impl Silence {
    /// `alive` is when the peer last showed that it is there, `pinged` when it was sent a ping since. It has
    /// [`answer_margin`] from the last ping, which may have been sent later than it was due.
    fn of(limits: &WebSocketLimits, alive: Timestamp, pinged: Option<Timestamp>) -> Self {
        match (limits.idle_timeout, limits.ping_interval, pinged) {
            (None, None, _) => Self::Allowed,
            (None, Some(interval), pinged) => Self::PingAt(pinged.unwrap_or(alive) + interval),
            (Some(idle), None, _) => Self::CloseAt(alive + idle),
            (Some(idle), Some(interval), None) => {
                Self::PingAt(alive + interval.min(idle - answer_margin(idle)))
            }
            (Some(idle), Some(interval), Some(pinged)) => {
                let next = pinged + interval;
                if next <= alive + (idle - answer_margin(idle)) {
                    Self::PingAt(next)
                } else {
                    Self::CloseAt((alive + idle).max(pinged + answer_margin(idle)))
                }
            }
        }
    }

    const fn ping_at(self) -> Option<Timestamp> {
        if let Self::PingAt(moment) = self { Some(moment) } else { None }
    }

    const fn close_at(self) -> Option<Timestamp> {
        if let Self::CloseAt(moment) = self { Some(moment) } else { None }
    }
}

/// How long a peer has to answer an automatic ping: 4 s; 8 s if the idle timeout is at least 16 s; 16 s if it is at
/// least 32 s. uWebSockets.js uses the same values, with a timeout of at least 8 s. Never more than half the timeout,
/// so that a shorter timeout does not cause a stream of pings.
fn answer_margin(idle: Duration) -> Duration {
    let margin = Duration::from_secs(match idle.as_secs() {
        0..16 => 4,
        16..32 => 8,
        32.. => 16,
    });
    margin.min(idle / 2)
}

/// The longest silence before a ping, unless a program asks for another one. Less than the 50 s of
/// HAProxy as Debian configures it, the 55 s of Heroku, and the 60 s of nginx and AWS.
const LONGEST_USUAL_SILENCE: Duration = Duration::from_secs(45);

#[cfg(test)]
mod tests;
