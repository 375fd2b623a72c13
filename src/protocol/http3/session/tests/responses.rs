//! Responses.

use super::*;

#[test]
fn a_response_ends_its_stream() {
    let mut client = Client::new();
    client.get(0);
    client.answer(0, "hello");
    assert_eq!(client.read(), ["0 HEADERS :status=200 content-length=5", "0 DATA 5", "0 end"]);
    assert_eq!(client.finished(), [0]);
    client.get(4);
    client.answer(4, "");
    assert_eq!(client.read(), ["4 HEADERS :status=200 content-length=0", "4 end"]);
    assert!(client.session.is_idle());
}

#[test]
fn a_body_in_pieces_is_sent_as_it_comes() {
    let mut client = Client::new();
    client.get(0);
    client.start(0);
    client.write(0, b"abc");
    assert_eq!(client.read(), ["0 HEADERS :status=200", "0 DATA 3"]);
    client.write(0, b"de");
    client.with(|session, moment, _| session.finish_response(StreamId(0), b"X: 1\r\nUpgrade: y\r\n", moment));
    assert_eq!(client.read(), ["0 DATA 2", "0 HEADERS x=1", "0 end"]);
    assert_eq!(client.finished(), [0]);
}

#[test]
fn a_body_that_must_not_be_there_is_not_sent() {
    let mut client = Client::new();
    client.send_last(0, &headers("HEAD", "/", &[])).unwrap();
    client.answer(0, "hello");
    assert_eq!(client.read(), ["0 HEADERS :status=200 content-length=5", "0 end"]);
    client.get(4);
    let head = ResponseHead { status: b"204 No Content", ..OK };
    client.with(|session, moment, _| session.respond(StreamId(4), &head, b"x", moment));
    assert_eq!(client.read(), ["4 HEADERS :status=204", "4 end"]);
}

#[test]
fn a_body_is_as_long_as_it_was_announced() {
    let mut client = Client::new();
    for (stream, body) in [(0, &b"abcdef"[..]), (4, b"ab")] {
        client.get(stream);
        client.with(|session, moment, _| {
            session.start_response(StreamId(stream), &OK, Framing::Length(3), moment);
        });
        client.write(stream, body);
        client.finish(stream);
    }
    assert_eq!(
        client.read(),
        ["4 RESET H3_INTERNAL_ERROR", "0 HEADERS :status=200 content-length=3", "0 DATA 3", "0 end"]
    );
}

#[test]
fn the_client_is_asked_to_stop_when_its_response_is_complete() {
    let mut client = Client::new();
    client.post(0);
    client.answer(0, "a");
    let expected = ["0 HEADERS :status=200 content-length=1", "0 DATA 1", "0 end", "0 STOP H3_NO_ERROR"];
    assert_eq!(client.read(), expected);
    assert_eq!(client.finished(), [0]);
}

#[test]
fn there_is_no_101_over_http_3() {
    let mut client = Client::new();
    client.get(0);
    let head = ResponseHead { status: b"101 Switching Protocols", ..OK };
    client.with(|session, moment, _| session.start_response(StreamId(0), &head, Framing::None, moment));
    assert_eq!(client.read(), ["0 RESET H3_VERSION_FALLBACK"]);
}

#[test]
fn calls_for_a_stream_that_is_closed_have_no_effect() {
    let mut client = Client::new();
    client.get(0);
    client.answer(0, "a");
    client.answer(0, "b");
    client.start(0);
    client.finish(0);
    assert_eq!(client.read().len(), 3);
    for stream in [0, 4] {
        client.answer(stream, "c");
        client.start(stream);
        client.write(stream, b"d");
        client.finish(stream);
        client.with(|session, moment, _| {
            session.set_paused(StreamId(stream), true, moment.now);
            session.reset(StreamId(stream), ErrorCode::INTERNAL_ERROR, moment.now);
            session.leave_tunnel(StreamId(stream), moment);
            assert!(!session.open_tunnel(StreamId(stream), &OK, moment));
        });
    }
    assert_eq!(client.read(), [""; 0]);
}

#[test]
fn what_the_transport_does_not_take_waits_for_it() {
    let mut client = Client::new();
    client.get(0);
    client.get(4);
    client.answer(0, &"x".repeat(1000));
    client.answer(4, "y");
    let output = client.session.next_output().unwrap();
    assert_eq!((output.stream, output.is_fin), (StreamId(0), true));
    client.with(|session, moment, _| session.note_written(StreamId(0), 400, moment));
    client.session.note_blocked(StreamId(0), Timestamp(0));
    assert_eq!(client.session.queued(StreamId(0)), output.bytes.len() - 400);
    assert_eq!(client.read(), ["4 HEADERS :status=200 content-length=1", "4 DATA 1", "4 end"]);
    assert_eq!(client.session.next_output(), None);
    client.session.handle_writable(StreamId(0));
    let rest = client.session.next_output().unwrap();
    assert_eq!((&rest.bytes[..], rest.is_fin), (&output.bytes[400..], true));
    client.with(|session, moment, _| session.note_written(StreamId(0), rest.bytes.len(), moment));
    assert_eq!((client.session.queued_in_all(), client.finished()), (0, vec![0, 4]));
}

#[test]
fn the_settings_wait_until_their_stream_is_open() {
    let mut client = Client::silent(Http3Limits::default(), HttpLimits::default());
    client.get(0);
    client.answer(0, "a");
    let lines = client.read();
    assert_eq!(lines[..2], ["open Control", "open Decoder"]);
    assert_eq!(lines.last().unwrap(), "0 end");
    client.session.handle_opened(OwnStream::Control, StreamId(3));
    assert_eq!(client.read(), ["3 SETTINGS"]);
}

#[test]
fn a_backlog_counts_from_when_the_transport_took_no_more() {
    let mut client = Client::new();
    client.get(0);
    client.start(0);
    client.read();
    client.now = Timestamp(60_000);
    client.write(0, &[b'x'; 1000]);
    client.session.note_blocked(StreamId(0), client.now);
    let backlogs = |client: &Client| client.session.backlogs().collect::<Vec<_>>();
    assert_eq!(backlogs(&client), [(StreamId(0), 1003, Timestamp(60_000))]);
    client.now = Timestamp(61_000);
    client.session.handle_writable(StreamId(0));
    client.with(|session, moment, _| {
        assert!(session.next_output().is_some());
        session.note_written(StreamId(0), 3, moment);
    });
    client.now = Timestamp(62_000);
    client.session.note_blocked(StreamId(0), client.now);
    assert_eq!(backlogs(&client), [(StreamId(0), 1000, Timestamp(61_000))]);
    client.session.handle_writable(StreamId(0));
    client.read();
    assert_eq!(backlogs(&client), []);
}
