//! Rules of HTTP that a client can break, and the responses that name them.

use std::borrow::Cow;

use crate::protocol::cause::{Cause, CloseCause};

/// A rule of HTTP that the peer broke, or a limit it exceeded. The connection ends after any of them.
///
/// Ordered as the bytes arrive: request line, fields, what the fields mean together, body, time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub(crate) enum HttpError {
    /// RFC 9112 §2.2: a server ignores at least one empty line before the request line; it need not ignore many.
    #[error("too many empty lines before the request line (RFC 9112 section 2.2)")]
    TooManyEmptyLines,
    /// RFC 9110 §9.1: the method is a token. Also the error of a TLS handshake on a plaintext port.
    #[error("the method must be a token (RFC 9110 section 9.1)")]
    InvalidMethod,
    /// A header of the PROXY protocol from a peer that is not trusted to send one, or a second one.
    #[error(
        "a header of the PROXY protocol is read once, and only from peers that the option proxyProtocol.trust names (PROXY protocol section 2)"
    )]
    ProxyHeader,
    /// RFC 9112 §3: method, one space, target, one space, version, CRLF, and nothing else.
    #[error(
        "the request line must be method, target and version, each separated by one space (RFC 9112 section 3)"
    )]
    InvalidRequestLine,
    /// RFC 9112 §3.2: origin-form, absolute-form of http or https, authority-form with CONNECT, `*` with OPTIONS.
    #[error(
        "the request target has none of the allowed forms, or holds a forbidden byte (RFC 9112 section 3.2)"
    )]
    InvalidTarget,
    /// RFC 9112 §2.3: `HTTP/` digit `.` digit, in capitals.
    #[error("the protocol version is malformed (RFC 9112 section 2.3)")]
    InvalidVersion,
    /// RFC 9110 §15.6.6: a well-formed version other than 1.0 and 1.1.
    #[error("only HTTP/1.0 and HTTP/1.1 are spoken here (RFC 9110 section 15.6.6)")]
    VersionNotSupported,
    /// RFC 9112 §3: the method alone exceeds `max_head_bytes`.
    #[error("the method is longer than any that this server knows (RFC 9112 section 3)")]
    MethodTooLong,
    /// RFC 9112 §3: the request line alone exceeds `max_head_bytes`.
    #[error("the request line is longer than this server accepts (RFC 9112 section 3)")]
    TargetTooLong,
    /// RFC 6585 §5: the head exceeds `max_head_bytes`.
    #[error("the request head is longer than this server accepts (RFC 6585 section 5)")]
    HeadTooLong,
    /// RFC 6585 §5: more fields than `max_headers`.
    #[error("the request has more header fields than this server accepts (RFC 6585 section 5)")]
    TooManyFields,

    /// RFC 9112 §2.2: a line ends with CRLF. A recipient may accept LF alone, and those that do not then disagree.
    #[error("a line must end with CRLF, not with LF alone (RFC 9112 section 2.2)")]
    BareLf,
    /// RFC 9112 §2.2: CR is only allowed as part of CRLF.
    #[error("CR must be followed by LF (RFC 9112 section 2.2)")]
    BareCr,
    /// RFC 9112 §5.1: a field name is a non-empty token.
    #[error("a field name must be a token (RFC 9112 section 5.1)")]
    InvalidFieldName,
    /// RFC 9112 §5.1: no whitespace between field name and colon.
    #[error("a field name must be followed by its colon without whitespace (RFC 9112 section 5.1)")]
    SpaceBeforeColon,
    /// RFC 9112 §5: a field line has a colon.
    #[error("a field line must have a colon (RFC 9112 section 5)")]
    MissingColon,
    /// RFC 9112 §5.2 (and §2.2 for the first line): a line that starts with whitespace.
    #[error("a field must not be folded over several lines (RFC 9112 section 5.2)")]
    FoldedField,
    /// RFC 9110 §5.5: a field value has no control bytes but HTAB.
    #[error("a field value must not hold control bytes (RFC 9110 section 5.5)")]
    InvalidFieldValue,

    /// RFC 9112 §3.2: an HTTP/1.1 request has a Host field.
    #[error("an HTTP/1.1 request must have a Host field (RFC 9112 section 3.2)")]
    MissingHost,
    /// RFC 9112 §3.2: there is at most one Host field.
    #[error("there must be only one Host field (RFC 9112 section 3.2)")]
    RepeatedHost,
    /// RFC 9112 §3.2, RFC 9110 §7.2: Host is a host, optionally with a port.
    #[error("the Host field must be a host and an optional port (RFC 9112 section 3.2)")]
    InvalidHost,
    /// RFC 9110 §8.6: Content-Length is digits. Lists of equal values may be refused, so they are.
    #[error("Content-Length must be one decimal number (RFC 9110 section 8.6)")]
    InvalidContentLength,
    /// RFC 9112 §6.3: Content-Length fields that differ.
    #[error("repeated Content-Length fields must not differ (RFC 9112 section 6.3)")]
    ContentLengthConflict,
    /// RFC 9112 §6.1: with both, two servers may disagree on where the request ends.
    #[error("Transfer-Encoding and Content-Length exclude each other (RFC 9112 section 6.1)")]
    TransferEncodingWithContentLength,
    /// RFC 9112 §6.1: an HTTP/1.0 message with Transfer-Encoding has faulty framing.
    #[error("HTTP/1.0 has no Transfer-Encoding (RFC 9112 section 6.1)")]
    TransferEncodingInHttp10,
    /// RFC 9112 §6.1 and §7: chunked is applied once, is the last coding, and is spelt without parameters.
    #[error("Transfer-Encoding must be exactly chunked (RFC 9112 section 6.1)")]
    InvalidTransferEncoding,
    /// RFC 9112 §6.1: a transfer coding this server does not understand.
    #[error("the transfer coding is not implemented here (RFC 9112 section 6.1)")]
    UnknownTransferCoding,
    /// RFC 9110 §10.1.1: an expectation other than 100-continue.
    #[error("the only expectation met here is 100-continue (RFC 9110 section 10.1.1)")]
    UnknownExpectation,
    /// RFC 9110 §8.6, RFC 9112 §7.1: a Content-Length of more than 18 digits, a chunk size of more than 15.
    #[error("the declared content is larger than this server can count (RFC 9110 section 15.5.14)")]
    ContentTooLarge,
    /// RFC 9110 §15.5.14: the body is declared to be larger than `max_body`, or a chunk of it makes it so.
    #[error("the body is larger than this server accepts (RFC 9110 section 15.5.14)")]
    BodyTooLarge,

    /// RFC 9112 §7.1: a chunk starts with its size in hexadecimal digits.
    #[error("a chunk size must be hexadecimal digits (RFC 9112 section 7.1)")]
    InvalidChunkSize,
    /// RFC 9112 §7.1.1: `;` name, optionally `=` token or quoted string.
    #[error("a chunk extension is malformed (RFC 9112 section 7.1.1)")]
    InvalidChunkExtension,
    /// RFC 9112 §7.1.1: a server ought to limit the length of chunk extensions.
    #[error("the extensions of a chunk are longer than this server accepts (RFC 9112 section 7.1.1)")]
    ChunkExtensionTooLong,
    /// RFC 9112 §7.1: the data of a chunk is followed by CRLF.
    #[error("the data of a chunk must be followed by CRLF (RFC 9112 section 7.1)")]
    InvalidChunkEnd,
    /// RFC 9112 §7.1.2: the trailer section is longer than this server accepts.
    #[error("the trailer section is longer than this server accepts (RFC 9112 section 7.1.2)")]
    TrailersTooLong,

    /// RFC 9110 §15.5.9: the request did not arrive in time.
    #[error("the request did not arrive in time (RFC 9110 section 15.5.9)")]
    RequestTimeout,
}

impl HttpError {
    /// Every error, in the order of declaration.
    pub(crate) const ALL: [Self; 36] = [
        Self::TooManyEmptyLines,
        Self::InvalidMethod,
        Self::ProxyHeader,
        Self::InvalidRequestLine,
        Self::InvalidTarget,
        Self::InvalidVersion,
        Self::VersionNotSupported,
        Self::MethodTooLong,
        Self::TargetTooLong,
        Self::HeadTooLong,
        Self::TooManyFields,
        Self::BareLf,
        Self::BareCr,
        Self::InvalidFieldName,
        Self::SpaceBeforeColon,
        Self::MissingColon,
        Self::FoldedField,
        Self::InvalidFieldValue,
        Self::MissingHost,
        Self::RepeatedHost,
        Self::InvalidHost,
        Self::InvalidContentLength,
        Self::ContentLengthConflict,
        Self::TransferEncodingWithContentLength,
        Self::TransferEncodingInHttp10,
        Self::InvalidTransferEncoding,
        Self::UnknownTransferCoding,
        Self::UnknownExpectation,
        Self::ContentTooLarge,
        Self::BodyTooLarge,
        Self::InvalidChunkSize,
        Self::InvalidChunkExtension,
        Self::ChunkExtensionTooLong,
        Self::InvalidChunkEnd,
        Self::TrailersTooLong,
        Self::RequestTimeout,
    ];

    /// The status code of the answer (RFC 9110 §15).
    #[must_use]
    pub(crate) const fn status(self) -> u16 {
        self.verdict().0
    }

    /// Appends the whole answer: it names the rule, and says that the connection closes.
    pub(crate) fn encode_answer(self, date: &[u8; 29], out: &mut Vec<u8>) {
        let body = self.encode_answer_head(date, out);
        out.extend_from_slice(body.as_bytes());
    }

    /// Appends the answer to a HEAD, which has no body (RFC 9110 §9.3.2). Returns the body that GET would get.
    pub(crate) fn encode_answer_head(self, date: &[u8; 29], out: &mut Vec<u8>) -> String {
        let body = refusal_body(&self);
        encode_refusal_head(self.status_line(), body.len(), date, out);
        body
    }

    /// The cause with which the response is aborted if the body of its request has this error.
    #[must_use]
    pub(crate) const fn cause(self) -> CloseCause {
        if matches!(self, Self::BodyTooLarge) {
            CloseCause::BodyTooLarge
        } else {
            CloseCause::InvalidRequestBody
        }
    }

    /// Status and code of every rule.
    const fn verdict(self) -> (u16, &'static str) {
        match self {
            Self::TooManyEmptyLines => (400, "ERR_HTTP_TOO_MANY_EMPTY_LINES"),
            Self::InvalidMethod => (400, "ERR_HTTP_METHOD"),
            Self::ProxyHeader => (400, "ERR_HTTP_PROXY_HEADER"),
            Self::InvalidRequestLine => (400, "ERR_HTTP_REQUEST_LINE"),
            Self::InvalidTarget => (400, "ERR_HTTP_TARGET"),
            Self::InvalidVersion => (400, "ERR_HTTP_VERSION"),
            Self::VersionNotSupported => (505, "ERR_HTTP_VERSION_NOT_SUPPORTED"),
            Self::MethodTooLong => (501, "ERR_HTTP_METHOD_TOO_LONG"),
            Self::TargetTooLong => (414, "ERR_HTTP_TARGET_TOO_LONG"),
            Self::HeadTooLong => (431, "ERR_HTTP_HEAD_TOO_LONG"),
            Self::TooManyFields => (431, "ERR_HTTP_TOO_MANY_FIELDS"),
            Self::BareLf => (400, "ERR_HTTP_BARE_LF"),
            Self::BareCr => (400, "ERR_HTTP_BARE_CR"),
            Self::InvalidFieldName => (400, "ERR_HTTP_FIELD_NAME"),
            Self::SpaceBeforeColon => (400, "ERR_HTTP_SPACE_BEFORE_COLON"),
            Self::MissingColon => (400, "ERR_HTTP_MISSING_COLON"),
            Self::FoldedField => (400, "ERR_HTTP_FOLDED_FIELD"),
            Self::InvalidFieldValue => (400, "ERR_HTTP_FIELD_VALUE"),
            Self::MissingHost => (400, "ERR_HTTP_MISSING_HOST"),
            Self::RepeatedHost => (400, "ERR_HTTP_REPEATED_HOST"),
            Self::InvalidHost => (400, "ERR_HTTP_HOST"),
            Self::InvalidContentLength => (400, "ERR_HTTP_CONTENT_LENGTH"),
            Self::ContentLengthConflict => (400, "ERR_HTTP_CONTENT_LENGTH_CONFLICT"),
            Self::TransferEncodingWithContentLength => {
                (400, "ERR_HTTP_TRANSFER_ENCODING_WITH_CONTENT_LENGTH")
            }
            Self::TransferEncodingInHttp10 => (400, "ERR_HTTP_TRANSFER_ENCODING_IN_HTTP10"),
            Self::InvalidTransferEncoding => (400, "ERR_HTTP_TRANSFER_ENCODING"),
            Self::UnknownTransferCoding => (501, "ERR_HTTP_UNKNOWN_TRANSFER_CODING"),
            Self::UnknownExpectation => (417, "ERR_HTTP_EXPECTATION"),
            Self::ContentTooLarge => (413, "ERR_HTTP_CONTENT_TOO_LARGE"),
            Self::BodyTooLarge => (413, "ERR_HTTP_BODY_TOO_LARGE"),
            Self::InvalidChunkSize => (400, "ERR_HTTP_CHUNK_SIZE"),
            Self::InvalidChunkExtension => (400, "ERR_HTTP_CHUNK_EXTENSION"),
            Self::ChunkExtensionTooLong => (400, "ERR_HTTP_CHUNK_EXTENSION_TOO_LONG"),
            Self::InvalidChunkEnd => (400, "ERR_HTTP_CHUNK_END"),
            Self::TrailersTooLong => (431, "ERR_HTTP_TRAILERS_TOO_LONG"),
            Self::RequestTimeout => (408, "ERR_HTTP_REQUEST_TIMEOUT"),
        }
    }

    /// Status code and reason phrase (RFC 9110 §15, RFC 6585 §5 for 431).
    const fn status_line(self) -> &'static str {
        match self.status() {
            408 => "408 Request Timeout",
            413 => "413 Content Too Large",
            414 => "414 URI Too Long",
            417 => "417 Expectation Failed",
            431 => "431 Request Header Fields Too Large",
            501 => "501 Not Implemented",
            505 => "505 HTTP Version Not Supported",
            _ => "400 Bad Request",
        }
    }
}

impl Cause for HttpError {
    fn code(&self) -> &'static str {
        self.verdict().1
    }

    fn text(&self) -> Cow<'static, str> {
        self.to_string().into()
    }
}

/// The body of an answer that names the broken rule.
pub(crate) fn refusal_body(cause: &impl Cause) -> String {
    format!("{}: {}\n", cause.code(), cause.text())
}

/// Appends a whole answer with this body, after which the connection closes.
pub(crate) fn encode_refusal(status_line: &str, body: &str, date: &[u8; 29], out: &mut Vec<u8>) {
    encode_refusal_head(status_line, body.len(), date, out);
    out.extend_from_slice(body.as_bytes());
}

/// Appends the head of such an answer.
fn encode_refusal_head(status_line: &str, length: usize, date: &[u8; 29], out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status_line.as_bytes());
    out.extend_from_slice(b"\r\nDate: ");
    out.extend_from_slice(date);
    out.extend_from_slice(b"\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ");
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    #[test]
    fn an_error_is_small() {
        assert!(size_of::<HttpError>() <= 32);
        assert!(size_of::<Result<usize, HttpError>>() <= 32);
    }

    #[test]
    fn all_lists_every_error_once_under_a_name_of_its_own() {
        let mut codes = HashSet::new();
        for (position, error) in HttpError::ALL.into_iter().enumerate() {
            assert_eq!(error as usize, position, "{error:?}");
            assert!(codes.insert(error.code()), "{error:?}");
            assert!(error.code().starts_with("ERR_HTTP_"), "{error:?}");
        }
    }

    #[test]
    fn a_status_line_starts_with_its_status_and_the_text_cites_a_section() {
        for error in HttpError::ALL {
            assert!(error.status_line().starts_with(&error.status().to_string()), "{error:?}");
            let text = error.to_string();
            assert!(text.contains("(RFC ") || text.contains("(PROXY protocol section "), "{error:?}");
        }
    }

    #[test]
    fn the_answer_names_the_rule_and_closes() {
        let mut out = Vec::new();
        HttpError::BareLf.encode_answer(DATE, &mut out);
        let body = "ERR_HTTP_BARE_LF: a line must end with CRLF, not with LF alone (RFC 9112 section 2.2)\n";
        let expected = format!(
            "HTTP/1.1 400 Bad Request\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n\
             Content-Type: text/plain\r\nContent-Length: 86\r\n\r\n{body}"
        );
        assert_eq!(String::from_utf8_lossy(&out), expected);
        assert_eq!(body.len(), 86);
    }
}
