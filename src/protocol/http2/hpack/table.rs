//! The static and the dynamic table (RFC 7541 §2.3, Appendix A).

use std::collections::VecDeque;

/// A table to which each header block may add entries, newest first.
#[derive(Debug)]
pub(super) struct DynamicTable {
    entries: VecDeque<Entry>,
    /// Sum of the sizes of all entries (RFC 7541 §4.1).
    size: usize,
    /// What that sum may be.
    max: usize,
}

/// A field: its name, then its value.
#[derive(Debug)]
struct Entry {
    text: Box<[u8]>,
    name: usize,
}

impl Entry {
    /// Name and value.
    fn parts(&self) -> (&[u8], &[u8]) {
        self.text.split_at(self.name)
    }

    /// RFC 7541 §4.1.
    fn size(&self) -> usize {
        self.text.len() + ENTRY_OVERHEAD
    }
}

impl DynamicTable {
    /// An empty table of at most `max` bytes.
    pub(super) const fn new(max: usize) -> Self {
        Self { entries: VecDeque::new(), size: 0, max }
    }

    /// Name and value of an entry; the newest one has position 0.
    pub(super) fn get(&self, position: usize) -> Option<(&[u8], &[u8])> {
        self.entries.get(position).map(Entry::parts)
    }

    /// The position of an entry with this name and this value.
    pub(super) fn find(&self, name: &[u8], value: &[u8]) -> Option<usize> {
        self.entries.iter().position(|entry| entry.parts() == (name, value))
    }

    /// Adds an entry, for which others make room. One that is larger than the table empties it (RFC 7541 §4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + ENTRY_OVERHEAD;
        self.evict(self.max.saturating_sub(size));
        if size <= self.max {
            self.size += size;
            self.entries.push_front(Entry { text: [name, value].concat().into(), name: name.len() });
        }
    }

    /// What the sizes of its entries may add up to.
    pub(super) const fn max(&self) -> usize {
        self.max
    }

    /// Changes that.
    pub(super) fn set_max(&mut self, max: usize) {
        self.max = max;
        self.evict(max);
    }

    /// Removes the oldest entries until the others add up to at most `left`.
    fn evict(&mut self, left: usize) {
        while self.size > left
            && let Some(oldest) = self.entries.pop_back()
        {
            self.size -= oldest.size();
        }
    }
}

/// The entry of the static table with this index, from 1.
pub(super) fn static_entry(index: usize) -> Option<(&'static [u8], &'static [u8])> {
    let (name, value) = STATIC.get(index.checked_sub(1)?)?;
    Some((name.as_bytes(), value.as_bytes()))
}

/// The index of the first static entry with this name. Only names that responses have are found.
pub(super) const fn static_name(name: &[u8]) -> Option<usize> {
    Some(match name {
        b"accept-ranges" => 18,
        b"access-control-allow-origin" => 20,
        b"age" => 21,
        b"allow" => 22,
        b"cache-control" => 24,
        b"content-disposition" => 25,
        b"content-encoding" => 26,
        b"content-language" => 27,
        b"content-length" => 28,
        b"content-location" => 29,
        b"content-range" => 30,
        b"content-type" => 31,
        b"date" => 33,
        b"etag" => 34,
        b"expires" => 36,
        b"last-modified" => 44,
        b"link" => 45,
        b"location" => 46,
        b"proxy-authenticate" => 48,
        b"refresh" => 52,
        b"retry-after" => 53,
        b"server" => 54,
        b"set-cookie" => 55,
        b"strict-transport-security" => 56,
        b"vary" => 59,
        b"via" => 60,
        b"www-authenticate" => 61,
        _ => return None,
    })
}

/// RFC 7541 §4.1: what an entry counts besides its name and its value.
const ENTRY_OVERHEAD: usize = 32;

/// Number of entries of the static table.
pub(super) const STATIC_LENGTH: usize = STATIC.len();

/// RFC 7541, Appendix A; index 1 comes first.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entries_make_room() {
        let mut table = DynamicTable::new(100);
        table.insert(b"a", b"1");
        table.insert(b"b", b"2");
        assert_eq!((table.size, table.get(0)), (68, Some((&b"b"[..], &b"2"[..]))));
        assert_eq!(table.find(b"a", b"1"), Some(1));
        table.insert(b"c", b"3");
        assert_eq!((table.size, table.entries.len(), table.find(b"a", b"1")), (68, 2, None));
        table.set_max(40);
        assert_eq!((table.size, table.get(0)), (34, Some((&b"c"[..], &b"3"[..]))));
    }

    #[test]
    fn an_entry_that_is_too_large_empties_the_table() {
        let mut table = DynamicTable::new(40);
        table.insert(b"a", b"1");
        table.insert(b"name", b"value");
        assert_eq!((table.size, table.get(0)), (0, None));
        table.insert(b"name", b"valu");
        assert_eq!(table.size, 40, "one of exactly the size fits");
    }

    #[test]
    fn names_of_responses_are_found_where_they_stand() {
        let mut found = 0;
        for (position, (name, _)) in STATIC.iter().enumerate() {
            if let Some(index) = static_name(name.as_bytes()) {
                assert_eq!(index, position + 1, "{name}");
                found += 1;
            }
        }
        assert_eq!(found, 27);
        assert_eq!(static_entry(0), None);
        assert_eq!(static_entry(1), Some((&b":authority"[..], &b""[..])));
        assert_eq!(static_entry(61), Some((&b"www-authenticate"[..], &b""[..])));
        assert_eq!(static_entry(62), None);
    }
}
