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
    /// Sentinels know no master of this name, or the one that they name is none, or not any more.
    Master,
    /// What it sends is not the protocol of the url.
    Protocol,
    /// It sends more at once than is accepted.
    TooLarge,
    /// It did not answer in time.
    Timeout,
    /// The connection has ended.
    Closed,
    /// A bug of ours has ended it.
    Internal,
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
            Self::Master => "ERR_BROKER_MASTER",
            Self::Protocol => "ERR_BROKER_PROTOCOL",
            Self::TooLarge => "ERR_BROKER_TOO_LARGE",
            Self::Timeout => "ERR_BROKER_TIMEOUT",
            Self::Closed => "ERR_BROKER_CLOSED",
            Self::Internal => "ERR_BROKER_INTERNAL",
        }
    }

    /// How much it tells of what is wrong, if there are several: one that the operator must mend more than one that may
    /// pass.
    #[must_use]
    pub(crate) const fn weight(self) -> u8 {
        match self {
            Self::Internal => 9,
            Self::Auth => 8,
            Self::Tls => 7,
            Self::Protocol => 6,
            Self::TooLarge => 5,
            Self::Refused => 4,
            Self::Master => 3,
            Self::Timeout => 2,
            Self::Closed => 1,
            Self::Connect => 0,
        }
    }
}

impl BrokerFailure {
    /// A failure with these details.
    #[must_use]
    pub(crate) fn new(cause: BrokerCause, detail: impl fmt::Display) -> Self {
        Self { cause, detail: detail.to_string() }
    }

    /// The same, and of whom.
    #[must_use]
    pub(crate) fn of(self, who: impl fmt::Display) -> Self {
        Self { detail: format!("{who}: {}", self.detail), ..self }
    }

    /// Keeps the one that tells more; of equals, the first one.
    pub(crate) fn keep_worst(worst: &mut Option<Self>, failure: Self) {
        if worst.as_ref().is_none_or(|worst| failure.cause.weight() > worst.cause.weight()) {
            *worst = Some(failure);
        }
    }
}
