//! Integers of variable length (RFC 9000 §16): the two highest bits of the first byte say how many there are.

/// Appends a number below 2^62.
pub(super) fn encode(value: u64, out: &mut Vec<u8>) {
    match value {
        0..=0x3f => out.push((value & 0x3f) as u8),
        0x40..=0x3fff => out.extend_from_slice(&((value & 0x3fff) as u16 | 1 << 14).to_be_bytes()),
        0x4000..=0x3fff_ffff => {
            out.extend_from_slice(&((value & 0x3fff_ffff) as u32 | 2 << 30).to_be_bytes())
        }
        _ => out.extend_from_slice(&(value | 3 << 62).to_be_bytes()),
    }
}

/// Takes a number from the front of `input`; `None` if it is cut off.
pub(super) fn decode(input: &mut &[u8]) -> Option<u64> {
    let first = *input.first()?;
    let (bytes, rest) = input.split_at_checked(1 << (first >> 6))?;
    *input = rest;
    Some(bytes[1..].iter().fold(u64::from(first & 0x3f), |value, &byte| value << 8 | u64::from(byte)))
}

/// The largest number.
pub(super) const MAX: u64 = (1 << 62) - 1;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 9000, Appendix A.1.
    #[test]
    fn the_examples_of_the_rfc_are_read_and_written() {
        let cases: [(&[u8], u64); 4] = [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
        ];
        for (bytes, value) in cases {
            assert_eq!(decode(&mut &bytes[..]), Some(value));
            let mut out = Vec::new();
            encode(value, &mut out);
            assert_eq!(out, bytes);
            for end in 0..bytes.len() {
                assert_eq!(decode(&mut &bytes[..end]), None);
            }
        }
        assert_eq!(decode(&mut &[0x40, 0x25][..]), Some(37), "a longer form than needed");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_nothing_behind_it(value in prop_oneof![0..=MAX, 0..70_000_u64]) {
            let mut bytes = Vec::new();
            encode(value, &mut bytes);
            bytes.push(0xaa);
            let mut rest = &bytes[..];
            prop_assert_eq!(decode(&mut rest), Some(value));
            prop_assert_eq!(rest, &[0xaa]);
        }
    }
}
