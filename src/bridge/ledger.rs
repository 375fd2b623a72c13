//! Accounting of the output of one WebSocket or one response, shared by worker and Node's thread. `getBufferedAmount()`
//! and `tryEnd` read it.

use super::sync::{AtomicU64, Ordering};
use super::traffic::Traffic;

/// What a worker has done with the bytes that Node's thread accepted for one WebSocket or response.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Bytes of payload (`send` and `ping` since the upgrade, or the body of the response) whose commands the worker
    /// has applied, less [`Self::backlog`]. It may be negative, because a backlog includes headers, and wraps then.
    /// Written by the worker alone.
    settled: AtomicU64,
    /// Bytes that the worker holds for the socket because the kernel would not take them. Written by the worker
    /// alone.
    backlog: AtomicU64,
}

/// The ledger of a WebSocket, and what else its worker counts. One allocation, because both live equally long.
#[derive(Debug, Default)]
pub(crate) struct WebSocketLedger {
    /// Its output.
    pub output: Ledger,
    /// For `info` of its `close` handler.
    pub traffic: Traffic,
}

impl Ledger {
    /// The worker's entry after a flush.
    ///
    /// Node's thread reports [`Self::held`], a single number: a message that moves from the command queue into the
    /// worker's backlog is counted in one of the two, never in both and never in none.
    pub(crate) fn record(&self, applied: u64, backlog: u64) {
        // Release (both): a thread that sees a later store of the worker also sees its earlier ones.
        self.backlog.store(backlog, Ordering::Release);
        self.settled.store(applied.wrapping_sub(backlog), Ordering::Release);
    }

    /// Bytes that count as waiting for the peer, given how many Node's thread has accepted in all.
    ///
    /// While the kernel has refused nothing, the first [`IN_FLIGHT_ALLOWANCE`] bytes under way to the worker do not:
    /// they stand for the kernel buffer that uWebSockets.js would have written them to within the call. Once the kernel
    /// has refused bytes, it does not take the following ones either.
    pub(crate) fn outstanding(&self, accepted: u64) -> u64 {
        let held = self.held(accepted);
        if self.backlog() == 0 { held.saturating_sub(IN_FLIGHT_ALLOWANCE) } else { held }
    }

    /// Bytes not yet in the kernel, those under way to the worker included.
    pub(crate) fn held(&self, accepted: u64) -> u64 {
        accepted.wrapping_sub(self.settled.load(Ordering::Acquire))
    }

    /// Bytes that the worker holds because the kernel would not take them.
    pub(crate) fn backlog(&self) -> u64 {
        self.backlog.load(Ordering::Acquire)
    }
}

/// Bytes per WebSocket that may be under way between the threads before they count as back-pressure. Of the order
/// of a kernel's send buffer, so that a burst which uWebSockets.js would have handed to the kernel returns 1 here too.
pub(crate) const IN_FLIGHT_ALLOWANCE: u64 = 256 * 1024;

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
    fn a_backlog_counts_in_full_and_so_does_what_is_behind_it() {
        let ledger = Ledger::default();
        ledger.record(100, 7);
        assert_eq!((ledger.outstanding(100), ledger.held(100)), (7, 7));
        assert_eq!((ledger.outstanding(105), ledger.held(105)), (12, 12));
        ledger.record(105, 0);
        assert_eq!(ledger.outstanding(105), 0);
    }

    /// Published messages and headers wait without having been accepted by `send`.
    #[test]
    fn a_backlog_may_exceed_what_was_accepted() {
        let ledger = Ledger::default();
        ledger.record(10, 300);
        assert_eq!((ledger.outstanding(10), ledger.held(10), ledger.held(11)), (300, 300, 301));
    }
}

#[cfg(all(test, feature = "loom"))]
mod loom_tests {
    use super::super::sync::Arc;
    use super::*;

    /// A message moves from the way to the worker into its backlog, and from there into the kernel.
    #[test]
    fn a_message_is_never_counted_twice() {
        loom::model(|| {
            let ledger = Arc::new(Ledger::default());
            let worker = {
                let ledger = Arc::clone(&ledger);
                loom::thread::spawn(move || {
                    ledger.record(100, 40);
                    ledger.record(100, 0);
                })
            };
            let (first, second) = (ledger.held(100), ledger.held(100));
            assert!([100, 40, 0].contains(&first) && second <= first, "{first}, then {second}");
            worker.join().unwrap();
            assert_eq!(ledger.held(100), 0);
        });
    }
}
