//! A client that breaks each of the rules.

use super::*;
use crate::protocol::cause::Cause;
use crate::protocol::http3::error::Scope;
use crate::protocol::multiplexed::allowance::Rate;

/// Sends on streams what breaks the rule, and returns what the session did.
#[expect(clippy::too_many_lines, reason = "a table: how each rule is broken")]
fn break_rule(error: Http3Error) -> (Client, Result<(), Http3Error>) {
    use Http3Error as E;
    let limits = Http3Limits {
        max_blocked_streams: 0,
        resets: Rate { burst: 1, per_second: 0 },
        idle_frames: Rate { burst: 1, per_second: 0 },
        ..Http3Limits::default()
    };
    let mut client = Client::with_limits(limits, HttpLimits::default());
    let control = |client: &mut Client, kind, payload: &[u8]| client.send(CONTROL, &frame(kind, payload));
    let fields =
        |client: &mut Client, fields: &[(&str, &str)]| client.send_last(0, &headers("GET", "/", fields));
    let result = match error {
        E::RepeatedStream => client.send(14, &[0]),
        E::PushStream => client.send(6, &[1]),
        E::ClosedCriticalStream => client.send_last(CONTROL, b""),
        E::ExpectedSettings => {
            client = Client::silent(limits, HttpLimits::default());
            client.send(2, &[&[0][..], &frame(MAX_PUSH_ID, &[0])].concat())
        }
        E::RepeatedSettings => control(&mut client, SETTINGS, b""),
        E::UnexpectedFrame => control(&mut client, DATA, b""),
        E::ReservedFrame => control(&mut client, 0x6, &[0; 8]),
        E::ExpectedHeaders => client.send(0, &data(b"x")),
        E::FrameAfterTrailers => {
            client.post(0);
            let trailers = frame(HEADERS, &section(&[]));
            client.send(0, &[trailers, data(b"x")].concat())
        }
        E::PushPromise => client.send(0, &frame(PUSH_PROMISE, &[0, 0, 0])),
        E::InvalidFrameLength => control(&mut client, GOAWAY, &[0, 0]),
        E::TruncatedFrame => client.send_last(0, &headers("GET", "/", &[])[..7]),
        E::FrameTooLong => control(&mut client, PRIORITY_UPDATE, &[0; 3000]),
        E::InvalidSetting | E::RepeatedSetting => {
            client = Client::silent(limits, HttpLimits::default());
            let both = if error == E::InvalidSetting { [(2, 0), (9, 9)] } else { [(6, 1), (6, 1)] };
            client.send(2, &settings(&both))
        }
        E::InvalidPushId => control(&mut client, CANCEL_PUSH, &[0]),
        E::InvalidGoAway => {
            client.earn();
            control(&mut client, GOAWAY, &[0]).and_then(|()| control(&mut client, GOAWAY, &[1]))
        }
        E::InvalidPriorityUpdate => control(&mut client, PRIORITY_UPDATE, &[2]),
        E::InvalidFieldSection => client.send(0, &frame(HEADERS, &[0, 0, 0x80])),
        E::TooManyBlockedStreams => client.send(0, &frame(HEADERS, &[2, 0, 0x80])),
        E::InvalidEncoderInstruction => client.send(ENCODER, &[2, 0x00]),
        E::InvalidDecoderInstruction => client.send(DECODER, &[3, 0x01]),
        E::UnknownPseudoField => {
            client.send_last(0, &frame(HEADERS, &section(&[(":status", "200"), (":method", "GET")])))
        }
        E::InvalidPseudoFields => client.send_last(0, &frame(HEADERS, &section(&[(":method", "GET")]))),
        E::MisplacedPseudoField => fields(&mut client, &[("a", "b"), (":method", "GET")]),
        E::InvalidFieldName => fields(&mut client, &[("A", "b")]),
        E::InvalidFieldValue => fields(&mut client, &[("a", "\n")]),
        E::ConnectionField => fields(&mut client, &[("upgrade", "x")]),
        E::InvalidMethod => client.send_last(0, &headers("G T", "/", &[])),
        E::InvalidPath => client.send_last(0, &headers("GET", "x", &[])),
        E::InvalidAuthority => fields(&mut client, &[("host", "other")]),
        E::InvalidContentLength => fields(&mut client, &[("content-length", "x")]),
        E::ContentLengthMismatch => fields(&mut client, &[("content-length", "1")]),
        E::UnknownProtocol => client.send_last(
            0,
            &frame(
                HEADERS,
                &section(&[
                    (":method", "CONNECT"),
                    (":protocol", "x"),
                    (":scheme", "https"),
                    (":authority", "a"),
                    (":path", "/"),
                ]),
            ),
        ),
        E::IncompleteRequest => client.send_last(0, b""),
        E::RequestAfterGoAway => {
            client.with(|session, moment, _| session.wind_down(std::time::Duration::ZERO, moment.now));
            client.pass_time(0);
            client.read();
            client.send_last(0, &headers("GET", "/", &[]))
        }
        E::TooLongPartialHeads => {
            let half = &frame(HEADERS, &[0; 1024])[..1000];
            client.limits.head.max_head_bytes = 0;
            (0..9).rev().try_for_each(|number| client.send(4 * number, half))
        }
        E::TooManyResets => client.reset(0).and_then(|()| client.reset(4)),
        E::TooManyIdleFrames => {
            control(&mut client, GREASE, b"").and_then(|()| control(&mut client, GREASE, b""))
        }
        E::UnreadStream => {
            client.session.decoder_stream.bytes.resize(20_000, 0);
            client.send_last(0, &headers("GET", "/", &[]))
        }
        E::HeadersTimeout => {
            client.pass_time(10_000);
            Err(error)
        }
        E::NoRequest => {
            client.get(0);
            client.answer(0, "");
            client.read();
            client.pass_time(10_000);
            Err(error)
        }
    };
    (client, result)
}

impl Client {
    /// Sends a request, which gives cause for frames that ask for nothing.
    fn earn(&mut self) {
        self.get(0);
        self.answer(0, "");
        self.read();
        self.finished();
        self.events();
    }
}

#[test]
fn every_rule_can_be_broken_and_ends_what_it_says() {
    for error in Http3Error::ALL {
        let (mut client, result) = break_rule(error);
        let code = error.error_code().name();
        let lines = client.read();
        match error.scope() {
            Scope::Connection => {
                assert_eq!(result, Err(error));
                let close = format!("CLOSE {code} {}", error.code());
                assert!(lines.contains(&close), "{error:?}: {lines:?}");
                assert!(client.session.is_closed(), "{error:?}");
                assert!(client.session.poll_finished().is_none() || client.session.is_idle());
            }
            Scope::Stream => {
                assert_eq!(result, Ok(()), "{error:?}");
                let is_answered =
                    lines.iter().any(|line| line.contains(error.code()) || line.contains(":status="));
                let is_reset = lines.contains(&format!("0 RESET {code}"));
                assert!(is_answered || is_reset, "{error:?}: {lines:?}");
                let others = if error == Http3Error::TooLongPartialHeads { 8 } else { 0 };
                assert_eq!(client.session.streams.iter().count(), others, "{error:?}");
            }
        }
        assert!(
            client.events().iter().all(|event| !event.contains("GET") || error == Http3Error::NoRequest),
            "{error:?}"
        );
    }
}

#[test]
fn critical_streams_must_neither_end_nor_be_reset_nor_be_stopped() {
    for stream in [CONTROL, ENCODER, DECODER] {
        let open = |client: &mut Client| {
            client.send(ENCODER, &[2]).unwrap();
            client.send(DECODER, &[3]).unwrap();
        };
        let mut client = Client::new();
        open(&mut client);
        assert_eq!(client.send_last(stream, b""), Err(Http3Error::ClosedCriticalStream));
        let mut client = Client::new();
        open(&mut client);
        assert_eq!(client.reset(stream), Err(Http3Error::ClosedCriticalStream));
    }
    for stream in [3, 7] {
        assert_eq!(Client::new().stop(stream), Err(Http3Error::ClosedCriticalStream));
    }
}

#[test]
fn streams_that_mean_nothing_are_not_read() {
    let mut client = Client::new();
    client.send(14, &[0x40]).unwrap();
    assert_eq!((client.actions(), client.finished()), (vec![], vec![]));
    client.send(14, &[0x21, 1, 2]).unwrap();
    assert_eq!(
        (client.actions(), client.finished()),
        (vec!["14 STOP H3_STREAM_CREATION_ERROR".to_owned()], vec![14])
    );
    client.send_last(18, &[0x21]).unwrap();
    client.send_last(22, b"").unwrap();
    client.send(26, &[0x40]).unwrap();
    client.reset(26).unwrap();
    client.reset(30).unwrap();
    assert_eq!((client.actions(), client.finished()), (vec![], vec![18, 22, 26]));
}

#[test]
fn frames_are_where_they_belong() {
    for kind in [CANCEL_PUSH, SETTINGS, GOAWAY, MAX_PUSH_ID, PRIORITY_UPDATE, PUSH_PRIORITY_UPDATE] {
        let mut client = Client::new();
        client.post(0);
        assert_eq!(client.send(0, &frame(kind, &[0])), Err(Http3Error::UnexpectedFrame), "{kind:x}");
    }
    for kind in [0x2, 0x6, 0x8, 0x9] {
        assert_eq!(Client::new().send(0, &frame(kind, b"")), Err(Http3Error::ReservedFrame));
        assert_eq!(Client::new().send(CONTROL, &frame(kind, b"")), Err(Http3Error::ReservedFrame));
    }
    for kind in [DATA, HEADERS] {
        assert_eq!(Client::new().send(CONTROL, &frame(kind, b"")), Err(Http3Error::UnexpectedFrame));
    }
    assert_eq!(Client::new().send(CONTROL, &frame(PUSH_PROMISE, &[0])), Err(Http3Error::PushPromise));
    for payload in [&[][..], &[0x40], &[0, 0]] {
        for kind in [GOAWAY, MAX_PUSH_ID, CANCEL_PUSH] {
            let result = Client::new().send(CONTROL, &frame(kind, payload));
            assert_eq!(result, Err(Http3Error::InvalidFrameLength), "{kind:x} {payload:?}");
        }
    }
    let falling = [frame(MAX_PUSH_ID, &[2]), frame(MAX_PUSH_ID, &[2]), frame(MAX_PUSH_ID, &[1])].concat();
    assert_eq!(Client::new().send(CONTROL, &falling), Err(Http3Error::InvalidPushId));
    let push_priority = frame(PUSH_PRIORITY_UPDATE, &[0]);
    assert_eq!(Client::new().send(CONTROL, &push_priority), Err(Http3Error::InvalidPushId));
}
