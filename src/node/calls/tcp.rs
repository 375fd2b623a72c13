//! The options of `App` that say how the system watches over TCP connections (docs/load-balancers.md).

use std::time::Duration;

use crate::bridge::tcp::{KeepAlive, TcpOptions};
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::{Env, Range, Value};

/// `appTcp(app, options)`: an array, in the order of `TCP` in `lib/app/app.js`.
pub(crate) fn set<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let options = parse(call.env(), call.argument(1))?;
    call.environment()?.apps.app(call.number(0))?.1.setup.tcp = options;
    Ok(Value::UNDEFINED)
}

/// Checks the options; `undefined` means the default.
fn parse(env: Env<'_>, values: Value<'_>) -> Result<TcpOptions, Misuse> {
    let wanted = env.boolean(env.element(values, 0), "keepAlive")?.unwrap_or(false);
    let number = |index, name, max| {
        let range = Range { min: 0, max, default: 0 };
        env.integer(env.element(values, index), name, range)
    };
    let initial_delay = number(1, "keepAliveInitialDelay", LONGEST_DELAY)?;
    let interval = number(2, "keepAliveInterval", LONGEST_DELAY)?;
    let probes = number(3, "keepAliveProbes", MAX_PROBES)?;
    let user_timeout = number(4, "tcpUserTimeout", LONGEST_TIMEOUT)?;
    let keep_alive = KeepAlive {
        initial_delay: seconds(initial_delay),
        interval: seconds(interval),
        probes: u32::try_from(probes).ok().filter(|probes| *probes > 0),
    };
    Ok(TcpOptions {
        keep_alive: wanted.then_some(keep_alive),
        user_timeout: (user_timeout > 0).then(|| Duration::from_millis(user_timeout)),
    })
}

/// Milliseconds as whole seconds, rounded up, which is what systems take; `None` for 0.
fn seconds(milliseconds: u64) -> Option<Duration> {
    (milliseconds > 0).then(|| Duration::from_secs(milliseconds.div_ceil(1000)))
}

/// Milliseconds: `MAX_TCP_KEEPIDLE` and `MAX_TCP_KEEPINTVL` of Linux, about nine hours.
const LONGEST_DELAY: u64 = 32_767_000;
/// `MAX_TCP_KEEPCNT` of Linux.
const MAX_PROBES: u64 = 127;
/// Milliseconds: what a timer of Node can be set to, and what Linux takes.
const LONGEST_TIMEOUT: u64 = (1 << 31) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_rounded_up_to_seconds_and_0_leaves_it_to_the_system() {
        let table =
            [(0, None), (1, Some(1)), (1000, Some(1)), (1001, Some(2)), (LONGEST_DELAY, Some(32_767))];
        for (milliseconds, expected) in table {
            assert_eq!(seconds(milliseconds), expected.map(Duration::from_secs), "{milliseconds}");
        }
    }
}
