//! Values that an exchange and its caller exchange about the connection as a whole: whether it persists, which timer
//! expired, how much output was written.

use crate::protocol::cause::CloseCause;

/// What the caller does with the connection once all output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// Keep the connection open (RFC 9112 §9.3).
    KeepAlive,
    /// Close it: send FIN, and discard the bytes that still arrive, so that no reset destroys the last response.
    Close,
}

/// What [`HttpExchange::handle_timeout`](super::exchange::HttpExchange::handle_timeout) found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeoutOutcome {
    /// No deadline has passed: the timer fired early.
    NotYet,
    /// No request was in progress, or only the rest of an answered one: close without a response.
    CloseSilently,
    /// A request head arrived too slowly; 408 is in the output. No handler was called for it.
    Answered408,
    /// A request body arrived too slowly: abort its response. 408 is in the output unless that response had started.
    BodyTimeout,
    /// The client does not read: drop the connection, and abort the response if there is one outstanding.
    ResponseTimeout,
}

impl TimeoutOutcome {
    /// The cause to abort an outstanding response with.
    #[must_use]
    pub(crate) const fn cause(self) -> Option<CloseCause> {
        match self {
            Self::NotYet | Self::CloseSilently | Self::Answered408 => None,
            Self::BodyTimeout => Some(CloseCause::BodyTimeout),
            Self::ResponseTimeout => Some(CloseCause::ResponseTimeout),
        }
    }
}

/// How an attempt to write the output ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flush {
    /// Nothing is left to write.
    Drained,
    /// This many bytes were written, more are left.
    Progressed(u64),
    /// No byte could be written, and some are left.
    Stuck,
}
