//! The parameters of every call of an [`HttpExchange`](super::exchange::HttpExchange): limits, time and date.

use std::sync::Arc;
use std::time::Duration;

use super::head::HeadLimits;
use super::pace::PaceLimit;
use crate::protocol::time::Timestamp;

/// Size and time limits for a client. A time that is `None` does not expire. `docs/limits.md` lists the options of
/// `App` that set them, and the effect of each on client and application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpLimits {
    /// Size of a request head.
    pub head: HeadLimits,
    /// Bytes of a request body, without the framing of chunks; `u64::MAX`, the default, is no limit.
    pub max_body: u64,
    /// From the accept, or from the first byte of a later request, to the end of the head. Default 10 s.
    pub headers_timeout: Option<Duration>,
    /// From the same moment to the end of the body. Default none: `body_pace` bounds it too, and permits large bodies.
    pub request_timeout: Option<Duration>,
    /// From the end of a response to the first byte of the next request. Default 10 s.
    pub keep_alive_timeout: Option<Duration>,
    /// The minimum rate of a request body. Default 160 KiB every 10 s.
    pub body_pace: Option<PaceLimit>,
    /// The minimum rate at which the client accepts pending output. Default 10 KiB every 10 s.
    pub response_pace: Option<PaceLimit>,
    /// Bytes of a request body that are read and discarded after its response, to keep the connection. Default 256 KiB.
    pub max_discard: u32,
    /// Bytes of pipelined requests that are buffered while a response is outstanding; beyond that, reading stops. At
    /// least 1, default 64 KiB.
    pub max_pipelined: u32,
    /// The value of Alt-Svc in responses over TCP (RFC 7838 §3); `None`, the default, for no such field.
    pub alternative: Option<Arc<[u8]>>,
}

impl Default for HttpLimits {
    fn default() -> Self {
        let ten_seconds = Duration::from_secs(10);
        Self {
            head: HeadLimits::default(),
            max_body: u64::MAX,
            headers_timeout: Some(ten_seconds),
            request_timeout: None,
            keep_alive_timeout: Some(ten_seconds),
            body_pace: Some(PaceLimit { every: ten_seconds, bytes: 160 * 1024 }),
            response_pace: Some(PaceLimit { every: ten_seconds, bytes: 10 * 1024 }),
            max_discard: 256 * 1024,
            max_pipelined: 64 * 1024,
            alternative: None,
        }
    }
}

/// Time, date and limits at the moment of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment<'a> {
    /// The current time.
    pub now: Timestamp,
    /// The current date, for the Date field ([`super::date::DateCache`]).
    pub date: &'a [u8; 29],
    /// The limits of the app.
    pub limits: &'a HttpLimits,
}
