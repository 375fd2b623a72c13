//! The option `http2` of `App` (docs/http2.md).

use crate::bridge::sync::Arc;
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::{OptionName, Options, Range, Value, option_names};
use crate::protocol::http2::limits::Http2Limits;
use crate::protocol::multiplexed::allowance::Rate;

option_names! {
    /// The options that are read here.
    Http2Option {
        MaxConcurrentStreams "maxConcurrentStreams",
        InitialWindowSize "initialWindowSize",
        ConnectionWindowSize "connectionWindowSize",
        StreamResetBurst "streamResetBurst",
        StreamResetRate "streamResetRate",
        IdleFrameBurst "idleFrameBurst",
        IdleFrameRate "idleFrameRate",
    }
}

/// `appHttp2(app, options)`: the app speaks HTTP/2, too. `options` is an array, in the order of [`Http2Option`]. Called
/// before the app gets its certificates and can have connections.
pub(crate) fn set<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let limits = parse(&Options::new(call.env(), call.argument(1)))?;
    call.environment()?.apps.app(call.number(0))?.1.setup.http2 = Some(Arc::new(limits));
    Ok(Value::UNDEFINED)
}

/// Checks the options; `undefined` means the default.
fn parse(options: &Options<'_, Http2Option>) -> Result<Http2Limits, Misuse> {
    let default = Http2Limits::default();
    let number = |option, min: u32, max: u32, default: u32| {
        let range = Range { min: min.into(), max: max.into(), default: default.into() };
        // The range is that of 32 bits.
        options.integer(option, range).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
    };
    let rate = |burst, per_second, default: Rate| {
        Ok::<_, Misuse>(Rate {
            burst: number(burst, 1, MOST, default.burst)?,
            per_second: number(per_second, 0, MOST, default.per_second)?,
        })
    };
    Ok(Http2Limits {
        max_concurrent_streams: number(
            Http2Option::MaxConcurrentStreams,
            1,
            MOST_STREAMS,
            default.max_concurrent_streams,
        )?,
        stream_window: number(Http2Option::InitialWindowSize, SMALLEST_STREAM, MOST, default.stream_window)?,
        connection_window: number(
            Http2Option::ConnectionWindowSize,
            SMALLEST_WINDOW,
            MOST,
            default.connection_window,
        )?,
        resets: rate(Http2Option::StreamResetBurst, Http2Option::StreamResetRate, default.resets)?,
        idle_frames: rate(Http2Option::IdleFrameBurst, Http2Option::IdleFrameRate, default.idle_frames)?,
        ..default
    })
}

/// RFC 9113 §6.9.1: the largest window.
const MOST: u32 = (1 << 31) - 1;
/// Streams of one connection are searched for the one whose turn it is.
const MOST_STREAMS: u32 = 10_000;
/// With less, a body would arrive byte by byte.
const SMALLEST_STREAM: u32 = 1024;
/// RFC 9113 §6.9.2: the window of a connection cannot be made smaller.
const SMALLEST_WINDOW: u32 = 65_535;
