//! Status and fields of a response, as the application's side has checked them.

use std::ops::BitOr;

use super::field::{is_field_value, members, trim};

/// Status and fields of a response, both checked by the caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseHead<'a> {
    /// Status code and reason phrase, for example `200 OK`: three digits first, no CR, LF or NUL.
    pub status: &'a [u8],
    /// Field lines, each `Name: value CRLF`, names and values as [`super::head::is_token`] and
    /// [`super::head::is_field_value`] allow.
    pub fields: &'a [u8],
    /// Which of the fields that this layer handles itself are among `fields`. If a flag is missing, its field is sent
    /// twice.
    pub flags: FieldFlags,
}

/// Fields of a response that the application may write and that this layer would write too.
///
/// * Content-Length, Transfer-Encoding: left out, because a length that does not fit the body makes the client read
///   the next response wrongly. Only where no body follows (HEAD, 304) the application's Content-Length replaces ours:
///   the first one that is a number, because clients refuse a response with several or with something else.
/// * Connection: sent as it is; `close` in it closes the connection after the response. To a client of HTTP/1.1 that
///   asked to close the connection, nothing is added: it closes anyway, and some programs compare the value literally
///   and do not understand `keep-alive, close`.
/// * Date: sent instead of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldFlags(u8);

impl FieldFlags {
    /// None of them.
    pub(crate) const NONE: Self = Self(0);
    /// Content-Length.
    pub(crate) const CONTENT_LENGTH: Self = Self(1);
    /// Transfer-Encoding.
    pub(crate) const TRANSFER_ENCODING: Self = Self(1 << 1);
    /// Connection.
    pub(crate) const CONNECTION: Self = Self(1 << 2);
    /// Date.
    pub(crate) const DATE: Self = Self(1 << 3);

    /// The flag of the field called `name`, in any case of letters; [`Self::NONE`] for all others.
    #[must_use]
    pub(crate) fn of(name: &[u8]) -> Self {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"date") => Self::DATE,
            10 if name.eq_ignore_ascii_case(b"connection") => Self::CONNECTION,
            14 if name.eq_ignore_ascii_case(b"content-length") => Self::CONTENT_LENGTH,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => Self::TRANSFER_ENCODING,
            _ => Self::NONE,
        }
    }

    /// The flags of either, in a constant.
    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether one of `flags` is set.
    #[must_use]
    pub(crate) const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 != 0
    }

    /// As a number, to cross a queue.
    #[cfg(any(test, fuzzing))]
    #[must_use]
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// The reverse of [`Self::bits`]; bits without a meaning are dropped.
    #[cfg(any(test, fuzzing))]
    #[must_use]
    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits & 0b1111)
    }
}

impl BitOr for FieldFlags {
    type Output = Self;

    /// The flags of either.
    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

/// The value of a line.
pub(in crate::protocol) fn value_of<'a>((name, line): (&[u8], &'a [u8])) -> &'a [u8] {
    trim(&line[name.len() + 1..])
}

/// Whether a Connection field among these has the option `close`.
pub(super) fn has_close_option(fields: &[u8]) -> bool {
    lines(fields).any(|(name, line)| {
        name.eq_ignore_ascii_case(b"connection")
            && members(&line[name.len() + 1..]).any(|option| option.eq_ignore_ascii_case(b"close"))
    })
}

/// Whether a line is `Content-Length` with a number (RFC 9110 §8.6).
pub(in crate::protocol) fn is_length((name, line): (&[u8], &[u8])) -> bool {
    let value = value_of((name, line));
    FieldFlags::of(name) == FieldFlags::CONTENT_LENGTH
        && !value.is_empty()
        && value.iter().all(u8::is_ascii_digit)
}

/// The field lines without their CRLF, each with its name.
pub(crate) fn lines(fields: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    fields.split(|&byte| byte == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r")?;
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((&line[..colon], line))
    })
}

/// RFC 9112 §4: three digits, then a space and a reason phrase, which may be empty. 101 and 200 to 999: the other
/// informational responses are not final.
pub(crate) fn is_status(status: &[u8]) -> bool {
    match status {
        [b'1', b'0', b'1'] => true,
        [b'1', b'0', b'1', b' ', phrase @ ..] => is_field_value(phrase),
        [b'2'..=b'9', b'0'..=b'9', b'0'..=b'9'] => true,
        [b'2'..=b'9', b'0'..=b'9', b'0'..=b'9', b' ', phrase @ ..] => is_field_value(phrase),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flags of a field block, found as a caller finds them: name by name.
    fn flags(fields: &str) -> FieldFlags {
        lines(fields.as_bytes()).fold(FieldFlags::NONE, |flags, (name, _)| flags | FieldFlags::of(name))
    }

    #[test]
    fn flags_are_found_by_name_in_any_case_and_cross_a_queue() {
        let all = flags("DATE: a\r\nConnection: a\r\ncontent-LENGTH: 1\r\ntransfer-encoding: a\r\n");
        assert_eq!(FieldFlags::from_bits(all.bits()), all);
        assert_eq!(all.bits(), 0b1111);
        assert_eq!(FieldFlags::from_bits(0xff), all);
        assert_eq!(flags("Dat: a\r\nDates: a\r\nX-Date: a\r\n"), FieldFlags::NONE);
    }

    #[test]
    fn a_status_is_three_digits_and_a_phrase() {
        for status in ["200 OK", "404 Not Found", "204", "101 Switching Protocols", "599 \u{e9}", "200 "] {
            assert!(is_status(status.as_bytes()), "{status}");
        }
        for status in
            ["", "OK", "20 OK", "2000", "200OK", "100 Continue", "200 OK\r\nX: y", "099 X", "200\nOK"]
        {
            assert!(!is_status(status.as_bytes()), "{status:?}");
        }
    }
}
