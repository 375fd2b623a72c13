//! The worker's part in the books of a response whose body comes in pieces.

use crate::bridge::ledger::Ledger;
use crate::bridge::sync::Arc;

/// See the top of the file.
#[derive(Debug)]
pub struct Meter {
    ledger: Arc<Ledger>,
    /// Body bytes of the commands applied so far.
    applied: u64,
    /// Node's thread waits to hear that most of it is written.
    is_awaited: bool,
}

impl Meter {
    /// For a response of which nothing has been applied yet.
    pub const fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, applied: 0, is_awaited: false }
    }

    /// A piece of the body has been applied.
    pub const fn count_applied(&mut self, length: usize) {
        self.applied += length as u64;
    }

    /// Node's thread waits from now on.
    pub const fn await_writable(&mut self) {
        self.is_awaited = true;
    }

    /// After a flush, which has left so many bytes. Returns whether Node's thread has waited for that.
    pub fn record(&mut self, left: usize) -> bool {
        self.ledger.record(self.applied, left as u64);
        left <= WRITABLE_BELOW && std::mem::take(&mut self.is_awaited)
    }
}

/// Bytes of output at which a response that waits for it may go on: enough to keep the socket busy until more comes.
const WRITABLE_BELOW: usize = 64 * 1024;
