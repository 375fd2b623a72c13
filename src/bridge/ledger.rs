//! The books of the output of one WebSocket or one response, shared by the two threads: what `getBufferedAmount()` reads,
//! and what `tryEnd` is guided by.

use super::sync::{AtomicU64, Ordering};

/// What a worker has done with the bytes that Node's thread accepted for one WebSocket or response.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Bytes of payload (`send` and `ping` since the upgrade, or the body of the response) whose commands the worker has
    /// applied. Written by the worker alone.
    applied: AtomicU64,
    /// Bytes that the worker holds for the socket because the kernel would not take them. Written by the worker
    /// alone.
    backlog: AtomicU64,
}

impl Ledger {
    /// The worker's entry after a flush.
    ///
    /// The backlog is stored first and `applied` last with release, and [`Self::outstanding`] reads in the opposite
    /// order: the sum may count a message twice for a moment, never not at all, so Node's thread can only
    /// over-report, and whoever over-reports asks for a `Drained` that then comes at once.
    pub fn record(&self, applied: u64, backlog: u64) {
        // Release (both): pairs with the acquire loads below.
        self.backlog.store(backlog, Ordering::Release);
        self.applied.store(applied, Ordering::Release);
    }

    /// Bytes not yet in the kernel, given how many Node's thread has accepted in all.
    ///
    /// Of the bytes still under way to the worker, the first [`IN_FLIGHT_ALLOWANCE`] do not count: they stand for
    /// the kernel buffer that uWebSockets.js would have written them to within the call (S5).
    pub fn outstanding(&self, accepted: u64) -> u64 {
        let (under_way, backlog) = self.read(accepted);
        under_way.saturating_sub(IN_FLIGHT_ALLOWANCE) + backlog
    }

    /// Bytes not yet in the kernel, those under way to the worker included.
    pub fn held(&self, accepted: u64) -> u64 {
        let (under_way, backlog) = self.read(accepted);
        under_way + backlog
    }

    /// Bytes that the worker holds because the kernel would not take them.
    pub fn backlog(&self) -> u64 {
        self.read(0).1
    }

    /// Bytes under way to the worker, and its backlog.
    fn read(&self, accepted: u64) -> (u64, u64) {
        // Acquire (both): the backlog read afterwards is at least as new as this `applied`.
        let applied = self.applied.load(Ordering::Acquire);
        let backlog = self.backlog.load(Ordering::Acquire);
        (accepted.saturating_sub(applied), backlog)
    }
}

/// Bytes per WebSocket that may be under way between the threads before they count as back-pressure. Of the order
/// of a kernel's send buffer, so that a burst which uWebSockets.js would have handed to the kernel returns 1 here too.
pub const IN_FLIGHT_ALLOWANCE: u64 = 256 * 1024;

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    #[test]
    fn bytes_under_way_count_beyond_the_allowance() {
        let ledger = Ledger::default();
        assert_eq!(ledger.outstanding(IN_FLIGHT_ALLOWANCE), 0);
        assert_eq!(ledger.outstanding(IN_FLIGHT_ALLOWANCE + 5), 5);
        assert_eq!(ledger.held(IN_FLIGHT_ALLOWANCE + 5), IN_FLIGHT_ALLOWANCE + 5);
    }

    #[test]
    fn a_backlog_counts_in_full() {
        let ledger = Ledger::default();
        ledger.record(100, 7);
        assert_eq!((ledger.outstanding(100), ledger.held(100)), (7, 7));
        ledger.record(100, 0);
        assert_eq!(ledger.outstanding(100), 0);
    }
}
