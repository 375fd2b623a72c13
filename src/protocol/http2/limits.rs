//! What a client may cost over HTTP/2, besides the limits of HTTP ([`HttpLimits`](crate::protocol::http::limits)).

use crate::protocol::multiplexed::allowance::Rate;

/// Limits of a connection. Those of request heads, bodies and times are [`HttpLimits`]: `max_head_bytes` bounds the
/// header list (RFC 9113 §10.5.1), `max_headers` its fields, `headers_timeout` counts from the accept to the first
/// request and from the first frame of a header block to its last one, `keep_alive_timeout` from the end of the last
/// stream.
///
/// [`HttpLimits`]: crate::protocol::http::limits::HttpLimits
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Http2Limits {
    /// Streams that a client may have open at a time; further ones are refused with REFUSED_STREAM. Default 100, which
    /// RFC 9113 §6.5.2 recommends as the minimum.
    pub max_concurrent_streams: u32,
    /// Bytes of a request body that may be under way on a stream, below 2^31. Default 256 KiB: with it, a client 50 ms
    /// away uploads 5 MB per second on a stream.
    pub stream_window: u32,
    /// The same for all streams of a connection, at least 65,535 and below 2^31. Default 1 MiB.
    pub connection_window: u32,
    /// Streams that end in error before their response is complete: reset by the client (CVE-2023-44487), or because the
    /// client broke a rule (CVE-2025-8671). Default 1,000 at once, 33 per second in the long run.
    pub resets: Rate,
    /// Frames that ask for nothing: PING, SETTINGS, PRIORITY, PRIORITY_UPDATE, WINDOW_UPDATE, empty DATA, unknown types,
    /// frames for streams that are closed. Four for each request and two for each DATA frame of this side are not counted.
    /// Default 1,000 at once, 100 per second in the long run.
    pub idle_frames: Rate,
    /// CONTINUATION frames of one header block. Default 16.
    pub max_continuations: u32,
    /// Bytes of pending output that the streams of a connection hold beyond what flow control lets through are bounded
    /// by the application's side, as those of HTTP/1.1 are. This bounds what is framed ahead of the socket, so that a
    /// more urgent response need not wait behind much. Default 64 KiB.
    pub framed_ahead: usize,
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self {
            max_concurrent_streams: 100,
            stream_window: 256 * 1024,
            connection_window: 1024 * 1024,
            resets: Rate { burst: 1_000, per_second: 33 },
            idle_frames: Rate { burst: 1_000, per_second: 100 },
            max_continuations: 16,
            framed_ahead: 64 * 1024,
        }
    }
}
