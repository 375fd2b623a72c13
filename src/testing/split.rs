//! Runs a case at every split point of its bytes: the result of a parser must not depend on how they arrive.

use std::fmt::Debug;

/// Inputs up to this length are also cut in three, at every pair of positions.
const THREE_PIECES_UP_TO: usize = 48;

/// Runs `case` on `bytes` whole, cut in two at every position, cut in three if they are short, and byte by byte.
/// Returns its result for the whole.
///
/// # Panics
/// If the result of a split differs from that of the whole; the message names the split.
pub(crate) fn same_at_every_split<R: PartialEq + Debug>(
    bytes: &[u8],
    mut case: impl FnMut(&[&[u8]]) -> R,
) -> R {
    let whole = case(&[bytes]);
    for first in 1..bytes.len() {
        let (left, right) = bytes.split_at(first);
        assert_eq!(case(&[left, right]), whole, "cut at {first} of {}", bytes.len());
        if bytes.len() <= THREE_PIECES_UP_TO {
            for second in 1..right.len() {
                let (middle, right) = right.split_at(second);
                let cut = case(&[left, middle, right]);
                assert_eq!(cut, whole, "cut at {first} and {} of {}", first + second, bytes.len());
            }
        }
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(case(&single), whole, "byte by byte, {} bytes", bytes.len());
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_cut_is_tried_and_loses_nothing() {
        let mut cuts = HashSet::new();
        let joined = same_at_every_split(b"abcd", |pieces| {
            cuts.insert(pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>());
            pieces.concat()
        });
        assert_eq!(joined, b"abcd");
        let expected: [&[usize]; 8] =
            [&[4], &[1, 3], &[2, 2], &[3, 1], &[1, 1, 2], &[1, 2, 1], &[2, 1, 1], &[1, 1, 1, 1]];
        assert_eq!(cuts, expected.into_iter().map(<[usize]>::to_vec).collect());
    }

    #[test]
    #[should_panic(expected = "cut at 1 of 2")]
    fn a_dependence_on_the_cut_is_found() {
        same_at_every_split(b"ab", |pieces| pieces.len());
    }

    #[test]
    fn nothing_to_cut() {
        assert_eq!(same_at_every_split(b"", |pieces| pieces.concat().len()), 0);
    }
}
