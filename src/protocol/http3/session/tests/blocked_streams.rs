//! Field sections that need entries which the encoder stream has not brought yet (RFC 9204 §2.1.2).

use super::*;

/// Sets a capacity of 4,096 bytes.
const CAPACITY: [u8; 4] = [0x02, 0x3f, 0xe1, 0x1f];

/// A request whose last field is the first entry of the dynamic table.
fn dependent(path: &str) -> Vec<u8> {
    let fields = request_section("GET", path, &[]);
    frame(HEADERS, &[&[2, 0][..], &fields[2..], &[0x80]].concat())
}

#[test]
fn a_request_waits_for_the_entries_that_it_needs() {
    let mut client = Client::new();
    client.send(ENCODER, &CAPACITY).unwrap();
    client.send_last(0, &dependent("/0")).unwrap();
    client.send(4, &dependent("/4")).unwrap();
    client.get(8);
    assert_eq!(client.events(), ["8 GET /", "8 body |"], "the others do not wait");
    assert!(!client.session.wants_input(StreamId(4)));
    client.send(4, &data(b"body")).unwrap();
    client.send(ENCODER, &[0x41, b'a', 1]).unwrap();
    assert_eq!(client.events(), [""; 0]);
    client.send(ENCODER, b"b").unwrap();
    assert_eq!(client.events(), ["0 GET /0", "0 body |", "4 GET /4", "4 body body"]);
    // Section acknowledgements of both; the insertion is known by them.
    assert_eq!(client.read(), ["4 read", "7 [80, 84]"]);
    client.send(ENCODER, &[0x41, b'c', 1, b'd']).unwrap();
    assert_eq!(client.read(), ["7 [1]"], "nobody needed it");
}

#[test]
fn trailers_may_wait_too() {
    let mut client = Client::new();
    client.send(ENCODER, &CAPACITY).unwrap();
    client.post(0);
    client.send_last(0, &[data(b"x"), frame(HEADERS, &[2, 0, 0x80])].concat()).unwrap();
    assert_eq!(client.events(), ["0 POST /", "0 body x"]);
    client.send(ENCODER, &[0x41, b'a', 1, b'b']).unwrap();
    assert_eq!(client.events(), ["0 body |"]);
}

#[test]
fn no_more_streams_may_wait_than_the_setting_allows() {
    let limits = Http3Limits { max_blocked_streams: 2, ..Http3Limits::default() };
    let mut client = Client::with_limits(limits, HttpLimits::default());
    client.send(0, &dependent("/")).unwrap();
    client.send(4, &dependent("/")).unwrap();
    client.reset(0).unwrap();
    client.send(8, &dependent("/")).unwrap();
    assert_eq!(client.send(12, &dependent("/")), Err(Http3Error::TooManyBlockedStreams));
    let none = Http3Limits { max_blocked_streams: 0, ..limits };
    let mut client = Client::with_limits(none, HttpLimits::default());
    assert_eq!(client.send(0, &dependent("/")), Err(Http3Error::TooManyBlockedStreams));
    let no_table = Http3Limits { table_capacity: 0, ..limits };
    let mut client = Client::with_limits(no_table, HttpLimits::default());
    assert_eq!(client.send(0, &dependent("/")), Err(Http3Error::InvalidFieldSection));
}

#[test]
fn a_stream_that_is_given_up_is_cancelled() {
    let mut client = Client::new();
    client.send(ENCODER, &[&CAPACITY[..], &[0x41, b'a', 1, b'b']].concat()).unwrap();
    client.read();
    client.post(0);
    client.reset(0).unwrap();
    assert!(client.read().contains(&"7 [40]".to_owned()));
    client.get(4);
    client.stop(4).unwrap();
    assert_eq!(client.read(), ["4 RESET H3_REQUEST_CANCELLED"], "all of its sections were decoded");
}

#[test]
fn streams_that_wait_do_not_exceed_the_room_of_the_application_once_they_go_on() {
    let mut client = Client::new();
    client.send(ENCODER, &CAPACITY).unwrap();
    for stream in [0, 4, 8] {
        client.send_last(stream, &dependent("/")).unwrap();
    }
    client.room = 1;
    client.send(ENCODER, &[0x41, b'a', 1, b'b']).unwrap();
    assert_eq!(client.events(), ["0 GET /", "0 body |"]);
    assert!(client.session.unhandled() > 0);
    client.take_pending().unwrap();
    client.take_pending().unwrap();
    assert_eq!(client.events(), ["4 GET /", "4 body |", "8 GET /", "8 body |"]);
}

#[test]
fn a_head_that_waits_for_too_long_is_answered() {
    let mut client = Client::new();
    client.send_last(0, &dependent("/")).unwrap();
    client.pass_time(10_000);
    let lines = client.read();
    assert!(lines[0].starts_with("0 HEADERS :status=408"), "{lines:?}");
    client.send(ENCODER, &[&CAPACITY[..], &[0x41, b'a', 1, b'b']].concat()).unwrap();
    assert_eq!(client.events(), [""; 0]);
}
