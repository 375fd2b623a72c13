//! The Huffman code of strings (RFC 7541 §5.2, Appendix B).
//!
//! The code is canonical: codes of the same length count up in the order of their symbols, and a longer code continues
//! where the shorter ones ended. So the lengths of Appendix B are the whole code. Symbols of requests are mostly 5 to 8
//! bits long, and are looked up by the next eight bits; for the others each length is tried.

/// Appends the decoded text. Returns false, and may have appended some of it, if `input` holds EOS, or is not padded
/// with fewer than eight 1-bits.
#[must_use]
pub(in crate::protocol) fn decode(input: &[u8], out: &mut Vec<u8>) -> bool {
    // The next bits, the first one on top.
    let mut buffer = 0_u64;
    let mut count = 0_u32;
    let mut bytes = input.iter();
    loop {
        while count <= 56
            && let Some(&byte) = bytes.next()
        {
            buffer |= u64::from(byte) << (56 - count);
            count += 8;
        }
        if count == 0 {
            return true;
        }
        let (symbol, length) = next_symbol(buffer);
        if length > count {
            // Nothing but padding is left, or a symbol that is cut off.
            return count < 8 && buffer == u64::MAX << (64 - count);
        }
        match u8::try_from(symbol) {
            Ok(byte) => out.push(byte),
            Err(_) => return false,
        }
        buffer <<= length;
        count -= length;
    }
}

/// The symbol whose code `buffer` starts with, and the length of that code.
fn next_symbol(buffer: u64) -> (u16, u32) {
    let (symbol, length) = SHORT[(buffer >> 56) as usize];
    if length > 0 {
        return (symbol.into(), length.into());
    }
    // No code is longer than the last row, and EOS is the last one of it.
    for (length, row) in ROWS.iter().enumerate().skip(9) {
        let code = (buffer >> (64 - length)) as u32;
        if code < row.first + row.count || length == MAX_BITS {
            return (SYMBOLS[(row.position + code - row.first) as usize], length as u32);
        }
    }
    (EOS, MAX_BITS as u32)
}

/// The codes of one length.
#[derive(Clone, Copy)]
struct Row {
    /// The first one.
    first: u32,
    /// The position of its symbol in [`SYMBOLS`].
    position: u32,
    /// How many there are.
    count: u32,
}

/// Length of the code of each byte in bits, and of EOS.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, //
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, //
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, //
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, //
    30,
];

/// The symbol that ends no string.
const EOS: u16 = 256;
/// Length of the longest code.
const MAX_BITS: usize = 30;

/// All symbols, by length and then by number.
const SYMBOLS: [u16; 257] = {
    let mut symbols = [0; 257];
    let mut next = 0;
    let mut length = 1;
    while length <= MAX_BITS {
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                symbols[next] = symbol as u16;
                next += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    symbols
};

/// The codes by length.
const ROWS: [Row; MAX_BITS + 1] = {
    let mut rows = [Row { first: 0, position: 0, count: 0 }; MAX_BITS + 1];
    let mut length = 1;
    while length <= MAX_BITS {
        let Row { first, position, count } = rows[length - 1];
        let mut own = 0;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            own += (LENGTHS[symbol] as usize == length) as u32;
            symbol += 1;
        }
        rows[length] = Row { first: (first + count) << 1, position: position + count, count: own };
        length += 1;
    }
    rows
};

/// Symbol and length of the code that these eight bits start with; length 0 if it is longer.
const SHORT: [(u8, u8); 256] = {
    let mut short = [(0, 0); 256];
    let mut bits = 0;
    while bits < 256 {
        let mut length = 1;
        while length <= 8 {
            let code = (bits >> (8 - length)) as u32;
            let Row { first, position, count } = ROWS[length];
            if count > 0 && code >= first && code < first + count {
                short[bits] = (SYMBOLS[(position + code - first) as usize] as u8, length as u8);
                break;
            }
            length += 1;
        }
        bits += 1;
    }
    short
};

#[cfg(test)]
pub(in crate::protocol) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The code of a symbol.
    fn code_of(symbol: usize) -> (u64, u32) {
        let length = usize::from(LENGTHS[symbol]);
        let Row { first, position, count } = ROWS[length];
        let place = (0..count).find(|place| usize::from(SYMBOLS[(position + place) as usize]) == symbol);
        (u64::from(first + place.expect("every symbol has a code")), length as u32)
    }

    /// Encodes bit by bit: this side sends no Huffman strings.
    pub(in crate::protocol) fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits = Vec::new();
        for &byte in text {
            let (code, length) = code_of(byte.into());
            bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
        }
        bits.resize(bits.len().next_multiple_of(8), true);
        bits.chunks(8).map(|bits| bits.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit))).collect()
    }

    fn decoded(input: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(input, &mut out).then_some(out)
    }

    /// Some rows of RFC 7541, Appendix B: the first and last of a length, the longest, EOS.
    #[test]
    fn the_lengths_give_the_codes_of_the_rfc() {
        let rows = [
            (usize::from(b'0'), 0x0, 5),
            (b't'.into(), 0x9, 5),
            (b' '.into(), 0x14, 6),
            (b'%'.into(), 0x15, 6),
            (b'u'.into(), 0x2d, 6),
            (b':'.into(), 0x5c, 7),
            (b'z'.into(), 0x7b, 7),
            (b'&'.into(), 0xf8, 8),
            (b'Z'.into(), 0xfd, 8),
            (b'!'.into(), 0x3f8, 10),
            (b'|'.into(), 0x7fc, 11),
            (b'#'.into(), 0xffa, 12),
            (0, 0x1ff8, 13),
            (b'{'.into(), 0x7ffe, 15),
            (b'\\'.into(), 0x7fff0, 19),
            (128, 0xfffe6, 20),
            (9, 0xff_ffea, 24),
            (249, 0x0fff_fffe, 28),
            (10, 0x3fff_fffc, 30),
            (22, 0x3fff_fffe, 30),
            (256, 0x3fff_ffff, 30),
        ];
        for (symbol, code, length) in rows {
            assert_eq!(code_of(symbol), (code, length), "symbol {symbol}");
        }
    }

    /// RFC 7541, Appendix C.4 and C.6.
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let cases: [(&[u8], &str); 4] = [
            (&[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff], "www.example.com"),
            (&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], "no-cache"),
            (&[0x64, 0x02], "302"),
            (&[0xae, 0xc3, 0x77, 0x1a, 0x4b], "private"),
        ];
        for (bytes, text) in cases {
            assert_eq!(decoded(bytes).as_deref(), Some(text.as_bytes()));
            assert_eq!(encode(text.as_bytes()), bytes);
        }
    }

    #[test]
    fn padding_is_less_than_a_byte_of_ones_and_eos_is_no_text() {
        assert_eq!(decoded(&[]), Some(Vec::new()));
        // `a` has five bits, 00011.
        assert_eq!(decoded(&[0b0001_1111]), Some(b"a".to_vec()));
        assert_eq!(decoded(&[0b0001_1110]), None, "a zero in the padding");
        assert_eq!(decoded(&[0b0001_1111, 0xff]), None, "eleven bits of padding");
        assert_eq!(decoded(&[0xff]), None);
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xff]), None, "EOS");
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xf0]), None, "half a symbol");
    }

    proptest! {
        #[test]
        fn every_text_survives(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decoded(&encode(&text)), Some(text));
        }
    }
}
