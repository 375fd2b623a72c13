//! What costs a client little: bounded memory, and a named end.

use super::*;
use crate::protocol::multiplexed::allowance::Rate;

/// A client that may do what is limited three times.
fn client() -> Client {
    let rate = Rate { burst: 3, per_second: 1 };
    let limits = Http2Limits { resets: rate, idle_frames: rate, ..Http2Limits::default() };
    Client::with_limits(limits, HttpLimits::default())
}

/// Sends such frames until the connection ends. Returns how many were accepted, and the end.
fn flood(client: &mut Client, mut next: impl FnMut(u32) -> Vec<u8>) -> (u32, Http2Error) {
    for number in 0..1_000 {
        if let Err(error) = client.send(&next(number)) {
            let last = client.read_written().pop().unwrap();
            assert!(last.contains("ENHANCE_YOUR_CALM ERR_HTTP2_"), "{last}");
            assert!(client.session.is_closed());
            return (number, error);
        }
    }
    panic!("no limit")
}

#[test]
fn streams_that_are_opened_and_reset() {
    let next = |number| {
        let stream = 2 * number + 1;
        [headers(stream, "GET", "/", &[], true), reset(stream)].concat()
    };
    assert_eq!(flood(&mut client(), next), (3, Http2Error::TooManyResets));
}

#[test]
fn streams_that_make_the_server_reset_them() {
    // CVE-2025-8671.
    let next = |number| {
        let stream = 2 * number + 1;
        [headers(stream, "GET", "/", &[], true), data(stream, b"x", true)].concat()
    };
    assert_eq!(flood(&mut client(), next), (3, Http2Error::TooManyResets));
    let malformed = |number| headers(2 * number + 1, "GET", "/", &[("upgrade", "x")], true);
    assert_eq!(flood(&mut client(), malformed), (3, Http2Error::TooManyResets));
}

#[test]
fn streams_beyond_the_limit() {
    let mut client = client();
    let next = |number| headers(2 * number + 1, "GET", "/", &[], true);
    assert_eq!(flood(&mut client, next), (100 + 3, Http2Error::TooManyResets));
}

#[test]
fn frames_that_ask_for_nothing() {
    let many = Http2Error::TooManyIdleFrames;
    let frames = [
        frame(PING, 0, 0, &[0; 8]),
        frame(PING, 1, 0, &[0; 8]),
        frame(SETTINGS, 0, 0, b""),
        frame(SETTINGS, 1, 0, b""),
        frame(PRIORITY, 0, 9, &[0; 5]),
        frame(PRIORITY_UPDATE, 0, 0, &[0, 0, 0, 9]),
        frame(0x77, 0, 0, b"unknown"),
        window_update(0, 1),
    ];
    for bytes in frames {
        assert_eq!(flood(&mut client(), |_| bytes.clone()), (3, many), "{bytes:x?}");
    }
    for bytes in [data(1, b"", false), frame(DATA, 0x8, 1, b"\x02\0\0"), window_update(1, 1)] {
        let mut client = client();
        client.post(1);
        assert_eq!(flood(&mut client, |_| bytes.clone()), (4 + 3, many), "{bytes:x?}");
    }
    let mut client = client();
    client.get(1);
    client.answer(1, "");
    client.read();
    assert_eq!(flood(&mut client, |_| data(1, b"to a closed stream", false)), (4 + 3, many));
}

#[test]
fn what_is_on_its_way_to_a_stream_that_the_server_has_closed_is_not_counted() {
    let mut client = client();
    client.post(1);
    client.answer(1, "enough");
    for _ in 0..100 {
        client.send(&data(1, b"x", false)).unwrap();
    }
    assert_eq!(client.read().last().map(String::as_str), Some("RST_STREAM 1 NO_ERROR"));
}

#[test]
fn a_request_gives_cause_for_a_few_frames() {
    let mut client = client();
    for stream in (1..2_000).step_by(2) {
        let update = [&u32::to_be_bytes(stream)[..], b"u=1"].concat();
        let frames = [headers(stream, "GET", "/", &[], true), window_update(stream, 1_000)];
        client.send(&[&frames.concat()[..], &frame(PRIORITY_UPDATE, 0, 0, &update)].concat()).unwrap();
        client.answer(stream, "");
        client.read();
    }
}

#[test]
fn what_is_allowed_comes_back_with_time() {
    let mut client = client();
    for _ in 0..100 {
        client.send_frame(PING, 0, 0, &[0; 8]).unwrap();
        client.now.0 += 1_000;
    }
    assert_eq!(client.read().len(), 100);
}

#[test]
fn window_updates_are_earned_by_data() {
    let mut client = client();
    client.get(1);
    client.start(1);
    for _ in 0..1_000 {
        client.write(1, &[0; 1_000]);
        client.read();
        client.send(&[window_update(0, 1_000), window_update(1, 1_000)].concat()).unwrap();
    }
}

#[test]
fn header_blocks_that_go_on_and_on() {
    let too_long = Http2Error::HeaderBlockTooLong;
    for piece in [&b""[..], b"x"] {
        let mut client = Client::new();
        client.send_frame(HEADERS, 0, 1, b"").unwrap();
        let (count, error) = flood(&mut client, |_| frame(CONTINUATION, 0, 1, piece));
        assert_eq!((count, error), (16, too_long));
    }
    let mut client = Client::new();
    client.send_frame(HEADERS, 0, 1, b"").unwrap();
    // 16 KiB may be the head; twice that and a frame more is what its encoding may take.
    let (count, error) = flood(&mut client, |_| frame(CONTINUATION, 0, 1, &[0x20; 16_384]));
    assert_eq!((count, error), (3, too_long));
}

#[test]
fn a_small_block_that_repeats_a_long_entry_is_not_kept() {
    let mut client = Client::new();
    let mut bomb = request_block("GET", "/", &[]);
    bomb.extend_from_slice(b"\x40\x01x\x7f\xc0\x1e");
    bomb.extend([b'y'; 127 + 0x40 + (0x1e << 7)]);
    bomb.extend([0xbe; 12_000]);
    client.send_frame(HEADERS, 0x5, 1, &bomb).unwrap();
    let lines = client.read();
    assert!(lines[0].starts_with("HEADERS 1 :status=431"), "{lines:?}");
    assert!(client.scratch.bytes.capacity() < 64 * 1024);
}
