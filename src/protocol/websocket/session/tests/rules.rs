//! What a peer may and may not send: literal bytes, cut at every point.

use std::collections::HashSet;

use super::*;
use crate::protocol::cause::Initiator;
use crate::testing::split::same_at_every_split;

/// A masked text message "hi", by hand.
const HI: &[u8] = b"\x81\x82\x01\x02\x03\x04\x69\x6b";

/// Every way to break a rule of the frame layer: its cause, the bytes of the peer, and the code sent to it.
const BROKEN: &[(CloseCause, &[u8], u16)] = &[
    // RSV1, RSV2, RSV3; on a continuation, on a control frame, all at once.
    (CloseCause::ReservedBits, b"\xc1\x80\0\0\0\0", 1002),
    (CloseCause::ReservedBits, b"\xa1\x80\0\0\0\0", 1002),
    (CloseCause::ReservedBits, b"\x91\x80\0\0\0\0", 1002),
    (CloseCause::ReservedBits, b"\x40\x80\0\0\0\0", 1002),
    (CloseCause::ReservedBits, b"\xc9\x80\0\0\0\0", 1002),
    (CloseCause::ReservedBits, b"\xff\xff\xff\xff\xff\xff", 1002),
    (CloseCause::ReservedOpcode, b"\x83\x80\0\0\0\0", 1002),
    (CloseCause::ReservedOpcode, b"\x84\x80\0\0\0\0", 1002),
    (CloseCause::ReservedOpcode, b"\x85\x80\0\0\0\0", 1002),
    (CloseCause::ReservedOpcode, b"\x86\x80\0\0\0\0", 1002),
    (CloseCause::ReservedOpcode, b"\x07\x80\0\0\0\0", 1002),
    (CloseCause::ReservedOpcode, b"\x8b\x80\0\0\0\0", 1002),
    (CloseCause::ReservedOpcode, b"\x8c\x80\0\0\0\0", 1002),
    (CloseCause::ReservedOpcode, b"\x8d\x80\0\0\0\0", 1002),
    (CloseCause::ReservedOpcode, b"\x8e\x80\0\0\0\0", 1002),
    (CloseCause::ReservedOpcode, b"\x0f\x80\0\0\0\0", 1002),
    (CloseCause::FragmentedControl, b"\x08\x80\0\0\0\0", 1002),
    (CloseCause::FragmentedControl, b"\x09\x80\0\0\0\0", 1002),
    (CloseCause::FragmentedControl, b"\x0a\x80\0\0\0\0", 1002),
    // The length that follows is hostile and must not matter.
    (CloseCause::FragmentedControl, b"\x09\xff\xff\xff\xff\xff\xff\xff\xff\xff", 1002),
    (CloseCause::ControlTooLong, b"\x88\xfe\x00\x7e\0\0\0\0", 1002),
    (CloseCause::ControlTooLong, b"\x89\xfe\x00\x7e\0\0\0\0", 1002),
    (CloseCause::ControlTooLong, b"\x8a\xff\xff\xff\xff\xff\xff\xff\xff\xff", 1002),
    (CloseCause::UnexpectedContinuation, b"\x80\x81\0\0\0\0a", 1002),
    (CloseCause::UnexpectedContinuation, b"\x00\x80\0\0\0\0", 1002),
    (CloseCause::ExpectedContinuation, b"\x01\x81\0\0\0\0a\x81\x81\0\0\0\0b", 1002),
    (CloseCause::ExpectedContinuation, b"\x02\x80\0\0\0\0\x01\x80\0\0\0\0", 1002),
    (CloseCause::ExpectedContinuation, b"\x02\x80\0\0\0\0\x00\x80\0\0\0\0\x82\x80\0\0\0\0", 1002),
    (CloseCause::UnmaskedFrame, b"\x81\x05hello", 1002),
    (CloseCause::UnmaskedFrame, b"\x89\x00", 1002),
    (CloseCause::UnmaskedFrame, b"\x82\x7f\0\0\0\0\0\0\0\x01", 1002),
    (CloseCause::NonMinimalLength, b"\x81\xfe\x00\x05\0\0\0\0hello", 1002),
    (CloseCause::NonMinimalLength, b"\x81\xfe\x00\x7d\0\0\0\0", 1002),
    (CloseCause::NonMinimalLength, b"\x82\xff\0\0\0\0\0\0\0\x05\0\0\0\0hello", 1002),
    (CloseCause::NonMinimalLength, b"\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0", 1002),
    (CloseCause::LengthOverflow, b"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 1002),
    (CloseCause::LengthOverflow, b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 1002),
    (CloseCause::ClosePayloadTruncated, b"\x88\x81\0\0\0\0\x03", 1002),
    (CloseCause::CloseCodeInvalid, b"\x88\x82\0\0\0\0\x00\x00", 1002),
    (CloseCause::CloseCodeInvalid, b"\x88\x82\0\0\0\0\x03\xe7", 1002),
    (CloseCause::CloseCodeInvalid, b"\x88\x82\0\0\0\0\x03\xec", 1002),
    (CloseCause::CloseCodeInvalid, b"\x88\x82\0\0\0\0\x03\xed", 1002),
    (CloseCause::CloseCodeInvalid, b"\x88\x82\0\0\0\0\x03\xee", 1002),
    (CloseCause::CloseCodeInvalid, b"\x88\x82\0\0\0\0\x03\xf7", 1002),
    (CloseCause::CloseCodeInvalid, b"\x88\x82\0\0\0\0\x0b\xb7", 1002),
    (CloseCause::CloseCodeInvalid, b"\x88\x85\0\0\0\0\x13\x88bye", 1002),
    (CloseCause::CloseReasonNotUtf8, b"\x88\x83\0\0\0\0\x03\xe8\xff", 1007),
    (CloseCause::CloseReasonNotUtf8, b"\x88\x84\0\0\0\0\x03\xe8\xe2\x82", 1007),
    // 1001 bytes; 2^63-1 bytes. Their payload is not waited for.
    (CloseCause::FrameTooBig, b"\x81\xfe\x03\xe9\0\0\0\0", 1009),
    (CloseCause::FrameTooBig, b"\x02\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 1009),
    (CloseCause::InvalidUtf8, b"\x81\x82\0\0\0\0\xc3(", 1007),
    (CloseCause::InvalidUtf8, b"\x81\x81\0\0\0\0\xc3", 1007),
    // The text of Autobahn 6.4.2, in its three fragments.
    (
        CloseCause::InvalidUtf8,
        b"\x01\x83\0\0\0\0\xce\xba\xf4\x00\x81\0\0\0\0\x90\x80\x82\0\0\0\0\x80\x80",
        1007,
    ),
    (CloseCause::InvalidUtf8, b"\x01\x81\0\0\0\0\xe2\x00\x81\0\0\0\0\x82\x80\x80\0\0\0\0", 1007),
];

/// A peer that sent a message, `broken`, and then more.
fn assert_broken(cause: CloseCause, broken: &[u8], wire_code: u16) {
    let bytes = [HI, broken, HI].concat();
    let outcome = same_at_every_split(&bytes, run);
    assert_eq!(outcome.events, [text("hi"), closed_by(cause)], "{broken:x?}");
    assert_eq!(outcome.out, close_out(wire_code, cause.verdict().text), "{broken:x?}");
    assert_eq!(outcome.phase, WebSocketPhase::Finished);
    let Some(SinkEvent::Closed(_, 1006, _)) = outcome.events.last() else { panic!("{:?}", outcome.events) };
}

#[test]
fn every_broken_rule_has_its_cause_at_every_split() {
    for &(cause, broken, wire_code) in BROKEN {
        assert_broken(cause, broken, wire_code);
    }
}

#[test]
fn a_fragmented_message_that_ended_cannot_be_continued() {
    let bytes = b"\x01\x81\0\0\0\0a\x80\x80\0\0\0\0\x80\x80\0\0\0\0";
    let outcome = same_at_every_split(bytes, run);
    assert_eq!(outcome.events, [text("a"), closed_by(CloseCause::UnexpectedContinuation)]);
}

#[test]
fn fragments_that_exceed_the_limit_together() {
    let cases: [&[(u8, usize)]; 4] = [
        &[(0x02, 600), (0x80, 401)],
        &[(0x02, 600), (0x00, 400), (0x80, 1)],
        &[(0x02, 1000), (0x00, 1)],
        &[(0x01, 1), (0x89, 100), (0x00, 1000)],
    ];
    for frames in cases {
        let bytes: Vec<u8> =
            frames.iter().flat_map(|&(first, length)| client_frame(first, &vec![b'a'; length])).collect();
        let mut outcome = same_at_every_split(&bytes, run);
        let close = closed_by(CloseCause::MessageTooBig);
        assert_eq!(outcome.events.pop(), Some(close), "{frames:?}");
        assert!(outcome.events.iter().all(|event| matches!(event, SinkEvent::Ping(_))), "{frames:?}");
        let text = CloseCause::MessageTooBig.verdict().text;
        assert!(outcome.out.ends_with(&close_out(1009, text)), "{frames:?}");
    }
}

#[test]
fn the_last_fragment_too_many_is_refused_before_its_payload() {
    let mut fixture = Fixture::new(&LIMITS);
    fixture.handle_bytes(&client_frame(0x02, &[0; 1000]));
    fixture.handle_bytes(b"\x80\x81");
    assert_eq!(fixture.sink.take(), [closed_by(CloseCause::MessageTooBig)]);
}

#[test]
fn every_rule_a_peer_can_break_on_a_websocket_is_tested_here() {
    let mut tested: HashSet<CloseCause> = BROKEN.iter().map(|&(cause, ..)| cause).collect();
    tested.extend([CloseCause::MessageTooBig, CloseCause::PeerClosed, CloseCause::PeerClosedWithoutCode]);
    // In client.rs.
    tested.insert(CloseCause::MaskedFrame);
    // In manners.rs.
    tested.insert(CloseCause::TooManyFragments);
    // In compression.rs.
    tested.extend([CloseCause::MisplacedCompression, CloseCause::InflatedTooBig, CloseCause::InvalidDeflate]);
    let of_peers = CloseCause::ALL.into_iter().filter(|cause| cause.verdict().initiator == Initiator::Peer);
    let of_http = [CloseCause::InvalidRequestBody, CloseCause::BodyTooLarge];
    let is_below = |cause: &CloseCause| {
        use CloseCause::{
            Http3StreamReset, InvalidHttp2, InvalidHttp3, InvalidQuic, QuicClosed, QuicPeerError,
        };
        use CloseCause::{StreamReset, TlsAlert, TlsInvalid, TlsPeerKeysExhausted};
        let is_of_tls = matches!(cause, TlsAlert(_) | TlsInvalid | TlsPeerKeysExhausted);
        let is_of_streams =
            matches!(cause, StreamReset(_) | InvalidHttp2 | Http3StreamReset(_) | InvalidHttp3);
        is_of_tls || is_of_streams || matches!(cause, QuicClosed(_) | QuicPeerError(_) | InvalidQuic)
    };
    for cause in of_peers.filter(|cause| !of_http.contains(cause) && !is_below(cause)) {
        assert!(tested.contains(&cause), "{cause:?}");
    }
}

#[test]
fn a_rule_is_applied_at_the_byte_that_breaks_it() {
    // What the peer has sent when it is certain, byte for byte.
    let cases: [(&[u8], CloseCause); 11] = [
        (b"\xc1", CloseCause::ReservedBits),
        (b"\x83", CloseCause::ReservedOpcode),
        (b"\x09", CloseCause::FragmentedControl),
        (b"\x81\x00", CloseCause::UnmaskedFrame),
        (b"\x89\xfe", CloseCause::ControlTooLong),
        (b"\x82\xfe\x00\x7d", CloseCause::NonMinimalLength),
        (b"\x82\xff\x80", CloseCause::LengthOverflow),
        (b"\x80\x80", CloseCause::UnexpectedContinuation),
        (b"\x01\x80\0\0\0\0\x81\x80", CloseCause::ExpectedContinuation),
        (b"\x82\xfe\x03\xe9", CloseCause::FrameTooBig),
        (b"\x81\xfd\0\0\0\0\xf4\x90", CloseCause::InvalidUtf8),
    ];
    for (bytes, cause) in cases {
        let before = run(&[&bytes[..bytes.len() - 1]]);
        assert_eq!((before.events, before.out), (vec![], vec![]), "{bytes:x?}");
        assert_eq!(run(&[bytes]).events, [closed_by(cause)], "{bytes:x?}");
    }
}

#[test]
fn messages_arrive_whole_at_every_split() {
    let bytes = [
        client_frame(0x81, b"one"),
        client_frame(0x82, b"\xff\x00"),
        client_frame(0x81, b""),
        client_frame(0x01, b"tw"),
        client_frame(0x89, b"?"),
        client_frame(0x00, b""),
        client_frame(0x8a, b""),
        client_frame(0x80, b"o"),
        client_frame(0x02, b""),
        client_frame(0x80, b""),
        client_frame(0x82, &[9; 1000]),
    ]
    .concat();
    let outcome = same_at_every_split(&bytes, run);
    let binary = |payload: &[u8]| SinkEvent::Message(MessageKind::Binary, payload.to_vec());
    let expected = [
        text("one"),
        binary(b"\xff\x00"),
        text(""),
        SinkEvent::Ping(b"?".to_vec()),
        SinkEvent::Pong(vec![]),
        text("two"),
        binary(b""),
        binary(&[9; 1000]),
    ];
    assert_eq!(outcome.events, expected);
    assert_eq!(outcome.out, b"\x8a\x01?");
    assert_eq!(outcome.phase, WebSocketPhase::Open);
}

#[test]
fn a_ping_is_answered_with_its_payload() {
    let long = [7; 125];
    let bytes = [client_frame(0x89, b""), client_frame(0x89, b"abc"), client_frame(0x89, &long)].concat();
    let outcome = same_at_every_split(&bytes, run);
    assert_eq!(outcome.events, [b"", &b"abc"[..], &long].map(|payload| SinkEvent::Ping(payload.to_vec())));
    assert_eq!(outcome.out, [b"\x8a\x00", &b"\x8a\x03abc"[..], b"\x8a\x7d", &long].concat());
}

#[test]
fn a_limit_of_nothing_allows_empty_messages_and_control_frames() {
    let mut fixture = Fixture::new(&WebSocketLimits { max_payload_length: 0, ..LIMITS });
    fixture.handle_bytes(&[client_frame(0x81, b""), client_frame(0x8a, &[0; 125])].concat());
    assert_eq!(fixture.sink.take(), [text(""), SinkEvent::Pong(vec![0; 125])]);
    fixture.handle_bytes(&client_frame(0x81, b"a"));
    assert_eq!(fixture.sink.take(), [closed_by(CloseCause::FrameTooBig)]);
}
