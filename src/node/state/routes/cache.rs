//! The cache of responses of routes with `{ lowerExpiry, upperExpiry }`. Bounded in number and bytes; evicts the least
//! recently used entry first. Reads no clock: the caller passes the time.

use std::collections::hash_map::RandomState;
use std::time::Duration;

use lru::LruCache;

use crate::node::state::handles::JsHandle;
use crate::node::state::prepared_head::PreparedHead;
use crate::protocol::time::Timestamp;

/// The cached responses of all routes, by keys that `turn::cached_route` makes.
pub(crate) struct Cache {
    /// Last used first. Keys come from peers, so they are hashed with the keyed hash of the standard library.
    entries: LruCache<Vec<u8>, Entry, RandomState>,
    /// The weight of all entries, at most [`MAX_BYTES`].
    bytes: usize,
}

/// One cached response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Status and fields.
    pub head: PreparedHead,
    /// The whole body.
    pub body: Vec<u8>,
    /// When it was made.
    pub made: Timestamp,
    /// The response under way that will replace it; it may have ended since.
    pub successor: Option<JsHandle>,
}

/// A route whose responses are cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CachedRoute {
    /// Identifies the route in keys: unlike the number of a handler it is never reused.
    pub serial: u64,
    /// How long its responses may be used.
    pub expiry: Expiry,
}

/// A copy of a response that is made while the handler sends it.
#[derive(Debug)]
pub(crate) struct Recording {
    /// The [`CachedRoute::serial`] of its route.
    pub serial: u64,
    /// The key under which it will be cached.
    pub key: Vec<u8>,
    /// The body so far; `None` once it is too long to be cached.
    pub body: Option<Vec<u8>>,
}

impl Recording {
    /// Appends a piece of the body that is being sent.
    pub(crate) fn append(&mut self, piece: &[u8]) {
        let Some(body) = &mut self.body else { return };
        if body.len() + piece.len() > MAX_ENTRY_BYTES {
            self.body = None;
            return;
        }
        body.extend_from_slice(piece);
    }
}

/// How long a cached response may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// Below this age every request is answered with it.
    pub lower: Duration,
    /// From here to `upper`, requests are answered with it while the handler runs for one of them.
    pub upper: Duration,
}

/// The result of a lookup.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finding<'a> {
    /// A response for every request.
    Fresh(&'a Entry),
    /// A stale response, for the requests that arrive while it is being replaced.
    Stale(&'a mut Entry),
    /// Nothing.
    Nothing,
}

impl Default for Cache {
    fn default() -> Self {
        Self { entries: LruCache::unbounded_with_hasher(RandomState::new()), bytes: 0 }
    }
}

impl Cache {
    /// Looks `key` up. Removes an expired entry.
    pub(crate) fn find(&mut self, key: &[u8], expiry: Expiry, now: Timestamp) -> Finding<'_> {
        let Some(entry) = self.entries.peek(key) else { return Finding::Nothing };
        let age = now.since(entry.made);
        if age >= expiry.upper {
            self.remove(key);
            return Finding::Nothing;
        }
        match self.entries.get_mut(key) {
            Some(entry) if age < expiry.lower => Finding::Fresh(entry),
            Some(entry) => Finding::Stale(entry),
            None => Finding::Nothing,
        }
    }

    /// Stores a response in place of the one under its key, and evicts others if the cache is too large. One that is
    /// too large by itself is not stored.
    pub(crate) fn insert(&mut self, key: Vec<u8>, entry: Entry) {
        self.remove(&key);
        let weight = weight(&key, &entry);
        if weight > MAX_ENTRY_BYTES {
            return;
        }
        self.bytes += weight;
        self.entries.put(key, entry);
        while self.entries.len() > MAX_ENTRIES || self.bytes > MAX_BYTES {
            let Some((key, entry)) = self.entries.pop_lru() else { break };
            self.bytes -= self::weight(&key, &entry);
        }
    }

    /// Removes all responses of a route: those whose key starts with its serial.
    pub(crate) fn forget(&mut self, route: CachedRoute) {
        let (prefix, bytes) = (route.serial.to_be_bytes(), &mut self.bytes);
        self.entries.retain(|key, entry| {
            let is_kept = !key.starts_with(&prefix);
            if !is_kept {
                *bytes -= weight(key, entry);
            }
            is_kept
        });
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some((key, entry)) = self.entries.pop_entry(key) {
            self.bytes -= weight(&key, &entry);
        }
    }
}

/// Approximate bytes of an entry, with its key and its share of the table.
fn weight(key: &[u8], entry: &Entry) -> usize {
    key.len() + entry.head.len() + entry.body.len() + OVERHEAD
}

/// Limit of the number of responses.
const MAX_ENTRIES: usize = 10_000;
/// Limit of the bytes of all responses.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Limit of the bytes of one response with its key. Larger ones would evict many others, and are copied for every
/// client anyway.
const MAX_ENTRY_BYTES: usize = 1024 * 1024;
/// The table's share of an entry.
const OVERHEAD: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRY: Expiry = Expiry { lower: Duration::from_secs(1), upper: Duration::from_secs(3) };

    fn entry(body: &[u8], made: u64) -> Entry {
        Entry { head: PreparedHead::default(), body: body.to_vec(), made: Timestamp(made), successor: None }
    }

    /// The name of the variant that is found.
    fn found(cache: &mut Cache, key: &[u8], now: u64) -> &'static str {
        match cache.find(key, EXPIRY, Timestamp(now)) {
            Finding::Fresh(_) => "fresh",
            Finding::Stale(_) => "stale",
            Finding::Nothing => "nothing",
        }
    }

    #[test]
    fn an_answer_is_fresh_then_stale_then_gone() {
        let mut cache = Cache::default();
        cache.insert(b"key".to_vec(), entry(b"body", 10_000));
        for (now, expected) in
            [(10_000, "fresh"), (10_999, "fresh"), (11_000, "stale"), (12_999, "stale"), (13_000, "nothing")]
        {
            assert_eq!(found(&mut cache, b"key", now), expected, "{now}");
        }
        assert_eq!(found(&mut cache, b"key", 10_000), "nothing");
        assert_eq!((cache.entries.len(), cache.bytes), (0, 0));
    }

    #[test]
    fn equal_expiries_leave_nothing_stale() {
        let mut cache = Cache::default();
        cache.insert(b"key".to_vec(), entry(b"body", 0));
        let expiry = Expiry { lower: EXPIRY.lower, upper: EXPIRY.lower };
        assert!(matches!(cache.find(b"key", expiry, Timestamp(999)), Finding::Fresh(_)));
        assert_eq!(cache.find(b"key", expiry, Timestamp(1000)), Finding::Nothing);
    }

    #[test]
    fn a_new_answer_takes_the_place_of_the_old_one() {
        let mut cache = Cache::default();
        cache.insert(b"key".to_vec(), entry(b"old", 0));
        let Finding::Stale(old) = cache.find(b"key", EXPIRY, Timestamp(1500)) else { panic!("stale") };
        old.successor = Some(JsHandle { slot: 1, generation: 1 });
        cache.insert(b"key".to_vec(), entry(b"newer", 1500));
        let expected = entry(b"newer", 1500);
        assert_eq!(cache.find(b"key", EXPIRY, Timestamp(1500)), Finding::Fresh(&expected));
        assert_eq!(cache.bytes, 3 + 5 + OVERHEAD);
    }

    #[test]
    fn what_was_not_asked_for_the_longest_time_goes_first() {
        let mut cache = Cache::default();
        for number in 0..MAX_ENTRIES {
            cache.insert(number.to_be_bytes().to_vec(), entry(b"", 0));
        }
        assert_eq!(found(&mut cache, &0_usize.to_be_bytes(), 0), "fresh");
        cache.insert(b"one more".to_vec(), entry(b"", 0));
        assert_eq!(cache.entries.len(), MAX_ENTRIES);
        assert_eq!(found(&mut cache, &0_usize.to_be_bytes(), 0), "fresh");
        assert_eq!(found(&mut cache, &1_usize.to_be_bytes(), 0), "nothing");
    }

    #[test]
    fn bytes_are_bounded() {
        let mut cache = Cache::default();
        let body = vec![b'x'; MAX_ENTRY_BYTES - 8 - OVERHEAD];
        for number in 0..100_u64 {
            cache.insert(number.to_be_bytes().to_vec(), entry(&body, 0));
            assert!(cache.bytes <= MAX_BYTES);
        }
        assert_eq!(cache.entries.len(), 64);
        cache.insert(b"too long".to_vec(), entry(&[&body[..], b"x"].concat(), 0));
        assert_eq!(found(&mut cache, b"too long", 0), "nothing");
        assert_eq!(found(&mut cache, &99_u64.to_be_bytes(), 0), "fresh");
    }

    #[test]
    fn the_answers_of_a_route_are_forgotten_together() {
        let mut cache = Cache::default();
        let key = |serial: u64, path: &[u8]| [&serial.to_be_bytes(), path].concat();
        for key in [key(1, b"/a"), key(1, b"/b"), key(2, b"/a")] {
            cache.insert(key.clone(), entry(&key, 0));
        }
        cache.forget(CachedRoute { serial: 1, expiry: EXPIRY });
        assert_eq!(found(&mut cache, &key(1, b"/a"), 0), "nothing");
        assert_eq!(found(&mut cache, &key(2, b"/a"), 0), "fresh");
        assert_eq!(cache.bytes, 20 + OVERHEAD);
    }
}
