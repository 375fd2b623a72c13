//! What JavaScript did wrong: becomes an exception with a stable `code`.

use std::borrow::Cow;
use std::io;

/// Which constructor the exception has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `Error`
    Error,
    /// `TypeError`
    TypeError,
    /// `RangeError`
    RangeError,
}

/// A call that cannot be carried out. Never depends on what the peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misuse {
    /// The constructor.
    pub class: Class,
    /// The `code` property.
    pub code: &'static str,
    /// The `message` property.
    pub message: Cow<'static, str>,
}

impl Misuse {
    const fn fixed(class: Class, code: &'static str, message: &'static str) -> Self {
        Self { class, code, message: Cow::Borrowed(message) }
    }

    /// A response that has ended, was aborted, closed or upgraded (S22).
    #[must_use]
    pub const fn response_closed() -> Self {
        Self::fixed(Class::Error, "ERR_HTTP_RESPONSE_CLOSED", RESPONSE_CLOSED)
    }

    /// A request whose response is over and whose handler has returned (S12).
    #[must_use]
    pub const fn request_closed() -> Self {
        Self::fixed(Class::Error, "ERR_HTTP_REQUEST_CLOSED", REQUEST_CLOSED)
    }

    /// A WebSocket that is closed (S22).
    #[must_use]
    pub const fn websocket_closed() -> Self {
        Self::fixed(
            Class::Error,
            "ERR_WEBSOCKET_CLOSED",
            "Invalid access of closed uWS.WebSocket/SSLWebSocket.",
        )
    }

    /// An argument that is neither text nor data.
    #[must_use]
    pub const fn not_text_or_data() -> Self {
        Self::fixed(
            Class::TypeError,
            "ERR_INVALID_ARG_TYPE",
            "Text and data can only be passed by String, ArrayBuffer or ArrayBufferView.",
        )
    }

    /// Fewer arguments than the function needs.
    #[must_use]
    pub fn missing_args(needed: usize) -> Self {
        Self {
            class: Class::TypeError,
            code: "ERR_MISSING_ARGS",
            message: format!("Function requires at least {needed} arguments.").into(),
        }
    }

    /// An argument of the wrong type; `what` says which and what it has to be.
    #[must_use]
    pub fn invalid_type(what: impl Into<Cow<'static, str>>) -> Self {
        Self { class: Class::TypeError, code: "ERR_INVALID_ARG_TYPE", message: what.into() }
    }

    /// An argument of the right type that makes no sense; `what` says which and why.
    #[must_use]
    pub fn invalid_value(what: impl Into<Cow<'static, str>>) -> Self {
        Self { class: Class::TypeError, code: "ERR_INVALID_ARG_VALUE", message: what.into() }
    }

    /// A number outside its range; `what` says which and what the range is.
    #[must_use]
    pub fn out_of_range(what: impl Into<Cow<'static, str>>) -> Self {
        Self { class: Class::RangeError, code: "ERR_OUT_OF_RANGE", message: what.into() }
    }

    /// A call at the wrong moment.
    #[must_use]
    pub fn invalid_state(what: impl Into<Cow<'static, str>>) -> Self {
        Self { class: Class::Error, code: "ERR_INVALID_STATE", message: what.into() }
    }

    /// A status or header field that HTTP does not allow.
    #[must_use]
    pub fn invalid_http(code: &'static str, what: impl Into<Cow<'static, str>>) -> Self {
        Self { class: Class::TypeError, code, message: what.into() }
    }

    /// The system refused; `code` is that of the system.
    #[must_use]
    pub fn system(code: &'static str, what: impl Into<Cow<'static, str>>) -> Self {
        Self { class: Class::Error, code, message: what.into() }
    }

    /// A bug in the addon, caught at the border.
    #[must_use]
    pub const fn bug() -> Self {
        Self::fixed(Class::Error, "ERR_INTERNAL", "This is a bug in ferrows; the call had no effect.")
    }
}

/// The code that Node uses for the same error.
pub fn code_of(error: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::AddrInUse => "EADDRINUSE",
        Kind::AddrNotAvailable => "EADDRNOTAVAIL",
        Kind::PermissionDenied => "EACCES",
        Kind::NotFound => "ENOENT",
        Kind::NotADirectory => "ENOTDIR",
        Kind::InvalidInput => "EINVAL",
        Kind::Unsupported => "ENOTSUP",
        // Resolving a name fails without a number of the system.
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
