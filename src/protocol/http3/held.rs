//! Bytes of a stream that wait for those behind them.

/// Bytes that have waited, and those behind them. Nothing is copied that can stay where it is.
pub(super) struct Held<'a> {
    waited: Vec<u8>,
    more: &'a [u8],
}

impl<'a> Held<'a> {
    pub(super) fn new(mut waited: Vec<u8>, more: &'a [u8]) -> Self {
        if !waited.is_empty() {
            waited.extend_from_slice(more);
        }
        Self { waited, more }
    }

    /// All of them.
    pub(super) fn bytes(&self) -> &[u8] {
        if self.waited.is_empty() { self.more } else { &self.waited }
    }

    /// What is left of them behind the first `consumed`.
    pub(super) fn rest(mut self, consumed: usize) -> Vec<u8> {
        if self.waited.is_empty() {
            return self.more[consumed..].to_vec();
        }
        self.waited.drain(..consumed);
        if self.waited.is_empty() { Vec::new() } else { self.waited }
    }
}
