//! Which master of a cluster serves which slot.

use crc::{CRC_16_XMODEM, Crc};
use redis::Value;

use crate::broker::cause::{BrokerCause, BrokerFailure};
use crate::broker::redis_url::Address;

/// The masters and their slots, as one node has said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Slots {
    /// By the first slot, without overlaps.
    ranges: Vec<Range>,
    /// All nodes, replicas among them.
    nodes: Vec<Address>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
    master: Master,
}

/// A master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Master {
    /// Where it is.
    pub address: Address,
    /// The name that the cluster has for it beside that.
    pub alias: Option<String>,
}

impl Slots {
    /// Reads the answer to `CLUSTER SLOTS` of the node at `asked`.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn parse(answer: &Value, asked: &Address) -> Result<Self, BrokerFailure> {
        let unreadable = || BrokerFailure::new(BrokerCause::Protocol, "CLUSTER SLOTS has no such answer");
        let Value::Array(entries) = answer else { return Err(unreadable()) };
        let (mut ranges, mut nodes) = (Vec::new(), Vec::new());
        for entry in entries {
            let (range, replicas) = parse_range(entry, asked).ok_or_else(unreadable)?;
            for node in std::iter::once(range.master.address.clone()).chain(replicas) {
                if nodes.len() < MAX_NODES && !nodes.contains(&node) {
                    nodes.push(node);
                }
            }
            ranges.push(range);
        }
        ranges.sort_by_key(|range: &Range| range.first);
        if ranges.windows(2).any(|pair| pair[1].first <= pair[0].last) {
            return Err(unreadable());
        }
        Ok(Self { ranges, nodes })
    }

    /// All nodes, replicas among them.
    pub(super) fn nodes(&self) -> &[Address] {
        &self.nodes
    }

    /// The master of a slot.
    pub(super) fn owner(&self, slot: u16) -> Option<&Master> {
        let at = self.ranges.partition_point(|range| range.last < slot);
        self.ranges.get(at).filter(|range| range.first <= slot).map(|range| &range.master)
    }

    /// All masters, each once.
    pub(super) fn masters(&self) -> Vec<&Master> {
        let mut masters: Vec<&Master> = Vec::new();
        for Range { master, .. } in &self.ranges {
            if !masters.iter().any(|it| it.address == master.address) {
                masters.push(master);
            }
        }
        masters
    }

    /// The first slot without a master.
    pub(super) fn uncovered(&self) -> Option<u16> {
        let mut next = 0;
        for range in &self.ranges {
            if range.first > next {
                return Some(next);
            }
            next = range.last + 1;
        }
        (next < SLOTS).then_some(next)
    }

    /// A node says that a slot is at another one. Returns whether that is news.
    pub(super) fn redirect(&mut self, slot: u16, address: Address) -> bool {
        if slot >= SLOTS || self.owner(slot).is_some_and(|master| master.address == address) {
            return false;
        }
        let alias = self.masters().iter().find(|it| it.address == address).and_then(|it| it.alias.clone());
        let at = self.ranges.partition_point(|range| range.last < slot);
        let mut rest = self.ranges.split_off(at);
        let old = rest.first().filter(|range| range.first <= slot).cloned();
        if let Some(old) = old {
            rest.remove(0);
            if old.first < slot {
                self.ranges.push(Range { last: slot - 1, ..old.clone() });
            }
            if slot < old.last {
                rest.insert(0, Range { first: slot + 1, ..old });
            }
        }
        self.ranges.push(Range { first: slot, last: slot, master: Master { address, alias } });
        self.ranges.append(&mut rest);
        true
    }
}

/// The slots of an entry, their master, and its replicas.
fn parse_range(entry: &Value, asked: &Address) -> Option<(Range, Vec<Address>)> {
    let Value::Array(parts) = entry else { return None };
    let [Value::Int(first), Value::Int(last), master, replicas @ ..] = &parts[..] else { return None };
    let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
    if first > last || last >= SLOTS {
        return None;
    }
    let replicas = replicas.iter().filter_map(|node| parse_node(node, asked)).map(|node| node.address);
    Some((Range { first, last, master: parse_node(master, asked)? }, replicas.collect()))
}

fn parse_node(node: &Value, asked: &Address) -> Option<Master> {
    let Value::Array(parts) = node else { return None };
    let [host, Value::Int(port), rest @ ..] = &parts[..] else { return None };
    let port = u16::try_from(*port).ok().filter(|port| *port != 0)?;
    let about = |wanted: &str| match rest.get(1) {
        Some(Value::Array(pairs)) => pairs
            .chunks_exact(2)
            .find_map(|pair| text(&pair[0]).filter(|name| *name == wanted).and_then(|_| text(&pair[1]))),
        _ => None,
    };
    // A node that does not know how it is reached is where it was asked; one without a name has an address.
    let host = match text(host) {
        None | Some("") => asked.host.clone(),
        Some("?") => about("ip")?.to_owned(),
        Some(host) => host.to_owned(),
    };
    let alias = about("hostname").filter(|name| !name.is_empty() && *name != host).map(str::to_owned);
    Some(Master { address: Address { host, port }, alias })
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// The slot and the node of a `MOVED`: `3999 10.0.0.1:6381`, of the node at `asked`.
pub(super) fn redirection(details: &str, asked: &Address) -> Option<(u16, Address)> {
    let (slot, node) = details.split_once(' ')?;
    let (host, port) = node.split_whitespace().next()?.rsplit_once(':')?;
    let host = if host.is_empty() { &asked.host } else { host.trim_matches(['[', ']']) };
    Some((slot.parse().ok()?, Address::new(host, port.parse().ok()?)))
}

/// The slot of a channel: that of what is in its first braces, if there is something.
pub(super) fn slot_of(channel: &[u8]) -> u16 {
    let tag = memchr::memchr(b'{', channel).and_then(|open| {
        let rest = &channel[open + 1..];
        memchr::memchr(b'}', rest).filter(|length| *length > 0).map(|length| &rest[..length])
    });
    CRC.checksum(tag.unwrap_or(channel)) % SLOTS
}

const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);
/// How many there are.
const SLOTS: u16 = 16_384;
/// Most nodes that are known.
const MAX_NODES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Address {
        Address::new("seed", 7000)
    }

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn range(first: i64, last: i64, host: Value, port: i64, about: &[&str]) -> Value {
        let about = Value::Array(about.iter().map(|text| bulk(text)).collect());
        let node = |host| Value::Array(vec![host, Value::Int(port), bulk("id"), about.clone()]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node(host), node(bulk("replica"))])
    }

    fn parsed(ranges: Vec<Value>) -> Option<Slots> {
        Slots::parse(&Value::Array(ranges), &asked()).ok()
    }

    fn three() -> Slots {
        let range = |first, last, host: &str| range(first, last, bulk(host), 6379, &[]);
        parsed(vec![range(10_000, 16_383, "c"), range(0, 99, "a"), range(100, 9999, "b")]).unwrap()
    }

    #[test]
    fn a_slot_is_that_of_the_specification() {
        assert_eq!(slot_of(b"123456789"), 0x31c3);
        assert_eq!(slot_of(b"chat:{room}.1"), slot_of(b"room"));
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
        assert_eq!(slot_of(b"foo{bar}{zap}"), slot_of(b"bar"));
        for whole in [&b"foo{}{bar}"[..], b"foo{bar", b"foo}bar{"] {
            assert_eq!(slot_of(whole), CRC.checksum(whole) % SLOTS);
        }
    }

    #[test]
    fn each_slot_has_one_master() {
        let slots = three();
        let host = |slot| slots.owner(slot).map(|master| &*master.address.host);
        assert_eq!(
            [0, 99, 100, 9999, 10_000, 16_383].map(host).map(Option::unwrap),
            ["a", "a", "b", "b", "c", "c"]
        );
        assert_eq!((slots.masters().len(), slots.uncovered(), slots.nodes().len()), (3, None, 4));
        let half =
            parsed(vec![range(0, 99, bulk("a"), 1, &[]), range(200, 16_383, bulk("a"), 1, &[])]).unwrap();
        assert_eq!((half.owner(100), half.uncovered(), half.masters().len()), (None, Some(100), 1));
        assert_eq!((Slots::default().owner(0), Slots::default().uncovered()), (None, Some(0)));
    }

    #[test]
    fn nodes_are_where_the_cluster_says() {
        let master = |host, about: &[&str]| {
            let slots = parsed(vec![range(0, 16_383, host, 7001, about)])?;
            slots.owner(0).map(|it| (it.address.to_string(), it.alias.clone()))
        };
        let name = Some("n1.example".to_owned());
        assert_eq!(
            master(bulk("10.0.0.1"), &["hostname", "n1.example"]),
            Some(("10.0.0.1:7001".into(), name))
        );
        assert_eq!(master(bulk("n1"), &["ip", "10.0.0.1"]), Some(("n1:7001".into(), None)));
        assert_eq!(master(Value::Nil, &["ip", "10.0.0.1"]), Some(("seed:7001".into(), None)));
        assert_eq!(master(bulk(""), &[]), Some(("seed:7001".into(), None)));
        assert_eq!(master(bulk("?"), &["ip", "10.0.0.1"]), Some(("10.0.0.1:7001".into(), None)));
        assert_eq!(master(bulk("?"), &[]), None);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let refused = |value: &Value| Slots::parse(value, &asked()).is_err();
        assert!(refused(&Value::Nil) && refused(&bulk("x")) && refused(&Value::Array(vec![Value::Int(1)])));
        for (first, last, port) in [(0, 16_384, 1), (5, 4, 1), (-1, 4, 1), (0, 1, 0), (0, 1, 70_000)] {
            assert!(parsed(vec![range(first, last, bulk("a"), port, &[])]).is_none());
        }
        assert!(parsed(vec![range(0, 9, bulk("a"), 1, &[]), range(9, 10, bulk("b"), 1, &[])]).is_none());
    }

    #[test]
    fn a_redirection_moves_one_slot() {
        for slot in [0, 99, 100, 5000, 16_383] {
            let mut slots = three();
            let address = Address::new("d", 1);
            assert!(slots.redirect(slot, address.clone()));
            assert!(!slots.redirect(slot, address.clone()));
            let hosts: Vec<_> =
                (0..SLOTS).map(|slot| slots.owner(slot).unwrap().address.host.clone()).collect();
            for (at, owner) in hosts.iter().enumerate() {
                let before = three().owner(at as u16).unwrap().address.host.clone();
                assert_eq!(owner, if at == usize::from(slot) { "d" } else { &before });
            }
            assert_eq!(slots.uncovered(), None);
        }
        let mut empty = Slots::default();
        assert!(empty.redirect(7, asked()) && empty.owner(7).is_some() && !empty.redirect(16_384, asked()));
    }

    #[test]
    fn a_redirection_names_slot_and_node() {
        let read = |text| redirection(text, &asked());
        assert_eq!(read("3999 10.0.0.1:6381"), Some((3999, Address::new("10.0.0.1", 6381))));
        assert_eq!(read("3999 :6381"), Some((3999, Address::new("seed", 6381))));
        assert_eq!(read("3999 [::1]:6381"), Some((3999, Address::new("::1", 6381))));
        assert_eq!(read("3999 ::1:6381"), Some((3999, Address::new("::1", 6381))));
        for wrong in ["", "3999", "x a:1", "3999 a", "3999 a:x"] {
            assert_eq!(read(wrong), None);
        }
    }
}
