//! The exceptions of misused responses, requests and WebSockets.

use std::borrow::Cow;
use std::io;

pub(crate) use super::js::{Class, Misuse};

impl Misuse {
    /// A response that has ended, was aborted, closed or upgraded. The text is that of uWebSockets.js.
    #[must_use]
    pub(crate) const fn response_closed() -> Self {
        Self::fixed(Class::Error, "ERR_HTTP_RESPONSE_CLOSED", RESPONSE_CLOSED)
    }

    /// A request whose response is over and whose handler has returned. The text is that of uWebSockets.js.
    #[must_use]
    pub(crate) const fn request_closed() -> Self {
        Self::fixed(Class::Error, "ERR_HTTP_REQUEST_CLOSED", REQUEST_CLOSED)
    }

    /// A WebSocket that is closed. The text is that of uWebSockets.js.
    #[must_use]
    pub(crate) const fn websocket_closed() -> Self {
        Self::fixed(
            Class::Error,
            "ERR_WEBSOCKET_CLOSED",
            "Invalid access of closed uWS.WebSocket/SSLWebSocket.",
        )
    }

    /// A status or header field that HTTP does not allow.
    #[must_use]
    pub(crate) fn invalid_http(code: &'static str, what: impl Into<Cow<'static, str>>) -> Self {
        Self { class: Class::TypeError, code, message: what.into() }
    }
}

/// The code that Node uses for the same error.
pub(crate) fn code_of(error: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::AddrInUse => "EADDRINUSE",
        Kind::AddrNotAvailable => "EADDRNOTAVAIL",
        Kind::PermissionDenied => "EACCES",
        Kind::NotFound => "ENOENT",
        Kind::NotADirectory => "ENOTDIR",
        Kind::InvalidInput => "EINVAL",
        Kind::Unsupported => "ENOTSUP",
        // A failed name resolution has no `errno`.
        _ if error.raw_os_error().is_none() => "ENOTFOUND",
        _ => match error.raw_os_error() {
            Some(23 | 24) => "EMFILE",
            Some(36 | 63) => "ENAMETOOLONG",
            _ => "ERR_LISTEN",
        },
    }
}

const RESPONSE_CLOSED: &str = "uWS.HttpResponse must not be accessed after uWS.HttpResponse.onAborted callback, or after \
    a successful response. See documentation for uWS.HttpResponse and consult the user manual.";
const REQUEST_CLOSED: &str = "uWS.HttpRequest must not be accessed after await or route handler return. See documentation \
    for uWS.HttpRequest and consult the user manual.";
