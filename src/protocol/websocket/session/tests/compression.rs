//! Sessions with permessage-deflate (RFC 7692): which frames may be compressed, and what becomes of them.

use super::*;
use crate::protocol::websocket::extensions::Direction;
use crate::protocol::websocket::fragment::Fragment;
use crate::testing::split::same_at_every_split;

/// RFC 7692 §7.2.3.1: "Hello".
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
/// "Hello" again, with reference to the first.
const AGAIN: [u8; 5] = [0xf2, 0x00, 0x11, 0x00, 0x00];

fn agreement(takeover: bool) -> Agreement {
    let direction = Direction { window_bits: 15, takeover };
    Agreement { outgoing: direction, incoming: direction }
}

fn fixture(takeover: bool) -> Fixture {
    let mut fixture = Fixture::new(&LIMITS);
    fixture.session = WebSocketSession::new(fixture.now, Some(agreement(takeover)));
    fixture
}

/// The result of the pieces at a session with context takeover.
fn run_compressed(pieces: &[&[u8]]) -> Outcome {
    let mut fixture = fixture(true);
    for piece in pieces {
        fixture.handle_bytes(piece);
    }
    fixture.conclude();
    Outcome { events: fixture.sink.events, out: fixture.out, phase: fixture.session.phase() }
}

/// A message as it is compressed without reference to others.
fn compressed(message: &[u8]) -> Vec<u8> {
    Codecs::default().compress_alone(message, 15).unwrap().to_vec()
}

fn assert_refused(bytes: &[u8], cause: CloseCause) {
    let outcome = same_at_every_split(bytes, run_compressed);
    assert_eq!(outcome.events, [closed_by(cause)], "{bytes:x?}");
    assert_eq!(outcome.out, close_out(cause.verdict().wire_code.unwrap(), cause.verdict().text));
}

#[test]
fn compressed_and_plain_messages_mix() {
    let bytes = [
        client_frame(0xc1, &HELLO),
        client_frame(0x81, b"plain"),
        client_frame(0xc1, &AGAIN),
        client_frame(0xc1, &[0]),
        client_frame(0xc2, &HELLO),
    ]
    .concat();
    let outcome = same_at_every_split(&bytes, run_compressed);
    let binary = SinkEvent::Message(MessageKind::Binary, b"Hello".to_vec());
    assert_eq!(outcome.events, [text("Hello"), text("plain"), text("Hello"), text(""), binary]);
}

#[test]
fn fragments_of_a_compressed_message_with_a_ping_in_between() {
    let bytes = [
        client_frame(0x41, &HELLO[..2]),
        client_frame(0x00, b""),
        client_frame(0x89, b"?"),
        client_frame(0x00, &HELLO[2..6]),
        client_frame(0x80, &HELLO[6..]),
        client_frame(0x41, b""),
        client_frame(0x80, &[0]),
    ]
    .concat();
    let outcome = same_at_every_split(&bytes, run_compressed);
    assert_eq!(outcome.events, [SinkEvent::Ping(b"?".to_vec()), text("Hello"), text("")]);
}

#[test]
fn rsv1_belongs_on_the_first_frame_of_a_message_only() {
    for first in [0xc8, 0xc9, 0xca, 0xc0, 0x40] {
        assert_refused(&[first], CloseCause::MisplacedCompression);
    }
    for first in [0xa1, 0x91, 0xe1] {
        assert_refused(&[first], CloseCause::ReservedBits);
    }
    let bytes = [client_frame(0x41, &HELLO[..2]), client_frame(0xc0, &HELLO[2..])].concat();
    assert_refused(&bytes, CloseCause::MisplacedCompression);
    let bytes = [client_frame(0x01, b"a"), client_frame(0xc0, b"b")].concat();
    assert_refused(&bytes, CloseCause::MisplacedCompression);
}

#[test]
fn a_message_may_not_be_compressed_where_that_was_not_negotiated() {
    let outcome = run(&[&client_frame(0xc1, &HELLO)]);
    assert_eq!(outcome.events, [closed_by(CloseCause::ReservedBits)]);
}

#[test]
fn a_message_that_cannot_be_decompressed_is_reported_to_both_sides() {
    assert_refused(&client_frame(0xc1, &[0xff; 20]), CloseCause::InvalidDeflate);
    assert_refused(&client_frame(0xc2, &AGAIN), CloseCause::InvalidDeflate);
    assert_refused(&client_frame(0xc1, &compressed(&[b'x'; 1001])), CloseCause::InflatedTooBig);
    assert_refused(&client_frame(0xc1, &compressed(b"caf\xe9")), CloseCause::InvalidUtf8);
    assert_refused(&client_frame(0xc1, &compressed(b"cut off: \xe2\x82")), CloseCause::InvalidUtf8);
    let codes =
        [CloseCause::InvalidDeflate, CloseCause::InflatedTooBig].map(|cause| cause.verdict().wire_code);
    assert_eq!(codes, [Some(1007), Some(1009)]);
}

#[test]
fn the_limit_is_that_of_the_inflated_message() {
    let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let longest: Vec<u8> =
        std::iter::successors(Some(1u32), next).map(|state| (state >> 24) as u8).take(1000).collect();
    let frame = client_frame(0xc2, &compressed(&longest));
    assert!(frame.len() > 1008, "cannot be compressed");
    assert_eq!(run_compressed(&[&frame]).events, [SinkEvent::Message(MessageKind::Binary, longest)]);
    assert_eq!(run_compressed(&[&client_frame(0xc1, &compressed(&[b'x'; 1000]))]).events.len(), 1);
}

#[test]
fn a_message_is_compressed_if_it_shall_be_and_is_not_empty() {
    let mut fixture = fixture(true);
    let Fixture { session, codecs, out, .. } = &mut fixture;
    session.send_compressed(MessageKind::Text, b"Hello", codecs, out);
    session.send_compressed(MessageKind::Text, b"", codecs, out);
    session.send(MessageKind::Text, b"Hello", out);
    session.send_compressed(MessageKind::Binary, b"Hello", codecs, out);
    let out = fixture.take_out();
    let expected = [&[0xc1, 7][..], &HELLO, &[0x81, 0], &[0x81, 5], b"Hello", &[0xc2, 5], &AGAIN].concat();
    assert_eq!(out, expected);
}

/// The first part of a text that is to be compressed.
const FIRST: Fragment = Fragment::First { kind: MessageKind::Text, compress: true };

#[test]
fn fragments_that_are_compressed_have_rsv1_on_the_first_only() {
    for takeover in [false, true] {
        let mut fixture = fixture(takeover);
        let Fixture { session, codecs, out, .. } = &mut fixture;
        session.send_fragment(FIRST, b"Hello", codecs, out);
        session.ping(b"?", Timestamp(0), out);
        session.send_fragment(Fragment::Middle, b"", codecs, out);
        session.send_fragment(Fragment::Last, b"Hello", codecs, out);
        session.send_fragment(
            Fragment::First { kind: MessageKind::Binary, compress: false },
            b"a",
            codecs,
            out,
        );
        session.send_fragment(Fragment::Last, b"b", codecs, out);
        let (first, marker) = ([0x41, 11], [0, 0, 0xff, 0xff]);
        let (rest, plain) = (b"\x89\x01?\x00\x00\x80\x05", b"\x02\x01a\x80\x01b");
        let expected = [&first[..], &HELLO, &marker, rest, &AGAIN, plain].concat();
        assert_eq!(fixture.take_out(), expected);
    }
}

#[test]
fn no_fragment_follows_the_close_frame() {
    let mut fixture = fixture(true);
    let Fixture { session, codecs, out, .. } = &mut fixture;
    session.send_fragment(FIRST, b"Hello", codecs, out);
    fixture.end(1000, "");
    fixture.take_out();
    let Fixture { session, codecs, out, .. } = &mut fixture;
    session.send_fragment(Fragment::Last, b"Hello", codecs, out);
    assert_eq!(fixture.take_out(), b"");
}

#[test]
fn without_negotiation_nothing_is_compressed() {
    let mut fixture = Fixture::new(&LIMITS);
    let Fixture { session, codecs, out, .. } = &mut fixture;
    session.send_compressed(MessageKind::Text, b"Hello", codecs, out);
    session.send_fragment(FIRST, b"Hel", codecs, out);
    session.send_fragment(Fragment::Last, b"lo", codecs, out);
    assert_eq!(fixture.take_out(), b"\x81\x05Hello\x01\x03Hel\x80\x02lo");
    assert_eq!(fixture.session.form(true), Form::Plain);
}

#[test]
fn nothing_is_compressed_behind_the_close_frame() {
    let mut fixture = fixture(true);
    fixture.end(1000, "");
    fixture.take_out();
    let Fixture { session, codecs, out, .. } = &mut fixture;
    session.send_compressed(MessageKind::Text, b"late", codecs, out);
    assert_eq!(fixture.take_out(), b"");
}

#[test]
fn messages_that_refer_to_each_other_have_a_form_of_their_own() {
    for (takeover, form) in [(true, Form::Own), (false, Form::Compressed { window_bits: 15 })] {
        let session = fixture(takeover).session;
        assert_eq!(session.form(true), form);
        assert_eq!(session.form(false), Form::Plain);
    }
}

#[test]
fn compression_costs_an_idle_session_one_small_allocation() {
    let session = fixture(true).session;
    assert!(size_of_val(session.deflation.as_deref().unwrap()) <= 72);
}
