//! The order of requests and responses on one connection, and calls that are made too early.

use super::super::response_framing::Framing;
use super::*;
use crate::protocol::cause::Cause;
use crate::protocol::cause::CloseCause;

const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const DATE_LINE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

/// A connection on which `input` has arrived.
fn after(input: &str) -> Connection {
    let mut connection = Connection::new();
    connection.receive(input).expect("a request");
    connection
}

#[test]
fn a_connection_is_small() {
    assert!(size_of::<HttpExchange>() <= 128, "{}", size_of::<HttpExchange>());
}

#[test]
fn the_next_request_waits_for_the_response() {
    let mut connection = after(&format!("{GET}GET /b HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_eq!(connection.requests.0.len(), 1);
    assert!(!connection.exchange.can_read() && connection.exchange.has_outstanding_response());
    assert_eq!(connection.unconsumed.len(), GET.len());

    assert_eq!(connection.respond(b"hello"), ok("hello"));
    assert!(connection.exchange.can_read() && !connection.exchange.has_outstanding_response());
    connection.receive("").expect("the second request");
    assert_eq!(connection.requests.0[1].path, "/b");
    assert!(connection.unconsumed.is_empty() && !connection.exchange.is_idle());

    connection.respond(b"");
    assert!(connection.exchange.is_idle() && !connection.is_closing());
}

#[test]
fn a_streamed_response_is_chunked_and_ends_with_the_last_chunk() {
    let mut connection = after(GET);
    let written = connection.act(|exchange, moment, out| {
        exchange.start_response(&OK, Framing::Chunked, moment, out);
        exchange.write_body(b"hello", out);
        exchange.write_body(b"", out);
        exchange.write_body(&[b'x'; 17], out);
        exchange.finish_response(b"", false, moment, out);
    });
    let head = format!("HTTP/1.1 200 OK\r\n{DATE_LINE}Transfer-Encoding: chunked\r\n\r\n");
    assert_eq!(written, format!("{head}5\r\nhello\r\n11\r\nxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n"));
    assert!(connection.exchange.is_idle() && !connection.is_closing());
}

#[test]
fn a_client_of_http_10_gets_a_streamed_body_as_it_is_and_then_the_end() {
    let mut connection = after("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let written = connection.act(|exchange, moment, out| {
        exchange.start_response(&OK, Framing::Chunked, moment, out);
        exchange.write_body(b"hello", out);
        exchange.finish_response(b"", false, moment, out);
    });
    assert_eq!(written, format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{DATE_LINE}\r\nhello"));
    assert!(connection.is_closing());
}

#[test]
fn a_client_of_http_10_keeps_the_connection_only_if_it_asked_for_it() {
    let mut connection = after("GET / HTTP/1.0\r\n\r\n");
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{DATE_LINE}");
    assert_eq!(connection.respond(b"a"), format!("{head}Content-Length: 1\r\n\r\na"));
    assert!(connection.is_closing());

    let mut connection = after("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    let head = format!("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n{DATE_LINE}");
    assert_eq!(connection.respond(b"a"), format!("{head}Content-Length: 1\r\n\r\na"));
    assert!(!connection.is_closing());
}

#[test]
fn the_connection_closes_when_either_side_says_so() {
    let closing = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{DATE_LINE}Content-Length: 1\r\n\r\na");
    let mut connection = after("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_eq!(connection.respond(b"a"), closing);
    assert!(connection.is_closing());

    let mut connection = after(&format!("{GET}{GET}"));
    let written = connection.act(|exchange, moment, out| exchange.respond(&OK, b"a", true, moment, out));
    assert_eq!(written, closing);
    assert!(connection.is_closing());
    connection.receive("anything").expect("it is dropped");
    assert_eq!((connection.unconsumed.len(), connection.requests.0.len()), (0, 1));
}

#[test]
fn no_body_goes_where_none_may_be() {
    let mut connection = after("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(
        connection.respond(b"hello"),
        format!("HTTP/1.1 200 OK\r\n{DATE_LINE}Content-Length: 5\r\n\r\n")
    );
    connection.receive("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n").expect("a request");
    let written = connection.act(|exchange, moment, out| {
        exchange.start_response(&OK, Framing::Chunked, moment, out);
        exchange.write_body(b"hello", out);
        exchange.finish_response(b"", false, moment, out);
    });
    assert_eq!(written, format!("HTTP/1.1 200 OK\r\n{DATE_LINE}Transfer-Encoding: chunked\r\n\r\n"));

    for status in ["204 No Content", "304 Not Modified"] {
        connection.receive(GET).expect("a request");
        let head = ResponseHead { status: status.as_bytes(), ..OK };
        let written =
            connection.act(|exchange, moment, out| exchange.respond(&head, b"", false, moment, out));
        assert_eq!(written, format!("HTTP/1.1 {status}\r\n{DATE_LINE}\r\n"));
    }
    assert!(!connection.is_closing());
}

#[test]
fn a_response_without_a_length_ends_with_the_connection() {
    let mut connection = after(GET);
    let written = connection.act(|exchange, moment, out| {
        exchange.start_response(&OK, Framing::None, moment, out);
        exchange.finish_response(b"", false, moment, out);
    });
    assert_eq!(written, format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{DATE_LINE}\r\n"));
    assert!(connection.is_closing());
}

#[test]
fn a_body_never_exceeds_its_announced_length_and_a_shorter_one_ends_the_connection() {
    let mut connection = after(GET);
    let written = connection.act(|exchange, moment, out| {
        exchange.start_response(&OK, Framing::Length(5), moment, out);
        exchange.write_body(b"hel", out);
        exchange.write_body(b"lo and more", out);
        exchange.write_body(b"and more", out);
        exchange.finish_response(b"", false, moment, out);
    });
    assert!(written.ends_with("Content-Length: 5\r\n\r\nhello"), "{written}");
    assert!(!connection.is_closing());

    let mut connection = after(GET);
    connection.act(|exchange, moment, out| {
        exchange.start_response(&OK, Framing::Length(5), moment, out);
        exchange.write_body(b"hell", out);
        exchange.finish_response(b"", false, moment, out);
    });
    assert!(connection.is_closing());
}

#[test]
fn trailers_follow_chunks_and_nothing_else() {
    let trailers = b"A: 1\r\nB: 2\r\n";
    for (framing, expected) in
        [(Framing::Chunked, "2\r\nab\r\n0\r\nA: 1\r\nB: 2\r\n\r\n"), (Framing::Length(2), "ab")]
    {
        let mut connection = Connection::new();
        connection.receive(GET).expect("a request");
        let written = connection.act(|exchange, moment, out| {
            exchange.start_response(&OK, framing, moment, out);
            exchange.write_body(b"ab", out);
            exchange.finish_response(trailers, false, moment, out);
        });
        let (_, body) = written.split_once("\r\n\r\n").expect("a head");
        assert_eq!(body, expected);
    }
}

#[test]
fn response_calls_out_of_turn_write_nothing() {
    let every_call = |connection: &mut Connection| {
        connection.act(|exchange, moment, out| {
            exchange.write_body(b"a", out);
            exchange.finish_response(b"", false, moment, out);
            exchange.respond(&OK, b"a", false, moment, out);
            exchange.start_response(&OK, Framing::Chunked, moment, out);
        })
    };
    let mut connection = Connection::new();
    assert_eq!(every_call(&mut connection), "");
    assert!(!connection.exchange.upgrade());

    connection.receive(GET).expect("a request");
    let written = connection.act(|exchange, moment, out| {
        exchange.write_body(b"a", out);
        exchange.finish_response(b"", false, moment, out);
    });
    assert_eq!(written, "");
    connection.respond(b"a");
    assert_eq!(every_call(&mut connection), "");

    connection.receive("\0").expect_err("no method");
    assert_eq!(every_call(&mut connection), "");
}

#[test]
fn a_100_continue_is_written_before_its_request_is_passed_on() {
    let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    let mut connection = after(head);
    assert_eq!(connection.out, b"HTTP/1.1 100 Continue\r\n\r\n");
    connection.receive("ab").expect("a body");
    connection.respond(b"");
    assert_eq!(run_all_ways(format!("{head}ab")).out, format!("HTTP/1.1 100 Continue\r\n\r\n{}", ok("/")));

    let without_body = "GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(run_all_ways(without_body).out, ok("/"));
}

#[test]
fn the_rest_of_a_body_is_dropped_when_the_response_was_early() {
    let mut connection = after("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nab");
    assert_eq!(connection.respond(b"early"), ok("early"));
    assert!(connection.exchange.can_read() && !connection.exchange.is_idle() && !connection.is_closing());
    connection.receive("cd").expect("more of the body");
    connection.receive(format!("ef{GET}")).expect("the end of it and a request");
    assert_eq!(
        (connection.requests.0[0].body.as_slice(), connection.requests.0[0].lasts),
        (b"ab".as_slice(), 0)
    );
    assert_eq!(connection.requests.0[1].path, "/a");
    assert!(connection.exchange.has_outstanding_response());
}

#[test]
fn a_body_too_long_to_drop_ends_the_connection() {
    let mut connection = after("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 262145\r\n\r\n");
    assert!(connection.respond(b"").contains("\r\nConnection: close\r\n"));
    assert!(connection.is_closing());

    let mut connection = after("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 262145\r\n\r\n");
    connection.act(|exchange, moment, out| {
        exchange.start_response(&OK, Framing::Length(0), moment, out);
        exchange.finish_response(b"", false, moment, out);
    });
    assert!(connection.is_closing());

    let mut connection = after("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(!connection.respond(b"").contains("Connection: close"));
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    for _ in 0..7 {
        connection.receive(&chunk).expect("a chunk");
        assert!(!connection.is_closing());
    }
    connection.receive(&chunk).expect("a chunk");
    assert!(connection.is_closing());
}

#[test]
fn a_broken_body_is_answered_only_if_no_response_has_started() {
    let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n";
    let error = HttpError::InvalidChunkSize;

    let mut connection = after(head);
    assert_eq!(connection.receive("x"), Err(error));
    assert_eq!(String::from_utf8_lossy(&connection.out), answer(error));
    assert!(connection.is_closing() && !connection.exchange.has_outstanding_response());

    let mut connection = after(head);
    let started =
        connection.act(|exchange, moment, out| exchange.start_response(&OK, Framing::Chunked, moment, out));
    assert_eq!(connection.receive("x"), Err(error));
    assert_eq!(String::from_utf8_lossy(&connection.out), started);
    assert!(connection.is_closing());

    let mut connection = after(head);
    let response = connection.respond(b"");
    assert_eq!(connection.receive("x"), Err(error));
    assert_eq!(String::from_utf8_lossy(&connection.out), response);
    assert!(connection.is_closing());
}

#[test]
fn an_upgrade_leaves_the_bytes_behind_the_request_alone() {
    let mut connection = after(&format!("{GET}\x01\x02"));
    assert!(connection.exchange.upgrade());
    assert!(!connection.exchange.can_read() && !connection.exchange.has_outstanding_response());
    connection.receive("\x03").expect("nothing is read");
    assert_eq!(connection.unconsumed, [1, 2, 3]);
    assert_eq!((connection.deadline(), connection.is_closing()), (None, false));
    assert!(!connection.exchange.upgrade());
}

#[test]
fn an_upgrade_is_refused_while_the_body_is_missing_or_the_response_has_started() {
    let mut connection = after("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n");
    assert!(!connection.exchange.upgrade());
    assert!(connection.exchange.has_outstanding_response());

    let mut connection = after(GET);
    connection.act(|exchange, moment, out| exchange.start_response(&OK, Framing::Chunked, moment, out));
    assert!(!connection.exchange.upgrade());
}

#[test]
fn a_body_above_the_limit_is_refused_by_its_length_before_the_request_is_passed_on() {
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut connection = Connection::new();
        connection.limits.max_body = 5;
        let head = |length| format!("POST / HTTP/1.1\r\nHost: h\r\n{expect}Content-Length: {length}\r\n\r\n");
        connection.receive(head(5) + "12345").expect("a body of the limit");
        connection.respond(b"");
        let before = connection.out.len();
        assert_eq!(connection.receive(head(6)), Err(HttpError::BodyTooLarge));
        assert_eq!(String::from_utf8_lossy(&connection.out[before..]), answer(HttpError::BodyTooLarge));
        assert!(connection.is_closing());
        assert_eq!(connection.requests.0.len(), 1);
    }
}

#[test]
fn a_chunked_body_above_the_limit_is_refused_at_the_chunk_that_exceeds_it() {
    let mut connection = Connection::new();
    connection.limits.max_body = 5;
    connection
        .receive("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .expect("a part");
    assert_eq!(connection.receive("3\r\nd"), Err(HttpError::BodyTooLarge));
    assert_eq!(HttpError::BodyTooLarge.cause(), CloseCause::BodyTooLarge);
    assert_eq!(HttpError::BareLf.cause(), CloseCause::InvalidRequestBody);
    assert_eq!(String::from_utf8_lossy(&connection.out), answer(HttpError::BodyTooLarge));
    assert_eq!((&*connection.requests.0[0].body, connection.requests.0[0].lasts), (b"abc".as_slice(), 0));
    assert!(connection.is_closing());
}

#[test]
fn an_error_of_a_head_request_is_answered_without_a_body() {
    let head_only = |error: HttpError| {
        let mut out = Vec::new();
        assert!(error.encode_answer_head(DATE, &mut out).starts_with(error.code()));
        String::from_utf8(out).expect("ASCII")
    };
    let cases = [
        ("HEAD / HTTP/1.1\r\n\r\n", HttpError::MissingHost),
        ("HEAD / HTTP/3.0\r\nHost: h\r\n\r\n", HttpError::VersionNotSupported),
        ("HEAD / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", HttpError::BareLf),
        (
            "HEAD / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            HttpError::InvalidChunkSize,
        ),
    ];
    for (input, error) in cases {
        let outcome = run_all_ways(input);
        assert_eq!((outcome.error, outcome.out), (Some(error), head_only(error)), "{input:?}");
    }
    for input in ["HEADER / HTTP/1.1\r\n\r\n", "head / HTTP/1.1\r\n\r\n", "HEAD\n"] {
        assert!(run_all_ways(input).out.ends_with(")\n"), "{input:?}");
    }
}
