//! The level of compression. Level 6, zlib's default, takes more time per byte the longer a message is, and blocks the
//! worker for that time; so long messages are compressed at a lower level. Figures:
//! docs/decisions/0011-compression-level.md.
//!
//! | bytes | level | |
//! |---|---|---|
//! | up to 48, referring to none before | 1 | the same size as at level 6 in less than half the time: hardly any repetitions; without any, `literals` does it |
//! | up to 16 KiB | 6 | |
//! | more | 2 | about a seventh larger than at level 6, in a third of the time |
//! | more, by a compressor that keeps its context | 3 | about a twelfth larger, in half of the time |

use super::literals;

/// The context of a compressor: earlier bytes to which the message may refer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Nothing.
    None,
    /// A dictionary that is set before the message.
    Dictionary,
    /// The messages that it has compressed before. It cannot change to another algorithm then, and levels 1 and 2 have
    /// one.
    Compressed,
}

/// The level for a message of `length` bytes with this context.
pub(super) const fn level(length: usize, reach: Reach) -> i32 {
    match (length, reach) {
        (..=LONGEST_TINY, Reach::None) => 1,
        (..=LONGEST_USUAL, _) => 6,
        (_, Reach::None | Reach::Dictionary) => 2,
        (_, Reach::Compressed) => 3,
    }
}

/// Bytes of the longest message that hardly repeats itself, whatever its content.
const LONGEST_TINY: usize = literals::LONGEST;
/// Bytes of the longest message for which level 6 does not take longer than level 2 for four times as many.
const LONGEST_USUAL: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression as Level, FlushCompress};

    use super::*;
    use crate::protocol::websocket::deflate::{Codecs, Deflation};
    use crate::protocol::websocket::extensions::{Agreement, Direction};

    /// Texts as they are sent, of very different kinds.
    const TEXTS: [&[u8]; 3] = [
        include_bytes!("../../../../package-lock.json"),
        include_bytes!("../../../../index.d.ts"),
        include_bytes!("../../../../README.md"),
    ];

    /// Bytes to which level 6 compresses the messages, which follow each other.
    fn at_level_6(messages: &[&[u8]]) -> usize {
        let (mut encoder, mut out) = (Compress::new(Level::new(6), false), Vec::with_capacity(1 << 20));
        for message in messages {
            encoder.compress_vec(message, &mut out, FlushCompress::Sync).unwrap();
        }
        out.len() - 4 * messages.len()
    }

    /// Bytes to which we compress them.
    fn by_us(messages: &[&[u8]], window_bits: u8) -> usize {
        let direction = Direction { window_bits, takeover: true };
        let mut deflation = Deflation::new(Agreement { outgoing: direction, incoming: direction });
        let mut codecs = Codecs::default();
        messages.iter().map(|message| deflation.compress(message, &mut codecs).unwrap().len()).sum()
    }

    #[test]
    fn long_messages_are_at_most_a_quarter_larger_than_at_level_6() {
        for text in TEXTS {
            for length in [LONGEST_USUAL + 1, 32 * 1024, 64 * 1024, text.len()] {
                let message = &text[..length.min(text.len())];
                let ours = Codecs::default().compress_alone(message, 15).unwrap().len();
                let by_level_6 = at_level_6(&[message]);
                assert!(4 * ours <= 5 * by_level_6, "{ours} bytes instead of {by_level_6}");
                assert!(ours > by_level_6, "level 6 after all");
            }
        }
    }

    #[test]
    fn messages_that_refer_to_those_before_are_at_most_a_quarter_larger_than_at_level_6() {
        for text in TEXTS {
            for length in [300, 10_000, 20_000] {
                let messages: Vec<&[u8]> = text.chunks(length).collect();
                let (ours, by_level_6) = (by_us(&messages, 15), at_level_6(&messages));
                assert!(
                    4 * ours <= 5 * by_level_6,
                    "{ours} bytes instead of {by_level_6} for messages of {length}"
                );
            }
        }
    }

    #[test]
    fn messages_up_to_16_kib_are_compressed_at_level_6() {
        for text in TEXTS {
            for length in [100, 1000, LONGEST_USUAL] {
                let message = &text[..length];
                let ours = Codecs::default().compress_alone(message, 15).unwrap().len();
                assert_eq!(ours, at_level_6(&[message]));
            }
        }
    }

    #[test]
    fn tiny_messages_are_as_small_as_at_level_6_but_for_some_bytes() {
        let (mut codecs, mut sum, mut level_6_sum) = (Codecs::default(), 0, 0);
        for message in TEXTS.iter().flat_map(|text| text.chunks(LONGEST_TINY)) {
            let (ours, by_level_6) =
                (codecs.compress_alone(message, 15).unwrap().len(), at_level_6(&[message]));
            assert!(ours <= by_level_6 + 8, "{ours} bytes instead of {by_level_6}");
            sum += ours;
            level_6_sum += by_level_6;
        }
        assert!(sum <= level_6_sum, "{sum} bytes instead of {level_6_sum}");
    }

    #[test]
    fn levels_change_from_message_to_message() {
        let long = TEXTS[0];
        for (window_bits, takeover) in [(15, true), (15, false), (12, true), (9, false)] {
            let direction = Direction { window_bits, takeover };
            let agreement = Agreement { outgoing: direction, incoming: direction };
            let (mut codecs, mut sender, mut receiver) =
                (Codecs::default(), Deflation::new(agreement), Deflation::new(agreement));
            for length in [10, 100_000, 48, 49, 16_385, 1000, 40_000, 5, 16_384, 70_000, 70_000] {
                let compressed = sender.compress(&long[..length], &mut codecs).unwrap().to_vec();
                let read = receiver.decompress(&compressed, 100_000, &mut codecs);
                assert_eq!(read, Ok(&long[..length]), "{length} {window_bits} {takeover}");
            }
        }
    }
}
