//! An option that is a number, as programs give it.

use super::error::Misuse;
use super::js::{Env, Type, Value};

/// What an option may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The smallest value.
    pub least: u64,
    /// The largest value, at most 2^53-1.
    pub most: u64,
    /// The value if nothing is said.
    pub default: u64,
}

/// The value of an option that bounds something. Beyond the largest value it bounds nothing more, so larger ones and
/// `Infinity` mean that one: programs write `maxPayloadLength: 1e10` for "any".
///
/// # Errors
/// `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, naming the option.
pub fn bound(env: Env<'_>, value: Value<'_>, name: &str, range: Range) -> Result<u64, Misuse> {
    match env.number(value) {
        Some(number) if number > range.most as f64 => Ok(range.most),
        Some(_) | None => integer(env, value, name, range),
    }
}

/// The value of the option `name`; `undefined` means its default.
///
/// # Errors
/// `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, naming the option.
pub fn integer(env: Env<'_>, value: Value<'_>, name: &str, range: Range) -> Result<u64, Misuse> {
    let Range { least, most, default } = range;
    if env.type_of(value) == Type::Nothing {
        return Ok(default);
    }
    let Some(number) = env.number(value) else {
        return Err(Misuse::invalid_type(format!("{name} must be a number")));
    };
    // Both ends are at most 2^53, so the comparison is exact.
    if number.fract() != 0.0 || !(least as f64..=most as f64).contains(&number) {
        return Err(Misuse::out_of_range(format!(
            "{name} must be an integer between {least} and {most}, got {number}"
        )));
    }
    Ok(number as u64)
}
