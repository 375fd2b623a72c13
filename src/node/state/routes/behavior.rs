//! The options of `app.ws` and `connect`, and which handlers JavaScript has.

use std::time::Duration;

use crate::bridge::rules::{OnLimit, Rules};
use crate::bridge::sync::Arc;
use crate::node::abi::Handlers;
use crate::node::error::Misuse;
use crate::node::js::{Env, OptionName, Options, Range, Value, option_names};
use crate::protocol::websocket::{Compression, Manners, WebSocketLimits};

/// The options of `app.ws`: `WebSocketBehavior` in index.d.ts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Behavior {
    /// The settings of the session, for the worker.
    pub rules: Arc<Rules>,
    /// The compression that clients may negotiate.
    pub compression: Option<Compression>,
    /// The handlers that JavaScript has.
    pub handlers: Handlers,
}

option_names! {
    /// The options of `app.ws` and `connect` that are read here.
    WebSocketOption {
        MaxPayloadLength "maxPayloadLength",
        IdleTimeout "idleTimeout",
        MaxLifetime "maxLifetime",
        MaxBackpressure "maxBackpressure",
        PingInterval "pingInterval",
        SendPingsAutomatically "sendPingsAutomatically",
        CloseOnBackpressureLimit "closeOnBackpressureLimit",
        Compression "compression",
    }
}

#[cfg(test)]
impl Behavior {
    /// The behavior of a route without options and handlers.
    #[must_use]
    pub(crate) fn plain() -> Self {
        let limits = WebSocketLimits {
            max_payload_length: 0,
            idle_timeout: None,
            ping_interval: None,
            max_lifetime: None,
            close_timeout: CLOSE_TIMEOUT,
            manners: Manners::UWS,
        };
        let rules = Rules {
            limits,
            max_backpressure: 0,
            on_limit: OnLimit::Drop,
            reports_drops: false,
            compression_threshold: 0,
        };
        Self { rules: Arc::new(rules), compression: None, handlers: Handlers::of(0.0) }
    }
}

impl Behavior {
    /// Checks the options, for `app.ws` and `connect` alike; `undefined` means the default. `values` is an array in the
    /// order of [`WebSocketOption`]; `handlers` has the bits of [`Handlers`].
    ///
    /// # Errors
    /// `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, naming the option.
    pub(crate) fn parse(env: Env<'_>, values: Value<'_>, handlers: Value<'_>) -> Result<Self, Misuse> {
        use WebSocketOption as Name;
        let options = Options::new(env, values);
        let max_payload_length = options.bound(Name::MaxPayloadLength, up_to(u32::MAX >> 1, 16 * 1024))?;
        let idle = options.integer(Name::IdleTimeout, up_to(960, 120))?;
        if (1..8).contains(&idle) {
            return Err(Misuse::out_of_range(format!(
                "idleTimeout must be 0 or between 8 and 960 seconds, got {idle}"
            )));
        }
        let lifetime = options.integer(Name::MaxLifetime, up_to(240, 0))?;
        let max_backpressure = options.bound(Name::MaxBackpressure, up_to(u32::MAX, 64 * 1024))?;
        let send_pings =
            !options.is_given(Name::SendPingsAutomatically) || options.truthy(Name::SendPingsAutomatically);
        let idle_timeout = time(idle, 1);
        let ping_interval = if options.is_given(Name::PingInterval) {
            time(options.integer(Name::PingInterval, up_to(960, 0))?, 1)
        } else {
            WebSocketLimits::usual_ping_interval(idle_timeout)
        };
        let compression = compression(options.integer(Name::Compression, up_to(0xfff, 0))?)?;
        let limits = WebSocketLimits {
            max_payload_length: u32::try_from(max_payload_length).unwrap_or(u32::MAX),
            idle_timeout,
            ping_interval: if send_pings { ping_interval } else { None },
            max_lifetime: time(lifetime, 60),
            close_timeout: CLOSE_TIMEOUT,
            manners: Manners::UWS,
        };
        let handlers = Handlers::of(env.number(handlers).unwrap_or(0.0));
        let closes = options.truthy(Name::CloseOnBackpressureLimit);
        let on_limit = if closes { OnLimit::Close } else { OnLimit::Drop };
        let reports_drops = handlers.has(Handlers::DROPPED);
        let rules = Rules { limits, max_backpressure, on_limit, reports_drops, compression_threshold: 0 };
        Ok(Self { rules: Arc::new(rules), compression, handlers })
    }
}

/// One of the constants of compression, or two of them joined.
fn compression(option: u64) -> Result<Option<Compression>, Misuse> {
    Compression::from_option(u32::try_from(option).unwrap_or(u32::MAX)).ok_or_else(|| {
        Misuse::out_of_range(format!(
            "compression must be a compressor, a decompressor, or one of each joined by |, got {option}"
        ))
    })
}

/// Integers from 0 to `max`.
fn up_to(max: u32, default: u64) -> Range {
    Range { min: 0, max: u64::from(max), default }
}

/// `count` times `unit` seconds; 0 means no limit.
fn time(count: u64, unit: u64) -> Option<Duration> {
    (count > 0).then(|| Duration::from_secs(count * unit))
}

/// How long to wait for the peer's Close frame after ours. uWebSockets.js waits for the ping margin, 4 to 16 s.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_timeout_and_lifetime_of_0_are_none_at_all() {
        assert_eq!(time(0, 1), None);
        assert_eq!(time(0, 60), None);
        assert_eq!(time(960, 1), Some(Duration::from_secs(960)));
        assert_eq!(time(240, 60), Some(Duration::from_secs(4 * 3600)));
    }
}
