//! `KeyValueStore`: strings and integers that all threads of the process share.

use std::time::Duration;

use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::Value;
use crate::node::state::store::lock::LockRefusal;
use crate::node::state::store::{self, integers, strings};

/// A key, a collection or a value.
fn text(call: &Call<'_>, index: usize) -> Result<Vec<u8>, Misuse> {
    let text = call.bytes(index)?;
    if text.len() > LONGEST {
        return Err(Misuse::out_of_range(format!(
            "keys, collections and values must not exceed {LONGEST} bytes"
        )));
    }
    Ok(text)
}

/// An integer, as the 32 bits of it that are stored.
fn integer(call: &Call<'_>, index: usize, name: &str) -> Result<u32, Misuse> {
    match call.env().number(call.argument(index)) {
        // The cast to 64 bits is exact, the one to 32 is meant to wrap.
        Some(number) if number.fract() == 0.0 && number.abs() <= MAX_EXACT => Ok(number as i64 as u32),
        Some(number) => Err(Misuse::out_of_range(format!("{name} must be a safe integer, got {number}"))),
        None => Err(Misuse::invalid_type(format!("{name} must be a number"))),
    }
}

/// `kvGetString(key, collection)`: '' if there is none.
pub(crate) fn get_string<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (key, collection) = (text(call, 0)?, text(call, 1)?);
    let strings = strings();
    Ok(call.env().string(strings.get(&collection, &key).map_or(&[], |value| value)))
}

/// `kvSetString(key, value, collection)`
pub(crate) fn set_string<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (key, value, collection) = (text(call, 0)?, text(call, 1)?, text(call, 2)?);
    *strings().entry(&collection, &key, Vec::new) = value;
    Ok(Value::UNDEFINED)
}

/// `kvDeleteString(key, collection)`
pub(crate) fn delete_string<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (key, collection) = (text(call, 0)?, text(call, 1)?);
    strings().remove(&collection, &key);
    Ok(Value::UNDEFINED)
}

/// `kvDeleteStrings(collection)`
pub(crate) fn delete_strings<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let collection = text(call, 0)?;
    strings().remove_all(&collection);
    Ok(Value::UNDEFINED)
}

/// `kvStringKeys(collection)`
pub(crate) fn string_keys<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let collection = text(call, 0)?;
    // Copied: `array` may run JavaScript (see there), which may call these functions again.
    let keys: Vec<Vec<u8>> = strings().keys(&collection).map(<[u8]>::to_vec).collect();
    Ok(call.env().array(keys.iter().map(|key| call.env().string(key))))
}

/// `kvGetInteger(key, collection)`: 0 if there is none.
pub(crate) fn get_integer<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (key, collection) = (text(call, 0)?, text(call, 1)?);
    let value = integers().get(&collection, &key).copied().unwrap_or(0);
    Ok(call.env().from_number(f64::from(value)))
}

/// `kvSetInteger(key, value, collection)`
pub(crate) fn set_integer<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (key, value, collection) = (text(call, 0)?, integer(call, 1, "value")?, text(call, 2)?);
    *integers().entry(&collection, &key, || 0) = value;
    Ok(Value::UNDEFINED)
}

/// `kvIncInteger(key, change, collection)`: returns the sum, modulo 2^32.
pub(crate) fn inc_integer<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (key, change, collection) = (text(call, 0)?, integer(call, 1, "change")?, text(call, 2)?);
    let mut integers = integers();
    let value = integers.entry(&collection, &key, || 0);
    *value = value.wrapping_add(change);
    Ok(call.env().from_number(f64::from(*value)))
}

/// `kvDeleteInteger(key, collection)`
pub(crate) fn delete_integer<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (key, collection) = (text(call, 0)?, text(call, 1)?);
    integers().remove(&collection, &key);
    Ok(Value::UNDEFINED)
}

/// `kvDeleteIntegers(collection)`
pub(crate) fn delete_integers<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let collection = text(call, 0)?;
    integers().remove_all(&collection);
    Ok(Value::UNDEFINED)
}

/// `kvIntegerKeys(collection)`
pub(crate) fn integer_keys<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let collection = text(call, 0)?;
    let keys: Vec<Vec<u8>> = integers().keys(&collection).map(<[u8]>::to_vec).collect();
    Ok(call.env().array(keys.iter().map(|key| call.env().string(key))))
}

/// `kvLock()`
pub(crate) fn lock<'c>(_call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    match store::lock(PATIENCE) {
        Ok(()) => Ok(Value::UNDEFINED),
        Err(LockRefusal::Held) => Err(Misuse::invalid_state("this thread holds the lock already")),
        Err(LockRefusal::TimedOut) => Err(Misuse::system(
            "ERR_LOCK_TIMEOUT",
            format!("another thread has held the lock for more than {} seconds", PATIENCE.as_secs()),
        )),
    }
}

/// `kvUnlock()`
pub(crate) fn unlock<'c>(_call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    if store::unlock() {
        Ok(Value::UNDEFINED)
    } else {
        Err(Misuse::invalid_state("this thread does not hold the lock"))
    }
}

/// Limit of a key or value in bytes: the longest string of V8 on every platform.
const LONGEST: usize = (1 << 28) - 16;
/// The largest integer up to which all are exact in a JavaScript number, 2^53 − 1.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;
/// How long a thread waits for the critical section of another one. A section takes microseconds; one that is never
/// left must not block the threads for ever.
const PATIENCE: Duration = Duration::from_secs(5);
