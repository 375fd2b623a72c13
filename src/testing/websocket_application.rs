//! An application that sends, ends and waits at any moment, on a WebSocket whose transport and clock are as irregular.
//! It asserts that a session keeps the rules of RFC 6455 towards both sides nevertheless.

mod sending;

use self::sending::Parts;
use super::plain_inflate::PlainInflate;
use super::scenario::Scenario;
use super::server_frame::{ServerFrame, read_frames};
use crate::protocol::cause::CloseCause;
use crate::protocol::time::Timestamp;
use crate::protocol::websocket::close::{self, MAX_REASON_LENGTH, PeerClose, may_be_sent};
use crate::protocol::websocket::{
    Agreement, Closure, Codecs, MessageKind, WebSocketLimits, WebSocketPhase, WebSocketSession, WebSocketSink,
};

/// A call of the sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SinkCall {
    /// [`WebSocketSink::message`].
    Message(MessageKind, Vec<u8>),
    /// [`WebSocketSink::ping`].
    Ping(Vec<u8>),
    /// [`WebSocketSink::pong`].
    Pong(Vec<u8>),
    /// [`WebSocketSink::closed`].
    Closed(CloseCause, u16, String),
}

/// Records its calls, and asserts that `closed` is the last one and has a reason.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallRecorder(Vec<SinkCall>);

impl CallRecorder {
    /// Everything so far.
    #[must_use]
    pub(crate) fn into_events(self) -> Vec<SinkCall> {
        self.0
    }

    fn record(&mut self, event: SinkCall) {
        assert!(!matches!(self.0.last(), Some(SinkCall::Closed(..))), "{event:?} after closed");
        self.0.push(event);
    }
}

impl WebSocketSink for CallRecorder {
    fn message(&mut self, kind: MessageKind, payload: &[u8]) {
        assert!(kind == MessageKind::Binary || str::from_utf8(payload).is_ok(), "a text that is no UTF-8");
        self.record(SinkCall::Message(kind, payload.to_vec()));
    }

    fn ping(&mut self, payload: &[u8]) {
        self.record(SinkCall::Ping(payload.to_vec()));
    }

    fn pong(&mut self, payload: &[u8]) {
        assert!(payload.len() <= 125);
        self.record(SinkCall::Pong(payload.to_vec()));
    }

    fn closed(&mut self, closure: Closure<'_>) {
        assert!(!closure.reason.is_empty());
        self.record(SinkCall::Closed(closure.cause, closure.code, closure.reason.to_owned()));
    }
}

/// One WebSocket, and its state as seen from the outside.
pub(crate) struct WebSocketApplication<'a> {
    /// The bytes that the peer has not sent yet.
    wire: &'a [u8],
    session: WebSocketSession,
    codecs: Codecs,
    limits: &'a WebSocketLimits,
    now: Timestamp,
    /// Everything that was written.
    out: Vec<u8>,
    recorder: CallRecorder,
    /// Bytes that arrived.
    received: usize,
    /// Bytes that were written only in answer to them.
    reflected: usize,
    /// The negotiated parameters of compression.
    agreement: Option<Agreement>,
    /// Decompresses sent messages.
    reader: PlainInflate,
    /// The message that is being sent in fragments.
    parts: Option<Parts>,
}

/// The effect of one call.
#[derive(Debug)]
struct Effect {
    /// The phase before.
    from: WebSocketPhase,
    /// The phase after.
    to: WebSocketPhase,
    /// The frames that were written.
    frames: Vec<ServerFrame>,
    /// The calls of the sink.
    events: Vec<SinkCall>,
}

impl<'a> WebSocketApplication<'a> {
    /// Plays the steps, then sends the rest and lets the connection end. `agreement` has the negotiated compression.
    ///
    /// | step | argument | |
    /// |---|---|---|
    /// | `m`, `M` | which payload | sends a text, a binary message; these two and the next not between fragments |
    /// | `z` | which payload | sends a text, compressed if that was negotiated |
    /// | `g` | which payload | sends a fragment: the first of a message, a further one if odd, else the last |
    /// | `p` | which payload | sends a ping |
    /// | `e` | which code and reason | `ws.end()` |
    /// | `a` | which cause | the server ends the connection |
    /// | `c` | | the application's close handler has run |
    /// | `x` | which cause | the transport ends; with FIN, as `f` |
    /// | `f` | | the peer sends FIN |
    /// | `d` | | output was written |
    /// | `t` | tenths of a second | time passes |
    /// | `T` | | time passes up to the deadline |
    /// | any other | | this many bytes arrive |
    ///
    /// # Panics
    /// If an assertion about [`WebSocketSession`] does not hold.
    pub(crate) fn play(scenario: Scenario<'a>, limits: &'a WebSocketLimits, agreement: Option<Agreement>) {
        let now = Timestamp(1_000);
        let mut application = Self {
            wire: scenario.wire,
            session: WebSocketSession::new(now, agreement),
            codecs: Codecs::default(),
            limits,
            now,
            out: Vec::new(),
            recorder: CallRecorder::default(),
            received: 0,
            reflected: 0,
            agreement,
            reader: PlainInflate::default(),
            parts: None,
        };
        let mut steps = scenario.steps.iter().copied();
        while let Some(step) = steps.next() {
            application.step(step, &mut steps);
        }
        application.receive(application.wire.len());
        application.conclude();
        application.end_transport(CloseCause::Reset);
        assert_eq!(application.session.phase(), WebSocketPhase::Finished);
        assert_eq!(application.session.poll_deadline(limits), None);
    }

    /// Plays one step, which may take its argument from those behind it.
    fn step(&mut self, step: u8, steps: &mut impl Iterator<Item = u8>) {
        let mut argument = || usize::from(steps.next().unwrap_or_default());
        let cause = |argument: usize| CloseCause::ALL[argument % CloseCause::ALL.len()];
        match step {
            b'm' => self.send(MessageKind::Text, argument()),
            b'M' => self.send(MessageKind::Binary, argument()),
            b'z' => self.send_compressed(argument()),
            b'g' => self.send_fragment(argument()),
            b'p' => self.ping(argument()),
            b'e' => self.end(argument()),
            b'a' => self.abort(cause(argument())),
            b'c' => self.conclude(),
            b'x' => match cause(argument()) {
                CloseCause::FinWithoutClose => self.finish_peer(),
                cause => self.end_transport(cause),
            },
            b'f' => self.finish_peer(),
            b'd' => self.progress(),
            b't' => self.wait(Timestamp(self.now.0 + 100 * argument() as u64)),
            b'T' => self.wait(self.session.poll_deadline(self.limits).unwrap_or(self.now).max(self.now)),
            len => self.receive(len.into()),
        }
    }

    /// The next `len` bytes of the peer arrive. Asserts that pings are answered in order and nothing else is written,
    /// so that never more is written than was read.
    fn receive(&mut self, len: usize) {
        let (arrived, rest) = self.wire.split_at(len.min(self.wire.len()));
        self.wire = rest;
        let before = self.out.len();
        let effect = self.act(|this| {
            let Self { session, codecs, limits, now, out, recorder, .. } = this;
            session.handle_bytes(&mut arrived.to_vec(), *now, limits, codecs, out, recorder);
        });
        self.received += arrived.len();
        self.reflected += self.out.len() - before;
        assert!(self.reflected <= self.received, "{} bytes for {}", self.reflected, self.received);
        let pongs = effect.events.iter().filter_map(|event| match event {
            SinkCall::Ping(payload) => Some(ServerFrame { first: 0x8a, payload: payload.clone() }),
            SinkCall::Message(..) | SinkCall::Pong(_) | SinkCall::Closed(..) => None,
        });
        assert_eq!(effect.frames, pongs.collect::<Vec<_>>());
        for event in &effect.events {
            if let SinkCall::Message(_, payload) = event {
                assert!(payload.len() <= self.limits.max_payload_length as usize);
            }
        }
        match (effect.from, effect.to) {
            (WebSocketPhase::Open, WebSocketPhase::Open) => {
                assert!(!matches!(effect.events.last(), Some(SinkCall::Closed(..))));
            }
            (WebSocketPhase::Open, WebSocketPhase::Concluding) => {
                assert!(matches!(effect.events.last(), Some(SinkCall::Closed(..))));
            }
            (WebSocketPhase::Closing, WebSocketPhase::Closing | WebSocketPhase::Finished)
            | (WebSocketPhase::Concluding, WebSocketPhase::Concluding)
            | (WebSocketPhase::Finished, WebSocketPhase::Finished) => assert_eq!(effect.events, []),
            (from, to) => panic!("from {from:?} to {to:?}"),
        }
    }

    /// Sends a message.
    fn send(&mut self, kind: MessageKind, argument: usize) {
        if self.parts.is_some() {
            return;
        }
        let text = TEXTS[argument % TEXTS.len()].repeat(argument);
        let may_send = self.session.can_send();
        let effect = self.act(|this| this.session.send(kind, text.as_bytes(), &mut this.out));
        let first = match kind {
            MessageKind::Text => 0x81,
            MessageKind::Binary => 0x82,
        };
        let frame = ServerFrame { first, payload: text.into_bytes() };
        effect.assert_only(if may_send { vec![frame] } else { Vec::new() });
    }

    /// Sends a ping.
    fn ping(&mut self, argument: usize) {
        let payload = vec![b'x'; argument];
        let may_send = self.session.can_send();
        let effect = self.act(|this| this.session.ping(&payload, this.now, &mut this.out));
        let frame = ServerFrame { first: 0x89, payload: payload[..argument.min(125)].to_vec() };
        effect.assert_only(if may_send { vec![frame] } else { Vec::new() });
    }

    /// `ws.end()`.
    fn end(&mut self, argument: usize) {
        let (code, reason) =
            (CODES[argument % CODES.len()], TEXTS[argument % TEXTS.len()].repeat(argument / 2));
        let effect = self.act(|this| {
            let Self { session, limits, now, out, .. } = this;
            session.end(code, &reason, *now, limits, out);
        });
        match effect.from {
            WebSocketPhase::Open => {
                assert_eq!((effect.to, effect.events.len()), (WebSocketPhase::Closing, 0));
                match effect.close() {
                    PeerClose::WithoutCode => assert!(!may_be_sent(code)),
                    PeerClose::WithCode(written, start) => {
                        assert_eq!(written, code);
                        assert!(reason.starts_with(start) && start.len() >= reason.len().min(120));
                    }
                }
            }
            WebSocketPhase::Concluding => self.assert_close_frame(&effect),
            WebSocketPhase::Closing | WebSocketPhase::Finished => effect.assert_nothing(),
        }
    }

    /// The server ends the connection.
    fn abort(&mut self, cause: CloseCause) {
        let effect = self.act(|this| this.session.abort(cause, &mut this.out));
        assert_eq!((effect.to, effect.events.len()), (WebSocketPhase::Finished, 0));
        match (effect.from, cause.verdict().wire_code) {
            (WebSocketPhase::Open, Some(_)) => effect.assert_says(cause),
            (WebSocketPhase::Concluding, _) => self.assert_close_frame(&effect),
            (WebSocketPhase::Open, None) | (WebSocketPhase::Closing | WebSocketPhase::Finished, _) => {
                assert_eq!(effect.frames, [])
            }
        }
    }

    /// The application's close handler has run.
    fn conclude(&mut self) {
        let effect = self.act(|this| this.session.conclude(&mut this.out));
        match effect.from {
            WebSocketPhase::Concluding => self.assert_close_frame(&effect),
            WebSocketPhase::Open | WebSocketPhase::Closing | WebSocketPhase::Finished => {
                effect.assert_nothing()
            }
        }
    }

    /// The transport ends.
    fn end_transport(&mut self, cause: CloseCause) {
        let effect = self.act(|this| this.session.handle_transport_end(cause, None, &mut this.recorder));
        assert_eq!(effect.frames, []);
        match effect.from {
            WebSocketPhase::Open => assert_eq!(effect.events, [closed_by(cause)]),
            WebSocketPhase::Concluding | WebSocketPhase::Closing | WebSocketPhase::Finished => {
                assert_eq!(effect.events, [])
            }
        }
        assert_eq!(effect.to, WebSocketPhase::Finished);
    }

    /// The peer sends FIN, once, after all of its bytes.
    fn finish_peer(&mut self) {
        self.wire = &[];
        let effect = self.act(|this| {
            let Self { session, limits, now, recorder, .. } = this;
            session.handle_fin(CloseCause::FinWithoutClose, *now, limits, recorder);
        });
        assert_eq!(effect.frames, []);
        match effect.from {
            WebSocketPhase::Open => {
                assert_eq!(effect.events, [closed_by(CloseCause::FinWithoutClose)]);
                assert_eq!(effect.to, WebSocketPhase::Concluding);
            }
            WebSocketPhase::Concluding => {
                assert_eq!((effect.to, effect.events.len()), (WebSocketPhase::Concluding, 0))
            }
            WebSocketPhase::Closing | WebSocketPhase::Finished => {
                assert_eq!((effect.to, effect.events.len()), (WebSocketPhase::Finished, 0));
            }
        }
    }

    /// Output was written.
    fn progress(&mut self) {
        self.act(|this| this.session.handle_progress(this.now)).assert_nothing();
    }

    /// The timer fires at `now`. Asserts that a call before the deadline has no effect, and that the next deadline is
    /// not in the past.
    fn wait(&mut self, now: Timestamp) {
        self.now = now;
        let is_due = self.session.poll_deadline(self.limits).is_some_and(|deadline| deadline <= now);
        let effect = self.act(|this| {
            let Self { session, limits, now, out, recorder, .. } = this;
            session.handle_timeout(*now, limits, out, recorder);
        });
        if !is_due {
            return effect.assert_nothing();
        }
        assert!(self.session.poll_deadline(self.limits).is_none_or(|deadline| deadline > now));
        match (effect.from, effect.to) {
            (WebSocketPhase::Open, WebSocketPhase::Open) => {
                assert!(self.limits.ping_interval.is_some());
                effect.assert_only(vec![ServerFrame { first: 0x89, payload: Vec::new() }]);
            }
            (WebSocketPhase::Open, WebSocketPhase::Finished) => {
                assert_eq!(effect.events, [closed_by(CloseCause::IdleTimeout)]);
                effect.assert_says(CloseCause::IdleTimeout);
            }
            (WebSocketPhase::Open, WebSocketPhase::Closing) => {
                assert_eq!(effect.events, [closed_by(CloseCause::MaxLifetime)]);
                effect.assert_says(CloseCause::MaxLifetime);
            }
            (WebSocketPhase::Concluding, WebSocketPhase::Finished) => self.assert_close_frame(&effect),
            (WebSocketPhase::Closing, WebSocketPhase::Finished) => {
                assert_eq!((&effect.frames[..], &effect.events[..]), (&[][..], &[][..]))
            }
            (from, to) => panic!("from {from:?} to {to:?}"),
        }
    }

    /// Makes a call, and asserts what holds for every call: only whole frames are written, none of them after our Close
    /// frame, and the sink is not called after the end was reported.
    fn act(&mut self, call: impl FnOnce(&mut Self)) -> Effect {
        let (from, calls, written) = (self.session.phase(), self.recorder.0.len(), self.out.len());
        assert_eq!(
            self.session.can_send(),
            matches!(from, WebSocketPhase::Open | WebSocketPhase::Concluding)
        );
        call(self);
        let effect = Effect {
            from,
            to: self.session.phase(),
            frames: read_frames(&self.out[written..]),
            events: self.recorder.0[calls..].to_vec(),
        };
        let closes = effect.frames.iter().filter(|frame| frame.is_close()).count();
        match from {
            WebSocketPhase::Open => {}
            WebSocketPhase::Concluding => assert_eq!(effect.events, []),
            WebSocketPhase::Closing | WebSocketPhase::Finished => {
                assert_eq!((&effect.frames[..], &effect.events[..]), (&[][..], &[][..]));
            }
        }
        assert!(closes <= 1 && effect.frames.iter().rev().skip(1).all(|frame| !frame.is_close()));
        assert!(
            closes == 0 || matches!(effect.to, WebSocketPhase::Closing | WebSocketPhase::Finished),
            "{effect:?}"
        );
        effect
    }

    /// Asserts that our Close frame echoes the peer's code and reason, or names the broken rule.
    fn assert_close_frame(&self, effect: &Effect) {
        assert_eq!((effect.to, effect.events.len()), (WebSocketPhase::Finished, 0));
        let Some(SinkCall::Closed(cause, code, reason)) = self.recorder.0.last() else {
            panic!("the end was not reported");
        };
        if *cause == CloseCause::FinWithoutClose {
            return assert_eq!(effect.frames, []);
        }
        match (cause, effect.close()) {
            (CloseCause::PeerClosed, PeerClose::WithCode(echoed, words)) => {
                assert_eq!(echoed, *code);
                assert!(words == reason || words.is_empty() && reason.starts_with(cause.verdict().text));
            }
            (CloseCause::PeerClosedWithoutCode, PeerClose::WithoutCode) => {}
            (CloseCause::PeerClosed | CloseCause::PeerClosedWithoutCode, said) => panic!("{said:?}"),
            (cause, _) => effect.assert_says(*cause),
        }
    }
}

impl Effect {
    /// Asserts that the call had no effect.
    fn assert_nothing(&self) {
        self.assert_only(Vec::new());
    }

    /// Asserts that the call only wrote these frames.
    fn assert_only(&self, frames: Vec<ServerFrame>) {
        assert_eq!(self.frames, frames);
        assert_eq!((self.from, self.events.len()), (self.to, 0));
    }

    /// The one frame that was written.
    fn only_frame(&self) -> &ServerFrame {
        let [frame] = &self.frames[..] else { panic!("{:?}", self.frames) };
        frame
    }

    /// The content of the one Close frame that was written.
    fn close(&self) -> PeerClose<'_> {
        let frame = self.only_frame();
        match close::parse(&frame.payload) {
            Ok(said) if frame.is_close() => said,
            said => panic!("{frame:?}: {said:?}"),
        }
    }

    /// Asserts that the one frame that was written is a Close frame for this cause.
    fn assert_says(&self, cause: CloseCause) {
        let verdict = cause.verdict();
        let PeerClose::WithCode(code, reason) = self.close() else { panic!("a Close frame without a code") };
        assert_eq!(Some(code), verdict.wire_code);
        assert!(
            verdict.text.starts_with(reason) && reason.len() >= verdict.text.len().min(MAX_REASON_LENGTH)
        );
    }
}

/// The end of a connection with code and reason of the cause's verdict.
fn closed_by(cause: CloseCause) -> SinkCall {
    let verdict = cause.verdict();
    SinkCall::Closed(cause, verdict.local_code, verdict.text.to_owned())
}

/// Texts of messages and reasons.
const TEXTS: [&str; 4] = ["x", "\u{e9}", "\u{20ac}!", "\u{1f600}"];

/// Codes that the application passes to `end`, some of which must not be sent.
const CODES: [u16; 8] = [0, 1000, 1001, 1005, 1006, 3000, 4999, 5000];
