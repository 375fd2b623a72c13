//! Extended CONNECT (RFC 9220).

use super::*;

const CONNECT: [(&str, &str); 5] = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "https"),
    (":authority", "a"),
    (":path", "/chat"),
];

fn connect(client: &mut Client, stream: u64) {
    client.send(stream, &frame(HEADERS, &section(&CONNECT))).unwrap();
    assert_eq!(client.events(), [format!("{stream} GET /chat")]);
}

fn open(client: &mut Client, stream: u64) {
    assert!(client.with(|session, moment, _| session.open_tunnel(StreamId(stream), &OK, moment)));
}

#[test]
fn a_tunnel_carries_bytes_both_ways_until_each_side_has_ended_its_half() {
    let mut client = Client::new();
    connect(&mut client, 0);
    assert!(!client.session.wants_input(StreamId(0)), "not before it is open");
    open(&mut client, 0);
    assert_eq!(client.read(), ["0 read", "0 HEADERS :status=200"]);
    client.send(0, &data(b"up")).unwrap();
    client.write(0, b"down");
    assert_eq!((client.events(), client.read()), (vec!["0 body up".to_owned()], vec!["0 DATA 4".to_owned()]));
    client.send_last(0, &data(b"last")).unwrap();
    assert_eq!((client.events(), client.finished()), (vec!["0 body last|".to_owned()], vec![]));
    client.finish(0);
    assert_eq!((client.read(), client.finished()), (vec!["0 end".to_owned()], vec![0]));
}

#[test]
fn the_server_may_end_its_half_first() {
    let mut client = Client::new();
    connect(&mut client, 0);
    open(&mut client, 0);
    client.read();
    client.finish(0);
    assert_eq!((client.read(), client.finished()), (vec!["0 end".to_owned()], vec![]));
    assert_eq!(client.deadline(), None);
    client.send_last(0, &data(b"x")).unwrap();
    assert_eq!((client.events(), client.finished()), (vec!["0 body x|".to_owned()], vec![0]));
}

#[test]
fn a_tunnel_that_the_application_has_left_is_closed_once_all_is_sent() {
    let mut client = Client::new();
    for stream in [0, 4] {
        connect(&mut client, stream);
        open(&mut client, stream);
    }
    client.read();
    client.write(0, b"bye");
    client.with(|session, moment, _| session.leave_tunnel(StreamId(0), moment));
    assert_eq!(client.read(), ["0 DATA 3", "0 end", "0 STOP H3_NO_ERROR"]);
    client.finish(4);
    assert_eq!(client.read(), ["4 end"]);
    client.with(|session, moment, _| session.leave_tunnel(StreamId(4), moment));
    assert_eq!((client.read(), client.finished()), (vec!["4 STOP H3_NO_ERROR".to_owned()], vec![0, 4]));
}

#[test]
fn an_extended_connect_may_be_refused_as_any_request() {
    let mut client = Client::new();
    connect(&mut client, 0);
    let head = ResponseHead { status: b"403 Forbidden", ..OK };
    client.with(|session, moment, _| session.respond(StreamId(0), &head, b"no", moment));
    let expected = ["0 HEADERS :status=403 content-length=2", "0 DATA 2", "0 end", "0 STOP H3_NO_ERROR"];
    assert_eq!(client.read(), expected);
    client
        .send(
            4,
            &frame(
                HEADERS,
                &section(
                    &CONNECT
                        .map(|(name, value)| (name, if name == ":protocol" { "connect-udp" } else { value })),
                ),
            ),
        )
        .unwrap();
    let lines = client.read();
    assert_eq!(lines[0], "4 STOP H3_REQUEST_CANCELLED");
    assert!(lines[1].starts_with("4 HEADERS :status=501"), "{lines:?}");
}

#[test]
fn a_tunnel_has_no_trailers() {
    let mut client = Client::new();
    connect(&mut client, 0);
    open(&mut client, 0);
    client.read();
    let trailers = frame(HEADERS, &section(&[("x", "1")]));
    assert_eq!(client.send(0, &trailers), Err(Http3Error::UnexpectedFrame));
    assert_eq!(client.events(), ["0 aborted Broken(UnexpectedFrame)"]);
}

#[test]
fn a_tunnel_that_is_reset_is_aborted() {
    let mut client = Client::new();
    connect(&mut client, 0);
    open(&mut client, 0);
    client.read();
    client.reset(0).unwrap();
    assert_eq!(client.events(), ["0 aborted reset H3_REQUEST_CANCELLED"]);
    assert_eq!(client.finished(), [0]);
}
