//! Responses, whole and in pieces.

use super::*;

#[test]
fn a_response_in_pieces_is_data_frames_until_its_end() {
    let mut client = Client::new();
    client.get(1);
    client.start(1);
    client.write(1, b"");
    client.write(1, b"abc");
    client.write(1, &[0; 20_000]);
    assert_eq!(client.read(), ["HEADERS 1 :status=200", "DATA 1 3", "DATA 1 16384", "DATA 1 3616"]);
    client.finish(1);
    assert_eq!(client.read(), ["DATA 1 0 end"]);
    assert_eq!(client.finished(), [1]);
}

#[test]
fn a_response_may_have_trailers() {
    let mut client = Client::new();
    client.get(1);
    client.start(1);
    client.write(1, &[0; 70_000]);
    client.with(|session, moment, out, _| {
        session.finish_response(StreamId(1), b"Grpc-Status: 0\r\n", moment, out);
    });
    let lines = client.read();
    assert!(!lines.last().unwrap().contains("end"), "the window is used up: {lines:?}");
    client.send(&[window_update(0, 10_000), window_update(1, 10_000)].concat()).unwrap();
    assert_eq!(client.read(), ["DATA 1 4465", "HEADERS 1 end grpc-status=0"]);
    assert_eq!(client.finished(), [1]);
}

#[test]
fn head_204_and_304_have_no_data() {
    let mut client = Client::new();
    client.request(1, "HEAD", "/", &[], true);
    client.answer(1, "hello");
    assert_eq!(client.read(), ["HEADERS 1 end :status=200 content-length=5"]);
    for (stream, status) in [(3, "204 No Content"), (5, "304 Not Modified")] {
        client.get(stream);
        let head = ResponseHead { status: status.as_bytes(), ..OK };
        client.with(|session, moment, out, _| {
            session.start_response(StreamId(stream), &head, Framing::Chunked, moment, out);
            session.write_body(StreamId(stream), b"dropped", moment, out);
            session.finish_response(StreamId(stream), b"Dropped: too\r\n", moment, out);
        });
        let expected = [format!("HEADERS {stream} :status={}", &status[..3]), format!("DATA {stream} 0 end")];
        assert_eq!(client.read(), expected);
    }
}

#[test]
fn no_more_is_sent_than_was_announced_and_less_resets_the_stream() {
    let mut client = Client::new();
    for (stream, data) in [(1, "123456"), (3, "12345"), (5, "1234")] {
        client.get(stream);
        client.with(|session, moment, out, _| {
            session.start_response(StreamId(stream), &OK, Framing::Length(5), moment, out);
            session.write_body(StreamId(stream), data.as_bytes(), moment, out);
            session.finish_response(StreamId(stream), b"", moment, out);
        });
    }
    let whole = |stream| {
        [
            format!("HEADERS {stream} :status=200 content-length=5"),
            format!("DATA {stream} 5"),
            format!("DATA {stream} 0 end"),
        ]
    };
    let lines = client.read();
    assert_eq!(lines[..6], [whole(1), whole(3)].concat());
    assert_eq!(lines[7..], ["DATA 5 4", "RST_STREAM 5 INTERNAL_ERROR"]);
}

#[test]
fn an_answer_before_the_end_of_the_request_asks_the_client_to_stop() {
    let mut client = Client::new();
    client.post(1);
    client.send(&data(1, b"x", false)).unwrap();
    client.answer(1, "enough");
    let expected = ["HEADERS 1 :status=200 content-length=6", "DATA 1 6 end", "RST_STREAM 1 NO_ERROR"];
    assert_eq!(client.read(), expected);
    assert_eq!((client.finished(), client.events()), (vec![1], vec!["1 POST /".into(), "1 body x".into()]));
    // The rest of the body is on its way.
    client.send(&[data(1, b"rest", false), data(1, b"", true)].concat()).unwrap();
    assert_eq!((client.read(), client.events()), (vec![], vec![]));
}

#[test]
fn there_is_no_101() {
    let mut client = Client::new();
    client.get(1);
    let head = ResponseHead { status: b"101 Switching Protocols", ..OK };
    client.with(|session, moment, out, _| session.respond(StreamId(1), &head, b"", moment, out));
    assert_eq!(
        (client.read(), client.finished()),
        (vec!["RST_STREAM 1 HTTP_1_1_REQUIRED".to_owned()], vec![1])
    );
}

#[test]
fn calls_that_do_not_fit_the_state_have_no_effect() {
    let mut client = Client::new();
    client.get(1);
    client.write(1, b"before the head");
    client.finish(1);
    assert_eq!(client.read(), [""; 0]);
    client.start(1);
    client.start(1);
    client.answer(1, "twice");
    client.finish(1);
    client.finish(1);
    client.write(1, b"behind the end");
    assert_eq!(client.read(), ["HEADERS 1 :status=200", "DATA 1 0 end"]);
    client.answer(99, "nobody");
    client.with(|session, moment, out, _| session.reset(StreamId(99), ErrorCode::CANCEL, moment.now, out));
    assert_eq!(client.read(), [""; 0]);
}

#[test]
fn the_application_may_reset_a_stream() {
    let mut client = Client::new();
    client.post(1);
    client.events();
    client.with(|session, moment, out, _| session.reset(StreamId(1), ErrorCode::CANCEL, moment.now, out));
    assert_eq!(client.read(), ["RST_STREAM 1 CANCEL"]);
    assert_eq!((client.events(), client.finished()), (vec![], vec![1]));
    client.send(&data(1, b"crossed", true)).unwrap();
    assert_eq!(client.read(), [""; 0]);
}

#[test]
fn a_long_head_is_continued_within_the_frame_size_of_the_client() {
    let mut client = Client::new();
    client.get(1);
    let fields = format!("X: {}\r\n", "y".repeat(20_000));
    let head = ResponseHead { fields: fields.as_bytes(), ..OK };
    client.with(|session, moment, out, _| session.respond(StreamId(1), &head, b"", moment, out));
    let lengths = |out: &[u8]| {
        let (mut rest, mut lengths) = (out, Vec::new());
        while let Some((header, following)) = rest.split_first_chunk::<{ FrameHeader::LENGTH }>() {
            let header = FrameHeader::parse(*header);
            lengths.push((header.kind, header.length));
            rest = &following[header.length..];
        }
        lengths
    };
    let first = lengths(&client.out);
    assert_eq!((first.len(), first[0]), (2, (FrameType::Headers, 16_384)));
    assert_eq!(first[1].0, FrameType::Continuation);

    client.out.clear();
    client.send(&setting(MAX_FRAME_SIZE, 1 << 20)).unwrap();
    client.out.clear();
    client.get(3);
    client.with(|session, moment, out, _| session.respond(StreamId(3), &head, b"", moment, out));
    assert_eq!(lengths(&client.out).len(), 1);
}
