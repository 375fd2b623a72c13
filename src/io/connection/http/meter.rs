//! Progress of a response whose body is written in pieces, for Node's thread.

use crate::bridge::ledger::Ledger;
use crate::bridge::sync::Arc;

/// The worker's entries in the ledger of a response.
#[derive(Debug)]
pub(crate) struct Meter {
    ledger: Arc<Ledger>,
    /// Body bytes of the commands applied so far.
    applied: u64,
    /// Whether Node's thread waits until most of it is written.
    is_awaited: bool,
}

impl Meter {
    /// For a response of which no body byte was applied.
    pub(crate) const fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, applied: 0, is_awaited: false }
    }

    /// Counts the bytes of a piece of the body.
    pub(crate) const fn count_applied(&mut self, length: usize) {
        self.applied += length as u64;
    }

    /// Makes [`Self::record`] report when most of the output is written, which Node's thread waits for.
    pub(crate) const fn await_writable(&mut self) {
        self.is_awaited = true;
    }

    /// Records in the ledger that a flush has left so many bytes. Returns whether Node's thread was waiting for as few as
    /// `writable_below`.
    pub(crate) fn record(&mut self, left: usize, writable_below: usize) -> bool {
        self.ledger.record(self.applied, left as u64);
        left <= writable_below && std::mem::take(&mut self.is_awaited)
    }
}

/// Bytes of output at which a response that waits is continued: enough to keep the socket busy until more arrives.
pub(crate) const WRITABLE_BELOW: usize = 64 * 1024;
