//! Each rule is broken once, and ends what it is meant to end with the code of the RFC.

use super::*;
use std::collections::HashSet;

use crate::protocol::http2::error::Scope;
use crate::protocol::http2::window::ReceiveWindow;
use crate::protocol::multiplexed::allowance::Rate;

/// What a client sends behind its preface, and the rule that this breaks. Streams 1 (which waits for its response) and 3
/// (whose body is not complete) are open; 5 is closed.
#[expect(clippy::too_many_lines, reason = "a table: a case or more for each rule")]
fn cases() -> Vec<(Http2Error, Vec<u8>)> {
    use Http2Error as E;
    let get = |fields: &[(&str, &str)]| headers(7, "GET", "/", fields, true);
    let raw = |fields: &[(&str, &str)]| frame(HEADERS, 0x5, 7, &block(fields));
    let pseudo = [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/")];
    let with = |place: usize, value: &'static str| {
        let mut fields = pseudo;
        fields[place].1 = value;
        raw(&fields)
    };
    vec![
        (E::FrameTooLong, frame(DATA, 0, 3, &[0; 16_385])),
        (E::FrameTooLong, frame(0x77, 0, 3, &[0; 16_385])),
        (E::InvalidFrameLength, frame(DATA, 0x8, 3, b"")),
        (E::InvalidFrameLength, [frame(DATA, 0x8, 3, b""), frame(DATA, 0, 3, b"x")].concat()),
        (E::InvalidFrameLength, frame(HEADERS, 0x8, 7, b"")),
        (E::InvalidFrameLength, frame(HEADERS, 0x20, 7, b"1234")),
        (E::InvalidFrameLength, frame(RST_STREAM, 0, 3, b"123")),
        (E::InvalidFrameLength, frame(SETTINGS, 0, 0, b"12345")),
        (E::InvalidFrameLength, frame(SETTINGS, 1, 0, b"123456")),
        (E::InvalidFrameLength, frame(PING, 0, 0, b"123456789")),
        (E::InvalidFrameLength, frame(GOAWAY, 0, 0, b"1234567")),
        (E::InvalidFrameLength, frame(WINDOW_UPDATE, 0, 0, b"12345")),
        (E::InvalidFrameLength, frame(PRIORITY_UPDATE, 0, 0, b"123")),
        (E::InvalidPriorityLength, frame(PRIORITY, 0, 3, b"1234")),
        (E::InvalidPriorityLength, frame(PRIORITY, 0, 9, b"1234")),
        (E::InvalidStream, data(0, b"x", false)),
        (E::InvalidStream, frame(HEADERS, 0x5, 0, b"")),
        (E::InvalidStream, frame(PRIORITY, 0, 0, &[0; 5])),
        (E::InvalidStream, frame(RST_STREAM, 0, 0, &[0; 4])),
        (E::InvalidStream, frame(SETTINGS, 0, 1, b"")),
        (E::InvalidStream, frame(PING, 0, 1, &[0; 8])),
        (E::InvalidStream, frame(GOAWAY, 0, 1, &[0; 8])),
        (E::InvalidStream, frame(PRIORITY_UPDATE, 0, 1, &[0, 0, 0, 1])),
        (E::InvalidStreamId, headers(2, "GET", "/", &[], true)),
        (E::InvalidStreamId, [headers(9, "GET", "/", &[], true), headers(7, "GET", "/", &[], true)].concat()),
        (E::IdleStream, data(7, b"x", false)),
        (E::IdleStream, data(2, b"x", false)),
        (E::IdleStream, reset(7)),
        (E::IdleStream, window_update(7, 1)),
        (E::IdleStream, window_update(2, 1)),
        (E::StreamEnded, data(1, b"x", true)),
        (E::StreamEnded, headers(1, "GET", "/", &[], true)),
        (E::StreamClosed, headers(5, "GET", "/", &[], true)),
        (E::InvalidPadding, frame(DATA, 0x8, 3, b"\x02x")),
        (E::InvalidPadding, frame(HEADERS, 0xd, 7, b"\x05abcd")),
        (E::ExpectedContinuation, [frame(HEADERS, 0, 7, b""), frame(PING, 0, 0, &[0; 8])].concat()),
        (E::ExpectedContinuation, [frame(HEADERS, 0, 7, b""), frame(CONTINUATION, 4, 9, b"")].concat()),
        (E::ExpectedContinuation, [frame(HEADERS, 0, 7, b""), frame(0x77, 0, 0, b"")].concat()),
        (E::UnexpectedContinuation, frame(CONTINUATION, 4, 3, b"")),
        (E::PushPromise, frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 2])),
        (E::InvalidSetting, setting(2, 2)),
        (E::InvalidSetting, setting(MAX_FRAME_SIZE, 16_383)),
        (E::InvalidInitialWindow, setting(INITIAL_WINDOW_SIZE, 1 << 31)),
        (E::EmptyWindowUpdate, window_update(3, 0)),
        (E::EmptyConnectionWindowUpdate, window_update(0, 0)),
        (E::WindowTooLarge, window_update(3, 0x7fff_ffff)),
        (E::ConnectionWindowTooLarge, window_update(0, 0x7fff_ffff)),
        (
            E::ConnectionWindowTooLarge,
            [window_update(3, 1_000), setting(INITIAL_WINDOW_SIZE, 0x7fff_ffff)].concat(),
        ),
        (E::WindowExceeded, data(3, &[0; 1_001], false)),
        (E::ConnectionWindowExceeded, data(3, &[0; 501], false)),
        (E::InvalidHeaderBlock, frame(HEADERS, 0x5, 7, b"\x80")),
        (E::InvalidHeaderBlock, frame(HEADERS, 0x5, 3, b"\x80")),
        (E::InvalidHeaderBlock, frame(HEADERS, 0x5, 1, b"\x80")),
        (E::SelfDependency, frame(PRIORITY, 0, 3, &[0, 0, 0, 3, 0])),
        (E::SelfDependency, frame(PRIORITY, 0, 9, &[0x80, 0, 0, 9, 0])),
        (
            E::SelfDependency,
            frame(HEADERS, 0x25, 7, &[&[0, 0, 0, 7, 0][..], &request_block("GET", "/", &[])].concat()),
        ),
        (E::InvalidPriorityUpdate, frame(PRIORITY_UPDATE, 0, 0, &[0, 0, 0, 2])),
        (E::InvalidPriorityUpdate, frame(PRIORITY_UPDATE, 0, 0, &[0; 4])),
        (E::UnknownPseudoField, raw(&[&pseudo[..], &[(":status", "200")]].concat())),
        (E::InvalidPseudoFields, raw(&pseudo[1..])),
        (E::MisplacedPseudoField, raw(&[&pseudo[..3], &[("a", "1")], &pseudo[3..]].concat())),
        (E::MisplacedPseudoField, frame(HEADERS, 0x5, 3, &block(&[(":path", "/")]))),
        (E::InvalidFieldName, get(&[("Capital", "1")])),
        (E::InvalidFieldName, frame(HEADERS, 0x5, 3, &block(&[("Capital", "1")]))),
        (E::InvalidFieldValue, get(&[("a", "1\r\nb: 2")])),
        (E::ConnectionField, get(&[("transfer-encoding", "chunked")])),
        (E::InvalidMethod, with(0, "G T")),
        (E::InvalidPath, with(3, "x")),
        (E::InvalidAuthority, with(2, "a/b")),
        (E::InvalidContentLength, get(&[("content-length", "x")])),
        (E::ContentLengthMismatch, get(&[("content-length", "1")])),
        (E::UnknownProtocol, raw(&[&[(":method", "CONNECT"), (":protocol", "x")], &pseudo[1..]].concat())),
        (E::UnfinishedTrailers, frame(HEADERS, 0x4, 3, &block(&[("a", "1")]))),
        (E::TooManyStreams, [headers(7, "GET", "/", &[], true), headers(9, "GET", "/", &[], true)].concat()),
        (
            E::HeaderBlockTooLong,
            [frame(HEADERS, 0, 7, b""), frame(CONTINUATION, 0, 7, b"").repeat(17)].concat(),
        ),
        (
            E::TooManyResets,
            [
                window_update(3, 0),
                headers(7, "GET", "/", &[("upgrade", "x")], true),
                headers(9, "GET", "/", &[("upgrade", "x")], true),
            ]
            .concat(),
        ),
        (E::TooManyIdleFrames, frame(PING, 0, 0, &[0; 8]).repeat(60)),
    ]
}

/// A client in the state that the cases ask for.
fn client() -> Client {
    let limits = Http2Limits {
        max_concurrent_streams: 3,
        stream_window: 1_000,
        connection_window: 65_535,
        resets: Rate { burst: 2, per_second: 0 },
        idle_frames: Rate { burst: 30, per_second: 0 },
        ..Http2Limits::default()
    };
    let mut client = Client::with_limits(limits, HttpLimits::default());
    client.get(1);
    client.post(3);
    client.get(5);
    client.answer(5, "");
    client.read();
    client.events();
    client
}

#[test]
fn every_rule_ends_what_it_is_meant_to_end() {
    let mut broken = HashSet::from([
        // Tested below, and where the deadlines are.
        Http2Error::InvalidPreface,
        Http2Error::ExpectedSettings,
        Http2Error::HeadersTimeout,
    ]);
    for (error, bytes) in cases() {
        broken.insert(error);
        let mut client = client();
        if error == Http2Error::ConnectionWindowExceeded {
            client.session.receive_window = ReceiveWindow::new(500);
        }
        let result = client.send(&bytes);
        let lines = client.read_written();
        let last = lines.last().cloned().unwrap_or_default();
        let code = error.error_code().name();
        // There is no RST_STREAM for a stream that was not opened.
        let is_idle = bytes[3] == PRIORITY && bytes[8] == 9;
        if error.scope() == Scope::Connection || is_idle {
            assert_eq!(result, Err(error), "{error:?} {lines:?}");
            assert!(last.starts_with("GOAWAY ") && last.contains(code), "{error:?} {lines:?}");
            assert!(client.session.is_closed());
        } else {
            assert_eq!(result, Ok(()), "{error:?} {lines:?}");
            assert!(last.starts_with("RST_STREAM ") && last.ends_with(code), "{error:?} {lines:?}");
            assert!(!client.session.is_closed());
            assert!(client.session.has_streams(), "{error:?}");
        }
        for line in client.events() {
            let is_of_rule = line.contains("GET")
                || line.contains("body")
                || line.ends_with(&format!("Broken({error:?})"));
            assert!(is_of_rule || error == Http2Error::TooManyResets, "{error:?} {line}");
        }
    }
    let unbroken: Vec<_> = Http2Error::ALL.iter().filter(|error| !broken.contains(error)).collect();
    assert!(unbroken.is_empty(), "{unbroken:?}");
}

#[test]
fn the_preface_is_checked_byte_by_byte() {
    for cut in 0..PREFACE.len() {
        let mut client = Client::silent(Http2Limits::default(), HttpLimits::default());
        client.send(&PREFACE[..cut]).unwrap();
        let wrong = PREFACE[cut] ^ 1;
        assert_eq!(client.send(&[wrong]), Err(Http2Error::InvalidPreface), "at {cut}");
        assert_eq!(client.read_written(), ["GOAWAY 0 PROTOCOL_ERROR ERR_HTTP2_PREFACE"]);
    }
}

#[test]
fn settings_come_first() {
    for first in [
        frame(PING, 0, 0, &[0; 8]),
        headers(1, "GET", "/", &[], true),
        frame(SETTINGS, 1, 0, b""),
        frame(0x77, 0, 0, b""),
    ] {
        let mut client = Client::silent(Http2Limits::default(), HttpLimits::default());
        client.send(PREFACE).unwrap();
        assert_eq!(client.send(&first), Err(Http2Error::ExpectedSettings));
    }
}

#[test]
fn unknown_frames_flags_and_settings_are_ignored() {
    let mut client = Client::new();
    client.send_frame(0x77, 0xff, 0, b"anything").unwrap();
    client.send_frame(0x77, 0xff, 77, b"").unwrap();
    client.send(&setting(0x7777, 7)).unwrap();
    client.send_frame(HEADERS, 0x5 | 0xd2, 1, &request_block("GET", "/", &[])).unwrap();
    assert_eq!(client.events(), ["1 GET /", "1 body |"]);
    assert_eq!(client.read(), ["SETTINGS ack"]);
}

#[test]
fn data_for_a_closed_stream_is_answered_by_a_reset() {
    let mut client = Client::new();
    client.get(1);
    client.answer(1, "");
    client.read();
    client.send(&data(1, b"x", true)).unwrap();
    assert_eq!(client.read(), ["RST_STREAM 1 STREAM_CLOSED"]);
}
