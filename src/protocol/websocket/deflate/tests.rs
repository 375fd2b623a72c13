//! Our codecs against each other, and against flate2's plain decoder and encoder.

use flate2::{Compress, Compression as Level, Decompress, FlushCompress, FlushDecompress};
use proptest::prelude::*;

use super::super::frame::MessageKind;
use super::inflation::FREE_RESTARTS;
use super::*;
use crate::testing::plain_inflate::PlainInflate;

/// An agreement with the same parameters in both directions.
fn agreed(window_bits: u8, takeover: bool) -> Agreement {
    let direction = Direction { window_bits, takeover };
    Agreement { outgoing: direction, incoming: direction }
}

/// The messages, compressed one after another.
fn compress_all(agreement: Agreement, messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (mut codecs, mut deflation) = (Codecs::default(), Deflation::new(agreement));
    let compressed =
        messages.iter().map(|message| deflation.compress(message, &mut codecs).unwrap().to_vec());
    compressed.collect()
}

/// The parts of one message, compressed one after another, while other WebSockets use the same codecs.
fn compress_parts(deflation: &mut Deflation, parts: &[&[u8]], codecs: &mut Codecs) -> Vec<Vec<u8>> {
    let mut compressed = Vec::new();
    for (place, part) in parts.iter().enumerate() {
        let fragment = match place {
            0 => Fragment::First { kind: MessageKind::Text, compress: true },
            _ if place + 1 == parts.len() => Fragment::Last,
            _ => Fragment::Middle,
        };
        compressed.push(deflation.compress_part(fragment, part, codecs).unwrap().to_vec());
        codecs.compress_alone(b"of another WebSocket", deflation.agreement.outgoing.window_bits).unwrap();
    }
    compressed
}

/// The parts of a message between these positions.
fn cut_up<'m>(message: &'m [u8], cuts: &[prop::sample::Index]) -> Vec<&'m [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(message.len() + 1)).collect();
    cuts.extend([0, message.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|ends| &message[ends[0]..ends[1]]).collect()
}

/// The messages, compressed by flate2 with context takeover.
fn compress_by_flate2(messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut encoder = Compress::new(Level::default(), false);
    let compress = |message: &Vec<u8>| {
        let mut out = Vec::with_capacity(2 * message.len() + 100);
        encoder.compress_vec(message, &mut out, FlushCompress::Sync).unwrap();
        assert_eq!(out.split_off(out.len() - 4), MARKER);
        out
    };
    messages.iter().map(compress).collect()
}

/// The messages, decompressed by flate2 with output in small pieces, so that references are resolved from its window.
fn decompress_by_flate2(agreement: Agreement, compressed: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let Direction { window_bits, takeover } = agreement.outgoing;
    let mut decoder = Decompress::new_with_window_bits(false, window_bits.max(9));
    let mut decompress = |message: &Vec<u8>| {
        if !takeover {
            decoder = Decompress::new_with_window_bits(false, window_bits.max(9));
        }
        let (mut input, mut out) = ([message, &MARKER[..]].concat(), Vec::new());
        loop {
            let (taken, mut piece) = (decoder.total_in(), Vec::with_capacity(7));
            decoder.decompress_vec(&input, &mut piece, FlushDecompress::None).unwrap();
            input.drain(..(decoder.total_in() - taken) as usize);
            out.extend_from_slice(&piece);
            if piece.len() < 7 {
                assert_eq!(input, [0; 0]);
                return out;
            }
        }
    };
    compressed.iter().map(&mut decompress).collect()
}

fn decompress(message: &[u8], limit: u32) -> Result<Vec<u8>, CloseCause> {
    let (mut codecs, mut deflation) = (Codecs::default(), Deflation::new(agreed(15, true)));
    deflation.decompress(message, limit, &mut codecs).map(<[u8]>::to_vec)
}

#[test]
fn the_examples_of_the_rfc() {
    // RFC 7692 §7.2.3.1 and §7.2.3.2: twice "Hello", the second time with reference to the first.
    let mut codecs = Codecs::default();
    let mut deflation = Deflation::new(agreed(15, true));
    let first = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
    for message in [&first[..], &second] {
        assert_eq!(deflation.decompress(message, 5, &mut codecs), Ok(&b"Hello"[..]));
    }
    // §7.2.3.3: a block without compression. §7.2.3.4: a last block. §7.2.3.5: two blocks. §7.2.3.6: nothing.
    let others: [(&[u8], &[u8]); 4] = [
        (&[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00], b"Hello"),
        (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], b"Hello"),
        (&[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00], b"Hello"),
        (&[0x00], b""),
    ];
    for (message, expected) in others {
        assert_eq!(decompress(message, 5).as_deref(), Ok(expected), "{message:x?}");
    }
}

#[test]
fn the_first_message_of_any_context_is_that_of_the_rfc() {
    for window_bits in 8..=15 {
        for takeover in [false, true] {
            let [compressed, _] =
                &compress_all(agreed(window_bits, takeover), &[b"Hello".to_vec(), b"x".to_vec()])[..]
            else {
                panic!()
            };
            assert_eq!(compressed, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
        }
    }
}

#[test]
fn a_message_may_refer_to_those_before_a_last_block() {
    // A peer that ends every message with a last block and keeps the same window: it sets the bytes before as the
    // dictionary of its compressor, as we do.
    let words: Vec<u8> = (0..2000u32).flat_map(|word| (word * word).to_le_bytes()).collect();
    let (mut codecs, mut deflation) = (Codecs::default(), Deflation::new(agreed(15, true)));
    let mut history = Vec::new();
    for round in 0..4 {
        let mut encoder = Compress::new(Level::default(), false);
        if !history.is_empty() {
            encoder.set_dictionary(&history).unwrap();
        }
        let mut message = Vec::with_capacity(20_000);
        encoder.compress_vec(&words, &mut message, FlushCompress::Finish).unwrap();
        assert!(round == 0 || message.len() < 100, "refers to the round before");
        // RFC 7692 §7.2.3.4 has an empty block after it; a message without it is accepted too.
        if round % 2 == 0 {
            message.push(0);
        }
        assert_eq!(deflation.decompress(&message, 8000, &mut codecs), Ok(&words[..]), "{round}");
        history = words.clone();
    }
}

#[test]
fn last_blocks_within_a_message_are_read_on() {
    let words: Vec<u8> = (0..300u32).flat_map(|word| (word * word).to_le_bytes()).collect();
    let mut message = Vec::new();
    for _ in 0..3 {
        let mut encoder = Compress::new(Level::default(), false);
        let mut part = Vec::with_capacity(4000);
        encoder.compress_vec(&words, &mut part, FlushCompress::Finish).unwrap();
        message.extend(part);
    }
    assert_eq!(decompress(&message, 3600), Ok(words.repeat(3)));
    message.push(0);
    assert_eq!(decompress(&message, 3600), Ok(words.repeat(3)));
}

#[test]
fn a_message_of_last_blocks_alone_is_refused_before_it_costs_much() {
    // `03 00` is an empty last block.
    assert_eq!(decompress(&[3, 0].repeat(FREE_RESTARTS), 100), Ok(Vec::new()));
    assert_eq!(decompress(&[3, 0].repeat(1000), 100), Err(CloseCause::InvalidDeflate));
}

#[test]
fn what_is_no_deflate_is_refused() {
    let cases: [&[u8]; 6] = [
        // A block of the reserved type.
        &[0x07],
        // A length that does not agree with its complement.
        &[0x00, 0x05, 0x00, 0xfa, 0xfe, 0x48],
        // A reference to what is before the first byte.
        &[0xf2, 0x00, 0x11, 0x00, 0x00],
        b"this is plain text that nobody compressed",
        &[0xff; 40],
        // A marker, but in the middle of a block.
        &[0xf2, 0x48, 0xcd, 0x00, 0x00, 0xff, 0xff],
    ];
    for message in cases {
        assert_eq!(decompress(message, 1000), Err(CloseCause::InvalidDeflate), "{message:x?}");
    }
}

#[test]
fn a_message_that_ends_with_a_whole_block_is_complete() {
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let hello_and_marker = [&hello[..], &MARKER].concat();
    let again_and_marker = [&[0xf2, 0x00, 0x11, 0x00, 0x00][..], &MARKER].concat();
    let (mut codecs, mut deflation) = (Codecs::default(), Deflation::new(agreed(15, true)));
    let mut twin = PlainInflate::default();
    // Each refers to earlier bytes, so the decompressor must keep no state of its own between them.
    let messages: [(&[u8], &[u8]); 7] = [
        (b"", b""),
        (&hello_and_marker, b"Hello"),
        (&again_and_marker, b"Hello"),
        (b"", b""),
        // The marker twice, the second time with its header.
        (&[&hello_and_marker[..], &EMPTY, &MARKER].concat(), b"Hello"),
        // A block that ends with a byte.
        (&[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f], b"Hello"),
        (&[0xf2, 0x00, 0x11, 0x00, 0x00], b"Hello"),
    ];
    for (message, expected) in messages {
        assert_eq!(deflation.decompress(message, 5, &mut codecs), Ok(expected), "{message:x?}");
        assert_eq!(twin.message(message, 5, 15).as_deref(), Ok(expected), "{message:x?}");
    }
    assert_eq!(deflation.decompress(&hello_and_marker, 4, &mut codecs), Err(CloseCause::InflatedTooBig));
}

#[test]
fn a_message_that_is_cut_off_is_not_taken_for_a_shorter_one() {
    let words: Vec<u8> = (0..500u32).flat_map(|word| (word * 7919 % 1013).to_string().into_bytes()).collect();
    let [whole] = &compress_all(agreed(15, false), std::slice::from_ref(&words))[..] else { panic!() };
    // Its last byte is the header of the empty block, and nothing else: what comes before are whole blocks.
    let [content @ .., 0] = &whole[..] else { panic!() };
    for length in 1..content.len() {
        assert_eq!(decompress(&content[..length], 10_000), Err(CloseCause::InvalidDeflate), "{length}");
    }
    assert_eq!(decompress(content, 10_000).as_ref(), Ok(&words));
    assert_eq!(decompress(whole, 10_000), Ok(words));
}

#[test]
fn an_error_leaves_the_shared_codecs_as_they_were() {
    let (mut codecs, mut deflation) = (Codecs::default(), Deflation::new(agreed(15, false)));
    let [good] = &compress_all(agreed(15, false), &[b"good".to_vec()])[..] else { panic!() };
    for bad in [&[0xf2, 0x48, 0xcd][..], &[0x07], &good[..]] {
        let limit = if bad == good { 3 } else { 100 };
        assert!(deflation.decompress(bad, limit, &mut codecs).is_err());
        assert_eq!(deflation.decompress(good, 100, &mut codecs), Ok(&b"good"[..]));
    }
}

#[test]
fn a_bomb_costs_no_more_than_the_limit() {
    // 64 MiB of zeros in 64 KiB; every window, since not all of them are filled by the same path.
    let [bomb] = &compress_by_flate2(&[vec![0; 64 << 20]])[..] else { panic!() };
    assert!(bomb.len() < 70_000, "{}", bomb.len());
    for limit in [0, 1, 1000, 4096, 16 * 1024, 5_000_000] {
        let (mut codecs, mut deflation) = (Codecs::default(), Deflation::new(agreed(15, true)));
        let result = deflation.decompress(bomb, limit, &mut codecs).map(<[u8]>::len);
        assert_eq!(result, Err(CloseCause::InflatedTooBig), "{limit}");
        let made = codecs.decompressor.as_ref().map(Inflate::total_out);
        assert_eq!(made, Some(u64::from(limit) + 1), "bytes that were inflated");
        assert_eq!(codecs.buffer.len(), limit as usize + 1, "bytes that were held");
        assert_eq!(deflation.received.bytes.capacity(), 0);
        codecs.tidy();
        assert!(codecs.buffer.capacity() <= KEPT_BUFFER);
    }
}

#[test]
fn a_message_that_is_too_long_is_that_even_if_it_is_broken_behind_the_limit() {
    // 301 bytes, and a block without compression whose length does not agree with its complement.
    let message = [0x62, 0x60, 0x18, 0x05, 0x44, 0xfa, 0x22, 0x38, 0x00, 0x00, 0xff, 0xff, 0x01];
    assert_eq!(decompress(&message, 300), Err(CloseCause::InflatedTooBig));
    assert_eq!(decompress(&message, 301), Err(CloseCause::InvalidDeflate));
}

#[test]
fn a_message_may_be_as_long_as_the_limit() {
    for length in [0usize, 1, 4095, 4096, 4097, 8192, 100_000] {
        let message: Vec<u8> = (0..length).map(|byte| ((byte * byte) >> 7) as u8).collect();
        let [compressed] = &compress_by_flate2(std::slice::from_ref(&message))[..] else { panic!() };
        assert_eq!(decompress(compressed, length as u32), Ok(message));
        if length > 0 {
            assert_eq!(decompress(compressed, length as u32 - 1), Err(CloseCause::InflatedTooBig));
        }
    }
}

#[test]
fn a_websocket_keeps_the_window_and_no_more() {
    let mut codecs = Codecs::default();
    for window_bits in 8..=REMEMBERED_BITS {
        let mut deflation = Deflation::new(agreed(window_bits, true));
        for length in [1, 100, 3000, 40_000, 5] {
            let message = vec![b'x'; length];
            let compressed = deflation.compress(&message, &mut codecs).unwrap().to_vec();
            deflation.decompress(&compressed, 40_000, &mut codecs).unwrap();
            let Sent::Remembered(sent) = &deflation.sent else { panic!("{:?}", deflation.sent) };
            for history in [sent, &deflation.received] {
                assert!(history.bytes.capacity() <= 1 << window_bits, "{window_bits} {length}");
            }
        }
    }
    let mut shared = Deflation::new(agreed(15, false));
    let compressed = shared.compress(b"message", &mut codecs).unwrap().to_vec();
    shared.decompress(&compressed, 100, &mut codecs).unwrap();
    assert_eq!(shared.received.bytes.capacity(), 0);
    assert!(matches!(shared.sent, Sent::Forgotten));
    assert!(size_of::<Deflation>() <= 72, "{}", size_of::<Deflation>());
}

#[test]
fn parts_are_one_stream_and_only_the_last_lacks_the_marker() {
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let hello_and_marker = [&hello[..], &MARKER].concat();
    let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let cases: [([&str; 3], [&[u8]; 3]); 4] = [
        (["Hello", "", "Hello"], [&hello_and_marker, &[], &again]),
        (["", "", "Hello"], [&[], &[], &hello]),
        (["", "Hello", ""], [&[], &hello_and_marker, &EMPTY]),
        (["", "", ""], [&[], &[], &EMPTY]),
    ];
    for window_bits in 8..=15 {
        for takeover in [false, true] {
            for (parts, expected) in &cases {
                let (mut codecs, mut deflation) =
                    (Codecs::default(), Deflation::new(agreed(window_bits, takeover)));
                let compressed = compress_parts(&mut deflation, &parts.map(str::as_bytes), &mut codecs);
                assert_eq!(compressed, expected, "{window_bits} {takeover}");
                assert_eq!(decompress(&compressed.concat(), 100), Ok(parts.concat().into_bytes()));
            }
        }
    }
}

#[test]
fn a_message_of_which_the_first_part_does_not_say_so_is_not_compressed() {
    let (mut codecs, mut deflation) = (Codecs::default(), Deflation::new(agreed(15, true)));
    for compress in [false, true, false] {
        let first = Fragment::First { kind: MessageKind::Binary, compress };
        for fragment in [first, Fragment::Middle, Fragment::Last] {
            assert_eq!(deflation.compress_part(fragment, b"part", &mut codecs).is_some(), compress);
        }
    }
}

#[test]
fn parts_without_takeover_leave_nothing_behind() {
    for window_bits in [9, 13, 15] {
        let (mut codecs, mut deflation) = (Codecs::default(), Deflation::new(agreed(window_bits, false)));
        assert_eq!(deflation.shared_window(), Some(window_bits));
        for _ in 0..2 {
            let first = compress_parts(&mut deflation, &[b"twice, twice, ", b"twice"], &mut codecs).concat();
            assert!(matches!(deflation.sent, Sent::Forgotten));
            assert_eq!(decompress(&first, 100), Ok(b"twice, twice, twice".to_vec()));
        }
        let first = Fragment::First { kind: MessageKind::Text, compress: true };
        deflation.compress_part(first, b"incomplete", &mut codecs);
        assert_eq!(deflation.shared_window(), Some(window_bits), "what is published does not refer to it");
    }
}

#[test]
fn bytes_that_could_not_be_compressed_are_a_part_all_the_same() {
    let words: Vec<u8> = (0..40_000u32).flat_map(|word| word.to_le_bytes()).collect();
    for length in [1, 65_535, 65_536, 160_000] {
        let (mut codecs, mut deflation) = (Codecs::default(), Deflation::new(agreed(15, true)));
        let first = Fragment::First { kind: MessageKind::Text, compress: true };
        let mut message = deflation.compress_part(first, b"before", &mut codecs).unwrap().to_vec();
        let stored = store(&words[..length], &mut codecs.buffer);
        message.extend_from_slice(&codecs.buffer[..stored]);
        assert_eq!(codecs.buffer[stored..], MARKER);
        assert_eq!(decompress(&message, 200_000), Ok([b"before", &words[..length]].concat()));
        let read = PlainInflate::default().message(&message, 200_000, 15);
        assert_eq!(read, Ok([b"before", &words[..length]].concat()));
    }
}

#[test]
fn a_reference_beyond_the_agreed_window_is_refused() {
    let random: Vec<u8> = (0..1500u32).map(|byte| (byte.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let messages = [random.clone(), random];
    let [first, second] = &compress_by_flate2(&messages)[..] else { panic!() };
    for (window_bits, is_enough) in [(9, false), (10, false), (11, true), (15, true)] {
        let (mut codecs, mut deflation) = (Codecs::default(), Deflation::new(agreed(window_bits, true)));
        assert!(deflation.decompress(first, 2000, &mut codecs).is_ok());
        assert_eq!(deflation.decompress(second, 2000, &mut codecs).is_ok(), is_enough, "{window_bits}");
    }
}

/// Messages that repeat themselves and each other, near and far.
fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let part = prop_oneof![
        "[a-d]{0,40}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..200),
        (any::<u8>(), 0..2000usize).prop_map(|(byte, length)| vec![byte; length]),
        (0..5u32, 0..12_000u32).prop_map(|(seed, length)| {
            (0..length).map(|at| ((at + seed).wrapping_mul(2_654_435_761) >> 25) as u8).collect()
        }),
    ];
    let message = prop::collection::vec(part, 1..4).prop_map(|parts| parts.concat());
    let message = message.prop_filter("an empty message is not compressed", |message| !message.is_empty());
    prop::collection::vec(message, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn what_we_compress_anybody_with_the_agreed_window_decompresses(
        messages in messages(), window_bits in 8..=15u8, takeover: bool,
    ) {
        let agreement = agreed(window_bits, takeover);
        let compressed = compress_all(agreement, &messages);
        prop_assert_eq!(&decompress_by_flate2(agreement, &compressed), &messages);
        let mut reader = PlainInflate::default();
        for (compressed, message) in compressed.iter().zip(&messages) {
            if !takeover {
                reader.forget();
            }
            let read = reader.message(compressed, message.len(), window_bits);
            prop_assert_eq!(read.as_deref(), Ok(&message[..]));
        }
        prop_assert!(reader.farthest <= 1 << window_bits, "{} bytes back", reader.farthest);
        let (mut codecs, mut deflation) = (Codecs::default(), Deflation::new(agreement));
        for (compressed, message) in compressed.iter().zip(&messages) {
            let limit = message.len() as u32;
            prop_assert_eq!(deflation.decompress(compressed, limit, &mut codecs), Ok(&message[..]));
        }
    }

    /// In parts or as a whole.
    #[test]
    fn what_we_compress_in_parts_anybody_decompresses(
        messages in messages(), window_bits in 8..=15u8, takeover: bool,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let agreement = agreed(window_bits, takeover);
        let (mut codecs, mut deflation) = (Codecs::default(), Deflation::new(agreement));
        let mut compressed = Vec::new();
        for (place, message) in messages.iter().enumerate() {
            if place % 3 == 2 {
                compressed.push(deflation.compress(message, &mut codecs).unwrap().to_vec());
                continue;
            }
            let parts = cut_up(message, &cuts);
            let in_parts = compress_parts(&mut deflation, &parts, &mut codecs);
            compressed.push(in_parts.concat());
            if place == 0 {
                let mut reader = Decompress::new(false);
                for (part, compressed) in parts.iter().zip(&in_parts) {
                    let mut read = Vec::with_capacity(part.len() + 1);
                    reader.decompress_vec(compressed, &mut read, FlushDecompress::None).unwrap();
                    prop_assert_eq!(&read, part, "readable as it arrives");
                }
            }
        }
        prop_assert_eq!(&decompress_by_flate2(agreement, &compressed), &messages);
        let mut reader = PlainInflate::default();
        for (compressed, message) in compressed.iter().zip(&messages) {
            if !takeover {
                reader.forget();
            }
            let read = reader.message(compressed, message.len(), window_bits);
            prop_assert_eq!(read.as_deref(), Ok(&message[..]));
        }
        prop_assert!(reader.farthest <= 1 << window_bits, "{} bytes back", reader.farthest);
    }

    #[test]
    fn what_others_compress_we_decompress(messages in messages()) {
        let (mut codecs, mut deflation) = (Codecs::default(), Deflation::new(agreed(15, true)));
        for (compressed, message) in compress_by_flate2(&messages).iter().zip(&messages) {
            let limit = message.len() as u32;
            prop_assert_eq!(deflation.decompress(compressed, limit, &mut codecs), Ok(&message[..]));
        }
    }

    /// With any number of WebSockets that share the codecs, in any order.
    #[test]
    fn websockets_that_share_codecs_do_not_disturb_each_other(
        messages in messages(), turns in prop::collection::vec((0..6usize, any::<prop::sample::Index>()), 1..20),
    ) {
        let agreements = [(9, true), (9, false), (13, true), (15, true), (15, false), (14, true)];
        let mut codecs = Codecs::default();
        let mut ends = agreements.map(|(bits, takeover)| {
            let agreement = agreed(bits, takeover);
            (Deflation::new(agreement), Deflation::new(agreement))
        });
        for (who, message) in turns {
            let (sender, receiver) = &mut ends[who];
            let message = message.get(&messages);
            let compressed = sender.compress(message, &mut codecs).unwrap().to_vec();
            prop_assert_eq!(receiver.decompress(&compressed, 40_000, &mut codecs), Ok(&message[..]));
        }
    }

    /// Valid and damaged messages: the result is that of a plain implementation of RFC 1951.
    #[test]
    fn a_broken_message_has_the_same_result_as_in_the_reference(
        messages in messages(), level in 0..10u32, finish: bool, window_bits in 9..=15u8,
        breaks in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3), keep_marker: bool,
    ) {
        let (mut codecs, mut deflation) = (Codecs::default(), Deflation::new(agreed(window_bits, true)));
        let mut twin = PlainInflate::default();
        for message in messages {
            let mut encoder = Compress::new(Level::new(level), false);
            let mut compressed = Vec::with_capacity(2 * message.len() + 100);
            let flush = if finish { FlushCompress::Finish } else { FlushCompress::Sync };
            encoder.compress_vec(&message, &mut compressed, flush).unwrap();
            if !finish && !keep_marker {
                compressed.truncate(compressed.len() - 4);
            }
            for (at, bits) in &breaks {
                let at = at.index(compressed.len());
                compressed[at] ^= bits;
            }
            let read = deflation.decompress(&compressed, 20_000, &mut codecs).map(<[u8]>::to_vec);
            prop_assert_eq!(&read, &twin.message(&compressed, 20_000, window_bits));
            if read.is_err() {
                break;
            }
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read_within_the_limit(
        first in prop::collection::vec(any::<u8>(), 0..80), second in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let (mut codecs, mut deflation) = (Codecs::default(), Deflation::new(agreed(15, true)));
        for message in [first, second] {
            if let Ok(message) = deflation.decompress(&message, 300, &mut codecs) {
                prop_assert!(message.len() <= 300);
            }
        }
    }
}
