//! Compression of a tiny message as literals in the fixed code (RFC 1951 §3.2.6).
//!
//! It is what level 1 makes of a message in which nothing is repeated, byte by byte, without a compressor, whose 128 KiB
//! of hash table would have to be cleared for it. Figures: docs/decisions/0011-compression-level.md.

use super::marker::MARKER;

/// Bytes of the longest message that is looked at: the search for repetitions compares all its strings with each other.
pub(super) const LONGEST: usize = 48;

/// Writes a non-empty message of at most [`LONGEST`] bytes to the front of `out`, with the marker, and returns the length
/// without it. `None` if it is longer, or repeats bytes: a compressor can then refer to them.
pub(super) fn compress(message: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    if message.len() > LONGEST || has_repetition(message) {
        return None;
    }
    if out.len() < ROOM {
        out.resize(ROOM, 0);
    }
    let mut bits = Bits { out, length: 0, pending: 0, count: 0 };
    bits.append(FIXED_BLOCK, HEADER_BITS);
    for &byte in message {
        let (code, length) = LITERALS[usize::from(byte)];
        bits.append(code, length);
    }
    bits.append(END_OF_BLOCK, END_OF_BLOCK_BITS);
    // The empty block whose other bytes are the marker.
    bits.append(STORED_BLOCK, HEADER_BITS);
    let length = bits.finish();
    out[length..length + MARKER.len()].copy_from_slice(&MARKER);
    Some(length)
}

/// Whether four bytes in succession occur twice: shorter strings are not worth a reference.
fn has_repetition(message: &[u8]) -> bool {
    let mut strings = [0; LONGEST];
    let mut count = 0;
    for (place, bytes) in strings.iter_mut().zip(message.windows(4)) {
        *place = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        count += 1;
    }
    // No early end within a row: so the comparisons are made several at a time.
    (1..count).any(|row| {
        let string = strings[row];
        strings[..row].iter().fold(false, |found, earlier| found | (*earlier == string))
    })
}

/// Writes codes to the front of a buffer with room for all of them.
struct Bits<'a> {
    out: &'a mut [u8],
    length: usize,
    /// Bits that do not fill a byte yet, the first one lowest.
    pending: u32,
    count: u32,
}

impl Bits<'_> {
    fn append(&mut self, code: u16, length: u8) {
        self.pending |= u32::from(code) << self.count;
        self.count += u32::from(length);
        while self.count >= u8::BITS {
            self.append_byte();
            self.count -= u8::BITS;
        }
    }

    /// Fills the last byte with zeros, and returns the number of bytes.
    fn finish(mut self) -> usize {
        if self.count > 0 {
            self.append_byte();
        }
        self.length
    }

    fn append_byte(&mut self) {
        self.out[self.length] = self.pending.to_le_bytes()[0];
        self.length += 1;
        self.pending >>= u8::BITS;
    }
}

/// The fixed code of each byte, its first bit lowest, and its length.
static LITERALS: [(u16, u8); 256] = {
    let mut codes = [(0, 0); 256];
    let mut byte = 0u16;
    while byte < 256 {
        let (code, length) = if byte < 144 { (0x30 + byte, 8) } else { (0x190 + byte - 144, 9) };
        codes[byte as usize] = (code.reverse_bits() >> (u16::BITS - length), length as u8);
        byte += 1;
    }
    codes
};

/// Bits of the header of a block.
const HEADER_BITS: u8 = 3;
/// The header of a block in the fixed code, not the last one.
const FIXED_BLOCK: u16 = 0b010;
/// The header of a block without compression, not the last one.
const STORED_BLOCK: u16 = 0b000;
/// The fixed code for the end of a block.
const END_OF_BLOCK: u16 = 0;
/// Bits of [`END_OF_BLOCK`].
const END_OF_BLOCK_BITS: u8 = 7;
/// Room for the longest message of bytes whose code has nine bits, the headers, the end of the block, and the marker.
const ROOM: usize =
    (LONGEST * 9 + 2 * HEADER_BITS as usize + END_OF_BLOCK_BITS as usize).div_ceil(8) + MARKER.len();

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::websocket::deflate::{compress as by_compressor, new_compressor};

    /// What we make of a message, without the marker.
    fn by_us(message: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let length = compress(message, &mut out)?;
        assert_eq!(out[length..length + MARKER.len()], MARKER);
        out.truncate(length);
        Some(out)
    }

    /// What level 1 makes of it.
    fn by_level_1(message: &[u8]) -> Vec<u8> {
        let (mut compressor, mut out) = (new_compressor(15), Vec::new());
        compressor.set_level(1).unwrap();
        let length = by_compressor(&mut compressor, message, &mut out).unwrap();
        out.truncate(length);
        out
    }

    #[test]
    fn every_byte_is_as_level_1_writes_it() {
        for byte in 0..=u8::MAX {
            let message = [byte, byte.wrapping_add(1), byte.wrapping_add(2)];
            for message in [&message[..1], &message] {
                assert_eq!(by_us(message), Some(by_level_1(message)), "{message:?}");
            }
        }
    }

    #[test]
    fn the_longest_message_has_room_whatever_its_bytes() {
        for first in [0, 144, 208] {
            let message: Vec<u8> = (first..=u8::MAX).take(LONGEST).collect();
            assert_eq!(message.len(), LONGEST);
            assert_eq!(by_us(&message), Some(by_level_1(&message)));
        }
        assert_eq!(by_us(&(0..=48).collect::<Vec<u8>>()), None, "one byte more");
    }

    #[test]
    fn what_is_repeated_is_left_to_a_compressor() {
        for (message, is_ours) in [
            (&b"abcdefgh"[..], true),
            (b"abcXabcYabc", true),
            (b"abcdXabcd", false),
            (b"aaaa", true),
            (b"aaaaa", false),
            (b"0123456789 0123456789", false),
        ] {
            assert_eq!(by_us(message).is_some(), is_ours, "{message:?}");
        }
        // At both ends of the longest message.
        let mut message: Vec<u8> = (100..148).collect();
        message.copy_within(..4, 44);
        assert_eq!(by_us(&message), None);
    }

    proptest! {
        #[test]
        fn messages_are_as_level_1_writes_them(
            message in prop_oneof![
                proptest::collection::vec(any::<u8>(), 1..=LONGEST),
                // So few different bytes that some are repeated.
                proptest::collection::vec(120..125u8, 1..=LONGEST),
            ]
        ) {
            if let Some(ours) = by_us(&message) {
                prop_assert_eq!(ours, by_level_1(&message));
            }
        }
    }
}
