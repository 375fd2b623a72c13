//! Why a WebSocket to a server could not be opened. [`ConnectCause`] is to a connect what
//! [`CloseCause`](super::cause::CloseCause) is to an open connection.

use std::borrow::Cow;

use super::cause::Cause;

/// Why `uWS.connect` failed. In the order of the steps of a connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ConnectCause {
    /// The host name has no address.
    NameNotFound,
    /// The host refused the connection (ECONNREFUSED): no process listens on the port.
    Refused,
    /// The network reported that the host cannot be reached (EHOSTUNREACH, ENETUNREACH).
    Unreachable,
    /// No complete answer arrived within `connectTimeout`, or the kernel gave up.
    TimedOut,
    /// The server closed or reset the connection before its response was complete.
    Ended,
    /// The process or the system has reached its limit of open descriptors (EMFILE, ENFILE).
    OutOfDescriptors,
    /// The system reported another error.
    Failed,
    /// The TLS handshake failed: a certificate that is not trusted or not for this name, no common version or suite.
    Tls,
    /// The server's answer is not an HTTP/1.1 response.
    Response,
    /// The server answered with another status than 101 (RFC 6455 §4.1).
    Status,
    /// A 101 without `Upgrade: websocket` or `Connection: Upgrade` (RFC 6455 §4.1).
    Upgrade,
    /// A `Sec-WebSocket-Accept` that does not answer our key (RFC 6455 §4.1): a cache, or a server that speaks no
    /// WebSocket.
    Accept,
    /// The server uses an extension that was not offered, or not in this way (RFC 6455 §4.1, RFC 7692 §5.1).
    Extension,
    /// The server selected a subprotocol that was not offered, or none of those that were (RFC 6455 §4.1).
    Subprotocol,
}

impl Cause for ConnectCause {
    /// `error.code`.
    fn code(&self) -> &'static str {
        match self {
            Self::NameNotFound => "ERR_CONNECT_DNS",
            Self::Refused => "ERR_CONNECT_REFUSED",
            Self::Unreachable => "ERR_CONNECT_UNREACHABLE",
            Self::TimedOut => "ERR_CONNECT_TIMEOUT",
            Self::Ended => "ERR_CONNECT_ENDED",
            Self::OutOfDescriptors => "ERR_CONNECT_DESCRIPTORS",
            Self::Failed => "ERR_CONNECT_FAILED",
            Self::Tls => "ERR_CONNECT_TLS",
            Self::Response => "ERR_CONNECT_RESPONSE",
            Self::Status => "ERR_CONNECT_STATUS",
            Self::Upgrade => "ERR_CONNECT_UPGRADE",
            Self::Accept => "ERR_CONNECT_ACCEPT",
            Self::Extension => "ERR_CONNECT_EXTENSION",
            Self::Subprotocol => "ERR_CONNECT_SUBPROTOCOL",
        }
    }

    /// The start of `error.message`.
    fn text(&self) -> Cow<'static, str> {
        let text = match self {
            Self::NameNotFound => "Host name could not be resolved",
            Self::Refused => "Connection refused",
            Self::Unreachable => "Host is unreachable",
            Self::TimedOut => "Connecting timed out",
            Self::Ended => "Server ended the connection before its response was complete",
            Self::OutOfDescriptors => "No file descriptor is left",
            Self::Failed => "Connecting failed",
            Self::Tls => "TLS handshake failed",
            Self::Response => "Server answered with no HTTP/1.1 response",
            Self::Status => "Server refused the upgrade to WebSocket",
            Self::Upgrade => "Server did not upgrade to WebSocket",
            Self::Accept => "Sec-WebSocket-Accept does not answer the key",
            Self::Extension => "Server uses an extension that was not offered",
            Self::Subprotocol => "Server selected no subprotocol that was offered",
        };
        Cow::Borrowed(text)
    }
}

/// A connect that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectFailure {
    /// Why.
    pub cause: ConnectCause,
    /// Details for people.
    pub detail: String,
    /// The system's error code, like `ECONNREFUSED`; `None` if the system reported none.
    pub system: Option<&'static str>,
    /// The server's response, if it sent one. Boxed because it is rare.
    pub response: Option<Box<RefusedResponse>>,
}

impl ConnectFailure {
    /// A failure without error code of the system and without response.
    #[must_use]
    pub(crate) fn new(cause: ConnectCause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into(), system: None, response: None }
    }
}

impl Cause for ConnectFailure {
    /// `error.code`.
    fn code(&self) -> &'static str {
        self.cause.code()
    }

    /// `error.message`.
    fn text(&self) -> Cow<'static, str> {
        let Self { cause, detail, .. } = self;
        let text = cause.text();
        if detail.is_empty() { text } else { format!("{text}: {detail}").into() }
    }
}

/// Header fields of a response in the order in which their names came first; names in lower case.
pub(crate) type ResponseFields = Vec<(String, Vec<u8>)>;

/// A response that opens no WebSocket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RefusedResponse {
    /// Its status.
    pub status: u16,
    /// Its header fields.
    pub fields: ResponseFields,
    /// The start of its body.
    pub body: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_cause_is_without_words_and_no_two_share_a_name() {
        let all = [
            ConnectCause::NameNotFound,
            ConnectCause::Refused,
            ConnectCause::Unreachable,
            ConnectCause::TimedOut,
            ConnectCause::Ended,
            ConnectCause::OutOfDescriptors,
            ConnectCause::Failed,
            ConnectCause::Tls,
            ConnectCause::Response,
            ConnectCause::Status,
            ConnectCause::Upgrade,
            ConnectCause::Accept,
            ConnectCause::Extension,
            ConnectCause::Subprotocol,
        ];
        let names: HashSet<_> = all.map(|cause| cause.code()).into_iter().collect();
        let texts: HashSet<_> = all.map(|cause| cause.text()).into_iter().collect();
        assert_eq!((names.len(), texts.len()), (all.len(), all.len()));
        assert!(names.iter().all(|name| name.starts_with("ERR_CONNECT_")));
        assert!(texts.iter().all(|text| !text.is_empty()));
    }

    #[test]
    fn a_message_is_the_cause_and_its_particulars() {
        let message = |detail| ConnectFailure::new(ConnectCause::Refused, detail).text();
        assert_eq!(message("127.0.0.1:1"), "Connection refused: 127.0.0.1:1");
        assert_eq!(message(""), "Connection refused");
    }
}
