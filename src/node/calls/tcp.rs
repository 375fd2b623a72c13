//! The options of `App` for the keep-alive and the timeouts of TCP connections (docs/load-balancers.md).

use std::time::Duration;

use crate::bridge::tcp::{KeepAlive, TcpOptions};
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::{OptionName, Options, Range, Value, option_names};

option_names! {
    /// The options that are read here.
    TcpOption {
        KeepAlive "keepAlive",
        KeepAliveInitialDelay "keepAliveInitialDelay",
        KeepAliveInterval "keepAliveInterval",
        KeepAliveProbes "keepAliveProbes",
        TcpUserTimeout "tcpUserTimeout",
    }
}

/// `appTcp(app, options)`: an array, in the order of [`TcpOption`].
pub(crate) fn set<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let options = parse(&Options::new(call.env(), call.argument(1)))?;
    call.environment()?.apps.app(call.number(0))?.1.setup.tcp = options;
    Ok(Value::UNDEFINED)
}

/// Checks the options; `undefined` means the default.
fn parse(options: &Options<'_, TcpOption>) -> Result<TcpOptions, Misuse> {
    let wanted = options.boolean(TcpOption::KeepAlive)?.unwrap_or(false);
    let number = |option, max| options.integer(option, Range { min: 0, max, default: 0 });
    let initial_delay = number(TcpOption::KeepAliveInitialDelay, LONGEST_DELAY)?;
    let interval = number(TcpOption::KeepAliveInterval, LONGEST_DELAY)?;
    let probes = number(TcpOption::KeepAliveProbes, MAX_PROBES)?;
    let user_timeout = number(TcpOption::TcpUserTimeout, LONGEST_TIMEOUT)?;
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
