//! What an exchange and its caller tell each other about the connection as a whole: go on or close, what timed out, how
//! writing went.

use crate::protocol::cause::CloseCause;

/// What to do with the connection once all output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// Go on.
    KeepAlive,
    /// End it: send FIN, and drop what still comes in, so that the last response is not lost to a reset.
    Close,
}

/// What [`HttpExchange::handle_timeout`](super::exchange::HttpExchange::handle_timeout) found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeoutOutcome {
    /// No deadline has passed: the timer fired early.
    NotYet,
    /// No request was under way, or only the rest of one that has been answered: close without a word.
    CloseSilently,
    /// A request head came too slowly; 408 is in the output. No handler knows of it.
    Answered408,
    /// A request body came too slowly: abort its response. 408 is in the output unless that response had begun.
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
    /// So many bytes of it were written, some are left.
    Progressed(u64),
    /// Nothing could be written, some is left.
    Stuck,
}
