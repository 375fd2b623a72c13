//! How the body of a response is framed (RFC 9112 §6).
//!
//! The call of the application, the request and the status decide it, never a field that the application wrote:
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

use super::framing::Version;
use super::response_head::{FieldFlags, ResponseHead, is_length, lines, value_of};

/// The length of the body, as given by the application's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// This many bytes: `end(body)`, `tryEnd(chunk, total)`, `endWithoutBody(length)`.
    Length(u64),
    /// The length is unknown, further pieces follow: `write(chunk)`.
    Chunked,
    /// There is no body and no length: `endWithoutBody()`.
    None,
}

/// The properties of a request on which the framing of its response depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) struct Asked {
    /// The kind of method.
    pub method: AskedMethod,
    /// The client's version.
    pub version: Version,
    /// The connection persists as far as the client is concerned.
    pub keep_alive: bool,
}

/// The methods whose responses are framed unlike others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) enum AskedMethod {
    /// HEAD: never a body (RFC 9110 §9.3.2).
    Head,
    /// CONNECT: no framing fields in a 2xx (RFC 9110 §9.3.6).
    Connect,
    /// Any other.
    Other,
}

impl AskedMethod {
    /// The kind of this method, compared case-sensitively.
    pub(in crate::protocol) const fn of(method: &[u8]) -> Self {
        match method {
            b"HEAD" => Self::Head,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// How the body of a response is written after its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) enum BodyEncoding {
    /// Not at all: the data that the application writes is discarded.
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
pub(in crate::protocol) struct Plan {
    /// How the body is written.
    pub body: BodyEncoding,
    /// The connection ends after this response.
    pub close: bool,
    /// The framing field.
    pub field: FramingField,
}

/// The framing field of a response head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::protocol) enum FramingField {
    /// None of ours.
    None,
    /// Content-Length.
    Length(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
    /// The application's own Content-Length, in its place among the other fields.
    Theirs,
}

impl Plan {
    /// The table at the top of this file.
    pub(in crate::protocol) fn new(head: &ResponseHead<'_>, asked: Asked, framing: Framing) -> Self {
        let close = !asked.keep_alive;
        let has_own_length = head.flags.has(FieldFlags::CONTENT_LENGTH) && lines(head.fields).any(is_length);
        let bodiless = |field, close| Self { body: BodyEncoding::Dropped, close, field };

        match (head.status, asked.method) {
            // A client expects another response after an interim one. After a 2xx to CONNECT the client treats the
            // connection as a tunnel, and this server provides none.
            ([b'1', ..], _) | ([b'2', ..], AskedMethod::Connect) => {
                return bodiless(FramingField::None, true);
            }
            ([b'2', b'0', b'4', ..], _) => return bodiless(FramingField::None, close),
            ([b'3', b'0', b'4', ..], _) | (_, AskedMethod::Head) if has_own_length => {
                return bodiless(FramingField::Theirs, close);
            }
            ([b'3', b'0', b'4', ..], _) => {
                let field = match framing {
                    // RFC 9110 §8.6: the length that a GET would have; an empty `end()` does not give it.
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
            (Framing::Chunked, Version::Http11 | Version::Multiplexed) => {
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

/// The first framing field written by the application that is not sent although it differs from the one that is: its
/// name and value. `method` is that of the request.
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

#[cfg(test)]
mod tests {
    use std::str;

    use super::*;

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
}
