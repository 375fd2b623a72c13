//! Input that was read, but not handled yet, because its events would be too far ahead of Node's thread
//! ([`crate::io::lead`]): one read may hold twenty thousand messages.

/// The bytes, from the start of a frame on.
#[derive(Debug, Default)]
pub(super) struct Unhandled(Vec<u8>);

impl Unhandled {
    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds bytes that were read later.
    pub(super) fn append(&mut self, input: &[u8]) {
        self.0.extend_from_slice(input);
    }

    /// All of them, to be unmasked in place.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Removes the first `count` bytes, which are handled.
    pub(super) fn advance(&mut self, count: usize) {
        self.0.drain(..count);
    }
}
