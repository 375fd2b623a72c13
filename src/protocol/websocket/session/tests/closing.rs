//! How a session ends: by the peer, by the application, by the transport, and by several of them at once.

use super::*;
use crate::testing::split::same_at_every_split;

#[test]
fn a_close_frame_is_reported_and_echoed() {
    let outcome = same_at_every_split(&close_in(4001, "bye"), run);
    assert_eq!(outcome.events, [SinkEvent::Closed(CloseCause::PeerClosed, 4001, "bye".to_owned())]);
    assert_eq!(outcome.out, close_out(4001, "bye"));
    assert_eq!(outcome.phase, WebSocketPhase::Finished);
}

#[test]
fn a_close_frame_without_a_code_is_1005_and_answered_in_kind() {
    let outcome = same_at_every_split(&client_frame(0x88, b""), run);
    let expected =
        SinkEvent::Closed(CloseCause::PeerClosedWithoutCode, 1005, "Peer closed without a code".to_owned());
    assert_eq!(outcome.events, [expected]);
    assert_eq!(outcome.out, b"\x88\x00");
}

#[test]
fn a_close_frame_without_a_reason_is_given_one_for_the_application_only() {
    let cases = [
        (1000, "Peer closed without a reason (1000 Normal Closure)"),
        (1001, "Peer closed without a reason (1001 Going Away)"),
        (1014, "Peer closed without a reason (1014 Bad Gateway)"),
        (3000, "Peer closed without a reason (3000 Unauthorized)"),
        (4999, "Peer closed without a reason (4999 application code)"),
    ];
    for (code, reason) in cases {
        let outcome = run(&[&close_in(code, "")]);
        assert_eq!(outcome.events, [SinkEvent::Closed(CloseCause::PeerClosed, code, reason.to_owned())]);
        assert_eq!(outcome.out, close_out(code, ""));
    }
}

#[test]
fn the_longest_reason_is_echoed_whole() {
    let reason = "r".repeat(123);
    let outcome = same_at_every_split(&close_in(1000, &reason), run);
    assert_eq!(outcome.events, [SinkEvent::Closed(CloseCause::PeerClosed, 1000, reason.clone())]);
    assert_eq!(outcome.out, close_out(1000, &reason));
}

#[test]
fn nothing_after_the_peers_close_is_read() {
    let bytes = [close_in(1000, "x"), client_frame(0x81, b"late"), close_in(1001, "y"), vec![0xff]].concat();
    let outcome = same_at_every_split(&bytes, run);
    assert_eq!(outcome.events, [SinkEvent::Closed(CloseCause::PeerClosed, 1000, "x".to_owned())]);
    assert_eq!(outcome.out, close_out(1000, "x"));
}

#[test]
fn a_close_frame_may_interrupt_a_fragmented_message() {
    let bytes = [client_frame(0x01, b"never"), close_in(1000, "x")].concat();
    let outcome = same_at_every_split(&bytes, run);
    assert_eq!(outcome.events, [SinkEvent::Closed(CloseCause::PeerClosed, 1000, "x".to_owned())]);
}

/// Message and end arrive in one read; the application answers the message before the end is reported to it.
#[test]
fn answers_go_out_before_the_close_frame() {
    let ends: [(&[u8], Vec<u8>); 3] = [
        (&close_in(1000, "x"), close_out(1000, "x")),
        (&client_frame(0x88, b""), b"\x88\x00".to_vec()),
        (b"\x83", close_out(1002, CloseCause::ReservedOpcode.verdict().text)),
    ];
    for (end, farewell) in ends {
        let mut fixture = Fixture::new(&LIMITS);
        fixture.handle_bytes(&[client_frame(0x81, b"hi"), end.to_vec()].concat());
        assert_eq!(fixture.out, b"");
        assert_eq!((fixture.session.phase(), fixture.session.can_send()), (WebSocketPhase::Concluding, true));
        fixture.session.send(MessageKind::Text, b"hi", &mut fixture.out);
        fixture.session.ping(b"", fixture.now, &mut fixture.out);
        assert_eq!(fixture.take_out(), b"\x81\x02hi\x89\x00");
        fixture.conclude();
        assert_eq!(fixture.take_out(), farewell);
        assert_eq!((fixture.session.phase(), fixture.session.can_send()), (WebSocketPhase::Finished, false));
        assert_eq!(fixture.deadline(), None);
        fixture.conclude();
        assert_eq!(fixture.out, b"", "once");
    }
}

#[test]
fn the_application_may_end_what_is_ending_already() {
    let ways: [fn(&mut Fixture); 3] = [
        |fixture| fixture.end(1000, "mine"),
        |fixture| fixture.session.abort(CloseCause::ApplicationClosed, &mut fixture.out),
        |fixture| fixture.session.abort(CloseCause::AppClosed, &mut fixture.out),
    ];
    for way in ways {
        let mut fixture = Fixture::new(&LIMITS);
        fixture.handle_bytes(&close_in(4001, "theirs"));
        fixture.sink.take();
        way(&mut fixture);
        assert_eq!(fixture.take_out(), close_out(4001, "theirs"), "one Close frame, and that in answer");
        assert_eq!(fixture.session.phase(), WebSocketPhase::Finished);
        way(&mut fixture);
        fixture.assert_quiet();
    }
}

#[test]
fn end_sends_a_close_frame_and_waits_for_the_peers() {
    let mut fixture = Fixture::new(&LIMITS);
    fixture.end(4001, "bye");
    assert_eq!(fixture.take_out(), close_out(4001, "bye"));
    assert_eq!((fixture.session.phase(), fixture.session.can_send()), (WebSocketPhase::Closing, false));
    fixture.session.send(MessageKind::Text, b"late", &mut fixture.out);
    fixture.session.ping(b"late", fixture.now, &mut fixture.out);
    fixture.end(1000, "again");
    fixture.conclude();
    assert_eq!(fixture.session.phase(), WebSocketPhase::Closing);
    fixture.handle_bytes(&close_in(4001, "bye"));
    assert_eq!(fixture.session.phase(), WebSocketPhase::Finished);
    fixture.assert_quiet();
}

#[test]
fn end_without_a_code_sends_an_empty_close_frame() {
    for code in [0, 1005, 1006] {
        let mut fixture = Fixture::new(&LIMITS);
        fixture.end(code, "unsaid");
        assert_eq!(fixture.take_out(), b"\x88\x00", "{code}");
        assert_eq!(fixture.session.phase(), WebSocketPhase::Closing);
    }
}

#[test]
fn after_end_everything_but_the_peers_close_is_dropped() {
    let bytes = [
        client_frame(0x81, b"late"),
        client_frame(0x89, b"ping"),
        client_frame(0x8a, b"pong"),
        client_frame(0x02, b"la"),
        client_frame(0x80, b"te"),
        close_in(1000, ""),
        client_frame(0x81, b"later"),
    ]
    .concat();
    let closed_at = bytes.len() - client_frame(0x81, b"later").len();
    same_at_every_split(&bytes, |pieces| {
        let mut fixture = Fixture::new(&LIMITS);
        fixture.end(1000, "");
        fixture.take_out();
        let mut taken = 0;
        for piece in pieces {
            fixture.handle_bytes(piece);
            taken += piece.len();
            let expected = if taken < closed_at { WebSocketPhase::Closing } else { WebSocketPhase::Finished };
            assert_eq!(fixture.session.phase(), expected);
        }
        fixture.assert_quiet();
    });
}

#[test]
fn end_in_the_middle_of_a_message_still_finds_the_peers_close() {
    let message = [client_frame(0x01, b"first"), client_frame(0x80, b"second")].concat();
    for arrived in 0..message.len() {
        let mut fixture = Fixture::new(&LIMITS);
        fixture.handle_bytes(&message[..arrived]);
        fixture.end(1000, "");
        fixture.take_out();
        fixture.handle_bytes(&message[arrived..]);
        assert_eq!(fixture.session.phase(), WebSocketPhase::Closing);
        fixture.handle_bytes(&close_in(1000, ""));
        assert_eq!(fixture.session.phase(), WebSocketPhase::Finished);
        fixture.assert_quiet();
    }
}

#[test]
fn after_end_a_broken_rule_is_the_silent_end() {
    let broken: [&[u8]; 5] =
        [b"\x83", b"\x81\x05", b"\x80\x80", b"\x88\x81\0\0\0\0a", b"\x81\x81\0\0\0\0\xff"];
    for bytes in broken {
        let mut fixture = Fixture::new(&LIMITS);
        fixture.end(1000, "");
        fixture.take_out();
        fixture.handle_bytes(bytes);
        assert_eq!(fixture.session.phase(), WebSocketPhase::Finished, "{bytes:x?}");
        fixture.assert_quiet();
    }
}

#[test]
fn abort_sends_the_close_frame_of_the_verdict_and_waits_for_nothing() {
    let cases = [
        (CloseCause::ApplicationClosed, vec![]),
        (CloseCause::AppClosed, close_out(1001, "Application called app.close()")),
    ];
    for (cause, expected) in cases {
        let mut fixture = Fixture::new(&LIMITS);
        fixture.session.abort(cause, &mut fixture.out);
        assert_eq!(fixture.take_out(), expected, "{cause:?}");
        assert_eq!(fixture.session.phase(), WebSocketPhase::Finished);
        fixture.handle_bytes(&close_in(1000, ""));
        fixture.session.handle_transport_end(CloseCause::Reset, None, &mut fixture.sink);
        fixture.session.abort(CloseCause::AppClosed, &mut fixture.out);
        fixture.assert_quiet();
    }
}

#[test]
fn abort_after_end_adds_no_second_close_frame() {
    let mut fixture = Fixture::new(&LIMITS);
    fixture.end(1000, "");
    fixture.take_out();
    fixture.session.abort(CloseCause::AppClosed, &mut fixture.out);
    assert_eq!(fixture.session.phase(), WebSocketPhase::Finished);
    fixture.assert_quiet();
}

#[test]
fn the_end_of_the_transport_is_reported_once_with_its_cause() {
    let causes = [
        CloseCause::Reset,
        CloseCause::TransportTimedOut,
        CloseCause::Unreachable,
        CloseCause::TransportFailed,
    ];
    for cause in causes {
        let mut fixture = Fixture::new(&LIMITS);
        fixture.handle_bytes(&client_frame(0x81, b"hi"));
        fixture.session.handle_transport_end(cause, None, &mut fixture.sink);
        fixture.session.handle_transport_end(CloseCause::Reset, None, &mut fixture.sink);
        assert_eq!(fixture.sink.take(), [text("hi"), closed_by(cause)]);
        assert_eq!(cause.verdict().local_code, 1006);
        assert_eq!(fixture.session.phase(), WebSocketPhase::Finished);
        assert_eq!(fixture.deadline(), None);
        fixture.session.send(MessageKind::Binary, b"late", &mut fixture.out);
        fixture.assert_quiet();
    }
}

#[test]
fn the_end_of_the_transport_after_end_is_not_reported() {
    let mut fixture = Fixture::new(&LIMITS);
    fixture.end(1000, "");
    fixture.take_out();
    fixture.handle_fin();
    assert_eq!(fixture.session.phase(), WebSocketPhase::Finished);
    fixture.assert_quiet();
}

#[test]
fn a_peer_that_shuts_its_direction_gets_the_output_on_its_way_and_no_close_frame() {
    let mut fixture = Fixture::new(&LIMITS);
    fixture.handle_bytes(&[client_frame(0x81, b"hi"), client_frame(0x01, b"half")].concat());
    fixture.handle_fin();
    assert_eq!(fixture.sink.take(), [text("hi"), closed_by(CloseCause::FinWithoutClose)]);
    assert_eq!(fixture.session.phase(), WebSocketPhase::Concluding);
    assert_eq!(fixture.deadline(), Some(fixture.now + LIMITS.close_timeout));
    assert!(fixture.session.assembler.is_vacant());
    fixture.handle_fin();
    fixture.session.send(MessageKind::Text, b"hi", &mut fixture.out);
    fixture.conclude();
    assert_eq!(fixture.take_out(), b"\x81\x02hi");
    assert_eq!(fixture.session.phase(), WebSocketPhase::Finished);
    fixture.assert_quiet();
}

#[test]
fn a_peer_that_shuts_its_direction_does_not_wait_for_ever_for_the_application() {
    let mut fixture = Fixture::new(&LIMITS);
    fixture.handle_fin();
    fixture.now = fixture.deadline().unwrap();
    fixture.handle_timeout();
    assert_eq!(fixture.session.phase(), WebSocketPhase::Finished);
    assert_eq!(fixture.take_out(), b"");
}

#[test]
fn a_peer_that_shuts_its_direction_after_its_close_frame_is_still_answered() {
    let mut fixture = Fixture::new(&LIMITS);
    fixture.handle_bytes(&close_in(1000, "x"));
    fixture.sink.take();
    fixture.handle_fin();
    assert_eq!(fixture.session.phase(), WebSocketPhase::Concluding);
    fixture.conclude();
    assert_eq!(fixture.take_out(), close_out(1000, "x"));
    fixture.assert_quiet();
}

#[test]
fn a_peer_that_is_gone_after_its_close_frame_is_not_answered() {
    let mut fixture = Fixture::new(&LIMITS);
    fixture.handle_bytes(&close_in(1000, "x"));
    fixture.sink.take();
    fixture.session.handle_transport_end(CloseCause::Reset, None, &mut fixture.sink);
    assert_eq!(fixture.session.phase(), WebSocketPhase::Finished);
    fixture.conclude();
    fixture.assert_quiet();
}

#[test]
fn what_is_sent_is_framed() {
    let mut fixture = Fixture::new(&LIMITS);
    fixture.session.send(MessageKind::Text, "é".as_bytes(), &mut fixture.out);
    fixture.session.send(MessageKind::Binary, b"", &mut fixture.out);
    fixture.session.ping(b"p", fixture.now, &mut fixture.out);
    assert_eq!(fixture.take_out(), b"\x81\x02\xc3\xa9\x82\x00\x89\x01p");
    fixture.session.ping(&[7; 126], fixture.now, &mut fixture.out);
    assert_eq!(fixture.take_out(), [&b"\x89\x7d"[..], &[7; 125]].concat());
}
