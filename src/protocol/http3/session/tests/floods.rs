//! What costs a client little is counted.

use super::*;
use crate::protocol::multiplexed::allowance::Rate;

fn client() -> Client {
    let few = Rate { burst: 10, per_second: 1 };
    let limits = Http3Limits { resets: few, idle_frames: few, ..Http3Limits::default() };
    Client::with_limits(limits, HttpLimits::default())
}

/// How often `act` succeeds.
fn times(mut act: impl FnMut(u64) -> Result<(), Http3Error>) -> (u64, Http3Error) {
    (0..1000).find_map(|time| act(time).err().map(|error| (time, error))).expect("it has no limit")
}

#[test]
fn streams_that_end_in_error_are_counted_however_they_end() {
    let mut client = client();
    let rapid_reset = times(|time| {
        client.get(4 * time);
        client.reset(4 * time)
    });
    assert_eq!(rapid_reset, (10, Http3Error::TooManyResets));
    assert_eq!(client.read().pop().unwrap(), "CLOSE H3_EXCESSIVE_LOAD ERR_HTTP3_TOO_MANY_RESETS");
    let mut client = self::client();
    let stopped = times(|time| {
        client.get(4 * time);
        client.stop(4 * time)
    });
    assert_eq!(stopped, (10, Http3Error::TooManyResets));
    let mut client = self::client();
    let malformed = times(|time| client.send_last(4 * time, &headers("G T", "/", &[])));
    assert_eq!(malformed, (10, Http3Error::TooManyResets));
    let mut client = self::client();
    let incomplete = times(|time| client.send_last(4 * time, b""));
    assert_eq!(incomplete, (10, Http3Error::TooManyResets));
    let mut client = self::client();
    let before_a_byte = times(|time| client.reset(4 * time));
    assert_eq!(before_a_byte, (10, Http3Error::TooManyResets));
}

#[test]
fn frames_that_ask_for_nothing_are_counted() {
    let update = frame(PRIORITY_UPDATE, &[0]);
    for (stream, bytes) in [
        (CONTROL, frame(GREASE, b"")),
        (CONTROL, frame(MAX_PUSH_ID, &[0])),
        (CONTROL, frame(GOAWAY, &[0])),
        (CONTROL, update),
        (0, frame(GREASE, b"x")),
    ] {
        let mut client = client();
        assert_eq!(times(|_| client.send(stream, &bytes)), (10, Http3Error::TooManyIdleFrames), "{bytes:?}");
    }
    let mut client = client();
    let streams = times(|time| client.send(2 + 4 * (time + 5), &[0x21]));
    assert_eq!(streams, (10, Http3Error::TooManyIdleFrames));
    let mut client = self::client();
    client.send(ENCODER, &[2]).unwrap();
    let capacities = times(|_| client.send(ENCODER, &[0x20]));
    assert_eq!(capacities, (10, Http3Error::TooManyIdleFrames));
    let mut client = self::client();
    client.send(DECODER, &[3]).unwrap();
    let cancellations = times(|_| client.send(DECODER, &[0x40]));
    assert_eq!(cancellations, (10, Http3Error::TooManyIdleFrames));
    let mut client = self::client();
    client.post(0);
    let empty = times(|_| client.send(0, &data(b"")));
    assert_eq!(empty, (14, Http3Error::TooManyIdleFrames), "four of which the request has earned");
}

#[test]
fn the_allowance_comes_back_with_time() {
    let mut client = client();
    for _ in 0..40 {
        client.send(CONTROL, &frame(GREASE, b"")).unwrap();
        client.now.0 += 1_000;
    }
}

#[test]
fn a_client_that_does_not_read_what_the_connection_says_is_not_waited_for() {
    let mut client = Client::new();
    client.session.note_blocked(StreamId(7), Timestamp(0));
    client.send(ENCODER, &[0x02, 0x3f, 0xe1, 0x1f, 0x41, b'a', 1, b'b']).unwrap();
    let section = [&[2, 0, 0x80][..], &request_section("GET", "/", &[])[2..]].concat();
    // The reference stands behind the pseudo fields.
    let section = [&section[..2], &section[3..], &[0x80]].concat();
    let (count, error) = times(|time| {
        (0..100).try_for_each(|piece| {
            let stream = 4 * (100 * time + piece);
            let result = client.send_last(stream, &frame(HEADERS, &section));
            client
                .with(|session, moment, _| session.reset(StreamId(stream), ErrorCode::NO_ERROR, moment.now));
            client.actions();
            client.finished();
            client.log.0.clear();
            result
        })
    });
    assert_eq!(error, Http3Error::UnreadStream);
    assert!(count < 100);
}
