//! The statistics of an app. Workers count what only they see (`bridge/tally`); events that reach the application are
//! counted here, so that the numbers agree with its handlers.

use std::time::{Duration, Instant};

use super::histogram::Histogram;
use super::patterns::{Pattern, Patterns};
use crate::bridge::sync::Arc;
use crate::bridge::tally::{Counter, RefusalCause, Tally};
use crate::bridge::traffic::Report;
use crate::protocol::cause::{CloseCause, Initiator};

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
    /// How long nothing had moved on WebSockets that closed, by who ended them.
    silences: [Histogram; INITIATORS.len()],
    /// How long they had been open.
    ages: [Histogram; INITIATORS.len()],
    /// What their silences have in common.
    patterns: Patterns,
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
            silences: std::array::from_fn(|_| Histogram::new(&SILENCES)),
            ages: std::array::from_fn(|_| Histogram::new(&AGES)),
            patterns: Patterns::default(),
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

    /// Counts a WebSocket that has closed. Returns a pattern that is found by it.
    pub(crate) fn note_closed(&mut self, cause: CloseCause, report: &Report) -> Option<&Pattern> {
        self.websockets_open -= 1;
        self.closes[cause.number() as usize] += 1;
        let silence = report.facts.silent_for.min(report.facts.quiet_for);
        let initiator = INITIATORS.iter().position(|it| *it == cause.verdict().initiator);
        if let Some(initiator) = initiator {
            self.silences[initiator].count(silence);
            self.ages[initiator].count(report.open_for);
        }
        self.patterns.note(cause, silence)
    }

    /// The patterns that were found among the closes.
    #[must_use]
    pub(crate) fn patterns(&self) -> &[Pattern] {
        self.patterns.found()
    }

    /// The histograms of the WebSockets that have closed: name, who ended them, and the histogram.
    pub(crate) fn histograms(&self) -> impl Iterator<Item = (&'static str, Initiator, &Histogram)> {
        let silences = self.silences.iter().map(|it| ("silence", it));
        let ages = self.ages.iter().map(|it| ("age", it));
        silences
            .zip(INITIATORS)
            .chain(ages.zip(INITIATORS))
            .map(|((name, it), initiator)| (name, initiator, it))
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

    /// Tables of counts by the name of what was counted, each with its name in the result of `getStats`. Without what
    /// was not counted yet, unless `all` of it is asked for.
    #[must_use]
    pub(crate) fn tables(&self, all: bool) -> [(&'static str, Vec<(&'static str, u64)>); 3] {
        let mut tables = [
            ("closes.webSocket", by_cause(&self.closes)),
            ("closes.aborted", by_cause(&self.aborts)),
            ("closes.refused", self.refusals()),
        ];
        if !all {
            tables.iter_mut().for_each(|(_, table)| table.retain(|(_, count)| *count > 0));
        }
        tables
    }

    /// Name and count of every rule that peers may break.
    fn refusals(&self) -> Vec<(&'static str, u64)> {
        let mut sums: Vec<(&str, u64)> = RefusalCause::names().map(|name| (name, 0)).collect();
        for tally in &*self.tallies {
            for ((_, sum), (_, count)) in sums.iter_mut().zip(tally.refusals()) {
                *sum += count;
            }
        }
        sums
    }
}

/// The counts of all causes, by name.
fn by_cause(counts: &[u64; CAUSES]) -> Vec<(&'static str, u64)> {
    CloseCause::ALL.into_iter().map(|cause| (cause.verdict().name, counts[cause.number() as usize])).collect()
}

/// Who may end a WebSocket.
const INITIATORS: [Initiator; 3] = [Initiator::Peer, Initiator::Local, Initiator::Transport];
/// Bounds for silences, in milliseconds: close around the times after which proxies cut (docs/load-balancers.md).
const SILENCES: [u32; 22] = [
    1_000, 5_000, 10_000, 20_000, 29_500, 31_000, 45_000, 54_500, 56_000, 59_500, 61_000, 90_000, 99_500,
    101_000, 180_000, 239_500, 241_000, 300_000, 349_500, 351_000, 600_000, 3_600_000,
];
/// Bounds for ages, in milliseconds.
const AGES: [u32; 13] = [
    1_000,
    5_000,
    15_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    1_800_000,
    3_600_000,
    21_600_000,
    86_400_000,
    604_800_000,
];
/// Number of close causes.
const CAUSES: usize = CloseCause::ALL.len();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::moment::Moment;
    use crate::bridge::traffic::Traffic;
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
        let traffic = Traffic::default();
        traffic.open(0, Moment(0));
        let facts = traffic.facts(Moment(60_000));
        stats.note_closed(CloseCause::Reset, &Report { open_for: Duration::from_mins(10), facts });
        let counts = stats.counts();
        for expected in
            [("connections.webSocket.open", 1), ("connections.webSocket.total", 2), ("messages.dropped", 12)]
        {
            assert!(counts.contains(&expected), "{expected:?} in {counts:?}");
        }
        let [(_, closes), (_, aborts), (_, refusals)] = stats.tables(false);
        assert_eq!(refusals, [(HttpError::BareLf.code(), 2)]);
        assert_eq!((closes, aborts), (vec![(CloseCause::Reset.verdict().name, 1)], vec![]));
        let [(_, closes), (_, aborts), (_, refusals)] = stats.tables(true);
        assert_eq!((closes.len(), aborts.len()), (CAUSES, CAUSES));
        assert!(refusals.contains(&(HttpError::BareLf.code(), 2)) && refusals.len() > 10);
        let counted = stats.histograms().filter(|(_, _, it)| it.counts().iter().sum::<u64>() == 1);
        let counted: Vec<_> = counted.map(|(name, initiator, it)| (name, initiator, it.sum())).collect();
        assert_eq!(counted, [("silence", Initiator::Transport, 60.0), ("age", Initiator::Transport, 600.0)]);
    }
}
