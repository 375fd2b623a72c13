//! The statistics of an app. Workers count what only they see (`bridge/tally`); events that reach the application are
//! counted here, so that the numbers agree with its handlers.

use std::time::{Duration, Instant};

use crate::bridge::sync::Arc;
use crate::bridge::tally::{Counter, Tally};
use crate::protocol::cause::CloseCause;

/// The statistics of one app.
#[derive(Debug)]
pub(crate) struct Stats {
    started: Instant,
    /// The counters of its workers, by number; empty until it has workers.
    tallies: Arc<[Arc<Tally>]>,
    websockets_open: u64,
    websockets: u64,
    /// WebSockets that closed, by the number of the cause.
    closes: [u64; CAUSES],
    /// Responses that were aborted, by the number of the cause.
    aborts: [u64; CAUSES],
    /// Messages that `send` did not accept.
    messages_dropped: u64,
    /// WebSocket handshakes that were answered with 400 or 426 for breaking a rule.
    handshakes_refused: u64,
}

impl Stats {
    /// The statistics of a new app.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "how old an app is, is no time of the engine")]
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            tallies: Arc::new([]),
            websockets_open: 0,
            websockets: 0,
            closes: [0; CAUSES],
            aborts: [0; CAUSES],
            messages_dropped: 0,
            handshakes_refused: 0,
        }
    }

    /// Makes the counters of the workers, once the app has any.
    pub(crate) fn share(&mut self, workers: usize) {
        self.tallies = (0..workers).map(|_| Arc::default()).collect();
    }

    /// The counters, for the workers.
    #[must_use]
    pub(crate) fn tallies(&self) -> Arc<[Arc<Tally>]> {
        Arc::clone(&self.tallies)
    }

    /// Counts a WebSocket that has opened.
    pub(crate) const fn note_opened(&mut self) {
        self.websockets_open += 1;
        self.websockets += 1;
    }

    /// Counts a WebSocket that has closed.
    pub(crate) fn note_closed(&mut self, cause: CloseCause) {
        self.websockets_open -= 1;
        self.closes[cause.number() as usize] += 1;
    }

    /// Counts a response that was aborted.
    pub(crate) fn note_aborted(&mut self, cause: CloseCause) {
        self.aborts[cause.number() as usize] += 1;
    }

    /// Counts a message that `send` did not accept.
    pub(crate) const fn note_dropped(&mut self) {
        self.messages_dropped += 1;
    }

    /// Counts a handshake that was refused.
    pub(crate) const fn note_refused(&mut self) {
        self.handshakes_refused += 1;
    }

    /// Time since the app was made.
    #[must_use]
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    fn sum(&self, counter: impl Fn(&Tally) -> &Counter) -> u64 {
        self.tallies.iter().map(|tally| counter(tally).get()).sum()
    }

    /// The counts, each with its name in the result of `getStats`.
    #[must_use]
    pub(crate) fn counts(&self) -> [(&'static str, u64); 13] {
        [
            ("connections.http.open", self.sum(|tally| &tally.http_open)),
            ("connections.http.total", self.sum(|tally| &tally.connections)),
            ("connections.webSocket.open", self.websockets_open),
            ("connections.webSocket.total", self.websockets),
            ("requests", self.sum(|tally| &tally.requests)),
            ("messages.received", self.sum(|tally| &tally.messages_received)),
            ("messages.sent", self.sum(|tally| &tally.messages_sent)),
            ("messages.dropped", self.sum(|tally| &tally.messages_dropped) + self.messages_dropped),
            ("bytes.received", self.sum(|tally| &tally.bytes_received)),
            ("bytes.sent", self.sum(|tally| &tally.bytes_sent)),
            ("handshakeFailures.tls", self.sum(|tally| &tally.tls_handshake_failures)),
            ("handshakeFailures.webSocket", self.handshakes_refused),
            ("queues.backpressure", self.sum(|tally| &tally.backlog)),
        ]
    }

    /// Tables of counts by the name of what was counted, each with its name in the result of `getStats`.
    #[must_use]
    pub(crate) fn tables(&self) -> [(&'static str, Vec<(&'static str, u64)>); 3] {
        [
            ("closes.webSocket", by_cause(&self.closes)),
            ("closes.aborted", by_cause(&self.aborts)),
            ("closes.refused", self.refusals()),
        ]
    }

    /// Name and count of every rule that peers broke.
    fn refusals(&self) -> Vec<(&'static str, u64)> {
        let mut sums: Vec<(&str, u64)> = Vec::new();
        for tally in &*self.tallies {
            for (position, (name, count)) in tally.refusals().enumerate() {
                match sums.get_mut(position) {
                    Some((_, sum)) => *sum += count,
                    None => sums.push((name, count)),
                }
            }
        }
        sums.retain(|(_, count)| *count > 0);
        sums
    }
}

/// The causes that have occurred, by name.
fn by_cause(counts: &[u64; CAUSES]) -> Vec<(&'static str, u64)> {
    let all =
        CloseCause::ALL.into_iter().map(|cause| (cause.verdict().name, counts[cause.number() as usize]));
    all.filter(|(_, count)| *count > 0).collect()
}

/// Number of close causes.
const CAUSES: usize = CloseCause::ALL.len();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::tally::RefusalCause;
    use crate::protocol::cause::Cause;
    use crate::protocol::http::error::HttpError;

    #[test]
    fn what_workers_and_this_thread_count_is_added_up() {
        let mut stats = Stats::start();
        stats.share(2);
        for (tally, count) in stats.tallies().iter().zip([1, 10]) {
            tally.messages_dropped.add(count);
            tally.count_refusal(RefusalCause::Http(HttpError::BareLf));
        }
        stats.note_dropped();
        stats.note_opened();
        stats.note_opened();
        stats.note_closed(CloseCause::Reset);
        let counts = stats.counts();
        for expected in
            [("connections.webSocket.open", 1), ("connections.webSocket.total", 2), ("messages.dropped", 12)]
        {
            assert!(counts.contains(&expected), "{expected:?} in {counts:?}");
        }
        assert_eq!(stats.refusals(), [(HttpError::BareLf.code(), 2)]);
        assert_eq!(by_cause(&stats.closes), [(CloseCause::Reset.verdict().name, 1)]);
    }
}
