//! Deadlines: of the client's requests, of their bodies, and of what it does not take.

use super::*;
use std::time::Duration;

use crate::protocol::http::pace::PaceLimit;

/// Every time differs, so that a deadline tells which one it is.
fn client() -> Client {
    let http = HttpLimits {
        headers_timeout: Some(Duration::from_millis(300)),
        request_timeout: Some(Duration::from_millis(7_000)),
        keep_alive_timeout: Some(Duration::from_millis(400)),
        body_pace: Some(PaceLimit { every: Duration::from_millis(500), bytes: 10 }),
        response_pace: Some(PaceLimit { every: Duration::from_millis(600), bytes: 10 }),
        ..HttpLimits::default()
    };
    Client::with_limits(Http2Limits::default(), http)
}

#[test]
fn the_first_request_has_to_come_in_time() {
    let mut client = client();
    assert_eq!(client.deadline(), Some(300));
    assert_eq!(client.pass_time(299), Http2Timeout::None);
    assert_eq!(client.pass_time(1), Http2Timeout::Headers);
    assert_eq!(client.read_written(), ["GOAWAY 0 NO_ERROR ERR_HTTP2_HEADERS_TIMEOUT"]);
    assert!(client.session.is_closed());
}

#[test]
fn pings_do_not_put_it_off() {
    let mut client = client();
    client.now.0 = 200;
    client.send_frame(PING, 0, 0, &[0; 8]).unwrap();
    assert_eq!(client.deadline(), Some(300));
}

#[test]
fn the_rest_of_a_header_block_has_to_come_in_time() {
    let mut client = client();
    client.get(1);
    client.now.0 = 1_000;
    client.send_frame(HEADERS, 0, 3, b"").unwrap();
    assert_eq!(client.deadline(), Some(1_300));
    client.now.0 = 1_200;
    client.send_frame(CONTINUATION, 0, 3, b"").unwrap();
    assert_eq!(client.deadline(), Some(1_300));
    assert_eq!(client.pass_time(100), Http2Timeout::Headers);
    assert_eq!(client.events().last().map(String::as_str), Some("1 aborted Broken(HeadersTimeout)"));
}

#[test]
fn while_a_handler_runs_nothing_times_out() {
    let mut client = client();
    client.get(1);
    assert_eq!(client.deadline(), None);
    assert_eq!(client.pass_time(1_000_000), Http2Timeout::None);
}

#[test]
fn an_idle_connection_closes_and_is_idle_from_the_end_of_its_last_response() {
    let mut client = client();
    client.get(1);
    client.now.0 = 1_000;
    client.answer(1, "x");
    assert_eq!(client.deadline(), Some(1_400));
    client.flush(Flush::Stuck);
    assert_eq!(client.deadline(), Some(1_600), "the client has not got the response");
    client.now.0 = 1_500;
    client.flush(Flush::Drained);
    assert_eq!(client.deadline(), Some(1_900));
    client.read();
    assert_eq!(client.pass_time(400), Http2Timeout::Idle);
    assert_eq!(client.read_written(), ["GOAWAY 1 NO_ERROR CLOSED_WITHOUT_REQUEST"]);
    assert!(client.session.is_closed());
}

#[test]
fn a_slow_body_ends_its_stream_alone() {
    let mut client = client();
    client.post(1);
    client.get(3);
    client.now.0 = 100;
    client.send(&data(1, b"123456789", false)).unwrap();
    assert_eq!(client.deadline(), Some(500));
    client.now.0 = 400;
    client.send(&data(1, b"0", false)).unwrap();
    assert_eq!(client.deadline(), Some(900));
    client.events();
    assert_eq!(client.pass_time(500), Http2Timeout::None);
    assert_eq!(client.events(), ["1 aborted BodyTimeout"]);
    let lines = client.read();
    assert!(lines[0].starts_with("HEADERS 1 :status=408"), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("RST_STREAM 1 CANCEL"));
    assert_eq!((client.finished(), client.deadline()), (vec![1], None));
}

#[test]
fn a_body_has_a_time_in_all_and_a_pause_does_not_count() {
    let mut client = client();
    client.post(1);
    let pause = |client: &mut Client, is_paused| {
        client.with(|session, moment, out, _| session.set_paused(StreamId(1), is_paused, moment.now, out));
    };
    pause(&mut client, true);
    assert_eq!(client.deadline(), None);
    client.now.0 = 5_000;
    pause(&mut client, false);
    assert_eq!(client.deadline(), Some(5_500));
    for now in (5_000..12_000).step_by(400) {
        client.now.0 = now;
        client.send(&data(1, &[b'x'; 10], false)).unwrap();
    }
    assert_eq!(client.deadline(), Some(12_000));
    assert_eq!(client.pass_time(200), Http2Timeout::None);
    assert_eq!(client.events().last().map(String::as_str), Some("1 aborted BodyTimeout"));
}

#[test]
fn a_window_that_stays_closed_ends_its_stream_alone() {
    let mut client = client();
    client.send(&setting(INITIAL_WINDOW_SIZE, 5)).unwrap();
    client.get(1);
    client.get(3);
    client.answer(1, "0123456789");
    client.read();
    assert_eq!(client.deadline(), Some(600));
    // A byte now and then is too slow.
    for now in [200, 400] {
        client.now.0 = now;
        client.send(&window_update(1, 1)).unwrap();
        client.read();
    }
    assert_eq!(client.deadline(), Some(600));
    client.events();
    assert_eq!(client.pass_time(200), Http2Timeout::None);
    assert_eq!(client.events(), ["1 aborted ResponseTimeout"]);
    assert_eq!((client.read(), client.finished()), (vec!["RST_STREAM 1 CANCEL".to_owned()], vec![1]));
}

#[test]
fn a_client_that_does_not_read_loses_its_connection() {
    let mut client = client();
    client.get(1);
    client.answer(1, "x");
    client.get(3);
    client.flush(Flush::Stuck);
    client.now.0 = 500;
    client.flush(Flush::Progressed(9));
    assert_eq!(client.deadline(), Some(600));
    client.flush(Flush::Progressed(1));
    assert_eq!(client.deadline(), Some(1_100));
    client.events();
    client.read();
    assert_eq!(client.pass_time(600), Http2Timeout::Response);
    assert_eq!(client.events(), ["3 aborted ResponseTimeout"]);
    assert_eq!(client.read_written(), ["GOAWAY 3 ENHANCE_YOUR_CALM ERR_HTTP_RESPONSE_TIMEOUT"]);
}

#[test]
fn a_client_is_not_late_while_it_is_not_read() {
    let mut client = client();
    client.session.pause(Timestamp(0));
    assert_eq!(client.deadline(), None);
    assert_eq!(client.pass_time(10_000), Http2Timeout::None);
    client.session.resume(Timestamp(10_000));
    assert_eq!(client.deadline(), Some(10_300));

    client.post(1);
    assert_eq!(client.deadline(), Some(10_500));
    client.session.pause(Timestamp(10_100));
    client.session.resume(Timestamp(20_000));
    assert_eq!(client.deadline(), Some(20_500));

    client.send(&setting(INITIAL_WINDOW_SIZE, 0)).unwrap();
    client.get(3);
    client.answer(3, "x");
    client.read();
    client.session.pause(Timestamp(20_000));
    client.session.resume(Timestamp(30_000));
    assert_eq!(client.deadline(), Some(30_500));
    client.send(&reset(1)).unwrap();
    assert_eq!(client.deadline(), Some(30_600), "the window may have been opened by what was not read");
}
