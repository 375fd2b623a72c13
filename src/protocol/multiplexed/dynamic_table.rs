//! The dynamic table of HPACK (RFC 7541 §2.3.2), and of QPACK (RFC 9204 §3.2), whose entries count the same.

use std::collections::VecDeque;

/// A table to which each header block may add entries, newest first.
#[derive(Debug)]
pub(in crate::protocol) struct DynamicTable {
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
    pub(in crate::protocol) const fn new(max: usize) -> Self {
        Self { entries: VecDeque::new(), size: 0, max }
    }

    /// Name and value of an entry; the newest one has position 0.
    pub(in crate::protocol) fn get(&self, position: usize) -> Option<(&[u8], &[u8])> {
        self.entries.get(position).map(Entry::parts)
    }

    /// The position of an entry with this name and this value.
    pub(in crate::protocol) fn find(&self, name: &[u8], value: &[u8]) -> Option<usize> {
        self.entries.iter().position(|entry| entry.parts() == (name, value))
    }

    /// Adds an entry, for which others make room. One that is larger than the table empties it (RFC 7541 §4.4).
    pub(in crate::protocol) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + ENTRY_OVERHEAD;
        self.evict(self.max.saturating_sub(size));
        if size <= self.max {
            self.size += size;
            self.entries.push_front(Entry { text: [name, value].concat().into(), name: name.len() });
        }
    }

    /// What the sizes of its entries may add up to.
    pub(in crate::protocol) const fn max(&self) -> usize {
        self.max
    }

    /// Changes that.
    pub(in crate::protocol) fn set_max(&mut self, max: usize) {
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

/// RFC 7541 §4.1: what an entry counts besides its name and its value.
pub(in crate::protocol) const ENTRY_OVERHEAD: usize = 32;

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
}
