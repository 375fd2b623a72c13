//! Which connections are closed to make room for new ones, when too many handshakes are under way or the process has no
//! descriptors left.
//!
//! A limit that refuses new connections lets an attacker who fills it lock out all other clients. So the connections
//! that have kept the server waiting for the longest are closed: an honest client needs a few round trips, and is
//! served before its connection is the oldest, unless more new connections arrive in that time than the limit admits.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use crate::protocol::time::Timestamp;

/// What would be lost by closing a connection; the smallest loss first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// No byte has arrived on it.
    Silent,
    /// It waits between two requests. A client must be prepared for a close then, and retries (RFC 9112 §9.5).
    Idle,
    /// Its last response is complete, and only the peer's FIN is missing.
    Lingering,
    /// A part of a TLS handshake, a header of the PROXY protocol or the head of a request has arrived.
    Opening,
}

/// A connection that may be closed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    /// Its slot.
    pub slot: u32,
    /// Its generation.
    pub generation: u32,
    /// What would be lost.
    pub standing: Standing,
    /// Since when the server waits for its peer.
    pub since: Timestamp,
    /// The other end; `None` if it has no address.
    pub address: Option<IpAddr>,
}

/// Slot and generation of the connections to close: `count`, or fewer if there are no more. Of the connections with the
/// smallest loss, first the oldest of addresses that have more than their share, then the oldest of all.
///
/// Newcomers come last, whatever would be lost with them: every connection is silent at first. Otherwise connections on
/// which a single byte was sent would displace every client that needs a round trip before its first byte.
#[must_use]
pub(crate) fn choose(mut candidates: Vec<Candidate>, count: usize, now: Timestamp) -> Vec<(u32, u32)> {
    let is_new = is_newcomer(&mut candidates, now);
    candidates.sort_unstable_by_key(|it| (is_new(it), it.standing, it.since));
    let mut chosen = Vec::with_capacity(count.min(candidates.len()));
    let rank = |it: &Candidate| (is_new(it), it.standing);
    for alike in candidates.chunk_by(|one, other| rank(one) == rank(other)) {
        let missing = count - chosen.len();
        if missing == 0 {
            break;
        }
        chosen.extend(oldest(alike, missing).into_iter().map(|it| (it.slot, it.generation)));
    }
    chosen
}

/// Returns a test for newcomers: candidates whose wait is much shorter than the median.
fn is_newcomer(candidates: &mut [Candidate], now: Timestamp) -> impl Fn(&Candidate) -> bool + use<> {
    let waited = move |it: &Candidate| now.0.saturating_sub(it.since.0);
    let middle = candidates.len() / 2;
    let usual = match candidates {
        [] => 0,
        some => waited(some.select_nth_unstable_by_key(middle, waited).1),
    };
    move |it| waited(it) < usual / NEWCOMER
}

/// Chooses among the candidates of one standing, oldest first.
fn oldest(alike: &[Candidate], count: usize) -> Vec<&Candidate> {
    let share = (alike.len() / SHARES).max(MIN_SHARE);
    let mut held: HashMap<IpAddr, usize> = HashMap::new();
    for network in alike.iter().filter_map(|it| it.address.map(network)) {
        *held.entry(network).or_default() += 1;
    }
    let (beyond, within): (Vec<_>, Vec<_>) = alike.iter().partition(|it| {
        let Some(held) = it.address.and_then(|address| held.get_mut(&network(address))) else { return false };
        let is_beyond = *held > share;
        *held -= usize::from(is_beyond);
        is_beyond
    });
    beyond.into_iter().chain(within).take(count).collect()
}

/// The network that one client controls: an IPv4 address, or an IPv6 prefix of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// How many connections of `all` are closed at a time. More than one, because finding them visits all connections.
#[must_use]
pub(crate) fn at_a_time(all: usize) -> usize {
    (all / 32).max(1)
}

/// A newcomer has waited for less than one part in so many of the median. Of evenly arriving connections, every
/// sixteenth.
const NEWCOMER: u64 = 8;
/// An address has more than its share if it has more than one in so many of all connections,
const SHARES: usize = 8;
/// and more than this: browsers open six connections at once, and several of them may share an address.
const MIN_SHARE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1000;

    fn candidate(slot: u32, standing: Standing, since: u64, address: &str) -> Candidate {
        let address = address.parse().ok();
        Candidate { slot, generation: 0, standing, since: Timestamp(since), address }
    }

    fn slots(candidates: &[Candidate], count: usize) -> Vec<u32> {
        choose(candidates.to_vec(), count, Timestamp(NOW)).into_iter().map(|(slot, _)| slot).collect()
    }

    #[test]
    fn those_with_whom_least_is_lost_go_first_and_of_them_the_oldest() {
        let all = [
            candidate(0, Standing::Opening, 1, "10.0.0.1"),
            candidate(1, Standing::Idle, 3, "10.0.0.1"),
            candidate(2, Standing::Silent, 9, "10.0.0.2"),
            candidate(3, Standing::Silent, 8, ""),
            candidate(4, Standing::Idle, 2, "10.0.0.4"),
            candidate(5, Standing::Lingering, 1, "10.0.0.4"),
        ];
        assert_eq!(slots(&all, 0), [0; 0]);
        assert_eq!(slots(&all, 1), [3]);
        assert_eq!(slots(&all, 4), [3, 2, 4, 1]);
        assert_eq!(slots(&all, 9), [3, 2, 4, 1, 5, 0]);
        assert_eq!(slots(&[], 3), [0; 0]);
    }

    #[test]
    fn an_address_with_more_than_its_share_gives_way_before_older_ones_of_others() {
        // One party has half of all, and came last.
        let others = (0..100).map(|slot| candidate(slot, Standing::Opening, 5, &format!("10.0.1.{slot}")));
        let party = (100..200).map(|slot| candidate(slot, Standing::Opening, u64::from(slot), "10.9.9.9"));
        let all: Vec<_> = others.chain(party).collect();
        // Down to its share it goes, oldest first; behind that it is as good as the others.
        let beyond = 100 - MIN_SHARE as u32;
        let chosen = slots(&all, beyond as usize + 1);
        assert_eq!(chosen[..beyond as usize], (100..100 + beyond).collect::<Vec<_>>());
        assert!(chosen[beyond as usize] < 100, "{chosen:?}");
    }

    #[test]
    fn whoever_has_only_just_come_is_no_easier_prey_for_being_silent() {
        // All others have sent a byte, and go no further.
        let mut all: Vec<_> =
            (0..100).map(|slot| candidate(slot, Standing::Opening, 9 * u64::from(slot), "")).collect();
        all.push(candidate(100, Standing::Silent, NOW - 30, ""));
        all.push(candidate(101, Standing::Silent, NOW - 200, ""));
        assert_eq!(slots(&all, 3), [101, 0, 1], "200 ms are long where half of all took 550 ms");
        assert_eq!(slots(&all, 102).last(), Some(&100), "30 ms are nothing beside that");
    }

    #[test]
    fn a_few_connections_of_one_address_are_no_reason() {
        let mut all: Vec<_> =
            (0..MIN_SHARE as u32).map(|slot| candidate(slot, Standing::Idle, 9, "::1")).collect();
        all.push(candidate(77, Standing::Idle, 8, "::2:0:0:0:1"));
        assert_eq!(slots(&all, 1), [77]);
    }

    #[test]
    fn a_host_has_all_of_the_last_64_bits_of_ipv6_and_one_address_of_ipv4() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:10.1.2.3"), "10.1.2.3");
        assert_eq!(network("10.1.2.3"), "10.1.2.3");
    }

    #[test]
    fn more_than_one_goes_where_many_are() {
        assert_eq!([0, 31, 64, 4096].map(at_a_time), [1, 1, 2, 128]);
    }
}
