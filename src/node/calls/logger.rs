//! `setLogger`: the level up to which JavaScript gets records of the log.

use crate::bridge::record::Level;
use crate::log::{journals, stderr};
use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::Value;

/// `setLogger(level)`: from now on `next` returns records up to this level; none with 0.
pub(crate) fn set<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let environment = call.environment()?;
    journals::set_listener(&environment.workers.threads()?.journal, level_argument(call, 0));
    Ok(Value::UNDEFINED)
}

/// `logAsJson(wanted)`: whether lines on stderr are JSON.
#[expect(clippy::unnecessary_wraps, reason = "the form of all native functions")]
pub(crate) fn set_format<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    stderr::set_json(call.truthy(0));
    Ok(Value::UNDEFINED)
}

/// A level by its number; `None` for 0.
#[must_use]
pub(crate) fn level_argument(call: &Call<'_>, index: usize) -> Option<Level> {
    Level::from_number(call.number(index) as u8)
}
