use super::*;
use crate::protocol::cause::Cause;

/// Key and answer of RFC 6455 §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn wishes() -> UpgradeRequest {
    UpgradeRequest {
        target: "/chat?room=1".to_owned(),
        host: "example.com".to_owned(),
        ..UpgradeRequest::default()
    }
}

fn handshake(subprotocols: &[&str], compression: u32) -> ClientHandshake {
    let compression = Compression::from_option(compression).unwrap();
    let subprotocols = subprotocols.iter().map(|&it| it.to_owned()).collect();
    ClientHandshake::with_key(UpgradeRequest { subprotocols, compression, ..wishes() }, KEY).unwrap()
}

/// A 101 with these lines instead of the usual ones of the same name.
fn response(lines: &[&str]) -> Vec<u8> {
    let name = |line: &str| line.split(':').next().unwrap().to_ascii_lowercase();
    let usual = ["Upgrade: websocket", "Connection: Upgrade", &format!("Sec-WebSocket-Accept: {ACCEPT}")];
    let mut text = "HTTP/1.1 101 Switching Protocols\r\n".to_owned();
    for line in usual.iter().filter(|line| lines.iter().all(|other| name(other) != name(line))) {
        text += &format!("{line}\r\n");
    }
    for line in lines {
        text += &format!("{line}\r\n");
    }
    (text + "\r\n").into_bytes()
}

fn check(handshake: &ClientHandshake, bytes: &[u8]) -> Result<Grant, ConnectFailure> {
    let head = ClientHandshake::read(bytes)?.unwrap();
    assert_eq!(head.length, bytes.len());
    handshake.check(head)
}

/// The cause for which a response with these lines is refused.
fn refused(lines: &[&str]) -> ConnectCause {
    check(&handshake(&["chat"], 1), &response(lines)).unwrap_err().cause
}

#[test]
fn the_request_has_what_a_handshake_needs_and_what_was_wished_for() {
    let fields = vec![("Origin".to_owned(), b"http://a".to_vec()), ("X-A".to_owned(), b"1".to_vec())];
    let subprotocols = vec!["chat".to_owned(), "talk".to_owned()];
    let compression = Compression::from_option(248 | 3840).unwrap();
    let handshake =
        ClientHandshake::with_key(UpgradeRequest { fields, subprotocols, compression, ..wishes() }, KEY)
            .unwrap();
    let request = String::from_utf8(handshake.request().to_vec()).unwrap();
    let (head, rest) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(rest, "");
    let mut lines: Vec<String> = head.lines().map(str::to_ascii_lowercase).collect();
    assert_eq!(lines.remove(0), "get /chat?room=1 http/1.1");
    lines.sort();
    let mut expected = [
        "connection: upgrade",
        "host: example.com",
        "origin: http://a",
        "sec-websocket-extensions: permessage-deflate; client_max_window_bits",
        &format!("sec-websocket-key: {}", KEY.to_ascii_lowercase()),
        "sec-websocket-protocol: chat, talk",
        "sec-websocket-version: 13",
        "upgrade: websocket",
        "x-a: 1",
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[test]
fn every_key_is_new() {
    let key = || ClientHandshake::new(wishes()).unwrap().accept;
    assert_ne!(key(), key());
}

#[test]
fn wishes_that_make_no_request_are_named() {
    let with = |change: fn(&mut UpgradeRequest)| {
        let mut wishes = wishes();
        change(&mut wishes);
        ClientHandshake::new(wishes).unwrap_err()
    };
    let field = |name: &str, value: &str| vec![(name.to_owned(), value.as_bytes().to_vec())];
    assert_eq!(with(|it| it.target = "/a b".to_owned()), InvalidUpgradeRequest::Target);
    for (name, value) in [("", "x"), ("a b", "x"), ("a", "x\r\ny"), ("a\n", "x"), ("a", "\0")] {
        let error =
            ClientHandshake::new(UpgradeRequest { fields: field(name, value), ..wishes() }).unwrap_err();
        assert_eq!(error, InvalidUpgradeRequest::Field(name.to_owned()));
    }
    for name in ["Upgrade", "connection", "Sec-WebSocket-Key", "SEC-WEBSOCKET-VERSION", "Content-Length"] {
        let error =
            ClientHandshake::new(UpgradeRequest { fields: field(name, "1"), ..wishes() }).unwrap_err();
        assert_eq!(error, InvalidUpgradeRequest::OwnField(name.to_owned()));
    }
    for subprotocol in ["", "a b", "a,b", "ä"] {
        let subprotocols = vec![subprotocol.to_owned()];
        let error = ClientHandshake::new(UpgradeRequest { subprotocols, ..wishes() }).unwrap_err();
        assert_eq!(error, InvalidUpgradeRequest::Subprotocol(subprotocol.to_owned()));
    }
    let twice = with(|it| it.subprotocols = vec!["a".to_owned(), "b".to_owned(), "a".to_owned()]);
    assert_eq!(twice, InvalidUpgradeRequest::Subprotocol("a".to_owned()));
}

#[test]
fn more_fields_than_a_request_can_have_are_refused() {
    let fields: Vec<_> = (0..30_000).map(|number| (format!("x-{number}"), Vec::new())).collect();
    let least_refused = (0..=fields.len()).collect::<Vec<_>>().partition_point(|count| {
        ClientHandshake::new(UpgradeRequest { fields: fields[..*count].to_vec(), ..wishes() }).is_ok()
    });
    // Whether it is one of these or of our own that is one too many.
    for count in [least_refused, least_refused + 10, fields.len()] {
        let fields = fields[..count].to_vec();
        assert_eq!(
            ClientHandshake::new(UpgradeRequest { fields, ..wishes() }).unwrap_err(),
            InvalidUpgradeRequest::TooMany,
            "{count}"
        );
    }
    let same = vec![("x".to_owned(), Vec::new()); 70_000];
    assert!(ClientHandshake::new(UpgradeRequest { fields: same, ..wishes() }).is_ok());
}

#[test]
fn a_host_may_be_given() {
    let fields = vec![("HOST".to_owned(), b"other:1".to_vec())];
    let handshake = ClientHandshake::new(UpgradeRequest { fields, ..wishes() }).unwrap();
    let request = String::from_utf8(handshake.request().to_vec()).unwrap();
    assert_eq!(request.matches("Host: ").count(), 1);
    assert!(request.contains("\r\nHost: other:1\r\n"));
}

#[test]
fn a_valid_response_grants_what_it_says() {
    let lines = [
        "Sec-WebSocket-Protocol: talk",
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover",
        "X-Server: a",
        "X-Server: b",
    ];
    let bytes = response(&lines);
    let grant = check(&handshake(&["chat", "talk"], 1), &bytes).unwrap();
    assert_eq!(grant.subprotocol, "talk");
    assert_eq!(grant.extensions, "permessage-deflate; server_no_context_takeover");
    assert!(grant.agreement.is_some());
    let servers: Vec<_> = grant.fields.iter().filter(|(name, _)| name == "x-server").collect();
    assert_eq!(servers.len(), 2);
}

#[test]
fn a_head_is_incomplete_until_its_last_byte_and_what_follows_is_left() {
    let head = response(&[]);
    for length in 0..head.len() {
        assert!(ClientHandshake::read(&head[..length]).unwrap().is_none(), "{length}");
    }
    let bytes = [&head[..], b"\x81\x02hi"].concat();
    assert_eq!(ClientHandshake::read(&bytes).unwrap().unwrap().length, head.len());
}

#[test]
fn upgrade_and_connection_may_be_written_in_any_way_http_allows() {
    for lines in [
        &["upgrade: WebSocket", "connection: keep-alive, upgrade"][..],
        &["Connection: keep-alive", "Connection: UPGRADE"],
        &["Connection:Upgrade"],
    ] {
        assert!(check(&handshake(&[], 0), &response(lines)).is_ok(), "{lines:?}");
    }
}

#[test]
fn every_broken_rule_has_its_cause() {
    for lines in [&["Upgrade: h2c"][..], &["Upgrade:"], &["Upgrade: websocket, h2c"], &["Connection: close"]]
    {
        assert_eq!(refused(lines), ConnectCause::Upgrade, "{lines:?}");
    }
    let twice = format!("Sec-WebSocket-Accept: {ACCEPT}");
    for lines in [
        &["Sec-WebSocket-Accept:"][..],
        &["Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA="],
        // RFC 6455 §11.3.3: not more than once.
        &[&twice, &twice],
    ] {
        assert_eq!(refused(lines), ConnectCause::Accept, "{lines:?}");
    }
    for value in ["x-webkit-deflate-frame", "permessage-deflate; nonsense", "permessage-deflate,,;"] {
        let line = format!("Sec-WebSocket-Extensions: {value}");
        assert_eq!(refused(&[&line]), ConnectCause::Extension, "{value}");
    }
    for lines in [&[][..], &["Sec-WebSocket-Protocol: CHAT"], &["Sec-WebSocket-Protocol: chat, chat"]] {
        assert_eq!(refused(lines), ConnectCause::Subprotocol, "{lines:?}");
    }
    let unasked = check(&handshake(&[], 0), &response(&["Sec-WebSocket-Protocol: chat"])).unwrap_err();
    assert_eq!(unasked.cause, ConnectCause::Subprotocol);
    assert_eq!(unasked.response.unwrap().status, 101);
}

#[test]
fn another_status_is_reported_with_its_fields() {
    let failure =
        check(&handshake(&[], 0), b"HTTP/1.1 401 Unauthorized\r\nX-Why: no token\r\n\r\n").unwrap_err();
    assert_eq!(failure.cause, ConnectCause::Status);
    assert_eq!(failure.text(), "Server refused the upgrade to WebSocket: status 401 Unauthorized");
    let response = failure.response.unwrap();
    assert_eq!((response.status, response.fields), (401, vec![("x-why".to_owned(), b"no token".to_vec())]));
}

#[test]
fn interim_responses_are_no_answer() {
    let is_interim = |bytes: &[u8]| ClientHandshake::read(bytes).unwrap().unwrap().is_interim();
    assert!(is_interim(b"HTTP/1.1 100 Continue\r\n\r\n"));
    assert!(is_interim(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"));
    assert!(!is_interim(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"));
    assert!(!is_interim(b"HTTP/1.1 200 OK\r\n\r\n"));
}

#[test]
fn what_is_no_http_is_told_as_soon_as_it_shows() {
    for bytes in [
        &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.0 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 1O1 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nno field\r\n\r\n",
    ] {
        let failure = ClientHandshake::read(bytes).unwrap_err();
        assert_eq!(failure.cause, ConnectCause::Response, "{bytes:?}");
        assert!(!failure.detail.is_empty());
    }
}

#[test]
fn a_head_without_end_is_refused() {
    let mut bytes = b"HTTP/1.1 101 Switching Protocols\r\nX-Long: ".to_vec();
    bytes.resize(LONGEST_HEAD - 1, b'x');
    assert!(ClientHandshake::read(&bytes).unwrap().is_none());
    bytes.push(b'x');
    assert_eq!(ClientHandshake::read(&bytes).unwrap_err().cause, ConnectCause::Response);
    bytes.extend_from_slice(b"\r\n\r\n");
    assert_eq!(ClientHandshake::read(&bytes).unwrap_err().cause, ConnectCause::Response);
}
