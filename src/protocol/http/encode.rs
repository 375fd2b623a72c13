//! How a response goes onto the wire (RFC 9112 §4–§7): status line, the application's fields, Connection, Date, and
//! the framing of the body, in this order.
//!
//! The framing follows from the call the application made, the request and the status, never from a field it wrote:
//!
//! | answered | framing field | body bytes |
//! |---|---|---|
//! | HEAD | as for GET, or the application's own Content-Length | none |
//! | 1xx, 204, 2xx to CONNECT | none | none |
//! | 304 | Content-Length if above 0, or the application's own | none |
//! | anything else, length known | Content-Length | that many |
//! | the same, length unknown, HTTP/1.1 | Transfer-Encoding: chunked | chunked |
//! | the same, length unknown, HTTP/1.0 | none, Connection: close | up to the end of the connection |
//! | the same, `endWithoutBody()` | none, Connection: close | none |

use std::ops::BitOr;

use super::field::{is_field_value, members, trim};
use super::framing::Version;

/// Status and fields of a response, both checked by the caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResponseHead<'a> {
    /// Status code and reason phrase, for example `200 OK`: three digits first, no CR, LF or NUL.
    pub status: &'a [u8],
    /// Field lines, each `Name: value CRLF`, names and values as [`super::head::is_token`] and
    /// [`super::head::is_field_value`] allow.
    pub fields: &'a [u8],
    /// Which fields that mean something to this layer are among `fields`. One that is there but not announced here
    /// would be sent twice.
    pub flags: FieldFlags,
}

/// Fields of a response that the application may write and that this layer would write too.
///
/// * Content-Length, Transfer-Encoding: left out, because a length that does not fit the body makes the client read
///   the next response wrongly. Only where no body follows (HEAD, 304) the application's Content-Length replaces ours:
///   the first one that is a number, because clients refuse a response with several or with something else.
/// * Connection: sent as it is; `close` in it closes the connection after the response. To a client of HTTP/1.1 that asked
///   for the end of the connection itself, nothing is added: it knows, and `keep-alive, close` only puzzles programs that
///   compare.
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

    /// The flag of the field called `name`, in whatever case; [`Self::NONE`] for all others.
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

/// What the application's call says about the length of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// This many bytes: `end(body)`, `tryEnd(chunk, total)`, `endWithoutBody(length)`.
    Length(u64),
    /// Nothing, there are pieces to come: `write(chunk)`.
    Chunked,
    /// There is no body and no length: `endWithoutBody()`.
    None,
}

/// What of the request matters to its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The method, as far as it matters.
    pub method: AskedMethod,
    /// The client's version.
    pub version: Version,
    /// The client wants to keep the connection.
    pub keep_alive: bool,
}

/// The methods whose responses are framed unlike others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AskedMethod {
    /// HEAD: never a body (RFC 9110 §9.3.2).
    Head,
    /// CONNECT: no framing fields in a 2xx (RFC 9110 §9.3.6).
    Connect,
    /// Any other.
    Other,
}

impl AskedMethod {
    /// The kind of this method, compared case-sensitively.
    pub(super) const fn of(method: &[u8]) -> Self {
        match method {
            b"HEAD" => Self::Head,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// How the rest of a response is to be written, once its head is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEncoding {
    /// Not at all: whatever the application writes is dropped.
    Dropped,
    /// As it is, up to this many further bytes.
    Length(u64),
    /// In chunks.
    Chunked,
    /// As it is, until the connection ends.
    UntilClose,
}

/// The decisions behind a response head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// How the body is written.
    pub body: BodyEncoding,
    /// The connection ends after this response.
    pub close: bool,
    /// The framing field.
    field: FramingField,
}

/// The framing field of a response head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FramingField {
    /// None of ours.
    None,
    /// Content-Length.
    Length(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
    /// The application's own Content-Length, in its place among the other fields.
    Theirs,
}

/// Appends the head of a response; `close`: the connection is to end after it. Returns how to go on.
pub(super) fn encode_head(
    head: &ResponseHead<'_>,
    asked: Asked,
    framing: Framing,
    close: bool,
    date: &[u8; 29],
    out: &mut Vec<u8>,
) -> Plan {
    let says_something = head.flags.has(FieldFlags::CONNECTION);
    let says_close = says_something && has_close_option(head.fields);
    let is_known = says_something && asked.version == Version::Http11 && !asked.keep_alive;
    let mut plan = Plan::new(head, asked, framing);
    plan.close |= close || says_close;

    // All that is added here fits 160 bytes, so that a short response grows the buffer once.
    out.reserve(160 + head.status.len() + head.fields.len());
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.status);
    out.extend_from_slice(b"\r\n");
    if head.flags.has(FieldFlags::CONTENT_LENGTH | FieldFlags::TRANSFER_ENCODING) {
        copy_unframed(head.fields, plan.field == FramingField::Theirs, out);
    } else {
        out.extend_from_slice(head.fields);
    }
    if plan.close {
        if !says_close && !is_known {
            out.extend_from_slice(b"Connection: close\r\n");
        }
    } else if asked.version == Version::Http10 && !says_something {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    if !head.flags.has(FieldFlags::DATE) {
        out.extend_from_slice(b"Date: ");
        out.extend_from_slice(date);
        out.extend_from_slice(b"\r\n");
    }
    match plan.field {
        FramingField::Length(length) => {
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n\r\n");
        }
        FramingField::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n"),
        FramingField::None | FramingField::Theirs => out.extend_from_slice(b"\r\n"),
    }
    plan
}

/// Appends what precedes `length` bytes of data in a chunk (RFC 9112 §7.1); [`AFTER_CHUNK`] follows them. An empty chunk
/// would end the body, so `length` is never 0.
pub(super) fn begin_chunk(length: usize, out: &mut Vec<u8>) {
    let mut digits = [0; 16];
    let mut start = digits.len();
    let mut rest = length;
    while rest > 0 {
        start -= 1;
        digits[start] = b"0123456789abcdef"[rest & 15];
        rest >>= 4;
    }
    out.extend_from_slice(&digits[start..]);
    out.extend_from_slice(b"\r\n");
}

/// What follows the data of a chunk.
pub(super) const AFTER_CHUNK: &[u8] = b"\r\n";

impl Plan {
    /// The table at the top of this file.
    fn new(head: &ResponseHead<'_>, asked: Asked, framing: Framing) -> Self {
        let close = !asked.keep_alive;
        let has_own_length = head.flags.has(FieldFlags::CONTENT_LENGTH) && lines(head.fields).any(is_length);
        let bodiless = |field, close| Self { body: BodyEncoding::Dropped, close, field };

        match (head.status, asked.method) {
            // After an interim response nobody could tell where the next one begins. After a 2xx to CONNECT the
            // connection is a tunnel to the client, and this server has nothing to put into it.
            ([b'1', ..], _) | ([b'2', ..], AskedMethod::Connect) => {
                return bodiless(FramingField::None, true);
            }
            ([b'2', b'0', b'4', ..], _) => return bodiless(FramingField::None, close),
            ([b'3', b'0', b'4', ..], _) | (_, AskedMethod::Head) if has_own_length => {
                return bodiless(FramingField::Theirs, close);
            }
            ([b'3', b'0', b'4', ..], _) => {
                let field = match framing {
                    // RFC 9110 §8.6: the length a GET would have had, which an empty `end()` does not know.
                    Framing::Length(length) if length > 0 => FramingField::Length(length),
                    Framing::Length(_) | Framing::Chunked | Framing::None => FramingField::None,
                };
                return bodiless(field, close);
            }
            _ => {}
        }

        let plan = match (framing, asked.version) {
            (Framing::Length(length), _) => {
                Self { body: BodyEncoding::Length(length), close, field: FramingField::Length(length) }
            }
            (Framing::Chunked, Version::Http11) => {
                Self { body: BodyEncoding::Chunked, close, field: FramingField::Chunked }
            }
            (Framing::Chunked, Version::Http10) => {
                Self { body: BodyEncoding::UntilClose, close: true, field: FramingField::None }
            }
            (Framing::None, _) => bodiless(FramingField::None, true),
        };
        match asked.method {
            AskedMethod::Head => bodiless(plan.field, close),
            AskedMethod::Connect | AskedMethod::Other => plan,
        }
    }
}

/// The first field that the application has written about the framing of a body and that is not sent, although it says
/// something else than what is: its name, and its value. `method` is that of the request.
#[must_use]
pub(crate) fn overridden<'a>(
    head: &ResponseHead<'a>,
    method: &[u8],
    framing: Framing,
) -> Option<(&'static str, &'a [u8])> {
    let method = AskedMethod::of(method);
    let length = match (head.status, method, framing) {
        ([b'3', b'0', b'4', ..], _, _) | (_, AskedMethod::Head, _) => {
            lines(head.fields).find(|line| is_length(*line)).map(value_of)
        }
        ([b'1', ..] | [b'2', b'0', b'4', ..], _, _) | ([b'2', ..], AskedMethod::Connect, _) => {
            Some(&b"0"[..])
        }
        (_, _, Framing::Length(length)) => {
            let mut digits = itoa::Buffer::new();
            let sent = digits.format(length).as_bytes();
            return find_overridden(head.fields, Some(sent));
        }
        (_, _, Framing::Chunked | Framing::None) => None,
    };
    find_overridden(head.fields, length)
}

/// The same, where `length` is the Content-Length that may be there.
fn find_overridden<'a>(fields: &'a [u8], length: Option<&[u8]>) -> Option<(&'static str, &'a [u8])> {
    lines(fields).find_map(|line| {
        let value = value_of(line);
        match FieldFlags::of(line.0) {
            FieldFlags::CONTENT_LENGTH if length != Some(value) => Some(("Content-Length", value)),
            FieldFlags::TRANSFER_ENCODING if !value.eq_ignore_ascii_case(b"chunked") => {
                Some(("Transfer-Encoding", value))
            }
            _ => None,
        }
    })
}

/// The value of a line.
fn value_of<'a>((name, line): (&[u8], &'a [u8])) -> &'a [u8] {
    trim(&line[name.len() + 1..])
}

/// Whether a Connection field among these has the option `close`.
fn has_close_option(fields: &[u8]) -> bool {
    lines(fields).any(|(name, line)| {
        name.eq_ignore_ascii_case(b"connection")
            && members(&line[name.len() + 1..]).any(|option| option.eq_ignore_ascii_case(b"close"))
    })
}

/// Whether a line is `Content-Length` with a number (RFC 9110 §8.6).
fn is_length((name, line): (&[u8], &[u8])) -> bool {
    let value = value_of((name, line));
    FieldFlags::of(name) == FieldFlags::CONTENT_LENGTH
        && !value.is_empty()
        && value.iter().all(u8::is_ascii_digit)
}

/// Copies the fields without those that frame a body; the first valid Content-Length stays if `keep_length`.
fn copy_unframed(fields: &[u8], mut keep_length: bool, out: &mut Vec<u8>) {
    for (name, line) in lines(fields) {
        let flag = FieldFlags::of(name);
        let is_kept = match flag {
            FieldFlags::CONTENT_LENGTH if is_length((name, line)) => std::mem::take(&mut keep_length),
            FieldFlags::CONTENT_LENGTH => false,
            FieldFlags::TRANSFER_ENCODING => false,
            _ => true,
        };
        if is_kept {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// The field lines without their CRLF, each with its name.
fn lines(fields: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    fields.split(|&byte| byte == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r")?;
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((&line[..colon], line))
    })
}

/// RFC 9112 §4: three digits, then a space and a reason phrase, which may be empty. 101 and 200 to 999: the other
/// informational statuses are no end of a request.
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
    use std::str;

    use super::*;

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

    #[test]
    fn what_the_application_says_of_the_framing_is_told_where_it_is_not_so() {
        let find = |status: &'static str, method: &str, fields: &'static str, framing| {
            let (status, fields) = (status.as_bytes(), fields.as_bytes());
            let head = ResponseHead { status, fields, flags: FieldFlags::NONE };
            overridden(&head, method.as_bytes(), framing)
                .map(|(name, value)| (name, str::from_utf8(value).unwrap()))
        };
        let five = Framing::Length(5);
        let length = |value| Some(("Content-Length", value));
        for (status, method, fields, framing, expected) in [
            ("200 OK", "GET", "X: y\r\nContent-Length: 5\r\n", five, None),
            ("200 OK", "GET", "content-length: 6\r\n", five, length("6")),
            ("200 OK", "GET", "Content-Length: 5\r\nContent-Length: 7\r\n", five, length("7")),
            ("200 OK", "GET", "Content-Length: five\r\n", five, length("five")),
            ("200 OK", "GET", "Content-Length: 5\r\n", Framing::Chunked, length("5")),
            ("200 OK", "GET", "Content-Length: 5\r\n", Framing::None, length("5")),
            ("200 OK", "GET", "Transfer-Encoding: Chunked\r\n", Framing::Chunked, None),
            ("200 OK", "GET", "Transfer-Encoding: chunked\r\n", five, None),
            (
                "200 OK",
                "GET",
                "Transfer-Encoding: gzip, chunked\r\n",
                Framing::Chunked,
                Some(("Transfer-Encoding", "gzip, chunked")),
            ),
            ("200 OK", "HEAD", "Content-Length: 99\r\n", Framing::Length(0), None),
            ("304 Not Modified", "GET", "Content-Length: 99\r\n", Framing::None, None),
            ("200 OK", "HEAD", "Content-Length: 9\r\nContent-Length: 8\r\n", five, length("8")),
            ("200 OK", "HEAD", "Content-Length: x\r\n", five, length("x")),
            ("204 No Content", "GET", "Content-Length: 0\r\n", Framing::Length(0), None),
            ("204 No Content", "GET", "Content-Length: 5\r\n", five, length("5")),
            ("200 OK", "CONNECT", "Content-Length: 5\r\n", five, length("5")),
        ] {
            assert_eq!(
                find(status, method, fields, framing),
                expected,
                "{method} {status} {fields:?} {framing:?}"
            );
        }
    }

    const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    /// Flags of a field block, found as a caller finds them: name by name.
    fn flags(fields: &str) -> FieldFlags {
        lines(fields.as_bytes()).fold(FieldFlags::NONE, |flags, (name, _)| flags | FieldFlags::of(name))
    }

    /// The head for these, without its last CRLF and with the Date line cut down to `D`, and the plan.
    fn encode(
        method: &str,
        version: Version,
        keep_alive: bool,
        status: &str,
        fields: &str,
        framing: Framing,
    ) -> (String, Plan) {
        let asked = Asked { method: AskedMethod::of(method.as_bytes()), version, keep_alive };
        let head =
            ResponseHead { status: status.as_bytes(), fields: fields.as_bytes(), flags: flags(fields) };
        let mut out = Vec::new();
        let plan = encode_head(&head, asked, framing, false, DATE, &mut out);
        let text = String::from_utf8(out).expect("ASCII");
        let text = text.strip_suffix("\r\n").expect("an empty line").to_owned();
        (text.replace("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "D\r\n"), plan)
    }

    /// [`encode`] for HTTP/1.1 with keep-alive; shows head, body encoding, close.
    fn encode_11(method: &str, status: &str, fields: &str, framing: Framing) -> (String, BodyEncoding, bool) {
        let (text, plan) = encode(method, Version::Http11, true, status, fields, framing);
        (text, plan.body, plan.close)
    }

    #[test]
    fn the_order_is_status_fields_connection_date_framing() {
        let head = ResponseHead { status: b"200 OK", fields: b"A: b\r\nC: d\r\n", flags: FieldFlags::NONE };
        let asked = Asked { method: AskedMethod::Other, version: Version::Http11, keep_alive: true };
        let mut out = b"before".to_vec();
        let plan = encode_head(&head, asked, Framing::Length(12), true, DATE, &mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            "beforeHTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nConnection: close\r\n\
             Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 12\r\n\r\n"
        );
        assert!(plan.close);
    }

    #[test]
    fn the_framing_follows_method_status_and_call() {
        use BodyEncoding::{Chunked, Dropped, Length};
        let cases = [
            ("GET", "200 OK", Framing::Length(0), "D\r\nContent-Length: 0\r\n", Length(0), false),
            ("GET", "200 OK", Framing::Length(5), "D\r\nContent-Length: 5\r\n", Length(5), false),
            ("GET", "200 OK", Framing::Chunked, "D\r\nTransfer-Encoding: chunked\r\n", Chunked, false),
            ("GET", "200 OK", Framing::None, "Connection: close\r\nD\r\n", Dropped, true),
            ("HEAD", "200 OK", Framing::Length(5), "D\r\nContent-Length: 5\r\n", Dropped, false),
            ("HEAD", "200 OK", Framing::Chunked, "D\r\nTransfer-Encoding: chunked\r\n", Dropped, false),
            ("HEAD", "200 OK", Framing::None, "D\r\n", Dropped, false),
            ("head", "200 OK", Framing::Length(5), "D\r\nContent-Length: 5\r\n", Length(5), false),
            ("GET", "204 No Content", Framing::Length(5), "D\r\n", Dropped, false),
            ("GET", "204 No Content", Framing::Chunked, "D\r\n", Dropped, false),
            ("HEAD", "204 No Content", Framing::Length(5), "D\r\n", Dropped, false),
            ("GET", "304 Not Modified", Framing::Length(0), "D\r\n", Dropped, false),
            ("GET", "304 Not Modified", Framing::Length(5), "D\r\nContent-Length: 5\r\n", Dropped, false),
            ("GET", "304 Not Modified", Framing::Chunked, "D\r\n", Dropped, false),
            ("GET", "103 Early Hints", Framing::Length(5), "Connection: close\r\nD\r\n", Dropped, true),
            ("CONNECT", "200 OK", Framing::Length(5), "Connection: close\r\nD\r\n", Dropped, true),
            ("CONNECT", "204 No Content", Framing::Length(5), "Connection: close\r\nD\r\n", Dropped, true),
            ("CONNECT", "404 Not Found", Framing::Length(5), "D\r\nContent-Length: 5\r\n", Length(5), false),
            ("GET", "2", Framing::Length(5), "D\r\nContent-Length: 5\r\n", Length(5), false),
        ];
        for (method, status, framing, rest, body, close) in cases {
            let expected = (format!("HTTP/1.1 {status}\r\n{rest}"), body, close);
            assert_eq!(encode_11(method, status, "", framing), expected, "{method} {status} {framing:?}");
        }
    }

    #[test]
    fn a_client_of_http_10_never_gets_chunks_and_hears_of_keep_alive() {
        let cases = [
            (
                true,
                Framing::Length(5),
                "Connection: keep-alive\r\nD\r\nContent-Length: 5\r\n",
                BodyEncoding::Length(5),
                false,
            ),
            (
                false,
                Framing::Length(5),
                "Connection: close\r\nD\r\nContent-Length: 5\r\n",
                BodyEncoding::Length(5),
                true,
            ),
            (true, Framing::Chunked, "Connection: close\r\nD\r\n", BodyEncoding::UntilClose, true),
        ];
        for (keep_alive, framing, rest, body, close) in cases {
            let (text, plan) = encode("GET", Version::Http10, keep_alive, "200 OK", "", framing);
            assert_eq!((text, plan.body, plan.close), (format!("HTTP/1.1 200 OK\r\n{rest}"), body, close));
        }
        let (text, plan) = encode("HEAD", Version::Http10, true, "200 OK", "", Framing::Chunked);
        assert_eq!(text, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nD\r\n");
        assert_eq!((plan.body, plan.close), (BodyEncoding::Dropped, false));
    }

    #[test]
    fn a_client_of_http_11_that_asked_for_it_is_told_that_the_connection_closes() {
        let (text, plan) = encode("GET", Version::Http11, false, "200 OK", "", Framing::Length(0));
        assert_eq!(text, "HTTP/1.1 200 OK\r\nConnection: close\r\nD\r\nContent-Length: 0\r\n");
        assert!(plan.close);
    }

    #[test]
    fn framing_fields_of_the_application_never_reach_a_client_that_gets_a_body() {
        let own = "a: 1\r\ncontent-length: 99\r\nTransfer-Encoding: gzip\r\nContent-Length: 7\r\nb: 2\r\n";
        let cases = [
            (Framing::Length(5), "D\r\nContent-Length: 5\r\n"),
            (Framing::Chunked, "D\r\nTransfer-Encoding: chunked\r\n"),
            (Framing::None, "Connection: close\r\nD\r\n"),
        ];
        for (framing, rest) in cases {
            let (text, ..) = encode_11("GET", "200 OK", own, framing);
            assert_eq!(text, format!("HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\n{rest}"));
        }
    }

    #[test]
    fn a_length_of_the_application_stands_where_no_body_follows() {
        for (method, status) in [("HEAD", "200 OK"), ("GET", "304 Not Modified")] {
            for framing in [Framing::Length(0), Framing::Length(5), Framing::Chunked, Framing::None] {
                let own = "Content-Length: 99\r\nTransfer-Encoding: chunked\r\na: 1\r\n";
                let expected = format!("HTTP/1.1 {status}\r\nContent-Length: 99\r\na: 1\r\nD\r\n");
                assert_eq!(encode_11(method, status, own, framing), (expected, BodyEncoding::Dropped, false));
            }
        }
        let (text, ..) = encode_11("GET", "204 No Content", "Content-Length: 99\r\n", Framing::None);
        assert_eq!(text, "HTTP/1.1 204 No Content\r\nD\r\n");
    }

    #[test]
    fn of_several_lengths_of_the_application_the_first_number_stands() {
        let own = "Content-Length: many\r\nContent-Length:  7 \r\na: 1\r\nContent-Length: 8\r\n";
        for (method, status) in [("HEAD", "200 OK"), ("GET", "304 Not Modified")] {
            let (text, ..) = encode_11(method, status, own, Framing::Length(5));
            assert!(text.contains("Content-Length:  7 \r\na: 1\r\n"), "{text}");
            assert_eq!(text.matches("Content-Length").count(), 1, "{text}");
            let (text, ..) = encode_11(method, status, "Content-Length: -1\r\n", Framing::Length(5));
            assert!(text.ends_with("Content-Length: 5\r\n") && !text.contains("-1"), "{text}");
        }
    }

    #[test]
    fn connection_and_date_of_the_application_are_sent_once() {
        let (text, _, close) = encode_11("GET", "200 OK", "connection: x, Close\r\n", Framing::Length(0));
        assert_eq!(text, "HTTP/1.1 200 OK\r\nconnection: x, Close\r\nD\r\nContent-Length: 0\r\n");
        assert!(close);

        let (text, _, close) =
            encode_11("GET", "200 OK", "Connection: upgrade\r\nclose: 1\r\n", Framing::Length(0));
        assert_eq!(text, "HTTP/1.1 200 OK\r\nConnection: upgrade\r\nclose: 1\r\nD\r\nContent-Length: 0\r\n");
        assert!(!close);

        let (text, ..) =
            encode("GET", Version::Http10, true, "200 OK", "Connection: keep-alive\r\n", Framing::Length(0));
        assert_eq!(text, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nD\r\nContent-Length: 0\r\n");

        // Nothing for HTTP/1.1 clients that asked for the end; others are told that it comes.
        let own = "Connection: keep-alive\r\n";
        let (text, plan) = encode("GET", Version::Http11, false, "200 OK", own, Framing::Length(0));
        assert_eq!(text, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nD\r\nContent-Length: 0\r\n");
        assert!(plan.close);
        let (text, ..) = encode("GET", Version::Http10, false, "200 OK", own, Framing::Length(0));
        assert!(text.contains("Connection: keep-alive\r\nConnection: close\r\n"), "{text}");

        let (text, ..) = encode_11("GET", "200 OK", "date: now\r\n", Framing::Length(0));
        assert_eq!(text, "HTTP/1.1 200 OK\r\ndate: now\r\nContent-Length: 0\r\n");
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
    fn a_chunk_is_its_size_in_hexadecimal_and_its_data() {
        for (len, size) in [(1, "1"), (15, "f"), (16, "10"), (255, "ff"), (4096, "1000"), (70_000, "11170")] {
            let mut out = b"before".to_vec();
            begin_chunk(len, &mut out);
            assert_eq!(out, [b"before", size.as_bytes(), b"\r\n"].concat());
        }
    }
}
