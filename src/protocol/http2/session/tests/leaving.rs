//! GOAWAY, and what is served after it.

use super::*;

fn wind_down(client: &mut Client) {
    client.with(|session, moment, out, _| session.wind_down("CLOSED: why", moment.now, out));
}

/// The answer to the PING that follows a GOAWAY.
fn answer_ping(client: &mut Client) {
    client.send_frame(PING, 0x1, 0, b"goingout").unwrap();
}

const ANNOUNCED: [&str; 2] = ["GOAWAY 2147483647 NO_ERROR CLOSED", "PING"];

#[test]
fn what_the_client_sends_before_it_knows_is_served_and_later_requests_are_refused() {
    let mut client = Client::new();
    client.get(1);
    wind_down(&mut client);
    wind_down(&mut client);
    assert_eq!(client.read(), ANNOUNCED);
    client.get(3);
    answer_ping(&mut client);
    assert_eq!(client.read(), ["GOAWAY 3 NO_ERROR CLOSED"]);
    client.get(5);
    assert_eq!(client.read(), ["RST_STREAM 5 REFUSED_STREAM"]);
    client.answer(3, "");
    client.read();
    assert!(!client.session.is_closed());
    client.answer(1, "");
    client.read();
    assert!(client.session.is_closed());
    assert_eq!(client.finished(), [1, 3]);
}

#[test]
fn the_last_stream_of_a_goaway_never_rises() {
    let mut client = Client::new();
    client.get(1);
    wind_down(&mut client);
    answer_ping(&mut client);
    client.get(3);
    client.read();
    assert_eq!(client.send_frame(PING, 0, 1, &[0; 8]), Err(Http2Error::InvalidStream));
    assert_eq!(client.read_written(), ["GOAWAY 1 PROTOCOL_ERROR ERR_HTTP2_STREAM"]);
}

#[test]
fn an_idle_connection_closes_after_a_round_trip() {
    let mut client = Client::new();
    wind_down(&mut client);
    assert_eq!(client.read(), ANNOUNCED);
    assert!(!client.session.is_closed());
    client.send_frame(PING, 0x1, 0, b"anything").unwrap();
    assert!(!client.session.is_closed(), "the answer to another ping");
    answer_ping(&mut client);
    assert!(client.session.is_closed());
    assert_eq!(client.read_written(), ["GOAWAY 0 NO_ERROR CLOSED"]);
}

#[test]
fn a_client_that_does_not_answer_pings_is_not_waited_for() {
    let mut client = Client::new();
    client.get(1);
    client.answer(1, "");
    client.now.0 = 500;
    wind_down(&mut client);
    client.read();
    assert_eq!(client.deadline(), Some(1_500));
    assert_eq!(client.pass_time(1_000), Http2Timeout::None);
    assert_eq!(client.read_written(), ["GOAWAY 1 NO_ERROR CLOSED"]);
    assert!(client.session.is_closed());
}

#[test]
fn a_client_may_leave_and_still_gets_its_responses() {
    let mut client = Client::new();
    client.get(1);
    client.send_frame(GOAWAY, 0, 0, &[0; 8]).unwrap();
    assert!(!client.session.is_closed());
    client.answer(1, "last");
    assert_eq!(client.read()[1..], ["DATA 1 4 end"]);
    assert!(client.session.is_closed());
}

#[test]
fn a_violation_ends_the_connection_and_all_of_its_streams() {
    let mut client = Client::new();
    client.get(1);
    client.post(3);
    client.events();
    assert_eq!(client.send_frame(PING, 0, 0, b"short"), Err(Http2Error::InvalidFrameLength));
    assert_eq!(client.read_written(), ["GOAWAY 3 FRAME_SIZE_ERROR ERR_HTTP2_FRAME_LENGTH"]);
    let broken = "aborted Broken(InvalidFrameLength)";
    assert_eq!(client.events(), [format!("1 {broken}"), format!("3 {broken}")]);
    assert_eq!(client.finished(), [1, 3]);
    assert!(client.session.is_closed() && client.deadline().is_none());
    // What follows is discarded, and nothing more is sent.
    client.send(&headers(5, "GET", "/", &[], true)).unwrap();
    client.answer(1, "late");
    wind_down(&mut client);
    assert_eq!((client.read(), client.events()), (vec![], vec![]));
}

#[test]
fn a_connection_that_ends_at_once_says_why_and_nothing_else() {
    let mut client = Client::new();
    client.get(1);
    client.read();
    let leave = |client: &mut Client, why: &str| {
        client.with(|session, _, out, _| session.leave_at_once(ErrorCode::ENHANCE_YOUR_CALM, why, out));
    };
    leave(&mut client, "ERR_OUTPUT_LIMIT: because");
    leave(&mut client, "ERR_OTHER: once is enough");
    assert!(client.session.is_closed());
    assert_eq!(client.read_written(), ["GOAWAY 1 ENHANCE_YOUR_CALM ERR_OUTPUT_LIMIT"]);
}

#[test]
fn a_long_text_is_shortened_between_two_characters() {
    let mut client = Client::new();
    client.with(|session, moment, out, _| session.wind_down(&"€".repeat(20_000), moment.now, out));
    assert_eq!(client.read().len(), 2);
}

#[test]
fn a_lost_connection_aborts_every_stream_once() {
    let mut client = Client::new();
    client.get(1);
    client.get(3);
    let mut aborted = Vec::new();
    client.session.abort(|id| aborted.push(id.0));
    client.session.abort(|id| aborted.push(id.0));
    assert_eq!(aborted, [1, 3]);
    assert_eq!(client.finished(), [1, 3]);
}
