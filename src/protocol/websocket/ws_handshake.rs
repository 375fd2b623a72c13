//! The opening handshake of `ferrows/ws` (RFC 6455 §4), whose HTTP is Node's: the rules of `ws`, with its error texts,
//! which programs compare. [`handshake`](super::handshake) and [`client_handshake`](super::client_handshake) have those
//! of connections that are ours from their first byte.

use super::deflate_policy::{DeflatePolicy, PolicyError};
use super::extensions::Agreement;
use super::handshake::{accept_key, is_key};
use crate::protocol::http::head::is_token;

/// Why a server refuses a request; the text is the body of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    /// Another method than GET (RFC 6455 §4.2.1, item 1).
    #[error("Invalid HTTP method")]
    Method,
    /// `Upgrade` is not `websocket` (RFC 6455 §4.2.1, item 3).
    #[error("Invalid Upgrade header")]
    Upgrade,
    /// No key of 16 bytes in base64 (RFC 6455 §4.2.1, item 5).
    #[error("Missing or invalid Sec-WebSocket-Key header")]
    Key,
    /// A version other than 13, and 8, which differs from it only in the name of `Origin`.
    #[error("Missing or invalid Sec-WebSocket-Version header")]
    Version,
}

impl RequestError {
    /// The status code of the answer.
    #[must_use]
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::Method => 405,
            Self::Upgrade | Self::Key | Self::Version => 400,
        }
    }
}

/// Checks method and header fields of a request. Returns the version.
///
/// # Errors
/// The first rule that it breaks.
pub(crate) fn check_request(
    method: &str,
    upgrade: Option<&str>,
    key: Option<&str>,
    version: Option<&str>,
) -> Result<u8, RequestError> {
    if method != "GET" {
        return Err(RequestError::Method);
    }
    if !upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket")) {
        return Err(RequestError::Upgrade);
    }
    if !key.is_some_and(|key| is_key(key.as_bytes())) {
        return Err(RequestError::Key);
    }
    match version.map(str::trim) {
        Some("13") => Ok(13),
        Some("8") => Ok(8),
        _ => Err(RequestError::Version),
    }
}

/// The subprotocols that a client offers, in their order; `None` if the header is no list of different tokens (RFC 6455
/// §4.1, item 10).
#[must_use]
pub(crate) fn subprotocols(header: &str) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    for name in header.split(',').map(|name| name.trim_matches([' ', '\t'])) {
        if !is_token(name.as_bytes()) || names.contains(&name) {
            return None;
        }
        names.push(name);
    }
    Some(names)
}

/// What a server has answered with 101: the header fields of the handshake.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Response<'a> {
    /// `Upgrade`
    pub upgrade: Option<&'a str>,
    /// `Sec-WebSocket-Accept`
    pub accept: Option<&'a str>,
    /// `Sec-WebSocket-Protocol`
    pub subprotocol: Option<&'a str>,
    /// `Sec-WebSocket-Extensions`
    pub extensions: Option<&'a str>,
}

/// Why a client fails the connection (RFC 6455 §4.1); the text is the message of its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResponseError {
    /// `Upgrade` is not `websocket`.
    #[error("Invalid Upgrade header")]
    Upgrade,
    /// The answer is to another key.
    #[error("Invalid Sec-WebSocket-Accept header")]
    Accept,
    /// A subprotocol although none was requested.
    #[error("Server sent a subprotocol but none was requested")]
    SubprotocolUnasked,
    /// One that was not requested.
    #[error("Server sent an invalid subprotocol")]
    SubprotocolInvalid,
    /// None although there was a choice.
    #[error("Server sent no subprotocol")]
    SubprotocolMissing,
    /// An extension although none was requested.
    #[error("Server sent a Sec-WebSocket-Extensions header but no extension was requested")]
    ExtensionsUnasked,
    /// Another extension than was requested.
    #[error("Server indicated an extension that was not requested")]
    ExtensionNotOffered,
    /// No list of extensions, or parameters that do not fit the offer.
    #[error("Invalid Sec-WebSocket-Extensions header")]
    Extensions,
}

/// Checks the answer to a request with this `key`, which has offered these `subprotocols`, and permessage-deflate if
/// there is a `policy`. Returns what was agreed upon.
///
/// # Errors
/// The first rule that it breaks.
pub(crate) fn check_response(
    response: &Response<'_>,
    key: &str,
    subprotocols: &[String],
    policy: Option<DeflatePolicy>,
) -> Result<Option<Agreement>, ResponseError> {
    if !response.upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket")) {
        return Err(ResponseError::Upgrade);
    }
    let accept = accept_key(key.as_bytes());
    if accept.is_none() || response.accept != accept.as_deref() {
        return Err(ResponseError::Accept);
    }
    match response.subprotocol {
        Some(_) if subprotocols.is_empty() => return Err(ResponseError::SubprotocolUnasked),
        Some(selected) if !subprotocols.iter().any(|offered| offered == selected) => {
            return Err(ResponseError::SubprotocolInvalid);
        }
        None if !subprotocols.is_empty() => return Err(ResponseError::SubprotocolMissing),
        Some(_) | None => {}
    }
    let Some(extensions) = response.extensions else { return Ok(None) };
    let policy = policy.ok_or(ResponseError::ExtensionsUnasked)?;
    match policy.conclude(extensions.as_bytes()) {
        Ok(Some(agreement)) => Ok(Some(agreement)),
        Ok(None) | Err(PolicyError::NotOffered) => Err(ResponseError::ExtensionNotOffered),
        Err(PolicyError::Malformed | PolicyError::Unacceptable) => Err(ResponseError::Extensions),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    #[test]
    fn a_request_is_checked_in_the_order_of_ws() {
        let check = check_request;
        assert_eq!(check("GET", Some("WebSocket"), Some(KEY), Some("13")), Ok(13));
        assert_eq!(check("GET", Some("websocket"), Some(KEY), Some("8")), Ok(8));
        assert_eq!(check("POST", None, None, None), Err(RequestError::Method));
        assert_eq!(check("GET", None, None, None), Err(RequestError::Upgrade));
        assert_eq!(check("GET", Some("h2c, websocket"), Some(KEY), Some("13")), Err(RequestError::Upgrade));
        assert_eq!(check("GET", Some("websocket"), None, None), Err(RequestError::Key));
        assert_eq!(check("GET", Some("websocket"), Some("P5l8BJcZwRc="), Some("13")), Err(RequestError::Key));
        for version in [None, Some(""), Some("12"), Some("13, 8")] {
            assert_eq!(check("GET", Some("websocket"), Some(KEY), version), Err(RequestError::Version));
        }
        assert_eq!([RequestError::Method.status(), RequestError::Version.status()], [405, 400]);
    }

    #[test]
    fn subprotocols_are_different_tokens() {
        assert_eq!(subprotocols("foo"), Some(vec!["foo"]));
        assert_eq!(subprotocols("foo,bar\t, baz "), Some(vec!["foo", "bar", "baz"]));
        for header in ["", ",", "foo,", ",foo", "foo,,bar", "foo bar", "foo,foo", "foo/1", "f\u{e9}"] {
            assert_eq!(subprotocols(header), None, "{header:?}");
        }
    }

    #[test]
    fn a_response_is_checked_in_the_order_of_ws() {
        let good = Response { upgrade: Some("WebSocket"), accept: Some(ACCEPT), ..Response::default() };
        let offered = ["chat".to_owned()];
        let check = |response: Response<'_>, offered: &[String], policy| {
            check_response(&response, KEY, offered, policy)
        };
        let policy = Some(DeflatePolicy::default());
        assert_eq!(check(good, &[], policy), Ok(None));
        let chat = Response { subprotocol: Some("chat"), ..good };
        assert_eq!(check(chat, &offered, None), Ok(None));
        let deflate = Response { extensions: Some("permessage-deflate"), ..good };
        assert!(check(deflate, &[], policy).unwrap().is_some());
        for (response, offered, policy, error) in [
            (Response::default(), &offered[..0], None, ResponseError::Upgrade),
            (Response { upgrade: Some("foo"), ..good }, &[], None, ResponseError::Upgrade),
            (Response { accept: None, ..good }, &[], None, ResponseError::Accept),
            (
                Response { accept: Some("CxYS6+NgJSBG74mdgLvGscRvpns="), ..good },
                &[],
                None,
                ResponseError::Accept,
            ),
            (chat, &[], None, ResponseError::SubprotocolUnasked),
            (
                Response { subprotocol: Some("other"), ..good },
                &offered,
                None,
                ResponseError::SubprotocolInvalid,
            ),
            (good, &offered, None, ResponseError::SubprotocolMissing),
            (deflate, &[], None, ResponseError::ExtensionsUnasked),
            (Response { extensions: Some("foo"), ..good }, &[], policy, ResponseError::ExtensionNotOffered),
            (Response { extensions: Some(""), ..good }, &[], policy, ResponseError::ExtensionNotOffered),
            (Response { extensions: Some("foo;=foo"), ..good }, &[], policy, ResponseError::Extensions),
            (
                Response { extensions: Some("permessage-deflate; client_max_window_bits=7"), ..good },
                &[],
                policy,
                ResponseError::Extensions,
            ),
        ] {
            assert_eq!(check(response, offered, policy), Err(error), "{response:?}");
        }
    }
}
