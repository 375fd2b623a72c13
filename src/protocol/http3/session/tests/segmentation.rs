//! The result does not depend on how the bytes of a stream are split, nor on how streams are interleaved.

use proptest::prelude::*;

use super::*;

/// What a client sends: streams, and the bytes of each.
fn conversation() -> Vec<(u64, Vec<u8>)> {
    let trailers = frame(HEADERS, &section(&[("x", "1")]));
    let post =
        [headers("POST", "/p", &[("content-length", "5")]), data(b"ab"), data(b"cde"), trailers].concat();
    let grease = [frame(GREASE, &[1; 30]), headers("GET", "/g", &[]), frame(GREASE, b"")].concat();
    let malformed = headers("GET", "/", &[("te", "gzip")]);
    let control =
        [settings(&[(1, 0), (0x21, 5)]), frame(MAX_PUSH_ID, &[9]), frame(GREASE, &[0; 20])].concat();
    vec![
        (2, control),
        (6, vec![0x02, 0x3f, 0xe1, 0x1f, 0x41, b'a', 1, b'b', 0x5f, 9, b'n', b'a']),
        (10, vec![0x03, 0x7f, 0x80, 0x01]),
        (14, vec![0x40, 0x21, 1, 2, 3]),
        (0, post),
        (4, grease),
        (8, malformed),
    ]
}

/// What the application is told, stream by stream, and what is sent.
fn outcome(client: &mut Client) -> (BTreeMap<String, String>, Vec<String>) {
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    for line in client.events() {
        let (stream, what) = line.split_once(' ').unwrap();
        let text = told.entry(stream.to_owned()).or_default();
        match what.strip_prefix("body ").filter(|_| text.contains("body ")) {
            Some(more) => *text += more,
            None => *text += &format!("{what} "),
        }
        if text.ends_with("| ") {
            text.pop();
        }
    }
    let told = told.into_iter().map(|(stream, text)| (stream, text.trim_end().replace(' ', ""))).collect();
    let mut sent = client.read();
    sent.sort_unstable();
    (told, sent)
}

fn play(pieces: impl IntoIterator<Item = (u64, Vec<u8>, bool)>) -> (BTreeMap<String, String>, Vec<String>) {
    let mut client = Client::silent(Http3Limits::default(), HttpLimits::default());
    client.session.handle_opened(OwnStream::Control, StreamId(3));
    client.session.handle_opened(OwnStream::Decoder, StreamId(7));
    for (stream, bytes, is_last) in pieces {
        // What the session has left, it does not get.
        if client.session.finished.contains(&StreamId(stream)) {
            continue;
        }
        let is_fin = is_last && stream % 4 == 0;
        client.send_piece(stream, &bytes, is_fin).unwrap();
    }
    outcome(&mut client)
}

fn whole() -> (BTreeMap<String, String>, Vec<String>) {
    play(conversation().into_iter().map(|(stream, bytes)| (stream, bytes, true)))
}

#[test]
fn byte_by_byte_all_is_the_same() {
    let pieces = conversation().into_iter().flat_map(|(stream, bytes)| {
        let last = bytes.len() - 1;
        bytes
            .into_iter()
            .enumerate()
            .map(move |(at, byte)| (stream, vec![byte], at == last))
            .collect::<Vec<_>>()
    });
    let (told, sent) = play(pieces);
    let (expected_told, expected_sent) = whole();
    assert_eq!(told, expected_told);
    let ignore_stop = |lines: Vec<String>| -> Vec<String> {
        lines.into_iter().filter(|line| !line.contains("STOP")).collect()
    };
    assert_eq!(ignore_stop(sent), ignore_stop(expected_sent));
    assert_eq!(told["0"], "POST/pbodyabcde|");
}

proptest! {
    #[test]
    fn any_interleaving_is_the_same(order in proptest::collection::vec((0_usize..7, 1_usize..12), 0..120)) {
        let mut streams: Vec<_> = conversation().into_iter().map(|(stream, bytes)| (stream, bytes, 0_usize)).collect();
        let mut pieces = Vec::new();
        let rest: Vec<_> = (0..streams.len()).map(|position| (position, usize::MAX)).collect();
        for (position, length) in order.into_iter().chain(rest) {
            let (stream, bytes, at) = &mut streams[position];
            let end = at.saturating_add(length).min(bytes.len());
            if *at < end {
                pieces.push((*stream, bytes[*at..end].to_vec(), end == bytes.len()));
                *at = end;
            }
        }
        let (told, _) = play(pieces);
        prop_assert_eq!(told, whole().0);
    }

    #[test]
    fn any_bytes_are_taken_or_refused(pieces in proptest::collection::vec(
        (0_u64..12, proptest::collection::vec(any::<u8>(), 0..40), any::<bool>()), 0..30)) {
        let mut client = Client::new();
        let mut ended = std::collections::HashSet::new();
        for (stream, bytes, is_fin) in pieces {
            // Streams of the client, each until it has ended.
            let stream = stream * 2;
            if ended.contains(&stream) || client.session.finished.contains(&StreamId(stream)) {
                continue;
            }
            if is_fin {
                ended.insert(stream);
            }
            let _ = client.send_piece(stream, &bytes, is_fin);
            client.read();
        }
    }
}
