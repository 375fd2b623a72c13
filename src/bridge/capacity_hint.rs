//! How much capacity a reused buffer keeps between two uses: as much as its latest uses needed.

/// What the latest uses of a buffer needed, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CapacityHint(usize);

impl CapacityHint {
    /// Empties `buffer` for its next use. Capacity beyond what it usually needs goes back to the allocator, so that one
    /// large message does not stay with the process; but a stream of large ones does not pay for fresh memory each
    /// time, which costs more than copying them.
    pub(crate) fn clear(&mut self, buffer: &mut Vec<u8>) {
        self.0 = buffer.len().max(self.0 - self.0 / 8);
        buffer.clear();
        buffer.shrink_to((2 * self.0).clamp(MIN_CAPACITY, MAX_CAPACITY));
    }
}

/// Capacity, in bytes, that is always kept. A batch of small messages stays far below it.
pub(crate) const MIN_CAPACITY: usize = 256 * 1024;
/// Capacity, in bytes, that is kept at most. Holds what a worker hands over in one pass while several large bodies
/// arrive.
pub(crate) const MAX_CAPACITY: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn use_once(capacity_hint: &mut CapacityHint, buffer: &mut Vec<u8>, length: usize) -> usize {
        buffer.resize(length, 0);
        capacity_hint.clear(buffer);
        buffer.capacity()
    }

    #[test]
    fn what_a_large_message_took_is_given_back() {
        let (mut capacity_hint, mut buffer) = (CapacityHint::default(), Vec::new());
        assert!(use_once(&mut capacity_hint, &mut buffer, 8 * MAX_CAPACITY) <= MAX_CAPACITY);
        let capacity = (0..60).map(|_| use_once(&mut capacity_hint, &mut buffer, 100)).last();
        assert!(capacity <= Some(MIN_CAPACITY));
    }

    #[test]
    fn what_is_needed_again_is_kept() {
        let (mut capacity_hint, mut buffer) = (CapacityHint::default(), Vec::new());
        for _ in 0..3 {
            use_once(&mut capacity_hint, &mut buffer, MAX_CAPACITY / 2);
        }
        for _ in 0..3 {
            assert!(use_once(&mut capacity_hint, &mut buffer, 10) >= MAX_CAPACITY / 2);
        }
    }
}
