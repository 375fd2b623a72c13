//! Deadlines, in simulated time.

use std::time::Duration;

use super::super::pace::PaceLimit;
use super::super::response_framing::Framing;
use super::*;
use crate::protocol::cause::CloseCause;

const GET: &str = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const POST: &str = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n";

#[test]
fn a_new_connection_has_ten_seconds_for_its_first_head() {
    let mut connection = Connection::new();
    assert_eq!(connection.deadline(), Some(10_000));
    assert_eq!(connection.wait(9_999), TimeoutOutcome::NotYet);
    assert!(!connection.is_closing());
    assert_eq!(connection.wait(1), TimeoutOutcome::CloseSilently);
    assert!(connection.is_closing() && connection.out.is_empty());
}

#[test]
fn a_slow_head_is_answered_with_408_however_its_bytes_trickle() {
    let mut connection = Connection::new();
    for byte in "GET / HTTP".bytes() {
        connection.receive([byte]).expect("a part");
        assert_eq!(connection.wait(999), TimeoutOutcome::NotYet);
    }
    assert_eq!(connection.deadline(), Some(10));
    assert_eq!(connection.wait(10), TimeoutOutcome::Answered408);
    assert_eq!(String::from_utf8_lossy(&connection.out), answer(HttpError::RequestTimeout));
    assert!(connection.is_closing());
    assert_eq!(connection.deadline(), None);
}

#[test]
fn no_timer_runs_while_a_handler_runs() {
    let mut connection = Connection::new();
    connection.receive(GET).expect("a request");
    assert_eq!(connection.deadline(), None);
    assert_eq!(connection.wait(1_000_000_000), TimeoutOutcome::NotYet);
    connection.act(|exchange, moment, out| exchange.start_response(&OK, Framing::Chunked, moment, out));
    assert_eq!(connection.deadline(), None);
}

#[test]
fn an_idle_connection_is_closed_without_a_response() {
    let mut connection = Connection::new();
    connection.limits.keep_alive_timeout = Some(Duration::from_secs(5));
    connection.receive(GET).expect("a request");
    connection.wait(3_000);
    connection.respond(b"");
    let written = connection.out.len();
    assert_eq!(connection.deadline(), Some(5_000));
    // An empty line is not yet a request.
    connection.wait(1_000);
    connection.receive("\r\n").expect("an empty line");
    assert_eq!(connection.deadline(), Some(4_000));
    assert_eq!(connection.wait(4_000), TimeoutOutcome::CloseSilently);
    assert_eq!(connection.out.len(), written);
}

#[test]
fn the_head_of_a_later_request_has_its_own_ten_seconds() {
    let mut connection = Connection::new();
    connection.receive(GET).expect("a request");
    connection.respond(b"");
    connection.wait(9_000);
    connection.receive("G").expect("a part");
    assert_eq!(connection.deadline(), Some(10_000));
    connection.wait(9_000);
    connection.receive("E").expect("a part");
    assert_eq!(connection.deadline(), Some(1_000));
    assert_eq!(connection.wait(1_000), TimeoutOutcome::Answered408);
}

#[test]
fn a_body_has_ten_seconds_for_every_160_kib() {
    let mut connection = Connection::new();
    connection.receive(POST).expect("a head");
    assert_eq!(connection.deadline(), Some(10_000));
    connection.wait(9_000);
    connection.receive(vec![b'x'; 160 * 1024 - 1]).expect("a part");
    assert_eq!(connection.deadline(), Some(1_000));
    connection.receive("x").expect("the last byte of the step");
    assert_eq!(connection.deadline(), Some(10_000));
    assert_eq!(connection.wait(10_000), TimeoutOutcome::BodyTimeout);
    assert_eq!(TimeoutOutcome::BodyTimeout.cause(), Some(CloseCause::BodyTimeout));
    assert_eq!(String::from_utf8_lossy(&connection.out), answer(HttpError::RequestTimeout));
    assert!(connection.is_closing() && !connection.exchange.has_outstanding_response());
}

#[test]
fn a_slow_body_is_not_answered_once_the_response_has_started() {
    let mut connection = Connection::new();
    connection.receive(POST).expect("a head");
    let started =
        connection.act(|exchange, moment, out| exchange.start_response(&OK, Framing::Chunked, moment, out));
    assert_eq!(connection.wait(10_000), TimeoutOutcome::BodyTimeout);
    assert_eq!(String::from_utf8_lossy(&connection.out), started);
}

#[test]
fn a_slow_rest_of_a_body_ends_the_connection_without_a_response() {
    let mut connection = Connection::new();
    connection.receive("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n").expect("a head");
    let response = connection.respond(b"");
    assert_eq!(connection.deadline(), Some(10_000));
    assert_eq!(connection.wait(10_000), TimeoutOutcome::CloseSilently);
    assert_eq!(String::from_utf8_lossy(&connection.out), response);
}

#[test]
fn no_timeout_of_the_client_runs_while_the_caller_does_not_read() {
    for (input, fresh) in [("", 10_000), ("GET", 10_000), (POST, 10_000)] {
        let mut connection = Connection::new();
        connection.receive(input).expect("a part");
        connection.exchange.pause(connection.now);
        assert_eq!(connection.deadline(), None);
        assert_eq!(connection.wait(1_000_000), TimeoutOutcome::NotYet);
        connection.exchange.resume(connection.now);
        assert_eq!(connection.deadline(), Some(fresh));
        // Only the first resume after a pause restarts the timer.
        connection.wait(1_000);
        connection.exchange.resume(connection.now);
        assert_eq!(connection.deadline(), Some(fresh - 1_000));
    }
}

#[test]
fn output_that_the_client_does_not_receive_for_ten_seconds_ends_the_connection() {
    let mut connection = Connection::new();
    connection.receive(GET).expect("a request");
    connection.act(|exchange, moment, out| exchange.start_response(&OK, Framing::Chunked, moment, out));
    connection.flush(Flush::Stuck);
    assert_eq!(connection.deadline(), Some(10_000));
    connection.wait(6_000);
    connection.flush(Flush::Stuck);
    assert_eq!(connection.deadline(), Some(4_000), "being stuck again is no progress");
    connection.flush(Flush::Progressed(10 * 1024));
    assert_eq!(connection.deadline(), Some(10_000));
    connection.flush(Flush::Drained);
    assert_eq!(connection.deadline(), None);

    connection.flush(Flush::Stuck);
    assert!(connection.exchange.has_outstanding_response());
    assert_eq!(connection.wait(10_000), TimeoutOutcome::ResponseTimeout);
    assert_eq!(TimeoutOutcome::ResponseTimeout.cause(), Some(CloseCause::ResponseTimeout));
    assert!(connection.is_closing());
    assert_eq!(connection.deadline(), None, "nothing is left to wait for");
}

#[test]
fn a_client_is_idle_only_once_it_has_received_the_whole_response() {
    let mut connection = Connection::new();
    connection.receive(GET).expect("a request");
    connection.respond(b"hello");
    connection.flush(Flush::Stuck);
    assert!(!connection.exchange.is_idle());
    for _ in 0..5 {
        assert_eq!(connection.wait(9_000), TimeoutOutcome::NotYet);
        connection.flush(Flush::Progressed(10 * 1024));
    }
    connection.flush(Flush::Drained);
    assert!(connection.exchange.is_idle());
    assert_eq!(connection.deadline(), Some(10_000));
    assert_eq!(connection.wait(10_000), TimeoutOutcome::CloseSilently);
    assert_eq!(TimeoutOutcome::CloseSilently.cause(), None);
}

#[test]
fn the_earlier_of_two_deadlines_counts() {
    let mut connection = Connection::new();
    connection.receive(POST).expect("a head");
    connection.act(|exchange, moment, out| exchange.start_response(&OK, Framing::Chunked, moment, out));
    connection.wait(4_000);
    connection.flush(Flush::Stuck);
    assert_eq!(connection.deadline(), Some(6_000));
    connection.receive(vec![b'x'; 160 * 1024]).expect("a part");
    assert_eq!(connection.deadline(), Some(10_000));
    connection.flush(Flush::Drained);
    connection.wait(1_000);
    connection.flush(Flush::Stuck);
    assert_eq!(connection.deadline(), Some(9_000));
}

#[test]
fn a_whole_request_has_its_time_however_briskly_its_parts_come() {
    let mut connection = Connection::new();
    connection.limits.request_timeout = Some(Duration::from_secs(25));
    connection.receive(GET).expect("a request");
    connection.respond(b"");
    connection.wait(5_000);
    connection.receive("POST /a HTTP/1.1\r\n").expect("a part");
    connection.wait(9_000);
    connection.receive("Host: h\r\nContent-Length: 1000000\r\n\r\n").expect("the rest of a head");
    assert_eq!(connection.deadline(), Some(10_000), "the pace of the body is the earlier deadline");
    connection.wait(9_000);
    connection.receive(vec![b'x'; 160 * 1024]).expect("a part");
    assert_eq!(connection.deadline(), Some(7_000), "25 s after the first byte");
    assert_eq!(connection.wait(7_000), TimeoutOutcome::BodyTimeout);
    assert!(connection.out.ends_with(answer(HttpError::RequestTimeout).as_bytes()));
}

#[test]
fn the_time_of_a_whole_request_bounds_its_head_too() {
    let mut connection = Connection::new();
    connection.limits.request_timeout = Some(Duration::from_secs(4));
    connection.receive("GET /").expect("a part");
    assert_eq!(connection.deadline(), Some(4_000));
    assert_eq!(connection.wait(4_000), TimeoutOutcome::Answered408);
}

#[test]
fn the_time_of_a_request_leaves_out_the_pauses_of_the_caller() {
    let mut connection = Connection::new();
    connection.limits.request_timeout = Some(Duration::from_secs(12));
    connection.receive(POST).expect("a head");
    connection.wait(5_000);
    connection.exchange.pause(connection.now);
    connection.wait(1_000);
    connection.exchange.pause(connection.now);
    connection.wait(100_000);
    connection.exchange.resume(connection.now);
    assert_eq!(connection.deadline(), Some(7_000), "5 of the 12 s are used up");
}

#[test]
fn what_is_switched_off_never_runs_out() {
    let mut connection = Connection::new();
    connection.limits.headers_timeout = None;
    connection.limits.keep_alive_timeout = None;
    connection.limits.body_pace = None;
    connection.limits.response_pace = None;
    assert_eq!(connection.deadline(), None, "no byte yet");
    connection.receive("POST /a HTTP/1.1\r\n").expect("a part");
    assert_eq!(connection.deadline(), None, "half a head");
    connection.receive("Host: h\r\nContent-Length: 5\r\n\r\n12").expect("a head");
    assert_eq!(connection.deadline(), None, "half a body");
    connection.receive("345").expect("the body");
    connection.respond(b"hello");
    connection.flush(Flush::Stuck);
    connection.flush(Flush::Progressed(1));
    assert_eq!(connection.deadline(), None, "half an answer taken");
    connection.flush(Flush::Drained);
    assert_eq!(connection.deadline(), None, "idle");
    assert_eq!(connection.wait(1_000_000_000), TimeoutOutcome::NotYet);
}

#[test]
fn output_that_is_taken_too_slowly_ends_the_connection_though_it_never_stands_still() {
    let mut connection = Connection::new();
    connection.limits.response_pace = Some(PaceLimit { every: Duration::from_secs(10), bytes: 1_000 });
    connection.receive(GET).expect("a request");
    connection.act(|exchange, moment, out| exchange.start_response(&OK, Framing::Chunked, moment, out));
    connection.flush(Flush::Progressed(5));
    for _ in 0..9 {
        connection.wait(1_000);
        connection.flush(Flush::Progressed(111));
    }
    assert_eq!(connection.deadline(), Some(10_000), "1,004 bytes make a step");
    for _ in 0..9 {
        connection.wait(1_000);
        connection.flush(Flush::Progressed(100));
    }
    assert_eq!(connection.deadline(), Some(1_000));
    assert_eq!(connection.wait(1_000), TimeoutOutcome::ResponseTimeout);
}

#[test]
fn the_last_output_has_to_be_taken_in_time_also_once_the_connection_is_closing() {
    let mut connection = Connection::new();
    connection.receive(GET).expect("a request");
    connection.act(|exchange, moment, out| exchange.respond(&OK, b"bye", true, moment, out));
    assert!(connection.is_closing());
    assert_eq!(connection.exchange.writing_deadline(&connection.limits), None, "nothing was tried");
    connection.flush(Flush::Stuck);
    let expected = Some(connection.now + Duration::from_secs(10));
    assert_eq!(connection.exchange.writing_deadline(&connection.limits), expected);
    connection.flush(Flush::Drained);
    assert_eq!(connection.exchange.writing_deadline(&connection.limits), None);
}
