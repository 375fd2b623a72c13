//! What a client may cost over HTTP/3, besides the limits of HTTP ([`HttpLimits`](crate::protocol::http::limits)).

use crate::protocol::multiplexed::allowance::Rate;

/// Limits of a connection. Those of request heads, bodies and times are [`HttpLimits`]: `max_head_bytes` bounds a field
/// section (RFC 9114 §4.2.2), `max_headers` its fields, `headers_timeout` counts from the handshake to the first request
/// and from the first byte of a request to the end of its head, `keep_alive_timeout` from the end of the last stream.
///
/// The first three are obeyed by the transport, to which they are told when the connection is accepted.
///
/// [`HttpLimits`]: crate::protocol::http::limits::HttpLimits
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Http3Limits {
    /// Streams that a client may have open at a time (initial_max_streams_bidi of RFC 9000 §18.2). Default 100, which RFC
    /// 9114 §6.1 recommends as the minimum.
    pub max_concurrent_streams: u32,
    /// Bytes of a request body that may be under way on a stream (initial_max_stream_data_bidi_remote). Default 256 KiB.
    pub stream_window: u32,
    /// The same for all streams of a connection (initial_max_data). Default 1 MiB.
    pub connection_window: u32,
    /// Bytes of the dynamic table with which a client may compress its requests (SETTINGS_QPACK_MAX_TABLE_CAPACITY). Default
    /// 4,096.
    pub table_capacity: u32,
    /// Streams of a client whose head may wait for an entry of the dynamic table at a time (SETTINGS_QPACK_BLOCKED_STREAMS).
    /// Default 16.
    pub max_blocked_streams: u32,
    /// Streams that end in error before their response is complete: reset by the client (CVE-2023-44487 of HTTP/2), or
    /// because the client broke a rule. Default 1,000 at once, 33 per second in the long run.
    pub resets: Rate,
    /// What asks for nothing: frames of unknown types, empty DATA, PRIORITY_UPDATE, MAX_PUSH_ID, unidirectional streams of
    /// unknown types, instructions of QPACK that change nothing. Four for each request are not counted. Default 1,000 at
    /// once, 100 per second in the long run.
    pub idle_frames: Rate,
}

impl Default for Http3Limits {
    fn default() -> Self {
        Self {
            max_concurrent_streams: 100,
            stream_window: 256 * 1024,
            connection_window: 1024 * 1024,
            table_capacity: 4096,
            max_blocked_streams: 16,
            resets: Rate { burst: 1_000, per_second: 33 },
            idle_frames: Rate { burst: 1_000, per_second: 100 },
        }
    }
}
