//! The options of `App` that limit the memory and time of a client (docs/limits.md).

use std::time::Duration;

use crate::io::memory;
use crate::node::error::Misuse;
use crate::node::js::{Env, Range, Value};
use crate::protocol::http::head::HeadLimits;
use crate::protocol::http::limits::HttpLimits;
use crate::protocol::http::pace::PaceLimit;

/// One option: its name in JavaScript, its range and its default.
struct Limit {
    name: &'static str,
    range: Range,
}

/// The options, in the order of their values.
const OPTIONS: [Limit; 12] = [
    Limit { name: "maxHeaderSize", range: Range { min: 256, max: u16::MAX as u64, default: 16 * 1024 } },
    Limit { name: "maxHeadersCount", range: Range { min: 0, max: u16::MAX as u64, default: 100 } },
    Limit { name: "maxBodySize", range: Range { min: 0, max: MAX_SAFE_INTEGER, default: 0 } },
    Limit { name: "headersTimeout", range: milliseconds(10_000) },
    Limit { name: "requestTimeout", range: milliseconds(0) },
    Limit { name: "keepAliveTimeout", range: milliseconds(10_000) },
    Limit { name: "bodyTimeout", range: milliseconds(10_000) },
    Limit { name: "minBodyRate", range: Range { min: 0, max: u32::MAX as u64, default: 16 * 1024 } },
    Limit { name: "responseTimeout", range: milliseconds(10_000) },
    Limit { name: "minResponseRate", range: Range { min: 0, max: u32::MAX as u64, default: 1024 } },
    Limit { name: "maxDiscardedBody", range: Range { min: 0, max: u32::MAX as u64, default: 256 * 1024 } },
    Limit { name: "maxPipelinedBytes", range: Range { min: 1, max: u32::MAX as u64, default: 64 * 1024 } },
];

/// A time in milliseconds; 0 means no limit. The largest value is that of Node's timers.
const fn milliseconds(default: u64) -> Range {
    Range { min: 0, max: (1 << 31) - 1, default }
}

/// The names of the options, in the order of their values.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|option| option.name)
}

/// Checks the options; `undefined` means the default. `values` is an array, in the order of [`names`].
///
/// # Errors
/// `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, naming the option.
pub(crate) fn parse(env: Env<'_>, values: Value<'_>) -> Result<HttpLimits, Misuse> {
    let mut numbers = [0; OPTIONS.len()];
    for ((number, option), index) in numbers.iter_mut().zip(&OPTIONS).zip(0..) {
        *number = env.integer(env.element(values, index), option.name, option.range)?;
    }
    Ok(limits(numbers))
}

/// The option `maxBufferedOutput`, in bytes; 0 for no limit. `undefined` means the default: a quarter of the memory
/// that the process may use.
///
/// # Errors
/// As [`parse`].
pub(crate) fn max_buffered_output(env: Env<'_>, value: Value<'_>) -> Result<u64, Misuse> {
    let default = memory::available().unwrap_or(USUAL_MEMORY) / 4;
    env.integer(value, "maxBufferedOutput", Range { min: 0, max: MAX_SAFE_INTEGER, default })
}

/// The limits that the numbers stand for.
fn limits(numbers: [u64; OPTIONS.len()]) -> HttpLimits {
    let [
        max_header_size,
        max_headers_count,
        max_body_size,
        headers_timeout,
        request_timeout,
        keep_alive_timeout,
        body_timeout,
        min_body_rate,
        response_timeout,
        min_response_rate,
        max_discarded_body,
        max_pipelined_bytes,
    ] = numbers;
    HttpLimits {
        head: HeadLimits {
            max_head_bytes: length(max_header_size),
            max_headers: if max_headers_count == 0 { usize::MAX } else { length(max_headers_count) },
        },
        max_body: if max_body_size == 0 { u64::MAX } else { max_body_size },
        headers_timeout: time(headers_timeout),
        request_timeout: time(request_timeout),
        keep_alive_timeout: time(keep_alive_timeout),
        body_pace: time(body_timeout).map(|every| PaceLimit::of_rate(min_body_rate, every)),
        response_pace: time(response_timeout).map(|every| PaceLimit::of_rate(min_response_rate, every)),
        max_discard: u32::try_from(max_discarded_body).unwrap_or(u32::MAX),
        max_pipelined: u32::try_from(max_pipelined_bytes).unwrap_or(u32::MAX),
        alternative: None,
    }
}

/// A time of so many milliseconds; `None` for no limit.
fn time(milliseconds: u64) -> Option<Duration> {
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}

/// A number of bytes or fields.
fn length(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Bytes of memory, where the system does not report how much there is.
const USUAL_MEMORY: u64 = 4 * 1024 * 1024 * 1024;
/// `Number.MAX_SAFE_INTEGER`
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_word_the_limits_are_those_of_the_protocol() {
        assert_eq!(limits(OPTIONS.each_ref().map(|option| option.range.default)), HttpLimits::default());
    }

    #[test]
    fn every_default_lies_in_its_range_under_a_name_of_its_own() {
        for (position, Limit { name, range }) in OPTIONS.iter().enumerate() {
            assert!((range.min..=range.max).contains(&range.default), "{name}");
            assert!(OPTIONS[..position].iter().all(|other| other.name != *name), "{name}");
        }
    }

    #[test]
    fn zero_switches_off_what_can_be_off() {
        let HttpLimits { head, max_body, headers_timeout, body_pace, response_pace, max_discard, .. } =
            limits([0; OPTIONS.len()]);
        assert_eq!((head.max_headers, max_body, max_discard), (usize::MAX, u64::MAX, 0));
        assert_eq!((headers_timeout, body_pace, response_pace), (None, None, None));
    }
}
