//! The option `http3` of `SSLApp`, and the options of `H3App` (docs/http3.md).

use std::time::Duration;

use crate::bridge::setup::Http3Setup;
use crate::bridge::sync::Arc;
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::{OptionName, Options, Range, Value, option_names};
use crate::protocol::http3::limits::Http3Limits;
use crate::protocol::multiplexed::allowance::Rate;

option_names! {
    /// The options that are read here.
    Http3Option {
        MaxConcurrentStreams "maxConcurrentStreams",
        InitialWindowSize "initialWindowSize",
        ConnectionWindowSize "connectionWindowSize",
        HeaderTableSize "headerTableSize",
        BlockedStreams "blockedStreams",
        StreamResetBurst "streamResetBurst",
        StreamResetRate "streamResetRate",
        IdleFrameBurst "idleFrameBurst",
        IdleFrameRate "idleFrameRate",
        IdleTimeout "idleTimeout",
        Retry "retry",
        Migration "migration",
    }
}

/// `appHttp3(app, options, alone)`: the app speaks HTTP/3, too, or `alone`. `options` is an array, in the order of
/// [`Http3Option`]. Called before the app gets its certificates and can have connections.
pub(crate) fn set<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let setup = parse(&Options::new(call.env(), call.argument(1)))?;
    let mut environment = call.environment()?;
    let app = environment.apps.app(call.number(0))?.1;
    app.setup.http3 = Some(Arc::new(setup));
    app.setup.speaks_tcp = !call.env().truthy(call.argument(2));
    Ok(Value::UNDEFINED)
}

/// Checks the options; `undefined` means the default.
fn parse(options: &Options<'_, Http3Option>) -> Result<Http3Setup, Misuse> {
    use Http3Option as Name;
    let (setup, default) = (Http3Setup::default(), Http3Limits::default());
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
    let limits = Http3Limits {
        max_concurrent_streams: number(
            Name::MaxConcurrentStreams,
            1,
            MOST_STREAMS,
            default.max_concurrent_streams,
        )?,
        stream_window: number(Name::InitialWindowSize, SMALLEST_WINDOW, MOST, default.stream_window)?,
        connection_window: number(
            Name::ConnectionWindowSize,
            SMALLEST_WINDOW,
            MOST,
            default.connection_window,
        )?,
        table_capacity: number(Name::HeaderTableSize, 0, MOST_TABLE, default.table_capacity)?,
        max_blocked_streams: number(Name::BlockedStreams, 0, MOST_STREAMS, default.max_blocked_streams)?,
        resets: rate(Name::StreamResetBurst, Name::StreamResetRate, default.resets)?,
        idle_frames: rate(Name::IdleFrameBurst, Name::IdleFrameRate, default.idle_frames)?,
    };
    let idle_timeout = options.integer(Name::IdleTimeout, IDLE_TIMEOUT)?;
    Ok(Http3Setup {
        limits,
        idle_timeout: (idle_timeout > 0).then(|| Duration::from_millis(idle_timeout)),
        always_retry: options.boolean(Name::Retry)?.unwrap_or(setup.always_retry),
        migration: options.boolean(Name::Migration)?.unwrap_or(setup.migration),
    })
}

/// The largest window, as with HTTP/2.
const MOST: u32 = (1 << 31) - 1;
/// Streams of one connection are searched for the one whose turn it is.
const MOST_STREAMS: u32 = 10_000;
/// With less, a body would arrive byte by byte.
const SMALLEST_WINDOW: u32 = 1024;
/// Each connection may fill its table.
const MOST_TABLE: u32 = 1024 * 1024;
/// In milliseconds; 0 means no limit.
const IDLE_TIMEOUT: Range = Range { min: 0, max: (1 << 31) - 1, default: 30_000 };
