//! The result does not depend on how the bytes were split, and no bytes make the session panic or keep too much.

use super::*;
use proptest::prelude::*;

/// The frames that the server writes, and what its application is told, if `pieces` arrive. `answers`: every request is
/// answered as soon as it is complete.
fn play(pieces: &[&[u8]], answers: bool) -> (Vec<String>, Vec<String>, Option<Http2Error>) {
    let limits = Http2Limits { stream_window: 100, connection_window: 65_535, ..Http2Limits::default() };
    let mut client = Client::silent(limits, HttpLimits { max_body: 500, ..HttpLimits::default() });
    let (mut lines, mut events) = (Vec::new(), EventLog::default());
    for piece in pieces {
        let result = client.send(piece);
        for line in client.events() {
            let stream = line.split(' ').next().and_then(|number| number.parse::<u32>().ok()).unwrap();
            if answers && line.ends_with('|') {
                client.answer(stream, "answer");
            }
            // Pieces of a body that arrived one by one are joined.
            match (line.split_once(" body "), events.0.last_mut()) {
                (Some((_, text)), Some(last)) if last.starts_with(&format!("{stream} body ")) => {
                    *last += text
                }
                _ => events.0.push(line),
            }
        }
        lines.extend(client.read());
        if let Err(error) = result {
            return (lines, events.0, Some(error));
        }
    }
    assert!(client.pending.len() < FrameHeader::LENGTH + 16_384);
    (lines, events.0, None)
}

/// A connection with a bit of everything.
fn conversation() -> Vec<u8> {
    [
        preface(),
        setting(INITIAL_WINDOW_SIZE, 10),
        headers(1, "GET", "/a", &[], true),
        headers(3, "POST", "/b", &[("content-length", "8")], false),
        data(3, b"1234", false),
        frame(PING, 0, 0, b"12345678"),
        frame(DATA, 0x9, 3, b"\x025678\0\0"),
        frame(HEADERS, 0x1, 5, &request_block("GET", "/c", &[])[..20]),
        frame(CONTINUATION, 0x4, 5, &request_block("GET", "/c", &[])[20..]),
        frame(0x77, 0, 5, b"unknown"),
        headers(7, "POST", "/d", &[], false),
        data(7, &[b'x'; 60], false),
        frame(HEADERS, 0x5, 7, &block(&[("trailer", "1")])),
        headers(9, "GET", "/e", &[("upgrade", "x")], true),
        window_update(1, 100),
        headers(11, "POST", "/f", &[], false),
        reset(11),
        frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x0du=1"),
        headers(13, "POST", "/g", &[], false),
        data(13, &[b'x'; 101], false),
    ]
    .concat()
}

#[test]
fn the_result_is_the_same_for_every_split() {
    let bytes = conversation();
    let whole = play(&[&bytes], true);
    assert_eq!(whole.2, None);
    assert!(whole.1.contains(&"3 body 12345678|".to_owned()), "{whole:?}");
    // Where the answers stand among the other frames depends on when the application is told; which there are, and in
    // which order on a stream, does not.
    let sorted = |(mut lines, events, error): (Vec<String>, Vec<String>, _)| {
        lines.sort();
        (lines, events, error)
    };
    let whole = sorted(whole);
    for cut in 0..bytes.len() {
        assert_eq!(sorted(play(&[&bytes[..cut], &bytes[cut..]], true)), whole, "split at {cut}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(sorted(play(&single, true)), whole);
}

/// A frame with plausible content.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let stream = prop_oneof![4 => 0_u32..16, 1 => any::<u32>()];
    let payload = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..20),
        Just(request_block("GET", "/", &[])),
        Just(request_block("POST", "/", &[("content-length", "5")])),
        Just(vec![0; 8]),
        Just(vec![0, 0, 0, 5]),
    ];
    (0_u8..0x12, any::<u8>(), stream, payload)
        .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream & 0x7fff_ffff, &payload))
}

proptest! {
    #[test]
    fn any_frames_are_handled_alike_however_they_are_split(
        frames in proptest::collection::vec(any_frame(), 0..40),
        cuts in proptest::collection::vec(1_usize..40, 1..50),
    ) {
        let bytes = [preface(), frames.concat()].concat();
        let mut pieces = Vec::new();
        let (mut rest, mut cuts) = (&bytes[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, following) = rest.split_at(rest.len().min(*cuts.next().unwrap_or(&1)));
            pieces.push(piece);
            rest = following;
        }
        prop_assert_eq!(play(&[&bytes], false), play(&pieces, false));
        prop_assert_eq!(play(&[&bytes], true).2, play(&pieces, true).2);
    }

    #[test]
    fn any_bytes_are_handled(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        play(&[&[preface(), bytes].concat()], true);
    }
}
