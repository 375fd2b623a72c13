//! Shared by the tests of a session: frames of a client, a sink that records its calls, a run from bytes to outcome.

use std::time::Duration;

use super::*;

mod client;
mod closing;
mod compression;
mod manners;
mod oracle;
mod rules;
mod timers;

/// A mask key for frames whose key does not matter.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// WebSocketLimits without timers; `max_payload_length` is small enough to exceed in a test.
const LIMITS: WebSocketLimits = WebSocketLimits {
    max_payload_length: 1000,
    idle_timeout: None,
    ping_interval: None,
    max_lifetime: None,
    close_timeout: Duration::from_secs(5),
    manners: Manners::UWS,
};

/// A call of the sink.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SinkEvent {
    Message(MessageKind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Closed(CloseCause, u16, String),
}

/// Records its calls, and asserts that `closed` is the last one.
#[derive(Debug, Default)]
struct SinkRecorder {
    events: Vec<SinkEvent>,
    /// How long pongs took.
    round_trips: Vec<Duration>,
    /// How many automatic pings were sent.
    pings: u32,
    /// How many events it takes; any number if this is `None`.
    capacity: Option<usize>,
    /// With [`Manners::keeps_reason`].
    allows_no_reason: bool,
}

impl SinkRecorder {
    fn record(&mut self, event: SinkEvent) {
        assert!(!matches!(self.events.last(), Some(SinkEvent::Closed(..))), "{event:?} after closed");
        self.events.push(event);
    }

    /// The events since the last call.
    fn take(&mut self) -> Vec<SinkEvent> {
        std::mem::take(&mut self.events)
    }
}

impl WebSocketSink for SinkRecorder {
    fn message(&mut self, kind: MessageKind, payload: &[u8]) {
        self.record(SinkEvent::Message(kind, payload.to_vec()));
    }

    fn ping(&mut self, payload: &[u8]) {
        self.record(SinkEvent::Ping(payload.to_vec()));
    }

    fn pong(&mut self, payload: &[u8]) {
        self.record(SinkEvent::Pong(payload.to_vec()));
    }

    fn pinged(&mut self) {
        self.pings += 1;
    }

    fn round_trip(&mut self, time: Duration) {
        self.round_trips.push(time);
    }

    fn closed(&mut self, closure: Closure<'_>) {
        assert!(self.allows_no_reason || !closure.reason.is_empty());
        self.record(SinkEvent::Closed(closure.cause, closure.code, closure.reason.to_owned()));
    }

    fn is_full(&self) -> bool {
        self.capacity.is_some_and(|capacity| self.events.len() >= capacity)
    }
}

/// A session with its sink, output and clock.
struct Fixture {
    session: WebSocketSession,
    limits: WebSocketLimits,
    now: Timestamp,
    codecs: Codecs,
    out: Vec<u8>,
    sink: SinkRecorder,
}

impl Fixture {
    fn new(limits: &WebSocketLimits) -> Self {
        let now = Timestamp(1_000_000);
        Self {
            session: WebSocketSession::new(now, None),
            limits: limits.clone(),
            now,
            codecs: Codecs::default(),
            out: Vec::new(),
            sink: SinkRecorder::default(),
        }
    }

    fn handle_bytes(&mut self, bytes: &[u8]) {
        assert_eq!(self.handle_some(bytes), bytes.len());
    }

    /// The same, if the sink may be full. Returns how many bytes were processed.
    fn handle_some(&mut self, bytes: &[u8]) -> usize {
        let mut bytes = bytes.to_vec();
        let Self { session, limits, now, codecs, out, sink } = self;
        session.handle_bytes(&mut bytes, *now, limits, codecs, out, sink)
    }

    fn handle_timeout(&mut self) {
        self.session.handle_timeout(self.now, &self.limits, &mut self.out, &mut self.sink);
    }

    fn handle_fin(&mut self) {
        self.session.handle_fin(CloseCause::FinWithoutClose, self.now, &self.limits, &mut self.sink);
    }

    fn end(&mut self, code: u16, reason: &str) {
        self.session.end(code, reason, self.now, &self.limits, &mut self.out);
    }

    fn conclude(&mut self) {
        self.session.conclude(&mut self.out);
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.session.poll_deadline(&self.limits)
    }

    /// What was written since the last call.
    fn take_out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Asserts that nothing was written or reported since the last check.
    fn assert_quiet(&self) {
        assert_eq!(self.out, b"");
        assert_eq!(self.sink.events, []);
    }
}

/// The result of a client's bytes, after the application's close handler has run.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    events: Vec<SinkEvent>,
    out: Vec<u8>,
    phase: WebSocketPhase,
}

/// Passes the pieces to a new session.
fn run(pieces: &[&[u8]]) -> Outcome {
    let mut fixture = Fixture::new(&LIMITS);
    for piece in pieces {
        fixture.handle_bytes(piece);
    }
    fixture.conclude();
    Outcome { events: fixture.sink.events, out: fixture.out, phase: fixture.session.phase() }
}

/// A masked frame of a client, with the shortest form of its length.
fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            frame.push(0xfe);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(0xff);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The server's Close frame.
fn close_out(code: u16, reason: &str) -> Vec<u8> {
    [&[0x88, 2 + reason.len() as u8][..], &code.to_be_bytes(), reason.as_bytes()].concat()
}

/// The client's Close frame.
fn close_in(code: u16, reason: &str) -> Vec<u8> {
    client_frame(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// A text message, as reported to the sink.
fn text(payload: &str) -> SinkEvent {
    SinkEvent::Message(MessageKind::Text, payload.as_bytes().to_vec())
}

/// The end of a connection with code and reason of the cause's verdict.
fn closed_by(cause: CloseCause) -> SinkEvent {
    let verdict = cause.verdict();
    SinkEvent::Closed(cause, verdict.local_code, verdict.text.to_owned())
}

#[test]
fn a_full_sink_gets_the_rest_of_the_input_later() {
    let input = [
        client_frame(0x81, b"one"),
        client_frame(0x01, b"two "),
        client_frame(0x89, b"ping"),
        client_frame(0x80, b"halves"),
        client_frame(0x82, &[7; 300]),
        close_in(1000, "bye"),
        client_frame(0x81, b"ignored"),
    ]
    .concat();
    let whole = run(&[&input]);
    for cut in 0..=input.len() {
        let mut fixture = Fixture::new(&LIMITS);
        let mut left = Vec::new();
        for piece in [&input[..cut], &input[cut..]] {
            left.extend_from_slice(piece);
            if fixture.session.phase() == WebSocketPhase::Open {
                fixture.sink.capacity = Some(fixture.sink.events.len());
                assert_eq!(fixture.handle_some(&left), 0, "nothing is taken while the sink is full");
            }
            while !left.is_empty() {
                fixture.sink.capacity = Some(fixture.sink.events.len() + 1);
                left.drain(..fixture.handle_some(&left));
            }
        }
        fixture.conclude();
        let outcome =
            Outcome { events: fixture.sink.events, out: fixture.out, phase: fixture.session.phase() };
        assert_eq!(outcome, whole, "cut at {cut}");
    }
}

#[test]
fn an_idle_session_is_small_and_owns_no_memory() {
    assert!(size_of::<WebSocketSession>() <= 56, "{}", size_of::<WebSocketSession>());
    let mut fixture = Fixture::new(&LIMITS);
    fixture.handle_bytes(&client_frame(0x81, &[b'x'; 900]));
    fixture.handle_bytes(&client_frame(0x01, b"a"));
    assert!(!fixture.session.assembler.is_vacant());
    fixture.handle_bytes(&client_frame(0x80, b"b"));
    assert!(fixture.session.assembler.is_vacant());
}

#[test]
fn an_end_frees_what_was_incomplete() {
    let incomplete = client_frame(0x02, &[7; 900]);
    let ends: [fn(&mut Fixture); 5] = [
        |fixture| fixture.handle_bytes(&close_in(1000, "")),
        |fixture| fixture.handle_bytes(b"\x83"),
        |fixture| fixture.session.handle_transport_end(CloseCause::Reset, None, &mut fixture.sink),
        Fixture::handle_fin,
        |fixture| fixture.session.abort(CloseCause::ApplicationClosed, &mut fixture.out),
    ];
    for end in ends {
        let mut fixture = Fixture::new(&LIMITS);
        fixture.handle_bytes(&incomplete);
        assert!(!fixture.session.assembler.is_vacant());
        end(&mut fixture);
        assert!(fixture.session.assembler.is_vacant());
    }
}
