//! UTF-8 of text messages (RFC 6455 §8.1), checked while they arrive: a message fails at the first byte that no
//! continuation could make valid, however it is cut into frames and reads.

use std::str;

/// The text cannot become valid UTF-8, whatever follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not UTF-8")]
pub(crate) struct InvalidUtf8;

/// Checks a text that arrives in pieces.
///
/// Call [`push`](Self::push) for every piece, then [`finish`](Self::finish). After an error the validator is of no
/// further use.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Validator {
    /// The bytes of a sequence whose end has not arrived: a valid prefix of one. Bytes from `length` on are stale.
    pending: [u8; 3],
    /// How many bytes of `pending` count, 0–3.
    length: u8,
}

impl Validator {
    /// Takes the next piece of the text. Fails as soon as the text so far is no prefix of a valid one.
    pub(crate) fn push(&mut self, mut piece: &[u8]) -> Result<(), InvalidUtf8> {
        while self.length > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            self.push_to_pending(byte)?;
            piece = rest;
        }
        let (whole, tail) = piece.split_at(start_of_incomplete_tail(piece));
        if !is_valid(whole) {
            return Err(InvalidUtf8);
        }
        tail.iter().try_for_each(|&byte| self.push_to_pending(byte))
    }

    /// The text ends here. Fails if it ends within a sequence.
    pub(crate) fn finish(self) -> Result<(), InvalidUtf8> {
        if self.length == 0 { Ok(()) } else { Err(InvalidUtf8) }
    }

    /// Adds one byte to the incomplete sequence, which may thereby become complete.
    fn push_to_pending(&mut self, byte: u8) -> Result<(), InvalidUtf8> {
        let held = usize::from(self.length);
        let mut sequence = [0; 4];
        sequence[..held].copy_from_slice(&self.pending[..held]);
        sequence[held] = byte;
        match str::from_utf8(&sequence[..=held]) {
            Ok(_) => self.length = 0,
            // No length means: valid so far, but it ends too early. At most three bytes can do that.
            Err(error) if error.error_len().is_none() => {
                self.pending[held] = byte;
                self.length += 1;
            }
            Err(_) => return Err(InvalidUtf8),
        }
        Ok(())
    }
}

/// Whether all of `text` is valid UTF-8.
#[must_use]
pub(crate) fn is_valid(text: &[u8]) -> bool {
    simdutf8::basic::from_utf8(text).is_ok()
}

/// The position of the last sequence of `piece` if that sequence is incomplete, else the end of `piece`. Only the
/// length is checked; the caller checks whether the bytes form a valid sequence.
fn start_of_incomplete_tail(piece: &[u8]) -> usize {
    for (after, &byte) in piece.iter().rev().take(3).enumerate() {
        let width = match byte {
            // A continuation byte: its sequence starts further to the left.
            0x80..=0xbf => continue,
            0x00..=0x7f => 1,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
        };
        return if width > after + 1 { piece.len() - after - 1 } else { piece.len() };
    }
    piece.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::split::same_at_every_split;
    use proptest::prelude::*;

    /// How many bytes of `text` can be taken before it is certain that it is invalid, and whether it may end there.
    fn naive(text: &[u8]) -> (usize, bool) {
        for taken in 1..=text.len() {
            if let Err(error) = str::from_utf8(&text[..taken])
                && error.error_len().is_some()
            {
                return (taken - 1, false);
            }
        }
        (text.len(), str::from_utf8(text).is_ok())
    }

    /// The same by a [`Validator`] fed one byte at a time.
    fn byte_by_byte(text: &[u8]) -> (usize, bool) {
        let mut validator = Validator::default();
        for (position, &byte) in text.iter().enumerate() {
            if validator.push(&[byte]).is_err() {
                return (position, false);
            }
        }
        (text.len(), validator.finish().is_ok())
    }

    /// The verdict on the text in these pieces.
    fn in_pieces(pieces: &[&[u8]]) -> Result<(), InvalidUtf8> {
        let mut validator = Validator::default();
        pieces.iter().try_for_each(|piece| validator.push(piece))?;
        validator.finish()
    }

    #[test]
    fn fails_at_the_first_byte_that_cannot_be_valid() {
        // Text, number of bytes that are taken. The first is that of Autobahn 6.4.1 to 6.4.4.
        let cases: [(&[u8], usize); 14] = [
            (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited", 12),
            (b"\x80", 0),
            (b"a\xbf", 1),
            (b"\xc0\x80", 0),
            (b"\xc1\xbf", 0),
            (b"\xc3(", 1),
            (b"\xe0\x9f\xbf", 1),
            (b"\xed\xa0\x80", 1),
            (b"\xe2\x82(", 2),
            (b"\xf0\x8f\xbf\xbf", 1),
            (b"\xf4\x90", 1),
            (b"\xf0\x90\x80(", 3),
            (b"\xf5", 0),
            (b"\xff", 0),
        ];
        for (text, taken) in cases {
            assert_eq!(byte_by_byte(text), (taken, false), "{text:x?}");
            assert!(!is_valid(text), "{text:x?}");
        }
    }

    #[test]
    fn a_text_may_not_end_within_a_sequence() {
        for text in [&b"\xc3"[..], b"a\xe2", b"a\xe2\x82", b"\xf0", b"\xf0\x9f", b"\xf0\x9f\x98"] {
            assert_eq!(byte_by_byte(text), (text.len(), false), "{text:x?}");
            assert_eq!(same_at_every_split(text, in_pieces), Err(InvalidUtf8), "{text:x?}");
        }
    }

    #[test]
    fn a_valid_text_may_be_cut_anywhere() {
        let text = "κόσμε 😀 \u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}";
        assert_eq!(same_at_every_split(text.as_bytes(), in_pieces), Ok(()));
        assert_eq!(same_at_every_split(text.repeat(20).as_bytes(), in_pieces), Ok(()));
    }

    #[test]
    fn the_empty_text_is_valid() {
        assert_eq!(in_pieces(&[]), Ok(()));
        assert_eq!(in_pieces(&[b"", b""]), Ok(()));
    }

    /// Bytes in which nearly valid text is frequent.
    fn nearly_text() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            4 => any::<char>().prop_map(|character| character.to_string().into_bytes()),
            1 => prop::collection::vec(0x80..=0xffu8, 1..3),
            1 => prop::sample::select(vec![0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf])
                .prop_map(|byte| vec![byte]),
            2 => Just(b"plain text, long enough for the vector code to be used at all, 64 bytes".to_vec()),
        ];
        prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn every_byte_is_judged_as_the_naive_twin_judges_it(text in nearly_text()) {
            prop_assert_eq!(byte_by_byte(&text), naive(&text));
        }

        #[test]
        fn any_two_cuts_give_the_verdict_on_the_whole(
            text in nearly_text(), first in any::<prop::sample::Index>(), second in any::<prop::sample::Index>(),
        ) {
            let (first, second) = (first.index(text.len() + 1), second.index(text.len() + 1));
            let (first, second) = (first.min(second), first.max(second));
            let pieces = [&text[..first], &text[first..second], &text[second..]];
            prop_assert_eq!(in_pieces(&pieces).is_ok(), str::from_utf8(&text).is_ok());
        }

        #[test]
        fn a_piece_fails_exactly_when_its_bytes_are_certainly_wrong(
            text in nearly_text(), cut in any::<prop::sample::Index>(),
        ) {
            let cut = cut.index(text.len() + 1);
            let mut validator = Validator::default();
            let taken = validator.push(&text[..cut]).is_ok();
            prop_assert_eq!(taken, naive(&text[..cut]).0 == cut);
        }
    }
}
