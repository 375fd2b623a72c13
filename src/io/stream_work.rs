//! What the handling of one connection leaves to the worker, because it concerns another entry of its table: the streams
//! of a connection with HTTP/2 or HTTP/3, and the WebSockets in them.
//!
//! ```text
//!   HTTP/2, HTTP/3 ── Opened, Ended ───────────────► registry
//!        │  ▲ ────── Received, Lost, Writable ─────► WebSocket in a tunnel (a connection whose wire is io/tunnel)
//!        │  └─────── Parcel, Left ◄───────────────────────┘
//! ```
//!
//! The worker does it as soon as it has handled the connection (`worker/streams.rs`), before any event of it is handed
//! over to Node's thread.

use crate::bridge::id::ConnectionId;
use crate::protocol::cause::CloseCause;
use crate::protocol::http2::frame::StreamId;

/// The number of a stream on its connection, whichever version of HTTP that speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamNumber(pub u64);

impl From<StreamId> for StreamNumber {
    fn from(stream: StreamId) -> Self {
        Self(stream.0.into())
    }
}

impl StreamNumber {
    /// As HTTP/2 has it.
    #[must_use]
    pub(crate) fn of_http2(self) -> StreamId {
        StreamId(u32::try_from(self.0).unwrap_or(u32::MAX))
    }
}

/// Where a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamPlace {
    /// The slot of its connection.
    pub socket: u32,
    /// Its number there.
    pub stream: StreamNumber,
}

/// One piece of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamWork {
    /// A request has opened a stream.
    Opened {
        /// Its name.
        id: ConnectionId,
        /// Where it is.
        place: StreamPlace,
    },
    /// A stream without a tunnel has ended: its name is free.
    Ended {
        /// Its name.
        id: ConnectionId,
    },
    /// Bytes have arrived in a tunnel.
    Received {
        /// Its name, which is that of the WebSocket in it.
        id: ConnectionId,
        /// The bytes.
        data: Vec<u8>,
        /// Nothing follows them.
        is_last: bool,
    },
    /// A tunnel has broken off.
    Lost {
        /// Its name.
        id: ConnectionId,
        /// Why.
        cause: CloseCause,
        /// That in the words of the peer, if it gave any.
        reason: Option<Box<str>>,
    },
    /// The connection of a tunnel cannot last.
    Doomed {
        /// Its name.
        id: ConnectionId,
        /// Why.
        cause: CloseCause,
    },
    /// A tunnel takes bytes again.
    Writable {
        /// Its name.
        id: ConnectionId,
        /// How many of its bytes still wait.
        queued: usize,
    },
    /// The WebSocket in a tunnel has something for its stream ([`Parcel`](super::tunnel::Parcel)).
    Parcel {
        /// Its name.
        id: ConnectionId,
    },
    /// The WebSocket in a tunnel is gone.
    Left {
        /// Slot and generation of the connection of the stream.
        socket: (u32, u32),
        /// The stream.
        stream: StreamNumber,
        /// What it has sent last.
        data: Vec<u8>,
        /// Whether that was all, and its Close frame among it.
        is_finished: bool,
    },
}
