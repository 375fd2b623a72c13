//! TCP options of an app: keep-alive probes and the timeout for unacknowledged data. Part of its setup.

use std::time::Duration;

/// The options of an app; by default the system is left as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TcpOptions {
    /// Probes on idle connections (`SO_KEEPALIVE`); none by default.
    pub keep_alive: Option<KeepAlive>,
    /// How long sent data may stay unacknowledged, or the peer's window closed (`TCP_USER_TIMEOUT`, RFC
    /// 5482). `None` leaves it to the system: about a quarter of an hour, and for ever.
    pub user_timeout: Option<Duration>,
}

/// When probes are sent. `None` leaves an option to the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeepAlive {
    /// Silence before the first one (`TCP_KEEPIDLE`), whole seconds.
    pub initial_delay: Option<Duration>,
    /// Time between two that are not answered (`TCP_KEEPINTVL`), whole seconds.
    pub interval: Option<Duration>,
    /// How many of them may stay without an answer before the connection is given up (`TCP_KEEPCNT`).
    pub probes: Option<u32>,
}
