//! Finds WebSockets that something on the way has cut: closes of one cause after nearly the same time of silence.
//!
//! Peers and networks fail at any moment, so their silences are spread over minutes. A proxy, a firewall or a balancer
//! counts seconds. A pattern is therefore assumed once [`ENOUGH`] of the last [`RECENT`] closes lie within a second of
//! each other, and these are at least half of those with the same cause.

use std::collections::VecDeque;
use std::time::Duration;

use crate::protocol::cause::{CloseCause, Initiator};

/// The last closes, and the patterns that were found in them.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    /// At most [`RECENT`], oldest first: cause, and milliseconds of silence.
    recent: VecDeque<(CloseCause, u32)>,
    /// At most [`MOST`], oldest first.
    found: Vec<Pattern>,
}

/// Closes of one cause after the same silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// The cause.
    pub cause: CloseCause,
    /// The silence in milliseconds, on average of the closes in which it was found.
    silence: u32,
    /// How many closes follow it.
    pub count: u64,
}

impl Patterns {
    /// Notes a close after this silence. Returns the pattern that is found by it, if that is a new one.
    pub(crate) fn note(&mut self, cause: CloseCause, silence: Duration) -> Option<&Pattern> {
        if cause.verdict().initiator != Initiator::Transport || silence < SHORTEST {
            return None;
        }
        let silence = u32::try_from(silence.as_millis()).unwrap_or(u32::MAX);
        let known = self.found.iter_mut().find(|it| it.cause == cause && is_near(it.silence, silence));
        if let Some(known) = known {
            known.count += 1;
            return None;
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((cause, silence));
        let same = self.recent.iter().filter(|it| it.0 == cause);
        let (near, of_cause) = (same.clone().filter(|it| is_near(it.1, silence)), same.count());
        let (count, sum) = near.fold((0, 0), |(count, sum), it| (count + 1, sum + u64::from(it.1)));
        if count < ENOUGH || count * 2 < of_cause {
            return None;
        }
        let silence = u32::try_from(sum / count as u64).unwrap_or(u32::MAX);
        self.recent.retain(|it| it.0 != cause || !is_near(it.1, silence));
        if self.found.len() == MOST {
            self.found.remove(0);
        }
        self.found.push(Pattern { cause, silence, count: count as u64 });
        self.found.last()
    }

    /// The patterns that were found.
    #[must_use]
    pub(crate) fn found(&self) -> &[Pattern] {
        &self.found
    }
}

impl Pattern {
    /// The silence, in whole seconds.
    #[must_use]
    pub(crate) const fn seconds(&self) -> u32 {
        (self.silence + 500) / 1000
    }

    /// What it means, and what to do.
    #[must_use]
    pub(crate) fn text(&self) -> String {
        let (count, seconds) = (self.count, self.seconds());
        let how = match self.cause {
            CloseCause::FinWithoutClose => " by FIN",
            CloseCause::Reset => " by RST",
            _ => "",
        };
        let known =
            CUT_OFFS.iter().find(|(at, _)| *at == seconds).map(|(_, who)| format!(", as {who} has it"));
        format!(
            "{count} connections were cut after {seconds} s of silence{how}: a proxy's idle timeout{}. \
             Set `pingInterval` below {seconds}; see docs/load-balancers.md",
            known.unwrap_or_default()
        )
    }
}

fn is_near(one: u32, other: u32) -> bool {
    one.abs_diff(other) <= NEAR
}

/// What cuts after how many seconds of silence, by default (docs/load-balancers.md).
const CUT_OFFS: [(u32, &str); 8] = [
    (30, "Google Cloud's load balancer"),
    (50, "HAProxy in Debian"),
    (55, "Heroku"),
    (60, "nginx or AWS ALB"),
    (100, "Cloudflare"),
    (240, "Azure's load balancer"),
    (300, "Envoy or Azure Front Door"),
    (350, "AWS NLB"),
];
/// How many closes make a pattern.
const ENOUGH: usize = 5;
/// How many closes are kept, of all causes together.
const RECENT: usize = 32;
/// How many patterns are kept.
const MOST: usize = 8;
/// Milliseconds by which the silences of a pattern differ at most.
const NEAR: u32 = 1_000;
/// Shorter silences are those of peers that come and go.
const SHORTEST: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    const FIN: CloseCause = CloseCause::FinWithoutClose;

    fn note(patterns: &mut Patterns, cause: CloseCause, millis: u64) -> Option<Pattern> {
        patterns.note(cause, Duration::from_millis(millis)).cloned()
    }

    #[test]
    fn the_fifth_cut_after_the_same_silence_makes_a_pattern_and_later_ones_count() {
        let mut patterns = Patterns::default();
        for millis in [60_010, 59_990, 60_300, 60_002] {
            assert_eq!(note(&mut patterns, FIN, millis), None);
        }
        let found = note(&mut patterns, FIN, 60_001);
        assert_eq!(found, Some(Pattern { cause: FIN, silence: 60_060, count: 5 }));
        for _ in 0..2 {
            assert_eq!(note(&mut patterns, FIN, 60_020), None, "once");
        }
        assert_eq!(
            patterns.found()[0].text(),
            "7 connections were cut after 60 s of silence by FIN: a proxy's idle timeout, as nginx or AWS ALB has it. \
             Set `pingInterval` below 60; see docs/load-balancers.md"
        );
    }

    #[test]
    fn silences_at_random_are_no_pattern() {
        let mut patterns = Patterns::default();
        let mut random = 1_u64;
        for _ in 0..100_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            assert_eq!(note(&mut patterns, FIN, 3_000 + (random >> 33) % 300_000), None);
        }
        assert!(patterns.recent.len() <= RECENT);
    }

    #[test]
    fn a_pattern_shows_through_others_and_each_cause_has_its_own() {
        let mut patterns = Patterns::default();
        for round in 0..4 {
            assert_eq!(note(&mut patterns, FIN, 350_000 + round), None);
            assert_eq!(note(&mut patterns, CloseCause::Reset, 350_000), None);
            assert_eq!(note(&mut patterns, FIN, 10_000 * (round + 1)), None);
        }
        assert_eq!(note(&mut patterns, CloseCause::Reset, 350_000).map(|it| it.seconds()), Some(350));
        assert_eq!(note(&mut patterns, FIN, 350_500).map(|it| it.count), Some(5));
    }

    #[test]
    fn what_this_side_or_the_peer_has_closed_and_short_silences_are_none() {
        let mut patterns = Patterns::default();
        for _ in 0..20 {
            assert_eq!(note(&mut patterns, CloseCause::IdleTimeout, 120_000), None);
            assert_eq!(note(&mut patterns, CloseCause::PeerClosed, 120_000), None);
            assert_eq!(note(&mut patterns, FIN, 2_999), None);
        }
        assert!(patterns.recent.is_empty());
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let mut patterns = Patterns::default();
        for step in 0..100 {
            for _ in 0..40 {
                let _ = note(&mut patterns, FIN, 10_000 + 5_000 * step);
            }
        }
        assert_eq!(patterns.found().len(), MOST);
        assert!(patterns.recent.len() <= RECENT);
        let _ = note(&mut patterns, FIN, u64::MAX);
    }
}
