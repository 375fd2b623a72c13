//! An application that sends, ends and waits at any moment, on a WebSocket whose transport and clock do the same. A
//! session has to cope, and to keep its promises to both sides meanwhile.

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
pub(crate) enum Event {
    /// [`WebSocketSink::message`].
    Message(MessageKind, Vec<u8>),
    /// [`WebSocketSink::ping`].
    Ping(Vec<u8>),
    /// [`WebSocketSink::pong`].
    Pong(Vec<u8>),
    /// [`WebSocketSink::closed`].
    Closed(CloseCause, u16, String),
}

/// Remembers what it is told, and insists that `closed` is the last call and never without words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Vec<Event>);

impl Recorder {
    /// Everything so far.
    #[must_use]
    pub(crate) fn into_events(self) -> Vec<Event> {
        self.0
    }

    fn record(&mut self, event: Event) {
        assert!(!matches!(self.0.last(), Some(Event::Closed(..))), "{event:?} after closed");
        self.0.push(event);
    }
}

impl WebSocketSink for Recorder {
    fn message(&mut self, kind: MessageKind, payload: &[u8]) {
        assert!(kind == MessageKind::Binary || str::from_utf8(payload).is_ok(), "a text that is no UTF-8");
        self.record(Event::Message(kind, payload.to_vec()));
    }

    fn ping(&mut self, payload: &[u8]) {
        self.record(Event::Ping(payload.to_vec()));
    }

    fn pong(&mut self, payload: &[u8]) {
        assert!(payload.len() <= 125);
        self.record(Event::Pong(payload.to_vec()));
    }

    fn closed(&mut self, closure: Closure<'_>) {
        assert!(!closure.reason.is_empty());
        self.record(Event::Closed(closure.cause, closure.code, closure.reason.to_owned()));
    }
}

/// One WebSocket, and what is known of it from the outside.
pub(crate) struct WebSocketApplication<'a> {
    /// What the peer has still to send.
    wire: &'a [u8],
    session: WebSocketSession,
    codecs: Codecs,
    limits: &'a WebSocketLimits,
    now: Timestamp,
    /// Everything that was written.
    out: Vec<u8>,
    recorder: Recorder,
    /// Bytes that arrived.
    received: usize,
    /// Bytes that were written in answer to them alone.
    reflected: usize,
    /// What is agreed about compression.
    agreement: Option<Agreement>,
    /// Reads what is sent compressed.
    reader: PlainInflate,
    /// The message that is being sent in fragments.
    parts: Option<Parts>,
}

/// What one call did.
#[derive(Debug)]
struct Effect {
    /// The phase before.
    from: WebSocketPhase,
    /// The phase after.
    to: WebSocketPhase,
    /// What was written.
    frames: Vec<ServerFrame>,
    /// What was told.
    events: Vec<Event>,
}

impl<'a> WebSocketApplication<'a> {
    /// Plays the steps, then sends the rest and lets the connection end. `agreement` is what the peer may make use of.
    ///
    /// | step | argument | |
    /// |---|---|---|
    /// | `m`, `M` | which payload | sends a text, a binary message; these two and the next not between fragments |
    /// | `z` | which payload | sends a text, compressed if that is agreed |
    /// | `g` | which payload | sends a fragment: the first of a message, a further one if odd, else the last |
    /// | `p` | which payload | sends a ping |
    /// | `e` | which code and reason | `ws.end()` |
    /// | `a` | which cause | the server ends the connection |
    /// | `c` | | the application has heard of the end |
    /// | `x` | which cause | the transport ends; with FIN, as `f` |
    /// | `f` | | the peer sends FIN |
    /// | `d` | | output was written |
    /// | `t` | tenths of a second | time passes |
    /// | `T` | | time passes up to the deadline |
    /// | any other | | so many bytes arrive |
    ///
    /// # Panics
    /// If a promise of [`WebSocketSession`] does not hold.
    pub(crate) fn play(scenario: Scenario<'a>, limits: &'a WebSocketLimits, agreement: Option<Agreement>) {
        let now = Timestamp(1_000);
        let mut application = Self {
            wire: scenario.wire,
            session: WebSocketSession::new(now, agreement),
            codecs: Codecs::default(),
            limits,
            now,
            out: Vec::new(),
            recorder: Recorder::default(),
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

    /// The next `len` bytes of the peer arrive. Pings are answered in order, nothing else is written, and so there is
    /// never more to write than there was to read.
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
            Event::Ping(payload) => Some(ServerFrame { first: 0x8a, payload: payload.clone() }),
            Event::Message(..) | Event::Pong(_) | Event::Closed(..) => None,
        });
        assert_eq!(effect.frames, pongs.collect::<Vec<_>>());
        for event in &effect.events {
            if let Event::Message(_, payload) = event {
                assert!(payload.len() <= self.limits.max_payload_length as usize);
            }
        }
        match (effect.from, effect.to) {
            (WebSocketPhase::Open, WebSocketPhase::Open) => {
                assert!(!matches!(effect.events.last(), Some(Event::Closed(..))));
            }
            (WebSocketPhase::Open, WebSocketPhase::Concluding) => {
                assert!(matches!(effect.events.last(), Some(Event::Closed(..))));
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
        let effect = self.act(|this| this.session.ping(&payload, &mut this.out));
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
            WebSocketPhase::Concluding => self.assert_farewell(&effect),
            WebSocketPhase::Closing | WebSocketPhase::Finished => effect.assert_nothing(),
        }
    }

    /// The server ends the connection.
    fn abort(&mut self, cause: CloseCause) {
        let effect = self.act(|this| this.session.abort(cause, &mut this.out));
        assert_eq!((effect.to, effect.events.len()), (WebSocketPhase::Finished, 0));
        match (effect.from, cause.verdict().wire_code) {
            (WebSocketPhase::Open, Some(_)) => effect.assert_says(cause),
            (WebSocketPhase::Concluding, _) => self.assert_farewell(&effect),
            (WebSocketPhase::Open, None) | (WebSocketPhase::Closing | WebSocketPhase::Finished, _) => {
                assert_eq!(effect.frames, [])
            }
        }
    }

    /// The application has heard of the end.
    fn conclude(&mut self) {
        let effect = self.act(|this| this.session.conclude(&mut this.out));
        match effect.from {
            WebSocketPhase::Concluding => self.assert_farewell(&effect),
            WebSocketPhase::Open | WebSocketPhase::Closing | WebSocketPhase::Finished => {
                effect.assert_nothing()
            }
        }
    }

    /// The transport ends.
    fn end_transport(&mut self, cause: CloseCause) {
        let effect = self.act(|this| this.session.handle_transport_end(cause, &mut this.recorder));
        assert_eq!(effect.frames, []);
        match effect.from {
            WebSocketPhase::Open => assert_eq!(effect.events, [closed_by(cause)]),
            WebSocketPhase::Concluding | WebSocketPhase::Closing | WebSocketPhase::Finished => {
                assert_eq!(effect.events, [])
            }
        }
        assert_eq!(effect.to, WebSocketPhase::Finished);
    }

    /// The peer sends FIN, which it does once, behind all it had to say.
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

    /// The timer fires at `now`, which is its time or not: nothing happens before it, and it is never set to the past.
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
                assert!(self.limits.send_pings);
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
            (WebSocketPhase::Concluding, WebSocketPhase::Finished) => self.assert_farewell(&effect),
            (WebSocketPhase::Closing, WebSocketPhase::Finished) => {
                assert_eq!((&effect.frames[..], &effect.events[..]), (&[][..], &[][..]))
            }
            (from, to) => panic!("from {from:?} to {to:?}"),
        }
    }

    /// Does something, and asserts what holds of everything: what is written are whole frames, and none of them after
    /// a Close frame of ours; nothing is told once the application knows of the end.
    fn act(&mut self, call: impl FnOnce(&mut Self)) -> Effect {
        let (from, told, written) = (self.session.phase(), self.recorder.0.len(), self.out.len());
        assert_eq!(
            self.session.can_send(),
            matches!(from, WebSocketPhase::Open | WebSocketPhase::Concluding)
        );
        call(self);
        let effect = Effect {
            from,
            to: self.session.phase(),
            frames: read_frames(&self.out[written..]),
            events: self.recorder.0[told..].to_vec(),
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

    /// The Close frame that was owed: the peer's own code and reason, or which rule was broken.
    fn assert_farewell(&self, effect: &Effect) {
        assert_eq!((effect.to, effect.events.len()), (WebSocketPhase::Finished, 0));
        let Some(Event::Closed(cause, code, reason)) = self.recorder.0.last() else {
            panic!("nobody was told of the end");
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
    /// Nothing at all happened.
    fn assert_nothing(&self) {
        self.assert_only(Vec::new());
    }

    /// Nothing happened but that these were written.
    fn assert_only(&self, frames: Vec<ServerFrame>) {
        assert_eq!(self.frames, frames);
        assert_eq!((self.from, self.events.len()), (self.to, 0));
    }

    /// The one frame that was written.
    fn only_frame(&self) -> &ServerFrame {
        let [frame] = &self.frames[..] else { panic!("{:?}", self.frames) };
        frame
    }

    /// What the one Close frame that was written says.
    fn close(&self) -> PeerClose<'_> {
        let frame = self.only_frame();
        match close::parse(&frame.payload) {
            Ok(said) if frame.is_close() => said,
            said => panic!("{frame:?}: {said:?}"),
        }
    }

    /// The one frame that was written tells the peer of this cause.
    fn assert_says(&self, cause: CloseCause) {
        let verdict = cause.verdict();
        let PeerClose::WithCode(code, reason) = self.close() else { panic!("a Close frame without a code") };
        assert_eq!(Some(code), verdict.wire_code);
        assert!(
            verdict.text.starts_with(reason) && reason.len() >= verdict.text.len().min(MAX_REASON_LENGTH)
        );
    }
}

/// The end, where there is nothing to say but the cause.
fn closed_by(cause: CloseCause) -> Event {
    let verdict = cause.verdict();
    Event::Closed(cause, verdict.local_code, verdict.text.to_owned())
}

/// What messages and reasons are made of.
const TEXTS: [&str; 4] = ["x", "\u{e9}", "\u{20ac}!", "\u{1f600}"];

/// Codes that the application ends with, some of which must not be sent.
const CODES: [u16; 8] = [0, 1000, 1001, 1005, 1006, 3000, 4999, 5000];
