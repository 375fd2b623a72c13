//! The fields of a request that frame it: where the body ends, and whether the connection persists. Whatever two
//! servers could interpret differently is refused here, because that is how requests are smuggled.

use super::error::HttpError;
use super::field::{is_token, members};

/// The version of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Version {
    /// HTTP/1.0: no chunked coding, and the connection closes unless the client requests keep-alive.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
    /// HTTP/2 (RFC 9113) or HTTP/3 (RFC 9114), which frame their messages themselves.
    Multiplexed,
}

/// How long the body of a request is (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// There is no body: neither Content-Length nor Transfer-Encoding, or a Content-Length of 0.
    #[default]
    None,
    /// Content-Length, above 0 and below 10^18.
    Fixed(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
}

/// How a request is framed: the result of all its framing fields together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::protocol) struct FramingDecision {
    /// Length of the body.
    pub body: BodyLength,
    /// The connection persists after this request as far as the client is concerned (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    pub expects_continue: bool,
}

/// The framing fields read so far.
#[derive(Debug, Default)]
pub(in crate::protocol) struct FramingFields {
    /// Whether there was a Host field.
    has_host: bool,
    /// Content-Length.
    content_length: Option<u64>,
    /// Whether there was `Transfer-Encoding: chunked`.
    is_chunked: bool,
    /// The persistence that the Connection fields request.
    persistence: Persistence,
    /// Whether there was `Expect: 100-continue`.
    expects_continue: bool,
}

/// The persistence that the client's Connection fields request; `close` overrides `keep-alive` (RFC 9112 §9.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Persistence {
    /// Nothing: the version decides.
    #[default]
    Unsaid,
    /// `keep-alive`.
    KeepAlive,
    /// `close`.
    Close,
}

impl FramingFields {
    /// Records one field. The name is in lower case, the value is trimmed.
    pub(in crate::protocol) fn read_field(&mut self, name: &[u8], value: &[u8]) -> Result<(), HttpError> {
        match name {
            b"host" => self.read_host(value),
            b"content-length" => self.read_length(value),
            b"transfer-encoding" => self.read_coding(value),
            b"connection" => {
                self.read_connection(value);
                Ok(())
            }
            b"expect" => self.read_expectation(value),
            _ => Ok(()),
        }
    }

    /// Decides what the fields mean together.
    pub(in crate::protocol) fn conclude(&self, version: Version) -> Result<FramingDecision, HttpError> {
        if !self.has_host && version == Version::Http11 {
            return Err(HttpError::MissingHost);
        }
        if self.is_chunked && version == Version::Http10 {
            return Err(HttpError::TransferEncodingInHttp10);
        }
        let body = match (self.is_chunked, self.content_length) {
            (true, Some(_)) => return Err(HttpError::TransferEncodingWithContentLength),
            (true, None) => BodyLength::Chunked,
            (false, None | Some(0)) => BodyLength::None,
            (false, Some(length)) => BodyLength::Fixed(length),
        };
        let keep_alive = match (self.persistence, version) {
            (Persistence::Close, _) | (Persistence::Unsaid, Version::Http10) => false,
            (Persistence::KeepAlive, _) | (Persistence::Unsaid, Version::Http11 | Version::Multiplexed) => {
                true
            }
        };
        // RFC 9110 §10.1.1: an expectation of an HTTP/1.0 client is ignored, and without content there is nothing to
        // continue with.
        let expects_continue =
            self.expects_continue && version == Version::Http11 && body != BodyLength::None;
        Ok(FramingDecision { body, keep_alive, expects_continue })
    }

    /// Whether there was `Expect: 100-continue`.
    pub(in crate::protocol) const fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// RFC 9112 §3.2: one Host field, with a valid value.
    fn read_host(&mut self, value: &[u8]) -> Result<(), HttpError> {
        if self.has_host {
            return Err(HttpError::RepeatedHost);
        }
        if !is_authority(value) {
            return Err(HttpError::InvalidHost);
        }
        self.has_host = true;
        Ok(())
    }

    /// RFC 9110 §8.6: digits only. Repeated fields must agree.
    fn read_length(&mut self, value: &[u8]) -> Result<(), HttpError> {
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(HttpError::InvalidContentLength);
        }
        if value.len() > MAX_LENGTH_DIGITS {
            return Err(HttpError::ContentTooLarge);
        }
        let length = value.iter().fold(0_u64, |length, digit| length * 10 + u64::from(digit - b'0'));
        match self.content_length.replace(length) {
            Some(earlier) if earlier != length => Err(HttpError::ContentLengthConflict),
            Some(_) | None => Ok(()),
        }
    }

    /// RFC 9112 §6.1: `chunked`, once. Variants of it have been used for request smuggling.
    fn read_coding(&mut self, value: &[u8]) -> Result<(), HttpError> {
        let is_unknown = |coding: &[u8]| is_token(coding) && !coding.eq_ignore_ascii_case(b"chunked");
        if members(value).any(is_unknown) {
            return Err(HttpError::UnknownTransferCoding);
        }
        if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(HttpError::InvalidTransferEncoding);
        }
        self.is_chunked = true;
        Ok(())
    }

    /// RFC 9112 §9.3; unknown options are ignored.
    fn read_connection(&mut self, value: &[u8]) {
        for option in members(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.persistence = Persistence::Close;
            } else if option.eq_ignore_ascii_case(b"keep-alive") && self.persistence == Persistence::Unsaid {
                self.persistence = Persistence::KeepAlive;
            }
        }
    }

    /// RFC 9110 §10.1.1: the value is compared without regard to case.
    fn read_expectation(&mut self, value: &[u8]) -> Result<(), HttpError> {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(HttpError::UnknownExpectation);
        }
        self.expects_continue = true;
        Ok(())
    }
}

/// Whether `text` is `uri-host [ ":" port ]` (RFC 9110 §7.2) with a host that is not empty.
pub(super) fn is_authority(text: &[u8]) -> bool {
    let host_end = match text.first() {
        Some(b'[') => match text.iter().position(|&byte| byte == b']') {
            Some(bracket) if bracket > 1 && text[1..bracket].iter().copied().all(is_address_byte) => {
                bracket + 1
            }
            Some(_) | None => return false,
        },
        Some(_) => text.iter().take_while(|&&byte| is_host_byte(byte)).count(),
        None => return false,
    };
    match &text[host_end..] {
        [] => host_end > 0,
        [b':', port @ ..] => host_end > 0 && port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// RFC 3986 §3.2.2: an IPv6 address between its brackets. Zone identifiers must not be sent (RFC 9844).
const fn is_address_byte(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}

/// RFC 3986 §3.2.2: reg-name = *( unreserved / pct-encoded / sub-delims ), which includes IPv4 addresses.
const fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'%'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
        )
}

/// Below 10^18 a length is exact in 64 bits and needs no overflow check; uWebSockets.js has the same limit.
const MAX_LENGTH_DIGITS: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: (&str, &str) = ("host", "a");

    /// The decision on these fields.
    fn decide(version: Version, fields: &[(&str, &str)]) -> Result<FramingDecision, HttpError> {
        let mut framing = FramingFields::default();
        for (name, value) in fields {
            framing.read_field(name.as_bytes(), value.as_bytes())?;
        }
        framing.conclude(version)
    }

    /// The decision on an HTTP/1.1 request with a Host and these fields.
    fn decide_11(fields: &[(&str, &str)]) -> Result<FramingDecision, HttpError> {
        decide(Version::Http11, &[&[HOST], fields].concat())
    }

    #[test]
    fn host_is_one_and_valid_and_may_be_missing_in_http_10_only() {
        assert_eq!(decide(Version::Http11, &[]), Err(HttpError::MissingHost));
        assert!(decide(Version::Http10, &[]).is_ok());
        assert_eq!(decide(Version::Http10, &[HOST, HOST]), Err(HttpError::RepeatedHost));
        for host in ["a", "a.b:80", "127.0.0.1:1", "[::1]", "[::ffff:1.2.3.4]:8080", "a_b", "a:", "xn--a%20"]
        {
            assert!(decide(Version::Http11, &[("host", host)]).is_ok(), "{host}");
        }
        for host in [
            "", ":80", "a b", "a/b", "u@a", "a?b", "a#b", "a:80a", "a:123456", "[::1", "[]", "[g]", "[::1]a",
            "a\\b",
        ] {
            assert_eq!(decide(Version::Http11, &[("host", host)]), Err(HttpError::InvalidHost), "{host}");
        }
    }

    #[test]
    fn content_length_is_digits_and_agrees_with_itself() {
        let length = |values: &[&str]| {
            let fields: Vec<_> = values.iter().map(|value| ("content-length", *value)).collect();
            decide_11(&fields).map(|meaning| meaning.body)
        };
        assert_eq!(length(&["0"]), Ok(BodyLength::None));
        assert_eq!(length(&["5"]), Ok(BodyLength::Fixed(5)));
        assert_eq!(length(&["5", "5"]), Ok(BodyLength::Fixed(5)));
        assert_eq!(length(&["999999999999999999"]), Ok(BodyLength::Fixed(999_999_999_999_999_999)));
        assert_eq!(length(&["1000000000000000000"]), Err(HttpError::ContentTooLarge));
        assert_eq!(length(&["5", "6"]), Err(HttpError::ContentLengthConflict));
        assert_eq!(length(&["0", "6"]), Err(HttpError::ContentLengthConflict));
        for value in ["", "+5", "-5", "5,5", "5, 6", "0x5", "5 5", "5.0", "five", "\u{b2}"] {
            assert_eq!(length(&[value]), Err(HttpError::InvalidContentLength), "{value}");
        }
    }

    #[test]
    fn transfer_encoding_is_exactly_chunked_alone() {
        const TE: &str = "transfer-encoding";
        let coding = |fields: &[(&str, &str)]| decide_11(fields).map(|meaning| meaning.body);
        assert_eq!(coding(&[(TE, "chunked")]), Ok(BodyLength::Chunked));
        assert_eq!(coding(&[(TE, "cHuNkEd")]), Ok(BodyLength::Chunked));
        for value in
            ["", ",chunked", "chunked,", "chunked, chunked", "chunked;q=1", "\"chunked\"", "chunked chunked"]
        {
            assert_eq!(coding(&[(TE, value)]), Err(HttpError::InvalidTransferEncoding), "{value}");
        }
        for value in ["gzip", "gzip, chunked", "chunked, gzip", "identity", "xchunked", "chunked-"] {
            assert_eq!(coding(&[(TE, value)]), Err(HttpError::UnknownTransferCoding), "{value}");
        }
        assert_eq!(coding(&[(TE, "chunked"), (TE, "chunked")]), Err(HttpError::InvalidTransferEncoding));
        assert_eq!(coding(&[(TE, "chunked"), (TE, "identity")]), Err(HttpError::UnknownTransferCoding));
        for length in ["0", "5"] {
            let both = [(TE, "chunked"), ("content-length", length)];
            assert_eq!(coding(&both), Err(HttpError::TransferEncodingWithContentLength), "{length}");
        }
        let old = decide(Version::Http10, &[(TE, "chunked")]);
        assert_eq!(old, Err(HttpError::TransferEncodingInHttp10));
    }

    #[test]
    fn persistence_follows_the_connection_options_then_the_version() {
        let cases: [(Version, &[&str], bool); 9] = [
            (Version::Http11, &[], true),
            (Version::Http11, &["close"], false),
            (Version::Http11, &["Keep-Alive, CLOSE"], false),
            (Version::Http11, &["close", "keep-alive"], false),
            (Version::Http11, &["closed, Upgrade"], true),
            (Version::Http10, &[], false),
            (Version::Http10, &["Keep-Alive"], true),
            (Version::Http10, &["keep-alive, close"], false),
            (Version::Http10, &["upgrade"], false),
        ];
        for (version, options, keep_alive) in cases {
            let fields: Vec<_> =
                [HOST].into_iter().chain(options.iter().map(|option| ("connection", *option))).collect();
            assert_eq!(
                decide(version, &fields).map(|meaning| meaning.keep_alive),
                Ok(keep_alive),
                "{options:?}"
            );
        }
    }

    #[test]
    fn only_100_continue_is_expected_and_only_with_a_body() {
        let expects = |version, fields: &[(&str, &str)]| {
            decide(version, &[&[HOST], fields].concat()).map(|meaning| meaning.expects_continue)
        };
        let with_body = [("expect", "100-Continue"), ("content-length", "5")];
        assert_eq!(expects(Version::Http11, &with_body), Ok(true));
        assert_eq!(expects(Version::Http10, &with_body), Ok(false));
        assert_eq!(expects(Version::Http11, &[("expect", "100-continue")]), Ok(false));
        assert_eq!(expects(Version::Http11, &[("expect", "200-ok")]), Err(HttpError::UnknownExpectation));
        assert_eq!(expects(Version::Http11, &[("expect", "")]), Err(HttpError::UnknownExpectation));
    }
}
