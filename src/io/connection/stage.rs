//! The stages from the accept of a connection to its close.
//!
//! | stage     | reads             | writes | ends with |
//! |-----------|-------------------|--------|-----------|
//! | Serving   | into the protocol | outbox | the protocol is finished → Draining; the socket breaks → Gone |
//! | Draining  | nothing           | outbox | the outbox is empty: FIN, unless the server sends it first → Lingering; the peer reads too slowly → Gone |
//! | Lingering | and discards      | –      | the peer's FIN, or the time for it is up → Gone |
//! | Gone      | –                 | –      | the worker drops the socket |
//!
//! Lingering exists because closing a socket with unread input makes the kernel send a reset, which can overtake
//! and destroy the Close frame or error answer that was written just before (RFC 9112 §9.6).

/// See the table at the top of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionStage {
    /// Input goes to the protocol.
    Serving,
    /// The rest of the output is sent.
    Draining,
    /// The connection waits for the peer's FIN, since `Shell::progress`.
    Lingering,
    /// The socket may be dropped.
    Gone,
}
