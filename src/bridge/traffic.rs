//! What moved on one WebSocket and when. Its worker counts; Node's thread reads it when the WebSocket closes.
//!
//! Numbers that fit 32 bits share an atomic in pairs: an idle WebSocket keeps all of it, too.

use std::time::Duration;

use super::moment::Moment;
use super::sync::{AtomicU64, Ordering};

/// The counters of one WebSocket. Written by its worker alone, so a load and a store replace an atomic addition.
/// Relaxed, because they guard no other data.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Bytes of frames that arrived.
    bytes_received: AtomicU64,
    /// Bytes of frames that the socket has taken, less those of HTTP that it has to take before; so it may be negative,
    /// and wraps then.
    bytes_sent: AtomicU64,
    /// Whole messages: received, sent. They stop at 2^32-1.
    messages: Pair,
    /// The last 32 bits of the [`Moment`]s of the last byte received and of the last byte sent.
    last: Pair,
    /// Pings that were sent since the last Pong, and the milliseconds that this took to come, plus 1; 0 without one.
    pings: Pair,
}

/// What is reported about a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Time since the last byte from the peer or, if there was none, since it was opened.
    pub silent_for: Duration,
    /// The same for bytes to the peer.
    pub quiet_for: Duration,
    /// Pings that were sent since the last Pong.
    pub unanswered_pings: u32,
    /// How long the peer took for its last Pong.
    pub round_trip: Option<Duration>,
    /// Bytes of frames: received, sent.
    pub bytes: (u64, u64),
    /// Whole messages: received, sent.
    pub messages: (u32, u32),
}

/// What is reported about a WebSocket when it closes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    /// Time since it was opened.
    pub open_for: Duration,
    /// The rest.
    pub facts: Facts,
}

impl Traffic {
    /// The WebSocket is open. `before` bytes of HTTP still wait for the socket.
    pub(crate) fn open(&self, before: usize, now: Moment) {
        self.bytes_sent.store(0_u64.wrapping_sub(before as u64), Ordering::Relaxed);
        self.last.set(now.low(), now.low());
    }

    /// Counts bytes that were read.
    pub(crate) fn count_received(&self, bytes: usize, now: Moment) {
        add(&self.bytes_received, bytes as u64);
        self.last.set(now.low(), self.last.get().1);
    }

    /// Counts bytes that the socket has taken.
    pub(crate) fn count_sent(&self, bytes: u64, now: Moment) {
        add(&self.bytes_sent, bytes);
        self.last.set(self.last.get().0, now.low());
    }

    /// Counts whole messages.
    pub(crate) fn count_messages(&self, received: u32, sent: u32) {
        let (before_received, before_sent) = self.messages.get();
        self.messages.set(before_received.saturating_add(received), before_sent.saturating_add(sent));
    }

    /// Counts a ping that was sent.
    pub(crate) fn count_ping(&self) {
        let (unanswered, round_trip) = self.pings.get();
        self.pings.set(unanswered.saturating_add(1), round_trip);
    }

    /// The peer has answered pings, the first of them so long ago.
    pub(crate) fn note_round_trip(&self, time: Duration) {
        let millis = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        self.pings.set(0, millis.saturating_add(1));
    }

    /// What is known at a moment.
    pub(crate) fn facts(&self, now: Moment) -> Facts {
        let (received, sent) = self.last.get();
        let (unanswered_pings, round_trip) = self.pings.get();
        let bytes =
            |counter: &AtomicU64| counter.load(Ordering::Relaxed).cast_signed().max(0).cast_unsigned();
        Facts {
            silent_for: now.since_low(received),
            quiet_for: now.since_low(sent),
            unanswered_pings,
            round_trip: round_trip.checked_sub(1).map(|millis| Duration::from_millis(u64::from(millis))),
            bytes: (bytes(&self.bytes_received), bytes(&self.bytes_sent)),
            messages: self.messages.get(),
        }
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
}

/// Two numbers of 32 bits in one atomic.
#[derive(Debug, Default)]
struct Pair(AtomicU64);

impl Pair {
    fn get(&self) -> (u32, u32) {
        let both = self.0.load(Ordering::Relaxed);
        (both as u32, (both >> 32) as u32)
    }

    fn set(&self, first: u32, second: u32) {
        self.0.store(u64::from(first) | u64::from(second) << 32, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    const fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn each_direction_is_silent_since_its_last_byte_or_the_opening() {
        let traffic = Traffic::default();
        traffic.open(4, Moment(1_000));
        let facts = traffic.facts(Moment(4_000));
        assert_eq!((facts.silent_for, facts.quiet_for), (millis(3_000), millis(3_000)));
        assert_eq!(facts.bytes, (0, 0), "of HTTP, nothing counts");
        traffic.count_received(5, Moment(5_000));
        traffic.count_sent(7, Moment(8_000));
        traffic.count_received(2, Moment(6_000));
        let facts = traffic.facts(Moment(9_000));
        assert_eq!((facts.silent_for, facts.quiet_for), (millis(3_000), millis(1_000)));
        assert_eq!(facts.bytes, (7, 3));
    }

    #[test]
    fn silence_is_exact_across_the_end_of_the_32_bits() {
        let traffic = Traffic::default();
        traffic.open(0, Moment(u64::from(u32::MAX) - 10));
        assert_eq!(traffic.facts(Moment(u64::from(u32::MAX) + 20)).silent_for, millis(30));
    }

    #[test]
    fn a_pong_answers_all_pings_before_it() {
        let traffic = Traffic::default();
        assert_eq!(
            (traffic.facts(Moment(0)).unanswered_pings, traffic.facts(Moment(0)).round_trip),
            (0, None)
        );
        traffic.count_ping();
        traffic.count_ping();
        assert_eq!(
            (traffic.facts(Moment(0)).unanswered_pings, traffic.facts(Moment(0)).round_trip),
            (2, None)
        );
        traffic.note_round_trip(millis(0));
        let facts = traffic.facts(Moment(0));
        assert_eq!((facts.unanswered_pings, facts.round_trip), (0, Some(millis(0))));
        traffic.count_ping();
        let facts = traffic.facts(Moment(0));
        assert_eq!((facts.unanswered_pings, facts.round_trip), (1, Some(millis(0))));
    }

    #[test]
    fn messages_are_counted_each_way_and_stop_at_the_largest_number() {
        let traffic = Traffic::default();
        traffic.count_messages(3, 0);
        traffic.count_messages(0, u32::MAX - 1);
        traffic.count_messages(1, 5);
        assert_eq!(traffic.facts(Moment(0)).messages, (4, u32::MAX));
    }

    #[test]
    fn it_is_small() {
        assert!(size_of::<Traffic>() <= 40);
    }
}
