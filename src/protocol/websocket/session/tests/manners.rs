//! What `ws` expects of a session, and uWebSockets.js does not.

use super::*;
use crate::testing::split::same_at_every_split;

/// Those of a server of `ws`.
fn ws(manners: Manners) -> Fixture {
    Fixture::new(&WebSocketLimits { manners, ..LIMITS })
}

const WS: Manners = Manners { keeps_reason: true, ..Manners::UWS };

fn start_close(fixture: &mut Fixture, code: u16, reason: &str) {
    let Fixture { session, limits, now, out, .. } = fixture;
    session.start_close(code, reason, *now, limits, out);
}

fn text(payload: &[u8]) -> SinkEvent {
    SinkEvent::Message(MessageKind::Text, payload.to_vec())
}

#[test]
fn after_start_close_messages_arrive_until_the_peers_close_frame() {
    let received = |pieces: &[&[u8]]| {
        let mut fixture = ws(WS);
        start_close(&mut fixture, 4000, "bye");
        assert_eq!(fixture.take_out(), close_out(4000, "bye"));
        for piece in pieces {
            fixture.handle_bytes(piece);
        }
        assert_eq!(fixture.out, b"", "nothing follows a Close frame, not even a pong");
        assert_eq!(fixture.session.phase(), WebSocketPhase::Finished);
        fixture.sink.take()
    };
    let bytes = [
        client_frame(0x81, b"late"),
        client_frame(0x89, b"p"),
        close_in(4001, "ok"),
        client_frame(0x81, b"no"),
    ];
    let expected = [
        text(b"late"),
        SinkEvent::Ping(b"p".to_vec()),
        SinkEvent::Closed(CloseCause::PeerClosed, 4001, "ok".into()),
    ];
    assert_eq!(same_at_every_split(&bytes.concat(), received), expected);
}

#[test]
fn a_close_that_was_started_is_reported_however_it_ends() {
    type End = fn(&mut Fixture);
    let ends: [(CloseCause, u16, End); 5] = [
        (CloseCause::PeerClosedWithoutCode, 1005, |it| it.handle_bytes(&client_frame(0x88, b""))),
        (CloseCause::FinWithoutClose, 1006, Fixture::handle_fin),
        (CloseCause::UnmaskedFrame, 1006, |it| it.handle_bytes(b"\x81\x01x")),
        (CloseCause::Reset, 1006, |it| {
            it.session.handle_transport_end(CloseCause::Reset, None, &mut it.sink)
        }),
        (CloseCause::CloseTimeout, 1006, |it| {
            it.now = it.deadline().unwrap();
            it.handle_timeout();
        }),
    ];
    for (cause, code, end) in ends {
        let mut fixture = ws(Manners::UWS);
        start_close(&mut fixture, 1000, "");
        fixture.take_out();
        fixture.assert_quiet();
        end(&mut fixture);
        let text = cause.verdict().text.to_owned();
        assert_eq!(fixture.sink.take(), [SinkEvent::Closed(cause, code, text)]);
        assert_eq!(fixture.session.phase(), WebSocketPhase::Finished);
        fixture.handle_fin();
        fixture.assert_quiet();
    }
}

#[test]
fn only_an_open_session_can_start_to_close() {
    let mut fixture = ws(WS);
    fixture.handle_bytes(&close_in(1000, "x"));
    assert_eq!(fixture.sink.take().len(), 1);
    start_close(&mut fixture, 4000, "late");
    fixture.conclude();
    assert_eq!(fixture.take_out(), close_out(1000, "x"));
    start_close(&mut fixture, 4000, "later");
    fixture.assert_quiet();
}

#[test]
fn pings_may_be_left_to_the_application() {
    let mut fixture = ws(Manners { answers_pings: false, ..WS });
    fixture.handle_bytes(&client_frame(0x89, b"p"));
    assert_eq!((fixture.take_out(), fixture.sink.take()), (Vec::new(), vec![SinkEvent::Ping(b"p".to_vec())]));
    fixture.session.pong(b"p", &mut fixture.out);
    assert_eq!(fixture.take_out(), b"\x8a\x01p");
}

#[test]
fn text_may_be_left_unchecked() {
    let manners = Manners { checks_utf8: false, ..WS };
    let received = |pieces: &[&[u8]]| {
        let mut fixture = ws(manners);
        for piece in pieces {
            fixture.handle_bytes(piece);
        }
        fixture.sink.take()
    };
    assert_eq!(same_at_every_split(&client_frame(0x81, b"a\xff"), received), [text(b"a\xff")]);
    let fragments = [client_frame(0x01, b"\xff"), client_frame(0x80, b"\xfe")].concat();
    assert_eq!(same_at_every_split(&fragments, received), [text(b"\xff\xfe")]);
}

#[test]
fn fragments_are_counted_by_message() {
    let received = |pieces: &[&[u8]]| {
        let mut fixture = ws(Manners { max_fragments: NonZeroU32::new(2), ..WS });
        for piece in pieces {
            fixture.handle_bytes(piece);
        }
        fixture.sink.take()
    };
    let two = [client_frame(0x01, b"a"), client_frame(0x89, b""), client_frame(0x80, b"b")].concat();
    let twice = [two.clone(), two].concat();
    assert_eq!(same_at_every_split(&twice, received).len(), 4);
    let three = [client_frame(0x01, b""), client_frame(0x00, b""), client_frame(0x80, b"")].concat();
    let cause = CloseCause::TooManyFragments;
    let closed = SinkEvent::Closed(cause, 1006, cause.verdict().text.to_owned());
    assert_eq!(same_at_every_split(&three, received), [closed]);
}

#[test]
fn a_reason_is_reported_as_the_peer_sent_it() {
    let mut outcomes = Vec::new();
    for frame in [close_in(1000, ""), close_in(4000, "r"), client_frame(0x88, b"")] {
        let mut fixture = ws(WS);
        fixture.sink.allows_no_reason = true;
        fixture.handle_bytes(&frame);
        outcomes.extend(fixture.sink.take());
    }
    let expected = [
        SinkEvent::Closed(CloseCause::PeerClosed, 1000, String::new()),
        SinkEvent::Closed(CloseCause::PeerClosed, 4000, "r".into()),
        SinkEvent::Closed(CloseCause::PeerClosedWithoutCode, 1005, String::new()),
    ];
    assert_eq!(outcomes, expected);
}
