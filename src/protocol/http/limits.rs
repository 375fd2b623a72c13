//! What the caller brings along to every call of an exchange.

use std::time::Duration;

use super::head::HeadLimits;
use crate::protocol::time::Timestamp;

/// How much and how long a client may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of a request head.
    pub head: HeadLimits,
    /// From the accept, or from the first byte of a later request, to the end of the head. Default 10 s.
    pub header_timeout: Duration,
    /// From the end of a response to the first byte of the next request. Default 10 s.
    pub keep_alive_timeout: Duration,
    /// For every `body_step` bytes of a request body. Default 10 s.
    pub body_timeout: Duration,
    /// Body bytes that have to arrive within `body_timeout`, unless the body ends before. Default 160 KiB, which makes
    /// 16 KiB/s.
    pub body_step: u32,
    /// How long output may wait without a byte of it being written. Default 10 s.
    pub response_timeout: Duration,
    /// Bytes of a request body that are read and dropped after its response, to keep the connection. Default 256 KiB.
    pub max_discard: u32,
}

impl Default for Limits {
    fn default() -> Self {
        let ten_seconds = Duration::from_secs(10);
        Self {
            head: HeadLimits::default(),
            header_timeout: ten_seconds,
            keep_alive_timeout: ten_seconds,
            body_timeout: ten_seconds,
            body_step: 160 * 1024,
            response_timeout: ten_seconds,
            max_discard: 256 * 1024,
        }
    }
}

/// What the caller knows at the moment of a call.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The current time.
    pub now: Timestamp,
    /// The current date, for the Date field ([`super::date::DateCache`]).
    pub date: &'a [u8; 29],
    /// The limits of the app.
    pub limits: &'a Limits,
}
