//! Closing a connection gracefully.

use super::super::response_framing::Framing;
use super::*;

const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const POST: &str = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n";

/// A connection that waits for its second request.
fn idle() -> Connection {
    let mut connection = Connection::new();
    connection.receive(GET).expect("a request");
    connection.respond(b"");
    connection
}

#[test]
fn a_connection_between_requests_is_closed_without_a_response() {
    let mut connection = idle();
    assert!(!connection.exchange.close_if_idle(), "nobody has asked for it");
    let written = connection.out.len();
    connection.exchange.wind_down();
    assert!(connection.exchange.close_if_idle());
    assert!(connection.is_closing());
    assert_eq!(connection.out.len(), written);
}

#[test]
fn a_request_of_which_a_part_has_come_is_waited_for_and_answered() {
    let mut connection = idle();
    connection.receive(&GET[..1]).expect("a part");
    connection.exchange.wind_down();
    assert!(!connection.exchange.close_if_idle());
    connection.receive(&GET[1..]).expect("the rest");
    assert!(!connection.exchange.close_if_idle());
    assert!(connection.respond(b"x").contains("\r\nConnection: close\r\n"));
    assert!(connection.is_closing());
}

#[test]
fn a_response_that_has_not_started_has_connection_close() {
    for method in ["GET", "HEAD"] {
        let mut connection = Connection::new();
        connection.receive(GET.replace("GET", method)).expect("a request");
        connection.exchange.wind_down();
        assert!(!connection.exchange.close_if_idle());
        let head = connection
            .act(|exchange, moment, out| exchange.start_response(&OK, Framing::Chunked, moment, out));
        assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
        connection.act(|exchange, _, out| exchange.write_body(b"x", out));
        assert!(!connection.is_closing());
        connection.act(|exchange, moment, out| exchange.finish_response(b"", false, moment, out));
        assert!(connection.is_closing());
    }
}

#[test]
fn requests_behind_the_last_response_are_not_processed() {
    let mut connection = Connection::new();
    connection.receive([GET, GET].concat()).expect("two requests");
    connection.exchange.wind_down();
    connection.respond(b"x");
    connection.receive("").expect("nothing more");
    assert!(connection.is_closing());
    assert_eq!(connection.requests.0.len(), 1);
}

#[test]
fn a_started_response_is_completed_and_a_request_behind_it_gets_the_last_one() {
    let mut connection = Connection::new();
    connection.receive([GET, GET].concat()).expect("two requests");
    connection.act(|exchange, moment, out| exchange.start_response(&OK, Framing::Chunked, moment, out));
    connection.exchange.wind_down();
    let rest = connection.act(|exchange, moment, out| exchange.finish_response(b"", false, moment, out));
    assert_eq!(rest, "0\r\n\r\n");
    assert!(!connection.is_closing());
    connection.receive("").expect("the second request");
    assert!(!connection.exchange.close_if_idle());
    assert!(connection.respond(b"x").contains("\r\nConnection: close\r\n"));
    assert!(connection.is_closing());
}

#[test]
fn a_started_response_is_completed_and_then_the_connection_is_idle() {
    let mut connection = Connection::new();
    connection.receive(GET).expect("a request");
    connection.act(|exchange, moment, out| exchange.start_response(&OK, Framing::Length(1), moment, out));
    connection.exchange.wind_down();
    assert!(!connection.exchange.close_if_idle());
    connection.act(|exchange, _, out| exchange.write_body(b"x", out));
    connection.act(|exchange, moment, out| exchange.finish_response(b"", false, moment, out));
    assert!(!connection.is_closing());
    assert!(connection.exchange.close_if_idle());
}

#[test]
fn a_body_that_was_answered_before_its_end_is_read_to_its_end() {
    let mut connection = Connection::new();
    connection.receive([POST, "he"].concat()).expect("a part of the body");
    connection.respond(b"x");
    connection.exchange.wind_down();
    assert!(!connection.exchange.close_if_idle());
    connection.receive("llo").expect("the rest");
    assert!(connection.exchange.close_if_idle());
}

#[test]
fn a_new_connection_has_a_second_from_its_accept_for_its_first_request() {
    let mut connection = Connection::new();
    connection.wait(300);
    connection.exchange.wind_down();
    assert!(!connection.exchange.close_if_idle());
    assert_eq!(connection.deadline(), Some(700));
    assert_eq!(connection.wait(700), TimeoutOutcome::CloseSilently);
    assert!(connection.is_closing() && connection.out.is_empty());

    let mut connection = Connection::new();
    connection.exchange.wind_down();
    connection.receive(&GET[..1]).expect("a part");
    assert_eq!(connection.deadline(), Some(10_000));
    connection.receive(&GET[1..]).expect("the rest");
    assert!(connection.respond(b"x").contains("\r\nConnection: close\r\n"));
}

#[test]
fn an_http_10_client_gets_connection_close_too() {
    let mut connection = Connection::new();
    connection.receive("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").expect("a request");
    connection.exchange.wind_down();
    let response = connection.respond(b"x");
    assert!(response.contains("\r\nConnection: close\r\n") && !response.contains("keep-alive"), "{response}");
    assert!(connection.is_closing());
}
