//! The opening handshake of a server (RFC 6455 §4.2): whether a request is an upgrade to WebSocket, and the response.

use std::str;

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::protocol::http::head::{BodyLength, Version, is_token};

/// Characters of a `Sec-WebSocket-Key`: 16 bytes in base64.
const KEY_LENGTH: usize = 24;

/// Why a request cannot be upgraded. [`Self::status`] and [`Self::headers`] make the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// No `Upgrade` header names `websocket` (RFC 6455 §4.2.1, item 3).
    #[error("Upgrade header must contain websocket")]
    MissingUpgrade,
    /// No `Connection` header names `Upgrade` (RFC 6455 §4.2.1, item 4).
    #[error("Connection header must contain Upgrade")]
    MissingConnectionUpgrade,
    /// No `Sec-WebSocket-Key` (RFC 6455 §4.2.1, item 5).
    #[error("Sec-WebSocket-Key header is missing")]
    MissingKey,
    /// The `Sec-WebSocket-Key` is not 16 bytes in base64 (RFC 6455 §4.2.1, item 5).
    #[error("Sec-WebSocket-Key header must be 16 bytes in base64")]
    InvalidKey,
    /// No `Sec-WebSocket-Version` (RFC 6455 §4.2.1, item 6).
    #[error("Sec-WebSocket-Version header is missing")]
    MissingVersion,
    /// A `Sec-WebSocket-Version` other than 13 (RFC 6455 §4.2.2, item 4).
    #[error("Sec-WebSocket-Version header must be 13")]
    UnsupportedVersion,
    /// A request of HTTP/1.0 (RFC 6455 §4.2.1, item 1), whose `Upgrade` header is to be ignored (RFC 9110 §7.8).
    #[error("a handshake must be a request of HTTP/1.1")]
    OldHttp,
    /// A request with a body. RFC 6455 gives it no meaning, and frames could only be found after the body has been
    /// read.
    #[error("a handshake must have no body: neither Transfer-Encoding nor a Content-Length above 0")]
    HasBody,
}

impl HandshakeError {
    /// The status code of the answer: 426 Upgrade Required where another version would do, else 400 Bad Request.
    #[must_use]
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::UnsupportedVersion => 426,
            Self::MissingUpgrade
            | Self::MissingConnectionUpgrade
            | Self::MissingKey
            | Self::InvalidKey
            | Self::MissingVersion
            | Self::OldHttp
            | Self::HasBody => 400,
        }
    }

    /// Field lines that the response must have: with 426, the supported version (RFC 6455 §4.4) and the protocol to
    /// upgrade to (RFC 9110 §15.5.22, §7.8).
    #[must_use]
    pub(crate) const fn fields(self) -> &'static [u8] {
        match self {
            Self::UnsupportedVersion => {
                b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            }
            Self::MissingUpgrade
            | Self::MissingConnectionUpgrade
            | Self::MissingKey
            | Self::InvalidKey
            | Self::MissingVersion
            | Self::OldHttp
            | Self::HasBody => b"",
        }
    }
}

/// The application chose a subprotocol that is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a subprotocol must be a token: letters, digits and !#$%&'*+-.^_`|~")]
pub(crate) struct InvalidSubprotocol;

/// Checks the request itself, of which [`check_upgrade`] checks the headers.
pub(crate) const fn check_request(version: Version, body: BodyLength) -> Result<(), HandshakeError> {
    match (version, body) {
        (Version::Http10, _) => Err(HandshakeError::OldHttp),
        (Version::Http11 | Version::Multiplexed, BodyLength::None | BodyLength::Fixed(0)) => Ok(()),
        (Version::Http11 | Version::Multiplexed, BodyLength::Fixed(_) | BodyLength::Chunked) => {
            Err(HandshakeError::HasBody)
        }
    }
}

/// Checks the headers of a GET request; the caller has checked the method. The values of a repeated header are passed
/// as one, joined by commas.
pub(crate) fn check_upgrade(
    version: Option<&[u8]>,
    upgrade: Option<&[u8]>,
    connection: Option<&[u8]>,
    key: Option<&[u8]>,
) -> Result<(), HandshakeError> {
    if !upgrade.is_some_and(|value| lists(value, b"websocket")) {
        return Err(HandshakeError::MissingUpgrade);
    }
    if !connection.is_some_and(|value| lists(value, b"upgrade")) {
        return Err(HandshakeError::MissingConnectionUpgrade);
    }
    // Before the key: a client of another version may use the key differently.
    match version.map(<[u8]>::trim_ascii) {
        None => return Err(HandshakeError::MissingVersion),
        Some(b"13") => {}
        Some(_) => return Err(HandshakeError::UnsupportedVersion),
    }
    match key.map(<[u8]>::trim_ascii) {
        None => Err(HandshakeError::MissingKey),
        Some(key) if is_key(key) => Ok(()),
        Some(_) => Err(HandshakeError::InvalidKey),
    }
}

/// The `Sec-WebSocket-Accept` that answers a key (RFC 6455 §4.2.2, item 5.4); `None` if it is not a key.
///
/// A key is 22 characters of the base64 alphabet of RFC 4648 §4 and `==`. The four bits of the last character that
/// encode nothing may have any value: decoders ignore them.
#[must_use]
pub(crate) fn accept_key(sec_websocket_key: &[u8]) -> Option<String> {
    is_key(sec_websocket_key).then(|| derive_accept_key(sec_websocket_key))
}

/// The subprotocol to answer with: the first element of `list`; `None` if that is empty. It must be a token (RFC 6455
/// §4.1, item 10; RFC 9110 §5.6.2).
pub(crate) fn first_subprotocol(list: &str) -> Result<Option<&str>, InvalidSubprotocol> {
    let first = list.split(',').next().unwrap_or_default().trim_matches([' ', '\t']);
    match first {
        "" => Ok(None),
        _ if is_token(first.as_bytes()) => Ok(Some(first)),
        _ => Err(InvalidSubprotocol),
    }
}

/// The headers that an application has written for a 101 response: those that are sent and those that are not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Additions {
    /// The lines that are sent.
    pub lines: Vec<u8>,
    /// A subprotocol is among them.
    pub has_subprotocol: bool,
    /// The names of those that are left out and whose value differs from the handshake's own.
    pub refused: Vec<&'static str>,
}

impl Additions {
    /// Sorts `headers`: whole lines, each `name: value` and CRLF, which the caller has checked. `accept` and
    /// `extensions` are the handshake's own values of these headers.
    ///
    /// Headers that the handshake itself consists of are left out: a client refuses a second one, and an extension that
    /// was not negotiated. So are those that frame a body (RFC 9110 §8.6, RFC 9112 §6.1), because a proxy might look
    /// for it. The subprotocol is the application's choice: the first one that it has written is sent (RFC 6455 §11.3.4
    /// allows no second one).
    #[must_use]
    pub(crate) fn sort(headers: &[u8], accept: &str, extensions: Option<&str>) -> Self {
        let own = [
            ("Connection", Some("Upgrade")),
            ("Content-Length", None),
            ("Sec-WebSocket-Accept", Some(accept)),
            ("Sec-WebSocket-Extensions", extensions),
            ("Transfer-Encoding", None),
            ("Upgrade", Some("websocket")),
        ];
        let mut sorted = Self::default();
        for line in headers.split_inclusive(|&byte| byte == b'\n') {
            let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
            let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default().trim_ascii());
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            if let Some((known, ours)) = own.iter().find(|(known, _)| is(known)) {
                if !ours.is_some_and(|ours| value.eq_ignore_ascii_case(ours.as_bytes())) {
                    sorted.refused.push(known);
                }
            } else if !is(SUBPROTOCOL) {
                sorted.lines.extend_from_slice(line);
            } else if std::mem::replace(&mut sorted.has_subprotocol, true) {
                sorted.refused.push(SUBPROTOCOL);
            } else {
                sorted.lines.extend_from_slice(line);
            }
        }
        sorted
    }
}

const SUBPROTOCOL: &str = "Sec-WebSocket-Protocol";

/// Appends the 101 response. `headers` are the lines of [`Additions`] and `Sec-WebSocket-Extensions`; `date` is the
/// value of the `Date` header, unless it is among them.
pub(crate) fn encode_response(
    accept: &str,
    subprotocol: Option<&str>,
    headers: &[u8],
    date: &[u8],
    out: &mut Vec<u8>,
) {
    const START: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Accept: ";
    out.extend_from_slice(START);
    out.extend_from_slice(accept.as_bytes());
    if let Some(subprotocol) = subprotocol {
        out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
        out.extend_from_slice(subprotocol.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    let mut has_date = false;
    for line in headers.split_inclusive(|&byte| byte == b'\n') {
        let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
        has_date |= name.eq_ignore_ascii_case(b"date");
    }
    out.extend_from_slice(headers);
    if !has_date {
        out.extend_from_slice(b"Date: ");
        out.extend_from_slice(date);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether `name` is one of the comma-separated elements of a header value, in any case of letters.
pub(super) fn lists(value: &[u8], name: &[u8]) -> bool {
    value.split(|&byte| byte == b',').any(|element| element.trim_ascii().eq_ignore_ascii_case(name))
}

/// Whether `key` has the form of 16 bytes in base64.
pub(super) fn is_key(key: &[u8]) -> bool {
    key.len() == KEY_LENGTH
        && key.strip_suffix(b"==").is_some_and(|digits| {
            digits.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_application_do_not_change_the_handshake() {
        let sort = |headers: &str| Additions::sort(headers.as_bytes(), "accept=", Some("permessage-deflate"));
        for (line, name) in [
            ("Content-Length: 5", "Content-Length"),
            ("content-length: 0", "Content-Length"),
            ("transfer-encoding: chunked", "Transfer-Encoding"),
            ("Connection: close", "Connection"),
            ("Connection: keep-alive, Upgrade", "Connection"),
            ("UPGRADE: h2c", "Upgrade"),
            ("Sec-WebSocket-Accept: x", "Sec-WebSocket-Accept"),
            (
                "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9",
                "Sec-WebSocket-Extensions",
            ),
        ] {
            let sorted = sort(&format!("A: b\r\n{line}\r\nC: d\r\n"));
            assert_eq!(
                (&sorted.lines[..], &sorted.refused[..]),
                (&b"A: b\r\nC: d\r\n"[..], &[name][..]),
                "{line}"
            );
        }
        // Headers with the handshake's own values are not reported.
        for line in [
            "connection: upgrade",
            "Upgrade: WebSocket",
            "Sec-WebSocket-Accept: accept=",
            "Sec-WebSocket-Extensions: permessage-deflate",
        ] {
            assert_eq!(sort(&format!("{line}\r\n")), Additions::default(), "{line}");
        }
        let none = Additions::sort(b"Sec-WebSocket-Extensions: permessage-deflate\r\n", "accept=", None);
        assert_eq!(none.refused, ["Sec-WebSocket-Extensions"]);
    }

    #[test]
    fn the_first_subprotocol_of_the_application_is_sent() {
        let headers = b"Sec-WebSocket-Protocol: b\r\nX: y\r\nsec-websocket-protocol: c\r\n";
        let sorted = Additions::sort(headers, "", None);
        assert_eq!(sorted.lines, b"Sec-WebSocket-Protocol: b\r\nX: y\r\n");
        assert!(sorted.has_subprotocol);
        assert_eq!(sorted.refused, ["Sec-WebSocket-Protocol"]);
    }

    #[test]
    fn a_date_of_the_application_is_the_only_one() {
        let mut out = Vec::new();
        encode_response("accept", None, b"date: then\r\n", b"now", &mut out);
        assert!(out.ends_with(b"accept\r\ndate: then\r\n\r\n"));
    }

    const KEY: &[u8] = b"dGhlIHNhbXBsZSBub25jZQ==";

    /// Checks the four headers of a usual request after `change`.
    fn check(change: impl FnOnce(&mut [Option<&'static [u8]>; 4])) -> Result<(), HandshakeError> {
        let mut headers: [Option<&[u8]>; 4] = [Some(b"13"), Some(b"websocket"), Some(b"Upgrade"), Some(KEY)];
        change(&mut headers);
        let [version, upgrade, connection, key] = headers;
        check_upgrade(version, upgrade, connection, key)
    }

    #[test]
    fn the_headers_of_a_usual_request() {
        assert_eq!(check(|_| {}), Ok(()));
    }

    #[test]
    fn versions() {
        assert_eq!(check(|headers| headers[0] = None), Err(HandshakeError::MissingVersion));
        assert_eq!(check(|headers| headers[0] = Some(b" 13\t")), Ok(()));
        for version in ["", "8", "14", "130", "13, 8", "013", "13a"] {
            let result = check(|headers| headers[0] = Some(version.as_bytes()));
            assert_eq!(result, Err(HandshakeError::UnsupportedVersion), "{version}");
        }
    }

    #[test]
    fn upgrade_and_connection_are_lists_in_any_case() {
        for value in ["WebSocket", "h2c, websocket", "websocket,h2c", "x,\twebSOCKET "] {
            assert_eq!(check(|headers| headers[1] = Some(value.as_bytes())), Ok(()), "{value}");
        }
        for value in ["", "web socket", "websockets", "xwebsocket", "h2c", "websocket/13"] {
            let result = check(|headers| headers[1] = Some(value.as_bytes()));
            assert_eq!(result, Err(HandshakeError::MissingUpgrade), "{value}");
        }
        assert_eq!(check(|headers| headers[1] = None), Err(HandshakeError::MissingUpgrade));
        for value in ["upgrade", "keep-alive, Upgrade", "UPGRADE,close"] {
            assert_eq!(check(|headers| headers[2] = Some(value.as_bytes())), Ok(()), "{value}");
        }
        for value in ["", "keep-alive", "upgraded", "up grade"] {
            let result = check(|headers| headers[2] = Some(value.as_bytes()));
            assert_eq!(result, Err(HandshakeError::MissingConnectionUpgrade), "{value}");
        }
        assert_eq!(check(|headers| headers[2] = None), Err(HandshakeError::MissingConnectionUpgrade));
    }

    #[test]
    fn the_key_is_16_bytes_in_base64() {
        assert_eq!(check(|headers| headers[3] = None), Err(HandshakeError::MissingKey));
        for key in ["AAAAAAAAAAAAAAAAAAAAAA==", "+/+/+/+/+/+/+/+/+/+/+/==", "zzzzzzzzzzzzzzzzzzzzzz=="] {
            assert_eq!(check(|headers| headers[3] = Some(key.as_bytes())), Ok(()), "{key}");
            assert!(accept_key(key.as_bytes()).is_some(), "{key}");
        }
        let wrong = [
            "",
            "AAAAAAAAAAAAAAAAAAAAA==",
            "AAAAAAAAAAAAAAAAAAAAAAA==",
            "AAAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAA=AAAAAAAAAA==",
            "AAAAAAAAAAAAAAAAAAAAA-==",
            "AAAAAAAAAA AAAAAAAAAAA==",
            "AAAAAAAAAAAAAAAAAAAAé==",
        ];
        for key in wrong {
            assert_eq!(
                check(|headers| headers[3] = Some(key.as_bytes())),
                Err(HandshakeError::InvalidKey),
                "{key}"
            );
            assert_eq!(accept_key(key.as_bytes()), None, "{key}");
        }
    }

    #[test]
    fn a_handshake_is_a_request_of_http11_without_a_body() {
        for body in [BodyLength::None, BodyLength::Fixed(0)] {
            assert_eq!(check_request(Version::Http11, body), Ok(()), "{body:?}");
            assert_eq!(check_request(Version::Http10, body), Err(HandshakeError::OldHttp), "{body:?}");
        }
        for body in [BodyLength::Fixed(1), BodyLength::Fixed(u64::MAX), BodyLength::Chunked] {
            assert_eq!(check_request(Version::Http11, body), Err(HandshakeError::HasBody), "{body:?}");
        }
    }

    #[test]
    fn only_a_wrong_version_is_answered_with_the_right_one() {
        let errors = [
            (HandshakeError::MissingUpgrade, 400),
            (HandshakeError::MissingConnectionUpgrade, 400),
            (HandshakeError::MissingKey, 400),
            (HandshakeError::InvalidKey, 400),
            (HandshakeError::MissingVersion, 400),
            (HandshakeError::UnsupportedVersion, 426),
            (HandshakeError::OldHttp, 400),
            (HandshakeError::HasBody, 400),
        ];
        for (error, status) in errors {
            assert_eq!(error.status(), status, "{error}");
            let has_version = error.fields().ends_with(b"\r\nSec-WebSocket-Version: 13\r\n");
            assert_eq!(has_version, status == 426, "{error}");
        }
    }

    #[test]
    fn the_accept_of_the_rfc() {
        // RFC 6455 §1.3.
        assert_eq!(accept_key(KEY).as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }

    #[test]
    fn the_first_subprotocol_is_selected() {
        assert_eq!(first_subprotocol(""), Ok(None));
        assert_eq!(first_subprotocol("  "), Ok(None));
        assert_eq!(first_subprotocol(" ,chat"), Ok(None));
        assert_eq!(first_subprotocol("chat"), Ok(Some("chat")));
        assert_eq!(first_subprotocol(" graphql-transport-ws , chat"), Ok(Some("graphql-transport-ws")));
        assert_eq!(first_subprotocol("v1.json+x,"), Ok(Some("v1.json+x")));
        assert_eq!(first_subprotocol("!#$%&'*+-.^_`|~09azAZ"), Ok(Some("!#$%&'*+-.^_`|~09azAZ")));
        for list in ["a b", "a/b", "a\r\nSet-Cookie: x", "é", "a\0", "\"a\"", "a=b", "a\u{b}"] {
            assert_eq!(first_subprotocol(list), Err(InvalidSubprotocol), "{list:?}");
        }
    }

    #[test]
    fn the_response() {
        let mut out = b"before ".to_vec();
        let headers = b"Set-Cookie: a=b\r\nX-Y: z\r\n";
        encode_response("ACCEPT=", Some("chat"), headers, b"Thu, 01 Jan 1970 00:00:00 GMT", &mut out);
        let expected = "before HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Accept: ACCEPT=\r\nSec-WebSocket-Protocol: chat\r\nSet-Cookie: a=b\r\nX-Y: z\r\n\
            Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";
        assert_eq!(str::from_utf8(&out), Ok(expected));
        out.clear();
        encode_response("ACCEPT=", None, b"", b"D", &mut out);
        let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Accept: ACCEPT=\r\nDate: D\r\n\r\n";
        assert_eq!(str::from_utf8(&out), Ok(expected));
    }
}
