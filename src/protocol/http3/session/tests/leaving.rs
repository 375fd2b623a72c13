//! How connections end.

use std::time::Duration;

use super::*;

const LAST: u64 = (1 << 62) - 4;

fn wind_down(client: &mut Client) {
    client.with(|session, moment, _| session.wind_down(Duration::from_millis(300), moment.now));
}

#[test]
fn a_graceful_end_serves_what_was_sent_before_it_was_known() {
    let mut client = Client::new();
    client.get(0);
    wind_down(&mut client);
    wind_down(&mut client);
    assert_eq!(client.read(), [format!("3 GOAWAY {LAST}")]);
    client.get(4);
    assert_eq!(client.deadline(), Some(300));
    client.pass_time(300);
    assert_eq!(client.read(), ["3 GOAWAY 8"]);
    client.send(8, &headers("GET", "/", &[])).unwrap();
    assert_eq!(client.read(), ["8 RESET H3_REQUEST_REJECTED", "8 STOP H3_REQUEST_REJECTED"]);
    assert_eq!(client.events(), ["0 GET /", "0 body |", "4 GET /", "4 body |"]);
    for stream in [0, 4] {
        assert!(!client.session.is_closed());
        client.answer(stream, "a");
        client.read();
    }
    assert!(client.session.is_closed() && client.session.is_winding_down());
    assert_eq!((client.finished(), client.deadline()), (vec![0, 4, 8], None));
}

#[test]
fn a_connection_without_streams_ends_a_round_trip_later() {
    let mut client = Client::new();
    wind_down(&mut client);
    assert!(!client.session.is_closed());
    client.pass_time(300);
    assert_eq!(client.read(), [format!("3 GOAWAY {LAST}"), "3 GOAWAY 0".to_owned()]);
    assert!(client.session.is_closed());
}

#[test]
fn a_connection_that_is_lost_takes_its_streams_along() {
    let mut client = Client::new();
    client.get(0);
    client.send(4, &headers("GET", "/", &[])[..4]).unwrap();
    let mut aborted = Vec::new();
    client.session.abort(|id| aborted.push(id.0));
    assert_eq!((aborted, client.finished()), (vec![0], vec![0, 4]), "nobody was told of the second");
    assert!(client.session.is_closed() && !client.session.wants_input(StreamId(8)));
    client.send(8, &[0xff; 100]).unwrap();
    client.answer(0, "late");
    client.reset(0).unwrap();
    assert_eq!((client.read(), client.deadline()), (vec![], None));
}

#[test]
fn an_error_of_the_connection_aborts_all_streams_and_names_itself() {
    let mut client = Client::new();
    client.get(0);
    client.post(4);
    client.events();
    assert_eq!(client.send(4, &frame(SETTINGS, b"")), Err(Http3Error::UnexpectedFrame));
    assert_eq!(client.events(), ["0 aborted Broken(UnexpectedFrame)", "4 aborted Broken(UnexpectedFrame)"]);
    assert_eq!(client.read(), ["CLOSE H3_FRAME_UNEXPECTED ERR_HTTP3_UNEXPECTED_FRAME"]);
    assert!(client.session.is_closed());
}

#[test]
fn the_goaway_of_a_client_ends_nothing() {
    let mut client = Client::new();
    client.send(CONTROL, &frame(GOAWAY, &[0])).unwrap();
    client.get(0);
    client.answer(0, "a");
    assert_eq!(client.read().len(), 3);
    assert!(!client.session.is_closed());
}
