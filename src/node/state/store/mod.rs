//! The key-value store: strings and integers by collection and key, the same for every thread of the process that has
//! loaded the addon. Node's threads share only this: everything else belongs to one of them.

pub(crate) mod lock;

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use self::lock::{LockRefusal, StoreLock};

/// The store of this process. Lives as long as the process: the end of a thread removes nothing.
static STORE: LazyLock<Store> = LazyLock::new(Store::default);

#[derive(Debug, Default)]
struct Store {
    strings: Mutex<Collections<Vec<u8>>>,
    integers: Mutex<Collections<u32>>,
    lock: StoreLock,
}

/// Values by collection and key. A collection exists as long as there is something in it.
#[derive(Debug)]
pub(crate) struct Collections<T> {
    by_name: HashMap<Vec<u8>, HashMap<Vec<u8>, T>>,
}

impl<T> Default for Collections<T> {
    fn default() -> Self {
        Self { by_name: HashMap::new() }
    }
}

impl<T> Collections<T> {
    /// The value of a key.
    #[must_use]
    pub(crate) fn get(&self, collection: &[u8], key: &[u8]) -> Option<&T> {
        self.by_name.get(collection)?.get(key)
    }

    /// The value of a key, made by `default` if there is none.
    pub(crate) fn entry(&mut self, collection: &[u8], key: &[u8], default: impl FnOnce() -> T) -> &mut T {
        self.by_name.entry(collection.into()).or_default().entry(key.into()).or_insert_with(default)
    }

    /// Removes a key, and its collection with the last one.
    pub(crate) fn remove(&mut self, collection: &[u8], key: &[u8]) {
        if let Some(values) = self.by_name.get_mut(collection) {
            values.remove(key);
            if values.is_empty() {
                self.by_name.remove(collection);
            }
        }
    }

    /// Removes a collection.
    pub(crate) fn remove_all(&mut self, collection: &[u8]) {
        self.by_name.remove(collection);
    }

    /// The keys of a collection.
    pub(crate) fn keys(&self, collection: &[u8]) -> impl Iterator<Item = &[u8]> {
        self.by_name.get(collection).into_iter().flat_map(HashMap::keys).map(Vec::as_slice)
    }
}

/// The strings.
pub(crate) fn strings() -> MutexGuard<'static, Collections<Vec<u8>>> {
    // A panic while it is locked (out of memory) leaves complete values behind.
    STORE.strings.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The integers, of 32 bits.
pub(crate) fn integers() -> MutexGuard<'static, Collections<u32>> {
    STORE.integers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The calling thread enters the critical section, which no other one enters until it leaves.
///
/// # Errors
/// It is in the section already; another thread has not left it within `patience`.
pub(crate) fn lock(patience: Duration) -> Result<(), LockRefusal> {
    STORE.lock.acquire(thread::current().id(), patience)
}

/// The calling thread leaves the critical section. Returns whether it was in it.
pub(crate) fn unlock() -> bool {
    STORE.lock.release(thread::current().id())
}

/// The calling thread will not run JavaScript any more: releases the lock, if it has it.
pub(crate) fn abandon_lock() {
    unlock();
}

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
