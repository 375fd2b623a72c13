//! Why there is no connection to a broker.

use std::fmt;

/// Why a connection was not made, or has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokerFailure {
    /// The cause.
    pub cause: BrokerCause,
    /// Details, in the words of the system or of the broker.
    pub detail: String,
}

/// The causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrokerCause {
    /// The connection could not be made.
    Connect,
    /// TLS could not be set up.
    Tls,
    /// The broker wants other credentials, or does not allow the channels.
    Auth,
    /// The broker answers with another error.
    Refused,
    /// What it sends is not the protocol of the url.
    Protocol,
    /// It sends more at once than is accepted.
    TooLarge,
    /// It did not answer in time.
    Timeout,
    /// The connection has ended.
    Closed,
}

impl BrokerCause {
    /// The name for programs.
    #[must_use]
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Connect => "ERR_BROKER_CONNECT",
            Self::Tls => "ERR_BROKER_TLS",
            Self::Auth => "ERR_BROKER_AUTH",
            Self::Refused => "ERR_BROKER_REFUSED",
            Self::Protocol => "ERR_BROKER_PROTOCOL",
            Self::TooLarge => "ERR_BROKER_TOO_LARGE",
            Self::Timeout => "ERR_BROKER_TIMEOUT",
            Self::Closed => "ERR_BROKER_CLOSED",
        }
    }
}

impl BrokerFailure {
    /// A failure with these details.
    #[must_use]
    pub(crate) fn new(cause: BrokerCause, detail: impl fmt::Display) -> Self {
        Self { cause, detail: detail.to_string() }
    }
}
