//! The options of `app.ws` and `connect`, and which handlers JavaScript has.

use std::time::Duration;

use crate::bridge::rules::{OnLimit, Rules};
use crate::bridge::sync::Arc;
use crate::node::error::Misuse;
use crate::node::js::{Env, Range, Type, Value};
use crate::protocol::websocket::{Compression, WebSocketLimits};

/// The options of `app.ws`: `WebSocketBehavior` in index.d.ts.
#[derive(Debug)]
pub(crate) struct Behavior {
    /// What the worker obeys.
    pub rules: Arc<Rules>,
    /// What is offered to clients that can compress.
    pub compression: Option<Compression>,
    /// Which handlers there are.
    pub handlers: Handlers,
}

/// Which handlers JavaScript has: an event without one is not even turned into JavaScript values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handlers(u32);

impl Handlers {
    /// `upgrade`
    pub(crate) const UPGRADE: u32 = 1;
    /// `message`
    pub(crate) const MESSAGE: u32 = 2;
    /// `ping`
    pub(crate) const PING: u32 = 4;
    /// `pong`
    pub(crate) const PONG: u32 = 8;
    /// `drain`
    pub(crate) const DRAIN: u32 = 16;
    /// `subscription`
    pub(crate) const SUBSCRIPTION: u32 = 32;
    /// `dropped`
    pub(crate) const DROPPED: u32 = 64;
    /// `message`, and it takes text as a string (`text: 'string'`)
    pub(crate) const MESSAGE_STRINGS: u32 = 128;

    /// Whether there is this handler.
    #[must_use]
    pub(crate) const fn has(self, handler: u32) -> bool {
        self.0 & handler != 0
    }
}

#[cfg(test)]
impl Behavior {
    /// That of a route without options and handlers.
    #[must_use]
    pub(crate) fn plain() -> Self {
        let limits = WebSocketLimits {
            max_payload_length: 0,
            idle_timeout: None,
            send_pings: false,
            max_lifetime: None,
            close_timeout: CLOSE_TIMEOUT,
        };
        let rules = Rules { limits, max_backpressure: 0, on_limit: OnLimit::Drop, reports_drops: false };
        Self { rules: Arc::new(rules), compression: None, handlers: Handlers(0) }
    }
}

impl Behavior {
    /// Checks the options; `undefined` means the default. `values` is an array in the order of
    /// `lib/websocket/behavior.js`, for `app.ws` and `connect` alike; `handlers` has the bits of [`Handlers`].
    ///
    /// # Errors
    /// `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, naming the option.
    pub(crate) fn parse(env: Env<'_>, values: Value<'_>, handlers: Value<'_>) -> Result<Self, Misuse> {
        let option_at = |index| env.element(values, index);
        let max_payload_length = env.bound(
            option_at(0),
            "maxPayloadLength",
            Range { min: 0, max: u64::from(u32::MAX >> 1), default: 16 * 1024 },
        )?;
        let idle = option(env, option_at(1), "idleTimeout", 120, 960)?;
        if (1..8).contains(&idle) {
            return Err(Misuse::out_of_range(format!(
                "idleTimeout must be 0 or between 8 and 960 seconds, got {idle}"
            )));
        }
        let lifetime = option(env, option_at(2), "maxLifetime", 0, 240)?;
        let max_backpressure = env.bound(
            option_at(3),
            "maxBackpressure",
            Range { min: 0, max: u64::from(u32::MAX), default: 64 * 1024 },
        )?;
        let send_pings = option_at(4);
        let send_pings = env.type_of(send_pings) == Type::Nothing || env.truthy(send_pings);
        let compression = compression(env, option_at(6))?;
        let limits = WebSocketLimits {
            max_payload_length: u32::try_from(max_payload_length).unwrap_or(u32::MAX),
            idle_timeout: time(idle, 1),
            send_pings,
            max_lifetime: time(lifetime, 60),
            close_timeout: CLOSE_TIMEOUT,
        };
        let handlers = Handlers(env.number(handlers).unwrap_or(0.0) as u32);
        let on_limit = if env.truthy(option_at(5)) { OnLimit::Close } else { OnLimit::Drop };
        let reports_drops = handlers.has(Handlers::DROPPED);
        let rules = Rules { limits, max_backpressure, on_limit, reports_drops };
        Ok(Self { rules: Arc::new(rules), compression, handlers })
    }
}

/// One of the constants of compression, or two of them joined.
fn compression(env: Env<'_>, value: Value<'_>) -> Result<Option<Compression>, Misuse> {
    let number = option(env, value, "compression", 0, 0xfff)?;
    Compression::from_option(u32::try_from(number).unwrap_or(u32::MAX)).ok_or_else(|| {
        Misuse::out_of_range(format!(
            "compression must be a compressor, a decompressor, or one of each joined by |, got {number}"
        ))
    })
}

/// An integer option from 0 to `max`.
fn option(env: Env<'_>, value: Value<'_>, name: &str, default: u64, max: u64) -> Result<u64, Misuse> {
    env.integer(value, name, Range { min: 0, max, default })
}

/// So many times `unit` seconds; 0 is for ever.
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
