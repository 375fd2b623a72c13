//! Requests, their bodies and their trailers.

use super::*;

#[test]
fn the_server_starts_with_its_settings_and_the_window_of_the_connection() {
    let (limits, http) = (Http2Limits::default(), HttpLimits::default());
    let mut out = Vec::new();
    drop(Http2Session::new(limits, Moment { now: Timestamp(0), date: DATE, limits: &http }, &mut out));
    let settings: [(u16, u32); 5] = [(3, 100), (4, 262_144), (6, 16_384), (8, 1), (9, 1)];
    let payload: Vec<u8> = settings
        .iter()
        .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    assert_eq!(out, [frame(SETTINGS, 0, 0, &payload), window_update(0, 1_048_576 - 65_535)].concat());
}

#[test]
fn a_request_without_a_body_is_passed_on_and_answered() {
    let mut client = Client::new();
    client.request(1, "GET", "/a?b", &[], true);
    assert_eq!(client.events(), ["1 GET /a?b", "1 body |"]);
    client.answer(1, "hello");
    assert_eq!(client.read(), ["HEADERS 1 :status=200 content-length=5", "DATA 1 5 end"]);
    assert_eq!(client.finished(), [1]);
    assert!(client.session.is_idle());
}

#[test]
fn requests_are_answered_in_any_order() {
    let mut client = Client::new();
    for stream in [1, 3, 7] {
        client.get(stream);
    }
    for stream in [7, 1, 3] {
        client.answer(stream, "");
    }
    let answers = [7, 1, 3].map(|stream| format!("HEADERS {stream} end :status=200 content-length=0"));
    assert_eq!(client.read(), answers);
}

#[test]
fn a_body_comes_in_pieces_with_padding_and_ends_by_data_or_trailers() {
    let mut client = Client::new();
    client.post(1);
    client.send(&data(1, b"one ", false)).unwrap();
    client.send_frame(DATA, 0x8, 1, b"\x03two\0\0\0").unwrap();
    client.send_frame(DATA, 0x9, 1, b"\x05\0\0\0\0\0").unwrap();
    assert_eq!(client.events(), ["1 POST /", "1 body one two|"]);

    client.post(3);
    client.send(&data(3, b"x", false)).unwrap();
    client.send_frame(HEADERS, 0x5, 3, &block(&[("trailer", "1")])).unwrap();
    assert_eq!(client.events(), ["3 POST /", "3 body x|"]);
    client.answer(1, "");
    client.answer(3, "");
    assert_eq!(client.finished(), [1, 3]);
}

#[test]
fn a_header_block_may_be_continued_padded_and_prioritised() {
    let mut client = Client::new();
    let block = request_block("GET", "/long", &[("x", &"y".repeat(300))]);
    let (first, rest) = block.split_at(50);
    let (second, third) = rest.split_at(100);
    let padded = [b"\x04\0\0\0\0\x10", first, b"\0\0\0\0"].concat();
    client.send_frame(HEADERS, 0x1 | 0x8 | 0x20, 1, &padded).unwrap();
    client.send_frame(CONTINUATION, 0, 1, second).unwrap();
    assert_eq!(client.events(), [""; 0]);
    client.send_frame(CONTINUATION, 0x4, 1, third).unwrap();
    assert_eq!(client.events(), ["1 GET /long", "1 body |"]);
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it_first() {
    let mut client = Client::new();
    client.request(1, "POST", "/", &[("content-length", "2"), ("expect", "100-continue")], false);
    assert_eq!(client.read(), ["HEADERS 1 :status=100"]);
    client.send(&data(1, b"ab", true)).unwrap();
    assert_eq!(client.events(), ["1 POST /", "1 body ab|"]);
}

#[test]
fn a_malformed_request_is_answered_and_reset_and_others_are_served() {
    let mut client = Client::new();
    client.request(1, "GET", "/", &[("connection", "close")], true);
    let lines = client.read();
    assert!(lines[0].starts_with("HEADERS 1 :status=400 content-type=text/plain"), "{lines:?}");
    assert!(lines[1].starts_with("DATA 1 ") && lines[1].ends_with(" end"), "{lines:?}");
    assert_eq!(lines[2..], ["RST_STREAM 1 PROTOCOL_ERROR"]);
    assert_eq!(client.events(), [""; 0]);
    client.get(3);
    assert_eq!(client.events(), ["3 GET /", "3 body |"]);
}

#[test]
fn the_answer_to_a_malformed_head_has_no_body() {
    let mut client = Client::new();
    client.request(1, "HEAD", "/", &[("upgrade", "x")], true);
    let lines = client.read();
    assert!(lines[0].starts_with("HEADERS 1 end :status=400"), "{lines:?}");
    assert_eq!(lines[1..], ["RST_STREAM 1 PROTOCOL_ERROR"]);
}

#[test]
fn a_head_that_exceeds_a_limit_is_answered_and_the_tables_stay_in_step() {
    let mut client = Client::new();
    let long = "y".repeat(16_300);
    let mut first = request_block("POST", "/", &[("x", &long)]);
    // Behind what is too long an entry is added to the dynamic table.
    first.extend_from_slice(b"\x40\x03abc\x03def");
    let (head, rest) = first.split_at(16_000);
    client.send_frame(HEADERS, 0, 1, head).unwrap();
    client.send_frame(CONTINUATION, 0x4, 1, rest).unwrap();
    let lines = client.read();
    assert!(lines[0].starts_with("HEADERS 1 :status=431"), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("RST_STREAM 1 NO_ERROR"));
    // What the client had sent before it knew is ignored.
    client.send(&data(1, b"body", false)).unwrap();
    client.send_frame(HEADERS, 0x5, 1, &block(&[("trailer", "1")])).unwrap();
    let second = [request_block("GET", "/", &[]), vec![0xbe]].concat();
    client.send_frame(HEADERS, 0x5, 3, &second).unwrap();
    assert_eq!(client.events(), ["3 GET /", "3 body |"]);
    let fields = &client.scratch.head.fields;
    let last = fields.last().map(|field| field.value.of(&client.scratch.bytes).to_vec());
    assert_eq!(last.as_deref(), Some(&b"def"[..]));
    assert_eq!(client.read(), [""; 0]);
}

#[test]
fn a_body_that_exceeds_max_body_is_refused_by_its_length_or_when_it_arrives() {
    let http = HttpLimits { max_body: 5, ..HttpLimits::default() };
    let mut client = Client::with_limits(Http2Limits::default(), http);
    client.request(1, "POST", "/", &[("content-length", "6")], false);
    let lines = client.read();
    assert!(lines[0].starts_with("HEADERS 1 :status=413"), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("RST_STREAM 1 NO_ERROR"));
    assert_eq!(client.events(), [""; 0]);

    client.post(3);
    client.send(&data(3, b"12345", false)).unwrap();
    client.send(&data(3, b"6", false)).unwrap();
    assert_eq!(client.events(), ["3 POST /", "3 body 12345", "3 aborted BodyTooLarge"]);
    let lines = client.read();
    assert!(lines[0].starts_with("HEADERS 3 :status=413"), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("RST_STREAM 3 NO_ERROR"));

    client.post(5);
    client.start(5);
    client.send(&data(5, b"123456", true)).unwrap();
    assert_eq!(client.read(), ["HEADERS 5 :status=200", "RST_STREAM 5 CANCEL"]);
    assert_eq!(client.finished(), [3, 5]);
}

#[test]
fn content_length_is_the_sum_of_the_data() {
    let length = [("content-length", "3")];
    for (pieces, is_ok) in
        [(&["abc"][..], true), (&["a", "bc"], true), (&["ab"], false), (&["ab", "cd"], false)]
    {
        let mut client = Client::new();
        client.request(1, "POST", "/", &length, false);
        for (position, piece) in pieces.iter().enumerate() {
            client.send(&data(1, piece.as_bytes(), position + 1 == pieces.len())).unwrap();
        }
        let events = client.events();
        let last = events.last().unwrap();
        assert_eq!(last == "1 body abc|", is_ok, "{pieces:?}");
        assert_eq!(last == "1 aborted Broken(ContentLengthMismatch)", !is_ok, "{pieces:?}");
    }
    // By trailers, too.
    let mut client = Client::new();
    client.request(1, "POST", "/", &length, false);
    client.send(&data(1, b"ab", false)).unwrap();
    client.send_frame(HEADERS, 0x5, 1, b"").unwrap();
    assert_eq!(client.events(), ["1 POST /", "1 body ab", "1 aborted Broken(ContentLengthMismatch)"]);
}

#[test]
fn a_client_may_reset_a_stream_at_any_time() {
    let mut client = Client::new();
    client.post(1);
    client.get(3);
    client.start(3);
    client.write(3, &[0; 100_000]);
    assert!(client.session.queued(StreamId(3)) > 0);
    client.events();
    client.send(&reset(1)).unwrap();
    client.send(&reset(3)).unwrap();
    assert_eq!(client.events(), ["1 aborted reset CANCEL", "3 aborted reset CANCEL"]);
    client.read();
    // The application's calls for it are late.
    client.answer(1, "late");
    client.write(3, b"late");
    client.finish(3);
    assert_eq!((client.read(), client.finished()), (vec![], vec![1, 3]));
    // A frame that crossed is ignored.
    client.send(&window_update(3, 5)).unwrap();
    client.send(&reset(3)).unwrap();
    assert_eq!(client.read(), [""; 0]);
}

#[test]
fn more_streams_than_are_allowed_are_refused_and_not_counted_for_ever() {
    let limits = Http2Limits { max_concurrent_streams: 2, ..Http2Limits::default() };
    let mut client = Client::with_limits(limits, HttpLimits::default());
    for stream in [1, 3, 5] {
        client.get(stream);
    }
    assert_eq!(client.read(), ["RST_STREAM 5 REFUSED_STREAM"]);
    client.answer(1, "");
    client.get(7);
    assert_eq!(client.events().last().map(String::as_str), Some("7 body |"));
}

#[test]
fn input_waits_when_the_sink_has_no_room() {
    let mut client = Client::new();
    let bytes = [headers(1, "GET", "/", &[], true), headers(3, "GET", "/", &[], true)].concat();
    let mut consumed = 0;
    for expected in [1, 2] {
        let moment = Moment { now: client.now, date: DATE, limits: &client.limits };
        let (out, log) = (&mut client.out, &mut client.log);
        consumed += client
            .session
            .handle_bytes(&bytes[consumed..], moment, &mut client.scratch, out, 1, log)
            .unwrap();
        assert_eq!(client.log.0.iter().filter(|line| line.contains("GET")).count(), expected);
    }
    assert_eq!(consumed, bytes.len());
}

#[test]
fn a_body_ends_with_its_length_and_the_stream_when_it_says_so() {
    let mut client = Client::new();
    client.request(1, "POST", "/", &[("content-length", "6")], false);
    client.send(&data(1, b"abc", false)).unwrap();
    assert_eq!(client.events(), ["1 POST /", "1 body abc"]);
    // A frame in two pieces.
    let rest = data(1, b"def", false);
    client.send(&rest[..10]).unwrap();
    assert_eq!(client.events(), ["1 body d"]);
    client.send(&rest[10..]).unwrap();
    assert_eq!(client.events(), ["1 body ef|"]);
    // Nothing is missing, so nothing can be late.
    assert_eq!(client.deadline(), None);
    client.send(&data(1, b"", true)).unwrap();
    assert_eq!(client.events(), [""; 0]);
    client.answer(1, "");
    assert_eq!(
        (client.read(), client.finished()),
        (vec!["HEADERS 1 end :status=200 content-length=0".to_owned()], vec![1])
    );

    // With a length of 0 it ends with its head. Behind an answer the stream is ended by this side.
    client.request(3, "POST", "/", &[("content-length", "0")], false);
    assert_eq!(client.events(), ["3 POST /", "3 body |"]);
    client.answer(3, "");
    assert_eq!(client.read()[1..], ["RST_STREAM 3 NO_ERROR"]);
    client.send(&data(3, b"", true)).unwrap();

    // Trailers end the stream, too.
    client.request(5, "POST", "/", &[("content-length", "1")], false);
    client.send(&data(5, b"x", false)).unwrap();
    client.send(&frame(HEADERS, flag::END_HEADERS | flag::END_STREAM, 5, &block(&[("a", "b")]))).unwrap();
    assert_eq!(client.events(), ["5 POST /", "5 body x|"]);

    // More than that breaks a rule, even when the end was told.
    client.request(7, "POST", "/", &[("content-length", "1")], false);
    client.send(&data(7, b"x", false)).unwrap();
    client.send(&data(7, b"y", true)).unwrap();
    assert_eq!(client.events(), ["7 POST /", "7 body x|", "7 aborted Broken(ContentLengthMismatch)"]);
}
