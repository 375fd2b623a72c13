//! Target `session`: a whole WebSocket, the input being a [`Scenario`] whose steps are those of
//! [`WebSocketApplication::play`].

use std::time::Duration;

use super::client_stream::{ClientTerms, StreamEnd, read_stream};
use super::scenario::Scenario;
use super::server_frame::{ServerFrame, read_frames};
use super::websocket_application::{CallRecorder, SinkCall, WebSocketApplication};
use crate::protocol::cause::CloseCause;
use crate::protocol::time::Timestamp;
use crate::protocol::websocket::close::{self, PeerClose};
use crate::protocol::websocket::extensions::Direction;
use crate::protocol::websocket::{
    Agreement, Codecs, Manners, WebSocketLimits, WebSocketPhase, WebSocketSession,
};

/// Asserts of the WebSocket in `data`:
/// - the calls of the sink, the output and the last phase are the same for every split of the bytes;
/// - they are those of a plain implementation of RFC 6455 for the whole stream, including the broken rule if there is
///   one;
/// - the assertions of [`WebSocketApplication`] hold, with timers and without.
///
/// All of it is run without compression and with it.
///
/// # Panics
/// If one of them does not hold.
pub fn session(data: &[u8]) {
    let scenario = Scenario::of(data);
    let single: Vec<&[u8]> = scenario.wire.chunks(1).collect();
    for agreement in [None, Some(REMEMBERING)] {
        let whole = listen(&[scenario.wire], agreement);
        assert_eq!(listen(&scenario.pieces(), agreement), whole, "cut by {:?}", scenario.steps);
        assert_eq!(listen(&single, agreement), whole, "byte by byte");
        whole.assert_read_from(scenario.wire, agreement.is_some());
    }

    for limits in [PATIENT, WATCHFUL, QUIET] {
        for agreement in [None, Some(REMEMBERING), Some(FORGETTING)] {
            WebSocketApplication::play(scenario, &limits, agreement);
        }
    }
}

/// The result of a WebSocket.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    events: Vec<SinkCall>,
    out: Vec<u8>,
    phase: WebSocketPhase,
}

/// Runs a WebSocket that receives these pieces and whose application only reacts to the end.
fn listen(pieces: &[&[u8]], agreement: Option<Agreement>) -> Outcome {
    let now = Timestamp(1_000);
    let (mut session, mut codecs) = (WebSocketSession::new(now, agreement), Codecs::default());
    let (mut out, mut recorder) = (Vec::new(), CallRecorder::default());
    for piece in pieces {
        session.handle_bytes(&mut piece.to_vec(), now, &PATIENT, &mut codecs, &mut out, &mut recorder);
    }
    session.conclude(&mut out);
    Outcome { events: recorder.into_events(), out, phase: session.phase() }
}

impl Outcome {
    /// Asserts that this is the result of the reference implementation for `wire`.
    fn assert_read_from(&self, wire: &[u8], deflate: bool) {
        let terms = ClientTerms { max_length: PATIENT.max_payload_length as usize, deflate };
        let (mut events, end) = read_stream(wire, terms);
        let pongs = events.iter().filter_map(|event| match event {
            SinkCall::Ping(payload) => Some(ServerFrame { first: 0x8a, payload: payload.clone() }),
            SinkCall::Message(..) | SinkCall::Pong(_) | SinkCall::Closed(..) => None,
        });
        let mut frames: Vec<ServerFrame> = pongs.collect();
        let said = match &end {
            StreamEnd::Open => None,
            StreamEnd::Close(payload) => Some(close::parse(payload)),
            StreamEnd::Broken(cause) => Some(Err(*cause)),
        };
        if let Some(said) = said {
            let (cause, code, reason) = match said {
                Ok(PeerClose::WithCode(code, reason)) => (CloseCause::PeerClosed, code, reason),
                Ok(PeerClose::WithoutCode) => (CloseCause::PeerClosedWithoutCode, 1005, ""),
                Err(cause) => (cause, 1006, ""),
            };
            events.push(SinkCall::Closed(cause, code, self.reason_or(reason)));
            frames.push(ServerFrame { first: 0x88, payload: close_payload_for(said) });
        }
        assert_eq!(self.events, events);
        assert_eq!(read_frames(&self.out), frames);
        assert_eq!(
            self.phase,
            if end == StreamEnd::Open { WebSocketPhase::Open } else { WebSocketPhase::Finished }
        );
    }

    /// The peer's reason, or the one that is reported in its place if it gave none.
    fn reason_or(&self, reason: &str) -> String {
        match self.events.last() {
            Some(SinkCall::Closed(.., reported)) if reason.is_empty() => reported.clone(),
            _ => reason.to_owned(),
        }
    }
}

/// The payload of the Close frame that answers the peer's Close frame or broken rule.
fn close_payload_for(said: Result<PeerClose<'_>, CloseCause>) -> Vec<u8> {
    let (code, reason) = match said {
        Ok(PeerClose::WithoutCode) => return Vec::new(),
        Ok(PeerClose::WithCode(code, reason)) => (Some(code), reason),
        Err(cause) => (cause.verdict().wire_code, cause.verdict().text),
    };
    let code = code.map(u16::to_be_bytes).unwrap_or_default();
    [&code, reason.as_bytes()].concat()
}

/// Compression with the largest window, with context takeover in both directions.
const REMEMBERING: Agreement = Agreement {
    outgoing: Direction { window_bits: 15, takeover: true },
    incoming: Direction { window_bits: 15, takeover: true },
};

/// Compression of each message on its own, with a small window.
const FORGETTING: Agreement = Agreement {
    outgoing: Direction { window_bits: 10, takeover: false },
    incoming: Direction { window_bits: 15, takeover: false },
};

/// No timer but that of the closing handshake.
const PATIENT: WebSocketLimits = WebSocketLimits {
    max_payload_length: 300,
    idle_timeout: None,
    ping_interval: None,
    max_lifetime: None,
    close_timeout: Duration::from_secs(5),
    manners: Manners::UWS,
};

/// All timers.
const WATCHFUL: WebSocketLimits = WebSocketLimits {
    idle_timeout: Some(Duration::from_secs(9)),
    ping_interval: Some(Duration::from_secs(2)),
    max_lifetime: Some(Duration::from_secs(25)),
    ..PATIENT
};

/// An idle timeout without pings.
const QUIET: WebSocketLimits =
    WebSocketLimits { idle_timeout: Some(Duration::from_millis(1_500)), ..PATIENT };
