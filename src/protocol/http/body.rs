//! Finds the body of a request within the received bytes (RFC 9112 §6, §7).
//!
//! ```text
//!  Fixed    ┌──────────────── Content-Length bytes ────────────────┐
//!  Chunked  5;name=value CRLF  h e l l o CRLF  0 CRLF  Name: value CRLF  CRLF
//!           size extension     data            last    trailers          end
//! ```
//!
//! Chunk extensions and trailer fields are checked against their grammar and limits, then discarded. A parser that
//! skips them unchecked can be made to skip a line end (request smuggling).

use std::ops::Range;

use super::error::HttpError;
use super::field::{field_name_error, is_control, lower_case_token_byte};
use super::framing::BodyLength;

/// Finds the body bytes of one request. Holds no bytes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BodyDecoder(Kind);

/// One step of [`BodyDecoder::decode`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Bytes of the input that have been processed, including framing.
    pub consumed: usize,
    /// The range of the body bytes among them; empty if there are none.
    pub data: Range<usize>,
    /// The body is complete. What follows `consumed` belongs to the next request.
    pub done: bool,
}

/// How the end of the body is found.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// By `Content-Length`: this many bytes are still to come.
    Fixed(u64),
    /// By the chunked coding. The remaining chunks may have at most `allowance` bytes of data.
    Chunked { chunk: Chunk, allowance: u64 },
}

/// What the next byte of a chunked body is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    /// The chunk size, of which `digits` digits have been read, with the value `size`.
    Size { size: u64, digits: u8 },
    /// The extensions of a chunk of this `size`; `len` bytes of them have been read.
    Extension { size: u64, part: Extension, len: u16 },
    /// The LF of the size line.
    SizeLf { size: u64 },
    /// The data, of which `remaining` bytes, never 0, are still to come.
    Data { remaining: u64 },
    /// The CR after the data.
    DataCr,
    /// The LF after the data.
    DataLf,
    /// The trailer section; `len` bytes of it have been read.
    Trailer { part: Trailer, len: u16 },
    /// Nothing: the body is complete.
    Done,
}

/// A position within `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )` (RFC 9112 §7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    /// Before the `;`, in whitespace.
    BeforeSemicolon,
    /// After the `;`.
    BeforeName,
    /// In the name.
    Name,
    /// After the name, in whitespace.
    AfterName,
    /// After the `=`.
    BeforeValue,
    /// In a value that is a token.
    Token,
    /// In a quoted string.
    Quoted,
    /// After a backslash in a quoted string.
    Escaped,
    /// After the closing quote.
    AfterQuoted,
}

/// A position within the trailer section: field lines, then an empty line (RFC 9112 §7.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trailer {
    /// At the start of a line.
    LineStart,
    /// In a field name.
    Name,
    /// In a field value.
    Value,
    /// At the LF of a field line.
    ValueLf,
    /// At the LF of the empty line.
    FinalLf,
}

impl BodyDecoder {
    /// Creates a decoder for a body of this length, of at most `max` bytes; `None` if the request has no body.
    ///
    /// # Errors
    /// [`HttpError::BodyTooLarge`] if the length is known to be above `max`.
    pub(crate) const fn new(length: BodyLength, max: u64) -> Result<Option<Self>, HttpError> {
        match length {
            BodyLength::None | BodyLength::Fixed(0) => Ok(None),
            BodyLength::Fixed(length) if length > max => Err(HttpError::BodyTooLarge),
            BodyLength::Fixed(length) => Ok(Some(Self(Kind::Fixed(length)))),
            BodyLength::Chunked => Ok(Some(Self(Kind::Chunked { chunk: Chunk::START, allowance: max }))),
        }
    }

    /// Bytes still to come; `None` for a chunked body, whose length is unknown.
    #[must_use]
    pub(crate) const fn remaining(&self) -> Option<u64> {
        match self.0 {
            Kind::Fixed(remaining) => Some(remaining),
            Kind::Chunked { .. } => None,
        }
    }

    /// Takes note of `len` bytes, at most [`Self::remaining`], of a body of known length. Returns whether it is complete.
    pub(crate) fn skip(&mut self, len: usize) -> bool {
        match &mut self.0 {
            Kind::Fixed(remaining) => {
                take(remaining, len);
                *remaining == 0
            }
            Kind::Chunked { .. } => false,
        }
    }

    /// Processes the input up to the end of the next contiguous body bytes, of the body, or of the input. Call it again
    /// with the bytes after `consumed` until `done` or until the input is used up. The decoder consumes all input until
    /// `done`, so the caller buffers nothing.
    ///
    /// # Errors
    /// The first rule that the body violates. The decoder must not be used after it.
    pub(crate) fn decode(&mut self, input: &[u8]) -> Result<Decoded, HttpError> {
        match &mut self.0 {
            Kind::Fixed(remaining) => {
                let len = take(remaining, input.len());
                Ok(Decoded { consumed: len, data: 0..len, done: *remaining == 0 })
            }
            Kind::Chunked { chunk, allowance } => decode_chunked(chunk, allowance, input),
        }
    }
}

/// [`BodyDecoder::decode`] of a chunked body.
fn decode_chunked(chunk: &mut Chunk, allowance: &mut u64, input: &[u8]) -> Result<Decoded, HttpError> {
    let mut at = 0;
    while *chunk != Chunk::Done && at < input.len() {
        if let Chunk::Data { mut remaining } = *chunk {
            let len = take(&mut remaining, input.len() - at);
            *chunk = if remaining == 0 { Chunk::DataCr } else { Chunk::Data { remaining } };
            return Ok(Decoded { consumed: at + len, data: at..at + len, done: false });
        }
        *chunk = chunk.step(input[at])?;
        at += 1;
        if let Chunk::Data { remaining } = *chunk {
            // Refused by the declared size of the chunk, before any of its data.
            *allowance = allowance.checked_sub(remaining).ok_or(HttpError::BodyTooLarge)?;
        }
    }
    Ok(Decoded { consumed: at, data: at..at, done: *chunk == Chunk::Done })
}

/// Subtracts the smaller of `remaining` and `available` from `remaining`, and returns it.
fn take(remaining: &mut u64, available: usize) -> usize {
    let len = usize::try_from(*remaining).map_or(available, |remaining| remaining.min(available));
    *remaining -= len as u64;
    len
}

impl Chunk {
    /// The state before each chunk.
    const START: Self = Self::Size { size: 0, digits: 0 };

    /// Returns the state after `byte`, which is not data.
    fn step(self, byte: u8) -> Result<Self, HttpError> {
        match self {
            Self::Size { size, digits } => Self::step_size(size, digits, byte),
            Self::Extension { size, part, len } => Self::step_extension(size, part, len, byte),
            Self::SizeLf { size } => match (byte, size) {
                (b'\n', 0) => Ok(Self::Trailer { part: Trailer::LineStart, len: 0 }),
                (b'\n', remaining) => Ok(Self::Data { remaining }),
                _ => Err(HttpError::BareCr),
            },
            Self::DataCr if byte == b'\r' => Ok(Self::DataLf),
            Self::DataLf if byte == b'\n' => Ok(Self::START),
            Self::DataCr | Self::DataLf => Err(HttpError::InvalidChunkEnd),
            Self::Trailer { part, len } => Self::step_trailer(part, len, byte),
            Self::Data { .. } | Self::Done => Ok(self),
        }
    }

    /// RFC 9112 §7.1: chunk-size = 1*HEXDIG. No sign, no prefix, no space.
    fn step_size(size: u64, digits: u8, byte: u8) -> Result<Self, HttpError> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ if digits == 0 => return Err(HttpError::InvalidChunkSize),
            b'\r' => return Ok(Self::SizeLf { size }),
            b'\n' => return Err(HttpError::BareLf),
            b';' => return Ok(Self::Extension { size, part: Extension::BeforeName, len: 1 }),
            b' ' | b'\t' => return Ok(Self::Extension { size, part: Extension::BeforeSemicolon, len: 1 }),
            _ => return Err(HttpError::InvalidChunkSize),
        };
        if digits == MAX_SIZE_DIGITS {
            return Err(HttpError::ContentTooLarge);
        }
        Ok(Self::Size { size: size << 4 | u64::from(digit), digits: digits + 1 })
    }

    /// Processes a byte of the extensions, or the CR after them.
    fn step_extension(size: u64, part: Extension, len: u16, byte: u8) -> Result<Self, HttpError> {
        if byte == b'\r' && part.may_end() {
            return Ok(Self::SizeLf { size });
        }
        if len == MAX_EXTENSION_BYTES {
            return Err(HttpError::ChunkExtensionTooLong);
        }
        Ok(Self::Extension { size, part: part.step(byte)?, len: len + 1 })
    }

    /// Processes a byte of the trailer section.
    fn step_trailer(part: Trailer, len: u16, byte: u8) -> Result<Self, HttpError> {
        if part == Trailer::FinalLf {
            return if byte == b'\n' { Ok(Self::Done) } else { Err(HttpError::BareCr) };
        }
        if len == MAX_TRAILER_BYTES {
            return Err(HttpError::TrailersTooLong);
        }
        Ok(Self::Trailer { part: part.step(byte)?, len: len + 1 })
    }
}

impl Extension {
    /// Whether the size line may end here.
    const fn may_end(self) -> bool {
        match self {
            Self::Name | Self::Token | Self::AfterQuoted => true,
            Self::BeforeSemicolon
            | Self::BeforeName
            | Self::AfterName
            | Self::BeforeValue
            | Self::Quoted
            | Self::Escaped => false,
        }
    }

    /// Returns the state after `byte`. Whitespace is allowed only where the grammar has BWS, so not before the CRLF.
    fn step(self, byte: u8) -> Result<Self, HttpError> {
        let is_token = lower_case_token_byte(byte) != 0;
        match (self, byte) {
            (Self::Quoted, b'"') => Ok(Self::AfterQuoted),
            (Self::Quoted, b'\\') => Ok(Self::Escaped),
            (Self::Quoted | Self::Escaped, _) if !is_control(byte) => Ok(Self::Quoted),
            (_, b'\n') => Err(HttpError::BareLf),
            (
                Self::BeforeSemicolon | Self::BeforeName | Self::AfterName | Self::BeforeValue,
                b' ' | b'\t',
            ) => Ok(self),
            (Self::BeforeName | Self::Name, _) if is_token => Ok(Self::Name),
            (Self::BeforeValue | Self::Token, _) if is_token => Ok(Self::Token),
            (Self::BeforeValue, b'"') => Ok(Self::Quoted),
            (Self::Name | Self::AfterName, b'=') => Ok(Self::BeforeValue),
            (Self::Name, b' ' | b'\t') => Ok(Self::AfterName),
            (Self::Token | Self::AfterQuoted, b' ' | b'\t') => Ok(Self::BeforeSemicolon),
            (
                Self::BeforeSemicolon | Self::Name | Self::AfterName | Self::Token | Self::AfterQuoted,
                b';',
            ) => Ok(Self::BeforeName),
            _ => Err(HttpError::InvalidChunkExtension),
        }
    }
}

impl Trailer {
    /// Returns the state after `byte`. The rules are those of the fields in a head.
    fn step(self, byte: u8) -> Result<Self, HttpError> {
        match self {
            Self::LineStart if byte == b'\r' => Ok(Self::FinalLf),
            Self::LineStart | Self::Name if lower_case_token_byte(byte) != 0 => Ok(Self::Name),
            Self::Name if byte == b':' => Ok(Self::Value),
            Self::LineStart => Err(field_name_error(Some(byte), true)),
            Self::Name => Err(field_name_error(Some(byte), false)),
            Self::Value if byte == b'\r' => Ok(Self::ValueLf),
            Self::Value if byte == b'\n' => Err(HttpError::BareLf),
            Self::Value if is_control(byte) => Err(HttpError::InvalidFieldValue),
            Self::Value => Ok(Self::Value),
            Self::ValueLf | Self::FinalLf if byte == b'\n' => Ok(Self::LineStart),
            Self::ValueLf | Self::FinalLf => Err(HttpError::BareCr),
        }
    }
}

/// 15 hexadecimal digits stay below 2^60, so sums of sizes need no overflow check.
const MAX_SIZE_DIGITS: u8 = 15;

/// Limit per chunk, in bytes. Extensions in actual use (signatures of object stores) have about 90.
const MAX_EXTENSION_BYTES: u16 = 256;

/// Limit of the whole trailer section, in bytes, without its final CRLF.
const MAX_TRAILER_BYTES: u16 = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `input` in pieces that end at `cuts`. Returns the body, the bytes consumed, and whether the body is
    /// complete.
    fn decode(length: BodyLength, input: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, usize, bool), HttpError> {
        decode_at_most(u64::MAX, length, input, cuts)
    }

    /// Like [`decode`], with a limit of `max` bytes.
    fn decode_at_most(
        max: u64,
        length: BodyLength,
        input: &[u8],
        cuts: &[usize],
    ) -> Result<(Vec<u8>, usize, bool), HttpError> {
        let mut decoder = BodyDecoder::new(length, max)?.expect("a body");
        let (mut body, mut at) = (Vec::new(), 0);
        for &cut in cuts.iter().chain([&input.len()]) {
            while at < cut {
                let step = decoder.decode(&input[at..cut])?;
                body.extend_from_slice(&input[at..cut][step.data]);
                at += step.consumed;
                if step.done {
                    return Ok((body, at, true));
                }
            }
        }
        Ok((body, at, false))
    }

    /// Like [`decode`]; asserts that the result is the same for every single cut and for single bytes.
    fn decode_all_ways(length: BodyLength, input: &[u8]) -> Result<(Vec<u8>, usize, bool), HttpError> {
        let whole = decode(length, input, &[]);
        for cut in 0..=input.len() {
            assert_eq!(decode(length, input, &[cut]), whole, "{} cut at {cut}", input.escape_ascii());
        }
        let every: Vec<usize> = (0..=input.len()).collect();
        assert_eq!(decode(length, input, &every), whole, "{} byte by byte", input.escape_ascii());
        whole
    }

    #[test]
    fn a_decoder_is_small() {
        assert!(size_of::<BodyDecoder>() <= 24);
    }

    #[test]
    fn a_fixed_body_ends_after_its_length() {
        assert_eq!(decode_all_ways(BodyLength::Fixed(5), b"helloGET"), Ok((b"hello".to_vec(), 5, true)));
        assert_eq!(decode_all_ways(BodyLength::Fixed(5), b"hell"), Ok((b"hell".to_vec(), 4, false)));
        assert_eq!(BodyDecoder::new(BodyLength::Fixed(0), 0), Ok(None));
        assert_eq!(BodyDecoder::new(BodyLength::None, 0), Ok(None));
    }

    #[test]
    fn a_chunked_body_ends_after_its_trailers() {
        let cases: [(&str, &str); 12] = [
            ("0\r\n\r\n", ""),
            ("000\r\n\r\n", ""),
            ("5\r\nhello\r\n0\r\n\r\n", "hello"),
            ("3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello"),
            ("00A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
            ("1\r\n\n\r\n0\r\n\r\n", "\n"),
            ("1;a\r\nx\r\n0;b=c;d\r\n\r\n", "x"),
            ("1 ; a = b ;\tc\r\nx\r\n0\r\n\r\n", "x"),
            ("1;a=\"; \\\" \t\u{e9}\"\r\nx\r\n0\r\n\r\n", "x"),
            ("1;a=\"\" ;b\r\nx\r\n0\r\n\r\n", "x"),
            ("0\r\nX: y\r\n\r\n", ""),
            ("0\r\nX:\r\nContent-Length: 5 \t\r\n\r\n", ""),
        ];
        for (input, body) in cases {
            let with_next = format!("{input}GET / HTTP/1.1");
            let expected = Ok((body.as_bytes().to_vec(), input.len(), true));
            assert_eq!(decode_all_ways(BodyLength::Chunked, with_next.as_bytes()), expected, "{input:?}");
        }
    }

    #[test]
    fn a_broken_chunk_is_refused_by_the_rule_it_breaks() {
        let cases: [(&str, HttpError); 43] = [
            ("\r\n", HttpError::InvalidChunkSize),
            (";a\r\n", HttpError::InvalidChunkSize),
            (" 5\r\n", HttpError::InvalidChunkSize),
            ("+5\r\n", HttpError::InvalidChunkSize),
            ("-5\r\n", HttpError::InvalidChunkSize),
            ("0x5\r\n", HttpError::InvalidChunkSize),
            ("5_0\r\n", HttpError::InvalidChunkSize),
            ("5,5\r\n", HttpError::InvalidChunkSize),
            ("g\r\n", HttpError::InvalidChunkSize),
            ("5\0\r\n", HttpError::InvalidChunkSize),
            ("1000000000000000\r\n", HttpError::ContentTooLarge),
            ("0000000000000000\r\n", HttpError::ContentTooLarge),
            ("5\nhello", HttpError::BareLf),
            ("5\rhello", HttpError::BareCr),
            ("5 \r\n", HttpError::InvalidChunkExtension),
            ("5;\r\n", HttpError::InvalidChunkExtension),
            ("5;a \r\n", HttpError::InvalidChunkExtension),
            ("5;a=\r\n", HttpError::InvalidChunkExtension),
            ("5;a=b \r\n", HttpError::InvalidChunkExtension),
            ("5;a=\"b\r\n", HttpError::InvalidChunkExtension),
            ("5;a=\"b\"c\r\n", HttpError::InvalidChunkExtension),
            ("5;a b\r\n", HttpError::InvalidChunkExtension),
            ("5;=b\r\n", HttpError::InvalidChunkExtension),
            ("5;a\0\r\n", HttpError::InvalidChunkExtension),
            ("5;a=\"\\\r\n", HttpError::InvalidChunkExtension),
            ("5 a\r\n", HttpError::InvalidChunkExtension),
            ("5;a\nhello", HttpError::BareLf),
            ("5;a=\"\n\"\r\n", HttpError::BareLf),
            ("5;a\rb\r\n", HttpError::BareCr),
            ("5\r\nhello0\r\n", HttpError::InvalidChunkEnd),
            ("5\r\nhello\n0\r\n", HttpError::InvalidChunkEnd),
            ("5\r\nhello\n\n0\r\n", HttpError::InvalidChunkEnd),
            ("5\r\nhello\r0\r\n", HttpError::InvalidChunkEnd),
            ("0\r\n\n", HttpError::BareLf),
            ("0\r\n\rx", HttpError::BareCr),
            ("0\r\nGET / HTTP/1.1\r\n", HttpError::SpaceBeforeColon),
            ("0\r\nx\r\n", HttpError::MissingColon),
            ("0\r\n: y\r\n", HttpError::InvalidFieldName),
            ("0\r\nx(: y\r\n", HttpError::InvalidFieldName),
            ("0\r\n x: y\r\n", HttpError::FoldedField),
            ("0\r\nx: y\0\r\n", HttpError::InvalidFieldValue),
            ("0\r\nx: y\n\r\n", HttpError::BareLf),
            ("0\r\nx: y\rz\r\n", HttpError::BareCr),
        ];
        for (input, error) in cases {
            assert_eq!(decode_all_ways(BodyLength::Chunked, input.as_bytes()), Err(error), "{input:?}");
        }
    }

    #[test]
    fn a_body_above_its_limit_is_refused_by_what_it_declares() {
        let fixed = |length| BodyDecoder::new(BodyLength::Fixed(length), 5).map(|decoder| decoder.is_some());
        assert_eq!((fixed(5), fixed(6)), (Ok(true), Err(HttpError::BodyTooLarge)));

        let chunked = |input: &str| decode_at_most(5, BodyLength::Chunked, input.as_bytes(), &[]);
        let exact = "2;a=b\r\nab\r\n3\r\ncde\r\n0\r\nx: y\r\n\r\n";
        assert_eq!(chunked(exact), Ok((b"abcde".to_vec(), exact.len(), true)));
        assert_eq!(chunked("2\r\nab\r\n3\r\ncde\r\n1\r"), Ok((b"abcde".to_vec(), 17, false)));
        for input in ["6\r\n", "2\r\nab\r\n4\r\n", "2\r\nab\r\n3\r\ncde\r\n1\r\n", "fffffffffffffff\r\n"] {
            for cut in 0..=input.len() {
                let refused = decode_at_most(5, BodyLength::Chunked, input.as_bytes(), &[cut]);
                assert_eq!(refused, Err(HttpError::BodyTooLarge), "{input:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn sizes_extensions_and_trailers_are_bounded() {
        let largest = "fffffffffffffff\r\nhello";
        assert_eq!(
            decode(BodyLength::Chunked, largest.as_bytes(), &[]),
            Ok((b"hello".to_vec(), largest.len(), false))
        );
        let extension = |len: usize| format!("0;{}\r\n\r\n", "a".repeat(len - 1)).into_bytes();
        assert!(decode(BodyLength::Chunked, &extension(256), &[]).is_ok_and(|(_, _, done)| done));
        assert_eq!(decode(BodyLength::Chunked, &extension(257), &[]), Err(HttpError::ChunkExtensionTooLong));
        // The CR of the empty line counts too, its LF does not.
        let trailers = |len: usize| format!("0\r\nx:{}\r\n\r\n", "y".repeat(len - 5)).into_bytes();
        assert!(decode(BodyLength::Chunked, &trailers(8 * 1024), &[]).is_ok_and(|(_, _, done)| done));
        assert_eq!(
            decode(BodyLength::Chunked, &trailers(8 * 1024 + 1), &[]),
            Err(HttpError::TrailersTooLong)
        );
    }
}
