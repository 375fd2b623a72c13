//! Plaintext in several pieces, divided into records.

use std::io::IoSlice;

/// The front of some pieces, up to a limit.
#[derive(Debug)]
pub(super) struct Pieces<'a> {
    rest: &'a [IoSlice<'a>],
    /// Bytes of the first piece that have been returned.
    offset: usize,
    /// Bytes that may still be returned.
    left: usize,
}

impl<'a> Pieces<'a> {
    /// The first `limit` bytes of the pieces.
    pub(super) fn new(pieces: &'a [IoSlice<'a>], limit: usize) -> Self {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        Self { rest: pieces, offset: 0, left: length.min(limit) }
    }

    /// The next bytes, never none: full records of `record` bytes as they lie in one piece, or the last record, or one
    /// that is gathered in `space` from several pieces.
    pub(super) fn next<'b>(&mut self, record: usize, space: &'b mut Vec<u8>) -> Option<&'b [u8]>
    where
        'a: 'b,
    {
        if self.left == 0 {
            return None;
        }
        let piece = self.piece();
        let whole = piece.len().min(self.left);
        let whole = if whole == self.left { whole } else { whole - whole % record };
        if whole > 0 {
            self.advance(whole);
            return Some(&piece[..whole]);
        }
        space.clear();
        let wanted = record.min(self.left);
        space.reserve(wanted);
        while space.len() < wanted {
            let piece = self.piece();
            let taken = piece.len().min(wanted - space.len());
            space.extend_from_slice(&piece[..taken]);
            self.advance(taken);
        }
        Some(space)
    }

    /// What is left of the first piece that is not empty.
    fn piece(&mut self) -> &'a [u8] {
        while let Some((first, rest)) = self.rest.split_first() {
            let bytes: &'a [u8] = first;
            if self.offset < bytes.len() {
                return &bytes[self.offset..];
            }
            (self.rest, self.offset) = (rest, 0);
        }
        &[]
    }

    fn advance(&mut self, count: usize) {
        self.offset += count;
        self.left -= count;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn full_records_are_not_copied_and_the_others_are_gathered() {
        let data = [7; 100];
        let pieces = [&data[..3], &[], &data[..25], &data[..4], &data[..2]].map(IoSlice::new);
        let mut space = Vec::new();
        let mut lengths = Vec::new();
        let mut walk = Pieces::new(&pieces, usize::MAX);
        while let Some(bytes) = walk.next(10, &mut space) {
            lengths.push(bytes.len());
        }
        // 3 of the first and 7 of the second; 10 of the second, then 8 with 2 of the third; 2 with 2 of the last.
        assert_eq!(lengths, [10, 10, 10, 4]);
        assert_eq!(Pieces::new(&pieces, 30).next(10, &mut space).map(<[u8]>::len), Some(10));
        assert_eq!(Pieces::new(&[], 30).next(10, &mut space), None);
        assert_eq!(Pieces::new(&[IoSlice::new(&data)], 64).next(10, &mut space).map(<[u8]>::len), Some(64));
    }

    proptest! {
        #[test]
        fn bytes_come_in_order_in_as_few_records_as_hold_them(
            lengths in prop::collection::vec(0_usize..40, 0..8),
            limit in 0_usize..120,
        ) {
            let data: Vec<Vec<u8>> = lengths.iter().zip(0_u8..).map(|(length, it)| vec![it; *length]).collect();
            let pieces: Vec<_> = data.iter().map(|piece| IoSlice::new(piece)).collect();
            let all = data.concat();
            let expected = &all[..all.len().min(limit)];
            let (mut walk, mut space, mut found, mut records) = (Pieces::new(&pieces, limit), Vec::new(), Vec::new(), 0);
            while let Some(bytes) = walk.next(16, &mut space) {
                prop_assert!(!bytes.is_empty());
                records += bytes.len().div_ceil(16);
                found.extend_from_slice(bytes);
            }
            prop_assert_eq!(&found[..], expected);
            prop_assert_eq!(records, expected.len().div_ceil(16));
        }
    }
}
