//! The payload that was accepted for the peer of a WebSocket, and how much of it waits.

use crate::bridge::id::ConnectionId;
use crate::bridge::ledger::{IN_FLIGHT_ALLOWANCE, WebSocketLedger};
use crate::bridge::moment::Moment;
use crate::bridge::sync::Arc;
use crate::bridge::traffic::Facts;
use crate::node::state::burst::Burst;
use crate::node::state::workers::Workers;

/// The backlog of one WebSocket, in bytes of payload.
#[derive(Debug)]
pub(crate) struct Backlog {
    /// What the worker has counted.
    ledger: Arc<WebSocketLedger>,
    /// Payload bytes accepted by `send` and `ping`.
    accepted: u64,
    /// Those accepted when the worker was last asked what it has written.
    asked_at: u64,
    /// Those accepted when they were last handed over before the handler had returned.
    handed: u64,
    /// What the handler that sent last has sent.
    burst: Burst,
}

impl Backlog {
    /// The backlog of a WebSocket that has just been opened.
    #[must_use]
    pub(crate) fn new(ledger: Arc<WebSocketLedger>) -> Self {
        Self { ledger, accepted: 0, asked_at: 0, handed: 0, burst: Burst::default() }
    }

    /// What is known about the WebSocket at a moment.
    #[must_use]
    pub(crate) fn facts(&self, now: Moment) -> Facts {
        self.ledger.traffic.facts(now)
    }

    /// Counts payload that is accepted now. Returns whether the burst has just become a long one.
    pub(crate) fn accept(&mut self, length: u32, handler_serial: u64) -> bool {
        self.accepted += u64::from(length);
        self.burst.add(u64::from(length), handler_serial)
    }

    /// Bytes that count as waiting for the peer ([`Ledger::outstanding`](crate::bridge::ledger::Ledger::outstanding)).
    #[must_use]
    pub(crate) fn outstanding(&self) -> u64 {
        self.ledger.output.outstanding(self.accepted)
    }

    /// Bytes not yet in the kernel, those under way to the worker included.
    #[must_use]
    pub(crate) fn held(&self) -> u64 {
        self.ledger.output.held(self.accepted)
    }

    /// Bytes that the kernel did not take when the worker last wrote.
    #[must_use]
    pub(crate) fn refused(&self) -> u64 {
        self.ledger.output.backlog()
    }

    /// Bytes that are reported to the application as waiting for the peer. The kernel may accept at once what is still
    /// on its way to the worker: before such bytes are reported, Node's thread waits for the worker to write.
    pub(crate) fn find_waiting(
        &mut self,
        connection: ConnectionId,
        handler_serial: u64,
        workers: &mut Workers,
    ) -> u64 {
        let is_enough = self.is_worth_writing(workers.write_from(connection.worker));
        if self.is_far_ahead() {
            self.ask_worker(connection, workers);
        } else if is_enough {
            workers.hand_over(connection.worker);
        }
        self.waiting(handler_serial)
    }

    /// Whether more was accepted since the worker was last asked.
    #[must_use]
    pub(crate) const fn should_ask_worker(&self) -> bool {
        self.asked_at != self.accepted
    }

    /// Waits until the worker has written what the kernel accepts.
    pub(crate) fn ask_worker(&mut self, connection: ConnectionId, workers: &mut Workers) {
        self.asked_at = self.accepted;
        workers.await_write_to(connection);
    }

    /// Bytes that are reported as waiting: those that the worker counts as waiting or, if that is more, those that the
    /// running handler has sent beyond its allowance.
    fn waiting(&self, handler_serial: u64) -> u64 {
        self.outstanding().max(self.burst.excess(handler_serial))
    }

    /// Whether what is under way should be written while the handler is still running, because it is at least `enough`
    /// bytes.
    fn is_worth_writing(&mut self, enough: u64) -> bool {
        let under_way = self.held().saturating_sub(self.refused());
        let is_enough = under_way.min(self.accepted - self.handed) >= enough;
        if is_enough {
            self.handed = self.accepted;
        }
        is_enough
    }

    /// Whether so much is on its way to the worker that it should be asked what the kernel accepts. Once per
    /// [`IN_FLIGHT_ALLOWANCE`] bytes, whatever the result; and not while the kernel accepts nothing.
    fn is_far_ahead(&self) -> bool {
        self.accepted - self.asked_at > IN_FLIGHT_ALLOWANCE
            && self.refused() == 0
            && self.held() > IN_FLIGHT_ALLOWANCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_takes_never_counts_and_what_it_refuses_counts_once() {
        let ledger = Arc::new(WebSocketLedger::default());
        let mut backlog = Backlog::new(Arc::clone(&ledger));
        let piece = 8 * 1024 * 1024;
        backlog.accept(piece, 1);
        assert!(backlog.is_far_ahead());
        backlog.asked_at = backlog.accepted;
        assert!(!backlog.is_far_ahead(), "the worker does not answer sooner if it is asked more often");
        ledger.output.record(backlog.accepted, 5000);
        assert_eq!(backlog.waiting(1), 5000);
        ledger.output.record(backlog.accepted, 0);
        assert_eq!(backlog.waiting(1), 0);
        backlog.accept(100_000, 1);
        assert_eq!((backlog.waiting(1), backlog.is_far_ahead()), (0, false));
    }
}
