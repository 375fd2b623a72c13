//! One field line: `name ":" OWS value OWS CRLF` (RFC 9112 §5), and the character sets of RFC 9110 §5.

use super::error::HttpError;

/// A stretch of the bytes of a request head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// Index of its first byte, counted from the start of the head.
    pub start: u16,
    /// Its length in bytes.
    pub len: u16,
}

impl Span {
    /// The span `start..end`. Heads are at most 65,535 bytes long, so nothing is cut.
    pub(in crate::protocol) fn new(start: usize, end: usize) -> Self {
        let [start, len] = [start, end - start].map(|count| u16::try_from(count).unwrap_or(u16::MAX));
        Self { start, len }
    }

    /// The bytes of `head` in this span; empty if `head` is too short.
    #[must_use]
    pub(crate) fn of(self, head: &[u8]) -> &[u8] {
        let start = usize::from(self.start);
        head.get(start..start + usize::from(self.len)).unwrap_or(b"")
    }
}

/// One header field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeaderField {
    /// The name: a token, in lower case.
    pub name: Span,
    /// The value without the whitespace around it: no control bytes but HTAB.
    pub value: Span,
}

/// Whether `text` is a token (RFC 9110 §5.6.2): a method, a field name, a coding.
#[must_use]
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

/// Whether a token may hold `byte`: `tchar` of RFC 9110 §5.6.2.
#[must_use]
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    lower_case_token_byte(byte) != 0
}

/// Whether `text` may be sent or received as a field value (RFC 9110 §5.5): no control bytes but HTAB.
#[must_use]
pub(crate) fn is_field_value(text: &[u8]) -> bool {
    first_control(text) == text.len()
}

/// `text` without spaces and tabs around it: OWS of RFC 9110 §5.6.3.
#[must_use]
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    let Some(start) = text.iter().position(|&byte| !is_space(byte)) else { return b"" };
    let end = text.iter().rposition(|&byte| !is_space(byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

/// The members of a comma-separated list (RFC 9110 §5.6.1), trimmed; an empty member is passed on as such.
pub(crate) fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',').map(trim)
}

/// Reads the field line that starts at `start` and lower-cases its name in place. Returns the field and the index of
/// the next line. Every LF of `head` follows a CR, and `head` ends with one.
pub(super) fn parse_field(head: &mut [u8], start: usize) -> Result<(HeaderField, usize), HttpError> {
    let mut colon = start;
    while let Some(byte) = head.get_mut(colon) {
        match lower_case_token_byte(*byte) {
            0 => break,
            lower => *byte = lower,
        }
        colon += 1;
    }
    match head.get(colon) {
        Some(b':') if colon > start => {}
        found => return Err(field_name_error(found.copied(), colon == start)),
    }

    let spaces = head[colon + 1..].iter().take_while(|&&byte| is_space(byte)).count();
    let value_start = colon + 1 + spaces;
    let line_end = value_start + first_control(&head[value_start..]);
    match (head.get(line_end), head.get(line_end + 1)) {
        (Some(b'\r'), Some(b'\n')) => {}
        (Some(b'\r'), _) => return Err(HttpError::BareCr),
        _ => return Err(HttpError::InvalidFieldValue),
    }
    let trailing = head[value_start..line_end].iter().rev().take_while(|&&byte| is_space(byte)).count();

    let name = Span::new(start, colon);
    let value = Span::new(value_start, line_end - trailing);
    Ok((HeaderField { name, value }, line_end + 2))
}

/// The rule broken by a field name that ends at `found` instead of at a colon; `at_start`: the name is empty.
pub(super) const fn field_name_error(found: Option<u8>, at_start: bool) -> HttpError {
    match found {
        Some(b' ' | b'\t') if at_start => HttpError::FoldedField,
        Some(b' ' | b'\t') => HttpError::SpaceBeforeColon,
        Some(b'\r') | None => HttpError::MissingColon,
        Some(b'\n') => HttpError::BareLf,
        Some(_) => HttpError::InvalidFieldName,
    }
}

/// The byte in lower case if a token may hold it, else 0 (which no token may hold).
pub(super) const fn lower_case_token_byte(byte: u8) -> u8 {
    TOKEN[byte as usize]
}

/// Space or HTAB.
pub(in crate::protocol) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Whether a field value must not hold this byte.
pub(super) const fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

/// Index of the first byte that a field value must not hold, or the length. Reads eight bytes at a time: most of a
/// head is field values, and this is the only pass over them.
pub(in crate::protocol) fn first_control(text: &[u8]) -> usize {
    let mut done = 0;
    let (words, _) = text.as_chunks::<8>();
    for word in words {
        if may_hold_control(u64::from_le_bytes(*word))
            && let Some(found) = word.iter().position(|&byte| is_control(byte))
        {
            return done + found;
        }
        done += 8;
    }
    done + text[done..].iter().take_while(|&&byte| !is_control(byte)).count()
}

/// Whether one of the eight bytes is below 0x20 or is 0x7f. HTAB counts too; the caller excludes it.
const fn may_hold_control(word: u64) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH_BITS: u64 = ONES << 7;
    // Subtracting 0x20 from a byte below it borrows, which sets a high bit that it did not have. A borrow into the next
    // byte only happens after such a byte, so it causes no false positive.
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    let delete = word ^ (ONES * 0x7f);
    let is_delete = delete.wrapping_sub(ONES) & !delete;
    (below_space | is_delete) & HIGH_BITS != 0
}

/// [`lower_case_token_byte`] as a table. RFC 9110 §5.6.2: token = 1*tchar.
const TOKEN: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        if byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            )
        {
            table[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Parses `line` and shows name and value.
    fn field(line: &[u8]) -> Result<(Vec<u8>, Vec<u8>), HttpError> {
        let mut bytes = line.to_vec();
        let (field, next) = parse_field(&mut bytes, 0)?;
        assert_eq!(next, bytes.len());
        Ok((field.name.of(&bytes).to_vec(), field.value.of(&bytes).to_vec()))
    }

    #[test]
    fn a_name_is_lower_cased_and_a_value_trimmed() {
        let cases: [(&[u8], &[u8], &[u8]); 7] = [
            (b"Host: a\r\n", b"host", b"a"),
            (b"X-A:b c\r\n", b"x-a", b"b c"),
            (b"x: \t a\tb \t\r\n", b"x", b"a\tb"),
            (b"x:\r\n", b"x", b""),
            (b"x: \t \r\n", b"x", b""),
            (b"x::\r\n", b"x", b":"),
            (b"!#$%&'*+-.^_`|~09AZ: \x80\xff\"\r\n", b"!#$%&'*+-.^_`|~09az", b"\x80\xff\""),
        ];
        for (line, name, value) in cases {
            assert_eq!(field(line), Ok((name.to_vec(), value.to_vec())), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_broken_line_is_refused_by_the_rule_it_breaks() {
        let cases: [(&[u8], HttpError); 14] = [
            (b" x: 1\r\n", HttpError::FoldedField),
            (b"\tx: 1\r\n", HttpError::FoldedField),
            (b"x : 1\r\n", HttpError::SpaceBeforeColon),
            (b"x\t: 1\r\n", HttpError::SpaceBeforeColon),
            (b"x y: 1\r\n", HttpError::SpaceBeforeColon),
            (b"x\r\n", HttpError::MissingColon),
            (b": 1\r\n", HttpError::InvalidFieldName),
            (b"x\0y: 1\r\n", HttpError::InvalidFieldName),
            (b"x(y): 1\r\n", HttpError::InvalidFieldName),
            (b"x\xe9: 1\r\n", HttpError::InvalidFieldName),
            (b"x: a\0b\r\n", HttpError::InvalidFieldValue),
            (b"x: a\x0bb\r\n", HttpError::InvalidFieldValue),
            (b"x: a\x7fb\r\n", HttpError::InvalidFieldValue),
            (b"x: a\rb\r\n", HttpError::BareCr),
        ];
        for (line, error) in cases {
            assert_eq!(field(line), Err(error), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn lists_are_split_at_commas_and_trimmed() {
        let split: Vec<&[u8]> = members(b" a ,\tb,, c d").collect();
        assert_eq!(split, [b"a".as_slice(), b"b", b"", b"c d"]);
        assert!(is_token(b"gzip") && !is_token(b"") && !is_token(b"a b"));
    }

    #[test]
    fn every_byte_is_judged_alike_alone_and_in_a_word() {
        for byte in 0..=u8::MAX {
            for position in 0..17 {
                let mut text = [b'a'; 17];
                text[position] = byte;
                let expected = if is_control(byte) { position } else { 17 };
                assert_eq!(first_control(&text), expected, "{byte} at {position}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_word_scan_finds_what_the_naive_scan_finds(text in proptest::collection::vec(
            prop_oneof![Just(b'\t'), Just(0x7f), Just(0x1f), Just(0x20), Just(0x80), Just(0xff), any::<u8>()], 0..40)) {
            let naive = text.iter().position(|&byte| is_control(byte)).unwrap_or(text.len());
            prop_assert_eq!(first_control(&text), naive);
        }
    }
}
