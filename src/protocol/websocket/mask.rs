//! The client's mask (RFC 6455 §5.3): every payload byte is XORed with a byte of a four-byte key.

/// Removes (or applies) the mask in place. `offset` is the position of `payload` within its frame's payload, so that a
/// payload may be unmasked in the pieces it arrives in.
pub(crate) fn unmask(payload: &mut [u8], key: [u8; 4], offset: usize) {
    if key == [0; 4] {
        // The key of a frame without a mask.
        return;
    }
    let mut key = key;
    key.rotate_left(offset % 4);
    // Words of eight bytes, not aligned: the compiler vectorizes this loop, and unaligned access costs nothing on the
    // supported targets.
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (position, byte) in tail.iter_mut().enumerate() {
        *byte ^= key[position % 4];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 6455 §5.3, to the letter.
    fn naive(payload: &mut [u8], key: [u8; 4], offset: usize) {
        for (position, byte) in payload.iter_mut().enumerate() {
            *byte ^= key[(offset + position) % 4];
        }
    }

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 6455 §5.7: a single-frame masked text message, "Hello".
        let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        unmask(&mut payload, [0x37, 0xfa, 0x21, 0x3d], 0);
        assert_eq!(&payload, b"Hello");
    }

    #[test]
    fn every_short_length_alignment_and_offset_equals_the_naive_twin() {
        let key = [0x6d, 0xb6, 0xb2, 0x80];
        let original: Vec<u8> = (0..160u8).map(|byte| byte.wrapping_mul(31)).collect();
        for alignment in 0..16 {
            for length in 0..=128 {
                for offset in 0..8 {
                    let mut fast = original.clone();
                    let mut slow = original.clone();
                    unmask(&mut fast[alignment..alignment + length], key, offset);
                    naive(&mut slow[alignment..alignment + length], key, offset);
                    assert_eq!(fast, slow, "alignment {alignment}, length {length}, offset {offset}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_payload_equals_the_naive_twin(
            payload in prop::collection::vec(any::<u8>(), 0..2000), key: [u8; 4], offset in 0..100_000usize,
        ) {
            let mut fast = payload.clone();
            let mut slow = payload;
            unmask(&mut fast, key, offset);
            naive(&mut slow, key, offset);
            prop_assert_eq!(fast, slow);
        }

        #[test]
        fn pieces_give_what_the_whole_gives(
            payload in prop::collection::vec(any::<u8>(), 0..300), key: [u8; 4], cut in 0..300usize,
        ) {
            let cut = cut.min(payload.len());
            let mut whole = payload.clone();
            unmask(&mut whole, key, 0);
            let mut pieces = payload;
            let (left, right) = pieces.split_at_mut(cut);
            unmask(left, key, 0);
            unmask(right, key, cut);
            prop_assert_eq!(pieces, whole);
        }
    }
}
