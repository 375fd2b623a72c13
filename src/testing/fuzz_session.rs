//! Target `session`: a whole WebSocket, the input being a [`Scenario`] whose steps are those of
//! [`WebSocketApplication::play`].

use std::time::Duration;

use super::scenario::Scenario;
use super::websocket_application::{Event, Recorder, WebSocketApplication};
use crate::protocol::time::Timestamp;
use crate::protocol::websocket::{Limits, Phase, Session};

/// Asserts of the WebSocket in `data`:
/// - what is told and written, and where it ends, is the same however the bytes were cut;
/// - the promises of [`WebSocketApplication`], with timers and without.
///
/// # Panics
/// If one of them does not hold.
pub fn session(data: &[u8]) {
    let scenario = Scenario::of(data);
    let whole = listen(&[scenario.wire]);
    assert_eq!(listen(&scenario.pieces()), whole, "cut by {:?}", scenario.steps);
    let single: Vec<&[u8]> = scenario.wire.chunks(1).collect();
    assert_eq!(listen(&single), whole, "byte by byte");

    for limits in [PATIENT, WATCHFUL, QUIET] {
        WebSocketApplication::play(scenario, &limits);
    }
}

/// No timers but that of the Close frame.
const PATIENT: Limits = Limits {
    max_payload_length: 300,
    idle_timeout: None,
    send_pings: true,
    max_lifetime: None,
    close_timeout: Duration::from_secs(5),
};

/// All timers.
const WATCHFUL: Limits = Limits {
    idle_timeout: Some(Duration::from_secs(9)),
    max_lifetime: Some(Duration::from_secs(25)),
    ..PATIENT
};

/// Hears nothing for a while, and ends.
const QUIET: Limits =
    Limits { idle_timeout: Some(Duration::from_millis(1_500)), send_pings: false, ..PATIENT };

/// What becomes of a WebSocket to which these pieces come, and on which the application only reacts to the end.
fn listen(pieces: &[&[u8]]) -> (Vec<Event>, Vec<u8>, Phase) {
    let now = Timestamp(1_000);
    let (mut session, mut out, mut recorder) = (Session::new(now), Vec::new(), Recorder::default());
    for piece in pieces {
        session.handle_bytes(&mut piece.to_vec(), now, &PATIENT, &mut out, &mut recorder);
    }
    session.conclude(&mut out);
    (recorder.into_events(), out, session.phase())
}
