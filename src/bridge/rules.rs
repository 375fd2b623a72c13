//! The options of a `ws` route, shared by all its WebSockets.

use crate::protocol::websocket::WebSocketLimits;

/// The options of `app.ws`, `connect` and `ferrows/ws` that a worker obeys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Sizes and times.
    pub limits: WebSocketLimits,
    /// Bytes of backlog beyond which a message is dropped (`maxBackpressure`); 0 is no limit.
    pub max_backpressure: u64,
    /// What becomes of a WebSocket whose message is dropped.
    pub on_limit: OnLimit,
    /// Whether dropped published messages are reported: the route has a `dropped` handler.
    pub reports_drops: bool,
    /// Bytes from which on a message is compressed if it is compressed by itself, without context takeover
    /// (`perMessageDeflate.threshold` of `ws`).
    pub compression_threshold: u32,
}

/// What becomes of a WebSocket whose backlog exceeds `maxBackpressure` (`closeOnBackpressureLimit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnLimit {
    /// It misses messages until its peer has caught up.
    Drop,
    /// It is closed.
    Close,
}

impl Rules {
    /// Whether a message must be dropped because `backlog` bytes are waiting already. One message may therefore exceed
    /// the limit by any size, as in uWebSockets.js.
    #[must_use]
    pub(crate) const fn must_drop(&self, backlog: u64) -> bool {
        self.max_backpressure > 0 && backlog > self.max_backpressure
    }
}
