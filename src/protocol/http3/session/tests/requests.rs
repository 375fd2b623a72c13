//! Requests: heads, bodies, trailers, and their ends.

use super::*;

#[test]
fn a_request_without_a_body_is_complete_with_its_stream() {
    let mut client = Client::new();
    client.get(0);
    assert_eq!(client.events(), ["0 GET /", "0 body |"]);
    client.send(4, &headers("GET", "/a?b", &[])).unwrap();
    assert_eq!(client.events(), ["4 GET /a?b"]);
    client.send_last(4, b"").unwrap();
    assert_eq!(client.events(), ["4 body |"]);
}

#[test]
fn a_body_is_passed_on_as_it_arrives() {
    let mut client = Client::new();
    client.post(0);
    client.send(0, &data(b"abc")).unwrap();
    let long = data(&[b'x'; 300]);
    client.send(0, &long[..5]).unwrap();
    assert_eq!(client.events(), ["0 POST /", "0 body abcxx"]);
    client.send(0, &long[5..]).unwrap();
    client.send_last(0, &data(b"end")).unwrap();
    assert_eq!(client.events(), [format!("0 body {}end|", "x".repeat(298))]);
}

#[test]
fn what_means_nothing_is_skipped_wherever_it_stands() {
    let mut client = Client::new();
    let grease = frame(GREASE, &[7; 100]);
    let parts = [
        grease.clone(),
        headers("PUT", "/", &[]),
        grease.clone(),
        data(b"a"),
        data(b""),
        grease.clone(),
        data(b"b"),
        grease,
    ];
    client.send_last(0, &parts.concat()).unwrap();
    assert_eq!(client.events(), ["0 PUT /", "0 body ab|"]);
}

#[test]
fn trailers_are_checked_and_not_passed_on() {
    let mut client = Client::new();
    client.post(0);
    client.send(0, &[data(b"a"), frame(HEADERS, &section(&[("x", "1")]))].concat()).unwrap();
    assert_eq!(client.events(), ["0 POST /", "0 body a"]);
    client.send_last(0, &frame(GREASE, b"")).unwrap();
    assert_eq!(client.events(), ["0 body |"]);
    client.post(4);
    client.send_last(4, &frame(HEADERS, &section(&[("X", "1")]))).unwrap();
    assert_eq!(client.events(), ["4 POST /", "4 aborted Broken(InvalidFieldName)"]);
    assert_eq!(client.read(), ["4 RESET H3_MESSAGE_ERROR"]);
    client.post(8);
    let long = frame(HEADERS, &section(&[("x", &"y".repeat(60_000))]));
    client.send_last(8, &long).unwrap();
    assert_eq!(client.events(), ["8 POST /", "8 body |"], "too long to be looked at");
}

#[test]
fn content_length_is_the_sum_of_the_data() {
    let mut client = Client::new();
    let post = |client: &mut Client, stream, bodies: &[&[u8]]| {
        client.send(stream, &headers("POST", "/", &[("content-length", "3")])).unwrap();
        for body in bodies {
            client.send(stream, &data(body)).unwrap();
        }
        client.send_last(stream, b"").unwrap();
        client.events().pop().unwrap()
    };
    assert_eq!(post(&mut client, 0, &[b"ab", b"c"]), "0 body abc|");
    assert_eq!(post(&mut client, 4, &[b"ab"]), "4 aborted Broken(ContentLengthMismatch)");
    assert_eq!(client.read(), ["4 RESET H3_MESSAGE_ERROR"]);
    client.send(8, &headers("POST", "/", &[("content-length", "3")])).unwrap();
    client.send(8, &data(b"abcd")).unwrap();
    assert_eq!(client.events(), ["8 POST /", "8 aborted Broken(ContentLengthMismatch)"]);
    assert_eq!(client.read(), ["8 RESET H3_MESSAGE_ERROR", "8 STOP H3_MESSAGE_ERROR"]);
    assert_eq!(client.finished(), [4, 8]);
    client.send_last(12, &headers("POST", "/", &[("content-length", "3")])).unwrap();
    assert_eq!(client.events(), [""; 0], "which is known at once");
}

#[test]
fn a_malformed_request_is_answered_and_reaches_no_handler() {
    let mut client = Client::new();
    client.send_last(0, &headers("GET", "/", &[("connection", "close")])).unwrap();
    let expected = "0 HEADERS :status=400 content-type=text/plain content-length=100";
    assert_eq!(client.read(), [expected, "0 DATA 100", "0 end"]);
    client.send(4, &headers("GET", "nowhere", &[])).unwrap();
    assert_eq!(client.actions(), ["4 STOP H3_MESSAGE_ERROR"]);
    assert!(client.read()[0].starts_with("4 HEADERS :status=400"));
    assert_eq!((client.events(), client.finished()), (vec![], vec![0, 4]));
}

#[test]
fn what_exceeds_a_limit_is_answered() {
    let limits = HttpLimits { max_body: 10, ..HttpLimits::default() };
    let mut client = Client::with_limits(Http3Limits::default(), limits);
    let status = |client: &mut Client| {
        let lines = client.read();
        let status = lines.iter().find_map(|line| line.split(":status=").nth(1)).unwrap_or_default();
        let stop = lines.iter().find(|line| line.contains("STOP"));
        (status[..3].to_owned(), stop.cloned().unwrap_or_default())
    };
    client.send(0, &headers("GET", "/", &[("x", &"y".repeat(20_000))])).unwrap();
    assert_eq!(status(&mut client), ("431".into(), "0 STOP H3_NO_ERROR".into()));
    // A section that is longer than any that could be accepted is not waited for.
    client.send(4, &[number(HEADERS), number(1 << 40)].concat()).unwrap();
    assert_eq!(status(&mut client), ("431".into(), "4 STOP H3_NO_ERROR".into()));
    client.send(8, &headers("POST", "/", &[("content-length", "11")])).unwrap();
    assert_eq!(status(&mut client), ("413".into(), "8 STOP H3_NO_ERROR".into()));
    client.send_last(12, &headers("POST", "/", &[("expect", "tea")])).unwrap();
    assert_eq!(status(&mut client), ("417".into(), String::new()));
    assert_eq!(client.events(), [""; 0]);
    client.post(16);
    client.send(16, &data(b"0123456789")).unwrap();
    client.send(16, &data(b"x")).unwrap();
    assert_eq!(status(&mut client), ("413".into(), "16 STOP H3_NO_ERROR".into()));
    assert_eq!(client.events(), ["16 POST /", "16 body 0123456789", "16 aborted BodyTooLarge"]);
    client.answer(16, "late");
    assert_eq!((client.read(), client.finished()), (vec![], vec![0, 4, 8, 12, 16]));
}

#[test]
fn a_body_that_is_too_large_behind_the_head_of_its_response_breaks_that_off() {
    let limits = HttpLimits { max_body: 10, ..HttpLimits::default() };
    let mut client = Client::with_limits(Http3Limits::default(), limits);
    client.post(0);
    client.start(0);
    client.send(0, &[number(DATA), number(1 << 50)].concat()).unwrap();
    assert_eq!(client.events(), ["0 POST /", "0 aborted BodyTooLarge"]);
    assert_eq!(client.read(), ["0 RESET H3_REQUEST_CANCELLED", "0 STOP H3_REQUEST_CANCELLED"]);
}

#[test]
fn a_client_that_expects_it_is_told_to_continue() {
    let mut client = Client::new();
    client.send(0, &headers("POST", "/", &[("expect", "100-continue")])).unwrap();
    assert_eq!(client.read(), ["0 HEADERS :status=100"]);
    client.send_last(0, &data(b"a")).unwrap();
    client.answer(0, "b");
    assert_eq!(client.read(), ["0 HEADERS :status=200 content-length=1", "0 DATA 1", "0 end"]);
}

#[test]
fn the_client_may_end_a_stream_before_its_time() {
    let mut client = Client::new();
    for stream in [0, 4, 8] {
        client.post(stream);
    }
    client.events();
    client.reset(0).unwrap();
    client.stop(4).unwrap();
    assert_eq!(
        client.events(),
        ["0 aborted reset H3_REQUEST_CANCELLED", "4 aborted reset H3_REQUEST_CANCELLED"]
    );
    let ends = ["RESET", "STOP"].map(|end| format!("{end} H3_REQUEST_CANCELLED"));
    let expected: Vec<_> =
        [0, 4].iter().flat_map(|id| ends.clone().map(|end| format!("{id} {end}"))).collect();
    assert_eq!((client.read(), client.finished()), (expected, vec![0, 4]));
    client.send_last(8, b"").unwrap();
    client.stop(8).unwrap();
    assert_eq!(client.read(), ["8 RESET H3_REQUEST_CANCELLED"], "the request was complete");
    // Before any byte of it has arrived, and half a head.
    client.reset(12).unwrap();
    client.send(16, &headers("GET", "/", &[])[..5]).unwrap();
    client.reset(16).unwrap();
    assert_eq!(client.events(), ["8 body |", "8 aborted reset H3_REQUEST_CANCELLED"]);
    assert_eq!(client.finished(), [8, 12, 16]);
    assert!(client.session.is_idle());
}

#[test]
fn a_stream_that_ends_without_a_request_is_reset() {
    let mut client = Client::new();
    client.send_last(0, b"").unwrap();
    client.send_last(4, &frame(GREASE, b"x")).unwrap();
    assert_eq!(client.read(), ["0 RESET H3_REQUEST_INCOMPLETE", "4 RESET H3_REQUEST_INCOMPLETE"]);
    assert_eq!((client.events(), client.finished()), (vec![], vec![0, 4]));
}

#[test]
fn a_stream_that_the_application_has_paused_is_not_read_until_it_resumes() {
    let mut client = Client::new();
    client.post(0);
    client.with(|session, moment, _| session.set_paused(StreamId(0), true, moment.now));
    assert!(!client.session.wants_input(StreamId(0)));
    assert!(client.session.wants_input(StreamId(4)));
    client.with(|session, moment, _| session.set_paused(StreamId(0), false, moment.now));
    assert!(client.session.wants_input(StreamId(0)));
    assert_eq!(client.read(), ["0 read"]);
}

#[test]
fn what_the_application_does_not_take_now_waits() {
    let mut client = Client::new();
    client.room = 2;
    let body: Vec<u8> = (0..5).flat_map(|_| data(b"x")).collect();
    client.send_last(0, &[headers("POST", "/", &[]), body].concat()).unwrap();
    assert_eq!(client.events(), ["0 POST /", "0 body x"]);
    assert!(!client.session.wants_input(StreamId(0)));
    assert_eq!(client.session.unhandled(), 4 * 3 + 1);
    client.take_pending().unwrap();
    assert_eq!(client.events(), ["0 body xx"]);
    client.take_pending().unwrap();
    client.take_pending().unwrap();
    assert_eq!(client.events(), ["0 body xx|"]);
    assert_eq!(client.session.unhandled(), 0);
    client.send(4, &[headers("POST", "/", &[]), data(b"yy"), data(b"z")].concat()).unwrap();
    assert_eq!(client.events(), ["4 POST /", "4 body yy"]);
    client.take_pending().unwrap();
    assert_eq!((client.events(), client.actions()), (vec!["4 body z".to_owned()], vec!["4 read".to_owned()]));
}

#[test]
fn streams_may_be_opened_out_of_order() {
    let mut client = Client::new();
    for stream in [8, 0, 4] {
        client.get(stream);
    }
    assert_eq!(client.events(), ["8 GET /", "8 body |", "0 GET /", "0 body |", "4 GET /", "4 body |"]);
    client.answer(0, "a");
    assert_eq!(client.read(), ["0 HEADERS :status=200 content-length=1", "0 DATA 1", "0 end"]);
}

#[test]
fn a_body_ends_with_its_length_and_the_stream_when_it_says_so() {
    let mut client = Client::new();
    client.send(0, &headers("POST", "/", &[("content-length", "6")])).unwrap();
    client.send(0, &data(b"abc")).unwrap();
    assert_eq!(client.events(), ["0 POST /", "0 body abc"]);
    // A frame in two pieces.
    let rest = data(b"def");
    client.send(0, &rest[..3]).unwrap();
    assert_eq!(client.events(), ["0 body d"]);
    client.send(0, &rest[3..]).unwrap();
    assert_eq!(client.events(), ["0 body ef|"]);
    // Nothing is missing, so nothing can be late.
    assert_eq!(client.deadline(), None);
    client.send_last(0, b"").unwrap();
    assert_eq!(client.events(), [""; 0]);
    client.answer(0, "");
    client.read();
    assert_eq!(client.finished(), [0]);

    // With a length of 0 it ends with its head. Behind an answer the client is asked to stop.
    client.send(4, &headers("POST", "/", &[("content-length", "0")])).unwrap();
    assert_eq!(client.events(), ["4 POST /", "4 body |"]);
    client.answer(4, "");
    assert!(client.read().contains(&"4 STOP H3_NO_ERROR".to_owned()));

    // Trailers change nothing.
    client.send(8, &headers("POST", "/", &[("content-length", "1")])).unwrap();
    client.send(8, &data(b"x")).unwrap();
    client.send_last(8, &frame(HEADERS, &section(&[("a", "b")]))).unwrap();
    assert_eq!(client.events(), ["8 POST /", "8 body x|"]);

    // More than that breaks a rule, even when the end was told.
    client.send(12, &headers("POST", "/", &[("content-length", "1")])).unwrap();
    client.send(12, &data(b"x")).unwrap();
    client.send_last(12, &data(b"y")).unwrap();
    assert_eq!(client.events(), ["12 POST /", "12 body x|", "12 aborted Broken(ContentLengthMismatch)"]);
}
