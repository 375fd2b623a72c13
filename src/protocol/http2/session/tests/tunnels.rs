//! Extended CONNECT (RFC 8441).

use super::*;

const WEBSOCKET: [(&str, &str); 6] = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "https"),
    (":authority", "a"),
    (":path", "/chat"),
    ("sec-websocket-version", "13"),
];

/// A client that has asked for a tunnel.
fn asking() -> Client {
    let mut client = Client::new();
    client.send_frame(HEADERS, 0x4, 1, &block(&WEBSOCKET)).unwrap();
    assert_eq!(client.events(), ["1 GET /chat"]);
    client
}

fn accept(client: &mut Client, stream: u32) {
    let head = ResponseHead {
        status: b"101 Switching Protocols",
        fields: b"Sec-WebSocket-Protocol: p\r\nUpgrade: websocket\r\n",
        ..OK
    };
    client.with(|session, moment, out, _| {
        session.open_tunnel(StreamId(stream), &head, moment, out);
    });
}

#[test]
fn a_tunnel_carries_bytes_both_ways_until_both_sides_end_it() {
    let mut client = asking();
    accept(&mut client, 1);
    assert_eq!(client.read(), ["HEADERS 1 :status=200 sec-websocket-protocol=p"]);
    client.send(&data(1, b"frame", false)).unwrap();
    client.write(1, b"answer");
    assert_eq!(
        (client.events(), client.read()),
        (vec!["1 body frame".to_owned()], vec!["DATA 1 6".to_owned()])
    );
    client.finish(1);
    assert_eq!((client.read(), client.finished()), (vec!["DATA 1 0 end".to_owned()], vec![]));
    client.send(&data(1, b"last", false)).unwrap();
    client.send(&data(1, b"", true)).unwrap();
    assert_eq!((client.events(), client.finished()), (vec!["1 body last|".to_owned()], vec![1]));
}

#[test]
fn the_client_may_end_first() {
    let mut client = asking();
    accept(&mut client, 1);
    client.send(&data(1, b"bye", true)).unwrap();
    client.write(1, b"bye");
    client.finish(1);
    client.read();
    assert_eq!(client.finished(), [1]);
}

#[test]
fn a_tunnel_may_be_refused_like_any_request() {
    let mut client = asking();
    client.answer(1, "no");
    let expected = ["HEADERS 1 :status=200 content-length=2", "DATA 1 2 end", "RST_STREAM 1 NO_ERROR"];
    assert_eq!((client.read(), client.finished()), (expected.map(str::to_owned).to_vec(), vec![1]));
}

#[test]
fn other_streams_are_no_tunnels() {
    let mut client = Client::new();
    client.get(1);
    accept(&mut client, 1);
    assert_eq!(client.read(), [""; 0]);
    client.answer(1, "");
    assert_eq!(client.read().len(), 1);
}

#[test]
fn a_tunnel_has_no_deadline_and_no_largest_body() {
    let http = HttpLimits { max_body: 3, ..HttpLimits::default() };
    let mut client = Client::with_limits(Http2Limits::default(), http);
    client.send_frame(HEADERS, 0x4, 1, &block(&WEBSOCKET)).unwrap();
    accept(&mut client, 1);
    client.send(&data(1, b"more than three", false)).unwrap();
    client.write(1, &[0; 100_000]);
    client.read();
    assert_eq!(client.deadline(), None);
    assert_eq!(client.events(), ["1 GET /chat", "1 body more than three"]);
}

#[test]
fn an_unknown_protocol_is_not_implemented() {
    let mut client = Client::new();
    let fields =
        WEBSOCKET.map(|(name, value)| (name, if name == ":protocol" { "connect-udp" } else { value }));
    client.send_frame(HEADERS, 0x4, 1, &block(&fields)).unwrap();
    let lines = client.read();
    assert!(lines[0].starts_with("HEADERS 1 :status=501"), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("RST_STREAM 1 CANCEL"));
}
