//! Deadlines.

use std::time::Duration;

use super::*;
use crate::protocol::http::pace::PaceLimit;

fn client() -> Client {
    let second = Duration::from_secs(1);
    let limits = HttpLimits {
        headers_timeout: Some(2 * second),
        request_timeout: Some(20 * second),
        keep_alive_timeout: Some(3 * second),
        body_pace: Some(PaceLimit { every: 5 * second, bytes: 10 }),
        response_pace: Some(PaceLimit { every: 4 * second, bytes: 10 }),
        ..HttpLimits::default()
    };
    Client::with_limits(Http3Limits::default(), limits)
}

#[test]
fn the_first_request_has_its_time_and_so_have_further_ones() {
    let mut client = client();
    assert_eq!(client.deadline(), Some(2_000));
    assert_eq!(client.pass_time(1_999), Http3Timeout::None);
    client.get(0);
    assert_eq!(client.deadline(), None);
    client.answer(0, "a");
    client.read();
    assert_eq!(client.deadline(), Some(4_999));
    assert_eq!(client.pass_time(3_000), Http3Timeout::Idle);
    assert_eq!(client.read(), ["CLOSE H3_NO_ERROR ERR_HTTP3_NO_REQUEST"]);
    let mut client = self::client();
    assert_eq!(client.pass_time(2_000), Http3Timeout::Headers);
    assert_eq!(client.read(), ["CLOSE H3_NO_ERROR ERR_HTTP3_HEADERS_TIMEOUT"]);
}

#[test]
fn half_a_head_is_answered_once_its_time_is_over() {
    let mut client = client();
    client.send(0, &headers("GET", "/", &[])[..9]).unwrap();
    assert_eq!(client.deadline(), Some(2_000));
    assert_eq!(client.pass_time(2_000), Http3Timeout::None);
    let lines = client.read();
    assert_eq!(lines[0], "0 STOP H3_REQUEST_CANCELLED");
    assert!(lines[1].starts_with("0 HEADERS :status=408"), "{lines:?}");
    assert_eq!((client.events(), client.finished()), (vec![], vec![0]));
}

#[test]
fn a_body_has_a_pace_and_an_end() {
    let mut client = client();
    client.post(0);
    assert_eq!(client.deadline(), Some(5_000));
    client.pass_time(4_000);
    client.send(0, &data(&[b'x'; 10])).unwrap();
    assert_eq!(client.deadline(), Some(9_000));
    client.events();
    client.pass_time(5_000);
    assert_eq!(client.events(), ["0 aborted BodyTimeout"]);
    let lines = client.read();
    assert_eq!(lines[0], "0 STOP H3_NO_ERROR");
    assert!(lines[1].starts_with("0 HEADERS :status=408"), "{lines:?}");
    client.post(4);
    client.start(4);
    client.read();
    client.events();
    client.pass_time(5_000);
    assert_eq!(client.events(), ["4 aborted BodyTimeout"]);
    assert_eq!(client.read(), ["4 RESET H3_REQUEST_CANCELLED", "4 STOP H3_REQUEST_CANCELLED"]);
}

#[test]
fn the_time_of_a_body_stands_still_while_it_is_paused() {
    let mut client = client();
    client.post(0);
    client.with(|session, moment, _| session.set_paused(StreamId(0), true, moment.now));
    assert_eq!(client.deadline(), None);
    client.pass_time(60_000);
    client.with(|session, moment, _| session.set_paused(StreamId(0), false, moment.now));
    assert_eq!(client.deadline(), Some(65_000));
    client.session.pause(client.now);
    assert_eq!(client.deadline(), None);
    client.pass_time(60_000);
    client.session.resume(client.now);
    assert_eq!(client.deadline(), Some(125_000));
}

#[test]
fn a_client_that_does_not_read_a_response_loses_it() {
    let mut client = client();
    client.get(0);
    client.answer(0, &"x".repeat(1_000));
    client.events();
    client.session.note_blocked(StreamId(0), client.now);
    assert_eq!(client.deadline(), Some(4_000));
    client.pass_time(3_000);
    client.session.handle_writable(StreamId(0));
    client.with(|session, moment, _| {
        assert!(session.next_output().is_some());
        session.note_written(StreamId(0), 100, moment);
        session.note_blocked(StreamId(0), moment.now);
    });
    assert_eq!(client.deadline(), Some(7_000));
    client.pass_time(4_000);
    assert_eq!(client.events(), ["0 aborted ResponseTimeout"]);
    assert_eq!(
        (client.read(), client.finished()),
        (vec!["0 RESET H3_REQUEST_CANCELLED".to_owned()], vec![0])
    );
}
