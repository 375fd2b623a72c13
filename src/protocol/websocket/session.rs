//! The state machine of one WebSocket, from the 101 to the end of the closing handshake.
//!
//! Four families of methods (times must not go backwards):
//! - `handle_*`: something happened. Bytes arrived, time passed, the peer sent FIN, the transport ended.
//! - `send`, `ping`, `end`, `abort`, `conclude`: the application wants something, or has finished something.
//! - `poll_deadline`: when [`WebSocketSession::handle_timeout`] is to be called next. Ask again after every other call.
//! - `phase`, `can_send`: what the caller may still do with the transport.
//!
//! What is to be sent is appended to `out`, which is never read.

use std::borrow::Cow;
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

/// What the application allows the connections of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebSocketLimits {
    /// The longest message, in bytes; holds for single frames and for their sum. Control frames are exempt.
    pub max_payload_length: u32,
    /// How long the peer may be silent. `None`: for ever, and no automatic pings.
    pub idle_timeout: Option<Duration>,
    /// Whether a silent peer is sent a ping in time to answer before `idle_timeout`.
    pub send_pings: bool,
    /// How long a connection may live before it is asked to reconnect.
    pub max_lifetime: Option<Duration>,
    /// How long a Close frame may be owed, by us or by the peer.
    pub close_timeout: Duration,
}

/// How a connection ended, for the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closure<'a> {
    /// Why.
    pub cause: CloseCause,
    /// The peer's code, 1005 if it gave none, else the verdict's local code.
    pub code: u16,
    /// The peer's reason or else the verdict's text. Never empty.
    pub reason: &'a str,
}

impl Closure<'static> {
    /// A closure of which there is no more to say than the cause.
    fn by(cause: CloseCause) -> Self {
        let verdict = cause.verdict();
        Self { cause, code: verdict.local_code, reason: verdict.text }
    }
}

/// What a published message must look like for one of its recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is.
    Plain,
    /// Compressed without reference to other messages.
    Compressed {
        /// For a window of `2^window_bits` bytes.
        window_bits: u8,
    },
    /// Compressed for this recipient alone.
    Own,
}

/// Receives the messages and control frames of the peer.
pub(crate) trait WebSocketSink {
    /// A whole message. A text is valid UTF-8.
    fn message(&mut self, kind: MessageKind, payload: &[u8]);
    /// A ping, already answered.
    fn ping(&mut self, payload: &[u8]);
    /// A pong, asked for or not.
    fn pong(&mut self, payload: &[u8]);
    /// The end of the connection. The last call, and at most one; none at all once [`WebSocketSession::end`] or
    /// [`WebSocketSession::abort`] ended an open session, because the application knows.
    fn closed(&mut self, closure: Closure<'_>);
}

/// What is left to be done on a connection.
///
/// ```text
///          peer's Close or FIN, broken rule         conclude, end, abort, close_timeout
///        Open ─────────────────────► Concluding ────────────────────────────────► Finished
///         │                            Close frame owed by us, then written          ▲
///         │  end, max_lifetime                                                       │
///         ├────────────────────────► Closing ────────────────────────────────────────┤
///         │  Close frame written    peer's Close or FIN, broken rule, close_timeout  │
///         │                                                                          │
///         └──────────────────────────────────────────────────────────────────────────┘
///            idle timeout, abort; in any phase: transport end
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WebSocketPhase {
    /// Messages travel both ways.
    Open,
    /// Nothing more is read, and the application has been notified of the end. What it sends until its close handler has run
    /// (answers to messages that came before) still goes out; our Close frame, if the verdict has one, follows when
    /// [`WebSocketSession::conclude`] is called.
    Concluding,
    /// Our Close frame is written and the peer's is awaited. Messages are read and dropped.
    Closing,
    /// Nothing more to read or to add: flush, then shut the transport down.
    Finished,
}

/// Which end has to close the connection below first, once the session is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TcpCloser {
    /// This one: there is nothing to wait for.
    Us,
    /// The peer: it is a server, and Close frames were exchanged. "The underlying TCP connection, in most normal cases,
    /// SHOULD be closed first by the server, so that it holds the TIME_WAIT state and not the client" (RFC 6455 §7.1.1).
    Peer,
}

/// One WebSocket, of a server or of a client. Small; memory is allocated only while a frame or message is incomplete, and
/// where permessage-deflate was negotiated.
#[derive(Debug)]
pub(crate) struct WebSocketSession {
    /// Which end this is.
    role: Role,
    /// The phase and what belongs to it.
    state: State,
    /// Frames and messages that are incomplete.
    assembler: Assembler,
    /// What is kept of compressed messages; `None` if permessage-deflate was not negotiated. Boxed because then there
    /// is nothing to keep.
    deflation: Option<Box<Deflation>>,
}

/// [`WebSocketPhase`], with the data valid only then.
#[derive(Debug)]
enum State {
    /// See [`WebSocketPhase::Open`].
    Open {
        /// When the WebSocket was opened.
        opened: Timestamp,
        /// When bytes last came from the peer, at first `opened`; or when it was sent an automatic ping after that.
        since: Timestamp,
        /// Whether it was sent one after that.
        pinged: bool,
    },
    /// See [`WebSocketPhase::Concluding`].
    Concluding {
        /// Our Close frame, complete; empty where the peer is sent none.
        farewell: Box<[u8]>,
        /// When it is written even if the application has not reacted.
        deadline: Timestamp,
        /// What follows it.
        then: TcpCloser,
    },
    /// See [`WebSocketPhase::Closing`].
    Closing {
        /// When the peer's Close is no longer waited for.
        deadline: Timestamp,
    },
    /// See [`WebSocketPhase::Finished`].
    Finished(TcpCloser),
}

impl WebSocketSession {
    /// A WebSocket whose handshake has just been answered, by this server. `agreement` is what was negotiated of
    /// permessage-deflate.
    #[must_use]
    pub(crate) fn new(now: Timestamp, agreement: Option<Agreement>) -> Self {
        Self::with_role(Role::Server, now, agreement)
    }

    /// The same at either end.
    #[must_use]
    pub(crate) fn with_role(role: Role, now: Timestamp, agreement: Option<Agreement>) -> Self {
        Self {
            role,
            state: State::Open { opened: now, since: now, pinged: false },
            assembler: Assembler::default(),
            deflation: agreement.map(|agreement| Box::new(Deflation::new(agreement))),
        }
    }

    /// What is left to be done.
    #[must_use]
    pub(crate) fn phase(&self) -> WebSocketPhase {
        match self.state {
            State::Open { .. } => WebSocketPhase::Open,
            State::Concluding { .. } => WebSocketPhase::Concluding,
            State::Closing { .. } => WebSocketPhase::Closing,
            State::Finished(_) => WebSocketPhase::Finished,
        }
    }

    /// Whether messages may still be written: no Close frame of ours has been (RFC 6455 §5.5.1).
    #[must_use]
    pub(crate) fn can_send(&self) -> bool {
        match self.state {
            State::Open { .. } | State::Concluding { .. } => true,
            State::Closing { .. } | State::Finished(_) => false,
        }
    }

    /// Which end closes the connection below first, once [`WebSocketPhase::Finished`] is reached.
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

    /// In which form a message fits this WebSocket, if that form fits others too.
    #[must_use]
    pub(crate) fn form(&self, compress: bool) -> Form {
        match self.deflation.as_deref().filter(|_| compress).map(Deflation::shared_window) {
            None => Form::Plain,
            Some(Some(window_bits)) => Form::Compressed { window_bits },
            Some(None) => Form::Own,
        }
    }

    /// Takes all of `input`, which is unmasked in place. Ignored in [`WebSocketPhase::Concluding`] and
    /// [`WebSocketPhase::Finished`].
    ///
    /// Pongs are appended to `out` without a bound of their own: a caller whose `out` does not drain stops reading.
    pub(crate) fn handle_bytes(
        &mut self,
        mut input: &mut [u8],
        now: Timestamp,
        limits: &WebSocketLimits,
        codecs: &mut Codecs,
        out: &mut Vec<u8>,
        sink: &mut impl WebSocketSink,
    ) {
        let deflate = self.deflation.is_some();
        let (max_payload_length, masking) = (limits.max_payload_length, self.role.masking());
        let rules = FrameRules { max_payload_length, deflate, masking };
        if let State::Open { since, pinged, .. } = &mut self.state
            && !input.is_empty()
        {
            (*since, *pinged) = (now, false);
        }
        loop {
            let is_open = match self.state {
                State::Open { .. } => true,
                State::Closing { .. } => false,
                State::Concluding { .. } | State::Finished(_) => return,
            };
            match self.assembler.next(&mut input, rules) {
                Ok(None) => return,
                Ok(Some(Received::Control(ControlKind::Close, payload))) => {
                    self.handle_last_frame(close::parse(&payload), now + limits.close_timeout, sink);
                }
                Err(cause) => self.handle_last_frame(Err(cause), now + limits.close_timeout, sink),
                // The application knows of the end already: nothing but the peer's Close is of interest.
                Ok(Some(_)) if !is_open => {}
                Ok(Some(Received::Message(kind, payload))) => sink.message(kind, &payload),
                Ok(Some(Received::Compressed(kind, payload))) => {
                    let limit = limits.max_payload_length;
                    match decompress(self.deflation.as_deref_mut(), kind, &payload, limit, codecs) {
                        Ok(message) => sink.message(kind, message),
                        Err(cause) => self.handle_last_frame(Err(cause), now + limits.close_timeout, sink),
                    }
                    codecs.tidy();
                }
                Ok(Some(Received::Control(ControlKind::Ping, payload))) => {
                    self.role.put(out, |out| frame::encode(OpCode::Control(Control::Pong), &payload, out));
                    sink.ping(&payload);
                }
                Ok(Some(Received::Control(ControlKind::Pong, payload))) => sink.pong(&payload),
            }
        }
    }

    /// The transport has taken bytes that waited: the peer is alive, although it may be too busy reading to send
    /// and so does not count as idle.
    pub(crate) fn handle_progress(&mut self, now: Timestamp) {
        if let State::Open { since, pinged, .. } = &mut self.state {
            (*since, *pinged) = (now, false);
        }
    }

    /// Acts on what is due at `now`. To be called once [`Self::poll_deadline`] has passed; harmless at other times, and
    /// however late: a peer that is to be pinged before it counts as gone is pinged first, and has its time to answer.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Timestamp,
        limits: &WebSocketLimits,
        out: &mut Vec<u8>,
        sink: &mut impl WebSocketSink,
    ) {
        match &mut self.state {
            State::Open { opened, since, pinged } => {
                let silence = Silence::of(limits, *since, *pinged);
                if silence.ends().is_some_and(|end| now >= end) {
                    self.role.put(out, |out| close_for(CloseCause::IdleTimeout, out));
                    sink.closed(Closure::by(CloseCause::IdleTimeout));
                    self.finish();
                } else if limits.max_lifetime.is_some_and(|lifetime| now >= *opened + lifetime) {
                    self.ask_to_reconnect(CloseCause::MaxLifetime, now, limits, out, sink);
                } else if silence.asks().is_some_and(|question| now >= question) {
                    (*since, *pinged) = (now, true);
                    self.role.put(out, |out| frame::encode(OpCode::Control(Control::Ping), b"", out));
                }
            }
            State::Concluding { deadline, .. } if now >= *deadline => self.conclude(out),
            State::Closing { deadline } if now >= *deadline => self.finish(),
            State::Concluding { .. } | State::Closing { .. } | State::Finished(_) => {}
        }
    }

    /// Closes an open WebSocket in good order on this side's own account: with a Close frame, which is waited to be answered.
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
            self.state = State::Closing { deadline: now + limits.close_timeout };
        }
    }

    /// The peer sent FIN: nothing more will come from it, but one that closed its own direction only still reads. So it
    /// is owed the answers to the messages that came before, and the Close frame of a close that is under way, but no
    /// Close frame for this: it has sent none.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn handle_fin(
        &mut self,
        now: Timestamp,
        limits: &WebSocketLimits,
        sink: &mut impl WebSocketSink,
    ) {
        self.handle_end(CloseCause::FinWithoutClose, now, limits, sink);
    }

    /// The same if more is known of why it did.
    pub(crate) fn handle_end(
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
                let (farewell, then) = (Box::default(), TcpCloser::Us);
                self.state = State::Concluding { farewell, deadline, then };
            }
            State::Concluding { .. } => {}
            State::Closing { .. } | State::Finished(_) => self.finish(),
        }
    }

    /// The transport is of no use any more, for `cause`.
    pub(crate) fn handle_transport_end(&mut self, cause: CloseCause, sink: &mut impl WebSocketSink) {
        match self.state {
            State::Open { .. } => sink.closed(Closure::by(cause)),
            State::Concluding { .. } | State::Closing { .. } | State::Finished(_) => {}
        }
        self.finish();
    }

    /// Sends a message as one frame. Without effect unless [`Self::can_send`].
    pub(crate) fn send(&mut self, kind: MessageKind, payload: &[u8], out: &mut Vec<u8>) {
        if self.can_send() {
            self.role.put(out, |out| frame::encode_message(kind, payload, out));
        }
    }

    /// As [`Self::send`], and compresses the message if permessage-deflate was negotiated and it is not empty.
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

    /// Sends a part of a message, compressed if its first one says so and permessage-deflate was negotiated. Until the
    /// last one, only control frames may be sent in between. Without effect unless [`Self::can_send`].
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

    /// Sends a ping; of a payload beyond 125 bytes only the first 125. Without effect unless [`Self::can_send`].
    pub(crate) fn ping(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        if self.can_send() {
            let payload = &payload[..payload.len().min(MAX_CONTROL_LENGTH)];
            self.role.put(out, |out| frame::encode(OpCode::Control(Control::Ping), payload, out));
        }
    }

    /// The application ends the connection, and has been told so: sends a Close frame ([`close::encode`] says how
    /// code and reason are written) and waits for the peer's. If an end was under way already, that one stands.
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
                self.state = State::Closing { deadline: now + limits.close_timeout };
            }
            State::Concluding { .. } => self.conclude(out),
            State::Closing { .. } | State::Finished(_) => {}
        }
    }

    /// This side ends the connection for `cause`, and the application has been told so: sends a Close frame if the
    /// verdict has a code for the wire, and waits for nothing.
    pub(crate) fn abort(&mut self, cause: CloseCause, out: &mut Vec<u8>) {
        match self.state {
            State::Open { .. } => self.role.put(out, |out| close_for(cause, out)),
            State::Concluding { .. } => return self.conclude(out),
            State::Closing { .. } | State::Finished(_) => {}
        }
        self.finish();
    }

    /// The application has handled everything up to and including [`WebSocketSink::closed`], and what it sent meanwhile has
    /// been passed on: the Close frame owed in [`WebSocketPhase::Concluding`] is written. Without effect in any other phase.
    pub(crate) fn conclude(&mut self, out: &mut Vec<u8>) {
        if let State::Concluding { farewell, then, .. } = &self.state {
            let then = *then;
            out.extend_from_slice(farewell);
            self.finish_with(then);
        }
    }

    /// When [`Self::handle_timeout`] has something to do, if nothing happens before.
    #[must_use]
    pub(crate) fn poll_deadline(&self, limits: &WebSocketLimits) -> Option<Timestamp> {
        match self.state {
            State::Open { opened, since, pinged } => {
                let silence = Silence::of(limits, since, pinged);
                let lifetime = limits.max_lifetime.map(|lifetime| opened + lifetime);
                silence.asks().or(silence.ends()).into_iter().chain(lifetime).min()
            }
            State::Concluding { deadline, .. } | State::Closing { deadline } => Some(deadline),
            State::Finished(_) => None,
        }
    }

    /// The peer sent its Close frame or broke a rule; either way, nothing after it is read. Tells the application,
    /// unless it knows of an end already, and has our Close frame ready: the same code and reason (RFC 6455
    /// §5.5.1), or which rule was broken.
    fn handle_last_frame(
        &mut self,
        said: Result<PeerClose<'_>, CloseCause>,
        deadline: Timestamp,
        sink: &mut impl WebSocketSink,
    ) {
        let then = match (&self.role, &said) {
            (Role::Client(_), Ok(_)) => TcpCloser::Peer,
            // RFC 6455 §7.1.7: a connection that has failed is closed, and the peer is not waited for.
            (Role::Client(_), Err(_)) | (Role::Server, _) => TcpCloser::Us,
        };
        if self.phase() != WebSocketPhase::Open {
            return self.finish_with(then);
        }
        let mut farewell = Vec::new();
        let (role, farewell_out) = (&mut self.role, &mut farewell);
        match said {
            Ok(PeerClose::WithCode(code, reason)) => {
                let told = if reason.is_empty() { unexplained(code) } else { Cow::Borrowed(reason) };
                sink.closed(Closure { cause: CloseCause::PeerClosed, code, reason: &told });
                role.put(farewell_out, |out| close::encode(code, reason, out));
            }
            Ok(PeerClose::WithoutCode) => {
                sink.closed(Closure::by(CloseCause::PeerClosedWithoutCode));
                role.put(farewell_out, close::encode_empty);
            }
            Err(cause) => {
                sink.closed(Closure::by(cause));
                role.put(farewell_out, |out| close_for(cause, out));
            }
        }
        self.assembler = Assembler::default();
        self.state = State::Concluding { farewell: farewell.into_boxed_slice(), deadline, then };
    }

    /// Nothing more is read or written.
    fn finish(&mut self) {
        self.finish_with(TcpCloser::Us);
    }

    fn finish_with(&mut self, first: TcpCloser) {
        self.assembler = Assembler::default();
        self.state = State::Finished(first);
    }
}

/// The message in a compressed one. A text is checked to be UTF-8.
fn decompress<'c>(
    deflation: Option<&mut Deflation>,
    kind: MessageKind,
    payload: &[u8],
    limit: u32,
    codecs: &'c mut Codecs,
) -> Result<&'c [u8], CloseCause> {
    // Nobody sends such a message where it was not negotiated: that would have been a broken frame.
    let message = deflation.ok_or(CloseCause::ReservedBits)?.decompress(payload, limit, codecs)?;
    if kind == MessageKind::Text && !utf8::is_valid(message) {
        return Err(CloseCause::InvalidUtf8);
    }
    Ok(message)
}

/// The reason for the application where the peer gave only a code.
fn unexplained(code: u16) -> Cow<'static, str> {
    let text = CloseCause::PeerClosed.verdict().text;
    Cow::Owned(format!("{text} ({code} {})", close::name(code)))
}

/// Appends the Close frame with which the peer is told of `cause`, if it is to be told.
fn close_for(cause: CloseCause, out: &mut Vec<u8>) {
    let verdict = cause.verdict();
    if let Some(code) = verdict.wire_code {
        close::encode(code, verdict.text, out);
    }
}

/// What comes of it if the peer goes on saying nothing.
#[derive(Clone, Copy, Debug)]
enum Silence {
    /// Nothing.
    Allowed,
    /// It is sent an automatic ping at this moment.
    Asks(Timestamp),
    /// It counts as gone from this moment on.
    Ends(Timestamp),
}

impl Silence {
    /// With automatic pings it is the ping that the peer has to answer: it has its margin from when that was sent, which
    /// may be later than it was due.
    fn of(limits: &WebSocketLimits, since: Timestamp, pinged: bool) -> Self {
        match limits.idle_timeout {
            None => Self::Allowed,
            Some(idle) if !limits.send_pings => Self::Ends(since + idle),
            Some(idle) if pinged => Self::Ends(since + answer_margin(idle)),
            Some(idle) => Self::Asks(since + idle.saturating_sub(answer_margin(idle))),
        }
    }

    const fn asks(self) -> Option<Timestamp> {
        if let Self::Asks(moment) = self { Some(moment) } else { None }
    }

    const fn ends(self) -> Option<Timestamp> {
        if let Self::Ends(moment) = self { Some(moment) } else { None }
    }
}

/// How long a peer has to answer an automatic ping: 4 s, or 8 s of an idle timeout from 16 s on, or 16 s from 32 s on, as in
/// uWebSockets.js, where a route's timeout is at least 8 s. It is half the timeout at most, so that a shorter timeout does
/// not turn into a stream of pings.
fn answer_margin(idle: Duration) -> Duration {
    let margin = Duration::from_secs(match idle.as_secs() {
        0..16 => 4,
        16..32 => 8,
        32.. => 16,
    });
    margin.min(idle / 2)
}

#[cfg(test)]
mod tests;
