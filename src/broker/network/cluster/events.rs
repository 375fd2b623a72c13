//! What follows from what the nodes tell.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use super::node::{Node, NodeId, Obstacle, Origin, Report, Standing, obstacle_of};
use super::slots::{Slots, slot_of};
use super::subscriber::{Batch, Frame};
use super::{Connection, Done, MAX_REDIRECTIONS, MOVING_TRIES, TICK};
use crate::broker::cause::{BrokerCause, BrokerFailure};
use crate::broker::network::dial::Endpoint;
use crate::broker::network::parcel::{Delivery, RESPONSE_TIMEOUT};
use crate::broker::network::redis::cause_of;
use crate::broker::network::status::now;
use crate::broker::redis_url::Address;

impl Connection {
    /// When something is due at the latest.
    pub(super) fn due(&self) -> Instant {
        let mut tick = self.next_tick.min(self.look.next_look);
        if self.has_told || self.torn.is_some() {
            // Perhaps only that is still to be told.
            let now = sleep(Duration::ZERO).deadline();
            tick = if self.next_mend > now { tick.min(self.next_mend) } else { tick };
        }
        if self.look.is_stale || !self.away.is_empty() { self.look.next_try.min(tick) } else { tick }
    }

    /// The other nodes of the cluster are known from now on.
    pub(super) fn take_slots(&mut self, slots: Slots) {
        let named = slots.nodes().iter().map(|address| Endpoint::named(address.clone(), &self.guide));
        self.known.note(named.collect());
        self.look.is_stale = slots.uncovered().is_some();
        if self.slots == slots {
            // What a node has refused may be tried again.
            self.epoch += 1;
            self.is_changed = true;
        } else {
            self.slots = slots;
            // They are moving: that is progress.
            self.look.tries = self.look.tries.min(MOVING_TRIES);
            self.note_slots();
        }
    }

    /// Slots have changed: channels may be subscribed in the wrong place.
    fn note_slots(&mut self) {
        self.epoch += 1;
        self.is_changed = true;
        let slots = &self.slots;
        self.away.retain(|address, _| slots.masters().iter().any(|master| master.address == *address));
        let misplaced = self.channels.iter().filter(|(channel, standing)| {
            let owner = self.owner(channel);
            match standing {
                Standing::Subscribed(node) => owner.is_some_and(|owner| owner != *node),
                Standing::Waiting | Standing::Asked { .. } => false,
            }
        });
        let misplaced: Vec<_> = misplaced.map(|(channel, _)| channel.clone()).collect();
        self.waiting.extend(misplaced);
    }

    /// The node that is connected and has the slot of a channel.
    fn owner(&self, channel: &[u8]) -> Option<NodeId> {
        let master = self.slots.owner(slot_of(channel))?;
        self.nodes.get(&master.address).map(|node| node.id)
    }

    fn node(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.values_mut().find(|node| node.id == id)
    }

    /// Something that was under way has ended.
    pub(super) fn take_done(&mut self, done: Done) {
        match done {
            Done::Asked(answer) => {
                self.look.is_asking = false;
                match answer {
                    // A node that has just begun knows nothing yet.
                    Ok(slots) if !slots.masters().is_empty() => self.take_slots(slots),
                    // Its connection says what is wrong with it; another one is asked.
                    Ok(_) | Err(_) => self.look.is_stale = true,
                }
            }
            Done::Connected(address, node) => {
                self.connecting.remove(&address);
                self.is_changed = true;
                match node {
                    Ok(node) => {
                        self.away.remove(&address);
                        self.nodes.insert(address, *node);
                        self.note_slots();
                    }
                    Err(failure) => {
                        self.away.insert(address, failure);
                        self.look.is_stale = true;
                    }
                }
            }
        }
    }

    /// Something was noticed while something was sent.
    pub(super) fn take_report(&mut self, report: Report) {
        match report {
            Report::Failed(node, failure) => self.fail(node, failure),
            Report::Moved(slot, address) => self.redirect(slot, address),
            Report::Stale => self.look.is_stale = true,
        }
    }

    /// A node says that a slot is elsewhere. The others may have moved, too.
    fn redirect(&mut self, slot: u16, address: Address) {
        self.look.is_stale = true;
        if self.look.redirections < MAX_REDIRECTIONS && self.slots.redirect(slot, address) {
            self.look.redirections += 1;
            self.note_slots();
        }
    }

    /// A connection to a node has ended: its channels wait.
    pub(super) fn fail(&mut self, id: NodeId, failure: BrokerFailure) {
        let Some(address) =
            self.nodes.values().find(|node| node.id == id).map(|node| node.endpoint.address.clone())
        else {
            return;
        };
        let Some(node) = self.nodes.remove(&address) else { return };
        let mut has_lost = false;
        for (channel, standing) in &mut self.channels {
            let next = match *standing {
                Standing::Asked { node, from } if node == id => {
                    self.asked -= 1;
                    from.map_or(Standing::Waiting, |from| Standing::Subscribed(from.node))
                }
                Standing::Asked { node, from: Some(from) } if from.node == id => {
                    Standing::Asked { node, from: None }
                }
                Standing::Subscribed(node) if node == id => Standing::Waiting,
                Standing::Waiting | Standing::Asked { .. } | Standing::Subscribed(_) => continue,
            };
            has_lost |= !matches!(next, Standing::Subscribed(_));
            *standing = next;
            if !matches!(next, Standing::Asked { .. }) {
                self.waiting.push(channel.clone());
            }
        }
        if has_lost {
            self.tear(node.heard);
        }
        let has_slots = self.slots.masters().iter().any(|master| master.address == address);
        if has_slots {
            self.away.insert(address, failure);
        }
        (self.is_changed, self.look.is_stale) = (true, true);
    }

    /// Messages may be missing since then.
    fn tear(&mut self, since: u64) {
        self.torn = Some(self.torn.map_or(since, |torn| torn.min(since)));
    }

    /// A node that owes an answer for too long is away.
    pub(super) fn check_silence(&mut self) {
        let now = sleep(Duration::ZERO).deadline();
        self.next_tick = now + TICK;
        let is_silent = |node: &&Node| !node.asked.is_empty() && now > node.progress + RESPONSE_TIMEOUT;
        let silent: Vec<_> = self.nodes.values().filter(is_silent).map(|node| node.id).collect();
        for id in silent {
            self.fail(id, BrokerFailure::new(BrokerCause::Timeout, "the broker does not answer"));
        }
    }

    /// A node has sent something.
    pub(super) fn take_batch(&mut self, batch: Batch) {
        let Batch { node: id, frames, weight, end } = batch;
        self.weight += weight;
        let Some(node) = self.node(id) else { return };
        let before = node.heard;
        node.heard = now();
        node.progress = sleep(Duration::ZERO).deadline();
        for frame in frames {
            match frame {
                Frame::Message { channel, payload } => {
                    self.ready.push_back(Delivery::Sharded { channel, payload });
                }
                Frame::Subscribed(channel) => self.note_subscribed(id, &channel),
                Frame::Unsubscribed(channel) => self.note_unsubscribed(id, &channel, before),
                Frame::Pong(number) => self.note_pong(id, &number),
                Frame::Error(text) => {
                    if let Some(node) = self.node(id).filter(|node| node.errors.len() < MAX_ERRORS) {
                        node.errors.push(text);
                    }
                }
                Frame::Other => {}
            }
        }
        if let Some(failure) = end {
            self.fail(id, failure);
        }
    }

    fn note_subscribed(&mut self, id: NodeId, channel: &Bytes) {
        // It may be one that was left meanwhile; then it was told so already.
        let Some(standing) = self.channels.get_mut(channel) else { return };
        let Standing::Asked { node, from } = *standing else { return };
        if node == id {
            *standing = Standing::Subscribed(id);
            self.asked -= 1;
            let Some(from) = from else { return };
            // What others have published here meanwhile is missing, although the old one has not said that its slot has left.
            self.tear(from.heard);
            if let Some(old) = self.node(from.node) {
                old.unsubscribe(vec![channel.clone()]);
            }
        }
    }

    /// A channel is not subscribed any more: as ordered, or because its slot is leaving the node.
    fn note_unsubscribed(&mut self, id: NodeId, channel: &Bytes, heard: u64) {
        if self.node(id).is_some_and(|node| node.leaving.remove(channel).is_some()) {
            return;
        }
        let Some(standing) = self.channels.get_mut(channel) else { return };
        match *standing {
            Standing::Subscribed(node) if node == id => {
                *standing = Standing::Waiting;
                self.waiting.push(channel.clone());
                (self.is_changed, self.look.is_stale) = (true, true);
            }
            Standing::Asked { node, from: Some(from) } if from.node == id => {
                *standing = Standing::Asked { node, from: None };
            }
            Standing::Waiting | Standing::Asked { .. } | Standing::Subscribed(_) => return,
        }
        self.tear(heard);
    }

    /// A node has seen everything up to a `PING`: what it has not subscribed by now, it has refused.
    fn note_pong(&mut self, id: NodeId, number: &[u8]) {
        let Some(number) = std::str::from_utf8(number).ok().and_then(|number| number.parse::<u64>().ok())
        else {
            return;
        };
        let Some(node) = self.node(id) else { return };
        let channels = node.asked.remove(&number).unwrap_or_default();
        let errors = std::mem::take(&mut node.errors);
        node.leaving.retain(|_, behind| *behind != number);
        let asked = node.endpoint.address.clone();
        let is_asked = |standing: &Standing| matches!(standing, Standing::Asked { node, .. } if *node == id);
        let mut has_failed = false;
        // A node that was told to unsubscribe may not be needed any more.
        self.is_changed |= channels.is_empty();
        for channel in channels {
            let Some(standing) = self.channels.get_mut(&channel).filter(|standing| is_asked(standing)) else {
                continue;
            };
            let Standing::Asked { from, .. } = *standing else { continue };
            *standing = from.map_or(Standing::Waiting, |from| Standing::Subscribed(from.node));
            self.asked -= 1;
            self.waiting.push(channel);
            has_failed = true;
        }
        if !has_failed {
            return;
        }
        self.look.is_stale = true;
        for text in errors {
            let (code, details) = text.split_once(' ').unwrap_or((&text, ""));
            match obstacle_of(code, details) {
                Some(obstacle @ Obstacle::Moved(_)) => self.take_report(obstacle.report(&asked)),
                Some(Obstacle::Stale) => {}
                // Neither another node nor another attempt would help.
                None => self.end = Some(BrokerFailure::new(cause_of(code), text).of(&asked)),
            }
        }
    }

    /// Asks for the channels that wait where their slots are. Those for which there is no way go on waiting.
    pub(super) fn place(&mut self) {
        let mut loads: HashMap<NodeId, Vec<Bytes>> = HashMap::new();
        let mut rest = Vec::new();
        for channel in std::mem::take(&mut self.waiting) {
            let owner = self.owner(&channel);
            let Some(standing) = self.channels.get_mut(&channel) else { continue };
            let heard = |id| self.nodes.values().find(|node| node.id == id).map_or(0, |node| node.heard);
            let from = match *standing {
                Standing::Waiting => None,
                Standing::Subscribed(node) if owner.is_some_and(|owner| owner != node) => {
                    Some(Origin { node, heard: heard(node) })
                }
                // It was settled meanwhile.
                Standing::Subscribed(_) | Standing::Asked { .. } => continue,
            };
            let Some(owner) = owner else {
                rest.push(channel);
                continue;
            };
            *standing = Standing::Asked { node: owner, from };
            self.asked += 1;
            loads.entry(owner).or_default().push(channel);
        }
        self.waiting = rest;
        for (id, channels) in loads {
            let Some(node) = self.node(id) else { continue };
            for some in channels.chunks(MAX_ASKED) {
                node.ask(some.to_vec());
            }
        }
    }

    /// Leaves nodes that have neither slots nor channels any more.
    pub(super) fn drop_idle(&mut self) {
        let masters: Vec<_> = self.slots.masters().iter().map(|master| master.address.clone()).collect();
        if self.nodes.keys().all(|address| masters.contains(address)) {
            return;
        }
        let needed: std::collections::HashSet<_> =
            self.channels.values().flat_map(|standing| standing.nodes()).collect();
        self.nodes.retain(|address, node| {
            masters.contains(address) || needed.contains(&node.id) || !node.asked.is_empty()
        });
    }

    /// Tells those who wait that nothing is asked any more.
    pub(super) fn settle(&mut self) {
        if self.asked == 0 {
            for settled in self.settled.drain(..) {
                // Nobody may wait for it any more.
                let _ = settled.send(());
            }
        }
    }
}

/// Errors that are kept until the answer to a `PING`.
const MAX_ERRORS: usize = 1024;
/// Channels that a node is asked for at a time.
const MAX_ASKED: usize = 1000;
