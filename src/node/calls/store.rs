//! The key-value store: strings and integers by collection and key, the same for every thread of the process that has
//! loaded the addon. The only thing that Node's threads share: everything else belongs to one of them.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::node::environment::Call;
use crate::node::error::Misuse;
use crate::node::js::Value;
use crate::node::state::store_lock::{LockRefusal, StoreLock};

/// The store of this process. Lives as long as the process: the end of a thread takes nothing away.
static STORE: LazyLock<Store> = LazyLock::new(Store::default);

#[derive(Debug, Default)]
struct Store {
    strings: Mutex<Collections<Vec<u8>>>,
    integers: Mutex<Collections<u32>>,
    lock: StoreLock,
}

/// Values by collection and key. A collection exists as long as there is something in it.
#[derive(Debug)]
struct Collections<T> {
    by_name: HashMap<Vec<u8>, HashMap<Vec<u8>, T>>,
}

impl<T> Default for Collections<T> {
    fn default() -> Self {
        Self { by_name: HashMap::new() }
    }
}

impl<T> Collections<T> {
    fn get(&self, collection: &[u8], key: &[u8]) -> Option<&T> {
        self.by_name.get(collection)?.get(key)
    }

    /// The value of a key, made by `default` if there is none.
    fn entry(&mut self, collection: &[u8], key: &[u8], default: impl FnOnce() -> T) -> &mut T {
        self.by_name.entry(collection.into()).or_default().entry(key.into()).or_insert_with(default)
    }

    fn remove(&mut self, collection: &[u8], key: &[u8]) {
        if let Some(values) = self.by_name.get_mut(collection) {
            values.remove(key);
            if values.is_empty() {
                self.by_name.remove(collection);
            }
        }
    }

    fn remove_all(&mut self, collection: &[u8]) {
        self.by_name.remove(collection);
    }

    fn keys(&self, collection: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.by_name.get(collection).into_iter().flat_map(HashMap::keys).map(Vec::as_slice)
    }
}

/// The calling thread will not run JavaScript any more: what it has locked is free.
pub fn abandon_lock() {
    STORE.lock.release(thread::current().id());
}

fn strings() -> MutexGuard<'static, Collections<Vec<u8>>> {
    // A panic under it (no memory is left) leaves whole values behind.
    STORE.strings.lock().unwrap_or_else(PoisonError::into_inner)
}

fn integers() -> MutexGuard<'static, Collections<u32>> {
    STORE.integers.lock().unwrap_or_else(PoisonError::into_inner)
}

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

/// An integer, as the 32 bits of it that are kept.
fn integer(call: &Call<'_>, index: usize, name: &str) -> Result<u32, Misuse> {
    match call.env().number(call.argument(index)) {
        // The cast to 64 bits is exact, the one to 32 is meant to wrap.
        Some(number) if number.fract() == 0.0 && number.abs() <= MAX_EXACT => Ok(number as i64 as u32),
        Some(number) => Err(Misuse::out_of_range(format!("{name} must be a safe integer, got {number}"))),
        None => Err(Misuse::invalid_type(format!("{name} must be a number"))),
    }
}

/// `kvGetString(key, collection)`: '' if there is none.
pub fn get_string<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (key, collection) = (text(call, 0)?, text(call, 1)?);
    let strings = strings();
    Ok(call.env().string(strings.get(&collection, &key).map_or(&[], |value| value)))
}

/// `kvSetString(key, value, collection)`
pub fn set_string<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (key, value, collection) = (text(call, 0)?, text(call, 1)?, text(call, 2)?);
    *strings().entry(&collection, &key, Vec::new) = value;
    Ok(Value::UNDEFINED)
}

/// `kvDeleteString(key, collection)`
pub fn delete_string<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (key, collection) = (text(call, 0)?, text(call, 1)?);
    strings().remove(&collection, &key);
    Ok(Value::UNDEFINED)
}

/// `kvDeleteStrings(collection)`
pub fn delete_strings<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let collection = text(call, 0)?;
    strings().remove_all(&collection);
    Ok(Value::UNDEFINED)
}

/// `kvStringKeys(collection)`
pub fn string_keys<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let collection = text(call, 0)?;
    // Copied: `array` may run JavaScript (see there), which may come back here.
    let keys: Vec<Vec<u8>> = strings().keys(&collection).map(<[u8]>::to_vec).collect();
    Ok(call.env().array(keys.iter().map(|key| call.env().string(key))))
}

/// `kvGetInteger(key, collection)`: 0 if there is none.
pub fn get_integer<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (key, collection) = (text(call, 0)?, text(call, 1)?);
    let value = integers().get(&collection, &key).copied().unwrap_or(0);
    Ok(call.env().from_number(f64::from(value)))
}

/// `kvSetInteger(key, value, collection)`
pub fn set_integer<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (key, value, collection) = (text(call, 0)?, integer(call, 1, "value")?, text(call, 2)?);
    *integers().entry(&collection, &key, || 0) = value;
    Ok(Value::UNDEFINED)
}

/// `kvIncInteger(key, change, collection)`: returns the sum, modulo 2^32.
pub fn inc_integer<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (key, change, collection) = (text(call, 0)?, integer(call, 1, "change")?, text(call, 2)?);
    let mut integers = integers();
    let value = integers.entry(&collection, &key, || 0);
    *value = value.wrapping_add(change);
    Ok(call.env().from_number(f64::from(*value)))
}

/// `kvDeleteInteger(key, collection)`
pub fn delete_integer<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let (key, collection) = (text(call, 0)?, text(call, 1)?);
    integers().remove(&collection, &key);
    Ok(Value::UNDEFINED)
}

/// `kvDeleteIntegers(collection)`
pub fn delete_integers<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let collection = text(call, 0)?;
    integers().remove_all(&collection);
    Ok(Value::UNDEFINED)
}

/// `kvIntegerKeys(collection)`
pub fn integer_keys<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let collection = text(call, 0)?;
    let keys: Vec<Vec<u8>> = integers().keys(&collection).map(<[u8]>::to_vec).collect();
    Ok(call.env().array(keys.iter().map(|key| call.env().string(key))))
}

/// `kvLock()`
pub fn lock<'c>(_call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    match STORE.lock.acquire(thread::current().id(), PATIENCE) {
        Ok(()) => Ok(Value::UNDEFINED),
        Err(LockRefusal::Held) => Err(Misuse::invalid_state("this thread holds the lock already")),
        Err(LockRefusal::TimedOut) => Err(Misuse::system(
            "ERR_LOCK_TIMEOUT",
            format!("another thread has held the lock for more than {} seconds", PATIENCE.as_secs()),
        )),
    }
}

/// `kvUnlock()`
pub fn unlock<'c>(_call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    if STORE.lock.release(thread::current().id()) {
        Ok(Value::UNDEFINED)
    } else {
        Err(Misuse::invalid_state("this thread does not hold the lock"))
    }
}

/// Bytes of a key or value: what V8 can make a string of on every platform.
const LONGEST: usize = (1 << 28) - 16;
/// The largest integer up to which all are exact in a JavaScript number, 2^53 − 1.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;
/// How long a thread waits for another one's section. A section that takes microseconds is far from it; one that is
/// never left must not stop the threads for ever.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(collections: &Collections<u32>, collection: &[u8]) -> Vec<Vec<u8>> {
        let mut keys: Vec<_> = collections.keys(collection).map(<[u8]>::to_vec).collect();
        keys.sort();
        keys
    }

    #[test]
    fn collections_are_apart_and_end_with_their_last_key() {
        let mut collections = Collections::default();
        *collections.entry(b"a", b"k", || 0) += 1;
        *collections.entry(b"a", b"l", || 5) += 1;
        *collections.entry(b"b", b"k", || 7) += 1;
        assert_eq!(collections.get(b"a", b"k"), Some(&1));
        assert_eq!(collections.get(b"a", b"l"), Some(&6));
        assert_eq!(collections.get(b"b", b"k"), Some(&8));
        assert_eq!(keys(&collections, b"a"), [b"k", b"l"]);
        collections.remove(b"a", b"k");
        collections.remove(b"a", b"l");
        collections.remove(b"a", b"l");
        collections.remove(b"c", b"l");
        assert_eq!(collections.by_name.len(), 1);
        collections.remove_all(b"b");
        assert!(collections.by_name.is_empty());
    }

    #[test]
    fn looking_makes_nothing() {
        let collections = Collections::<u32>::default();
        assert_eq!(collections.get(b"a", b"k"), None);
        assert_eq!(keys(&collections, b"a"), [b""; 0]);
        assert!(collections.by_name.is_empty());
    }
}
