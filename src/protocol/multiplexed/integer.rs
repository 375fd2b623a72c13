//! Integers with a prefix of 1 to 8 bits (RFC 7541 §5.1).

/// Appends `value` with a prefix of `bits`; the bits above the prefix are those of `pattern`.
pub(in crate::protocol) fn encode(value: usize, bits: u32, pattern: u8, out: &mut Vec<u8>) {
    encode_long(value as u64, bits, pattern, out);
}

/// The same for numbers of 64 bits.
pub(in crate::protocol) fn encode_long(value: u64, bits: u32, pattern: u8, out: &mut Vec<u8>) {
    let max = (1 << bits) - 1;
    if value < max {
        out.push(pattern | low_byte(value));
        return;
    }
    out.push(pattern | low_byte(max));
    let mut rest = value - max;
    while rest >= 0x80 {
        out.push(low_byte(rest) | 0x80);
        rest >>= 7;
    }
    out.push(low_byte(rest));
}

/// Takes an integer with a prefix of `bits` from the front of `input`; `None` if it is cut off, or larger than anything
/// that a header block can hold.
pub(in crate::protocol) fn decode(input: &mut &[u8], bits: u32) -> Option<usize> {
    let (&first, mut rest) = input.split_first()?;
    let max = (1 << bits) - 1;
    let mut value = usize::from(first) & max;
    if value == max {
        let mut shift = 0;
        loop {
            let (&byte, following) = rest.split_first()?;
            rest = following;
            if shift > MAX_SHIFT {
                return None;
            }
            value += usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *input = rest;
    Some(value)
}

/// The lowest eight bits.
const fn low_byte(value: u64) -> u8 {
    (value & 0xff) as u8
}

/// Four bytes behind the prefix: 2^28 and more, and no overflow where `usize` has 32 bits. RFC 7541 §5.1 lets an
/// implementation limit them.
const MAX_SHIFT: u32 = 21;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(value: usize, bits: u32) -> Vec<u8> {
        let mut out = Vec::new();
        encode(value, bits, 0, &mut out);
        out
    }

    /// RFC 7541, Appendix C.1.
    #[test]
    fn the_examples_of_the_rfc_are_read_and_written() {
        let cases: [(usize, u32, &[u8]); 3] =
            [(10, 5, &[0b0_1010]), (1337, 5, &[0b1_1111, 0b1001_1010, 0b0000_1010]), (42, 8, &[42])];
        for (value, bits, bytes) in cases {
            assert_eq!(encoded(value, bits), bytes);
            assert_eq!(decode(&mut &bytes[..], bits), Some(value));
        }
    }

    #[test]
    fn an_integer_that_is_cut_off_or_too_large_is_none() {
        for bytes in [
            &[][..],
            &[0x1f],
            &[0x1f, 0x80],
            &[0x1f, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0x1f, 0x80, 0x80, 0x80, 0x80, 0x00],
        ] {
            assert_eq!(decode(&mut &bytes[..], 5), None, "{bytes:?}");
        }
        assert_eq!(decode(&mut &[0x1f, 0xff, 0xff, 0xff, 0x7f][..], 5), Some((1 << 28) - 1 + 31));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_nothing_behind_it(value in 0_usize..1 << 28, bits in 1_u32..=8) {
            let mut bytes = encoded(value, bits);
            bytes.push(0xaa);
            let mut rest = &bytes[..];
            prop_assert_eq!(decode(&mut rest, bits), Some(value));
            prop_assert_eq!(rest, &[0xaa]);
        }
    }
}
