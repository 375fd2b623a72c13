//! One worker's share of every topic: which of its connections are subscribed.

use std::collections::HashMap;

use crate::bridge::id::TopicId;

/// A subscribed connection of this worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subscriber {
    /// Its slot.
    pub slot: u32,
    /// Its generation.
    pub generation: u32,
}

/// Subscribers by topic. Node's thread holds the names of the topics and the counts; a worker knows only their numbers.
#[derive(Debug, Default)]
pub(crate) struct TopicSubscribers {
    subscribers: HashMap<TopicId, Vec<Subscriber>>,
}

/// The subscriptions of one connection, with its position in each topic, so that unsubscribing needs no search.
#[derive(Debug, Default)]
pub(crate) struct Memberships {
    places: HashMap<TopicId, u32>,
}

/// A subscriber left a topic, and the topic's last subscriber took its place: [`Memberships::moved`] must be called for
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// The subscriber that was moved.
    pub who: Subscriber,
    /// The topic.
    pub topic: TopicId,
    /// Its new position.
    pub place: u32,
}

impl TopicSubscribers {
    /// Adds a subscriber. Node's thread never subscribes a connection twice.
    pub(crate) fn subscribe(&mut self, who: Subscriber, memberships: &mut Memberships, topic: TopicId) {
        let members = self.subscribers.entry(topic).or_default();
        let place = u32::try_from(members.len()).unwrap_or(u32::MAX);
        members.push(who);
        memberships.places.insert(topic, place);
    }

    /// Removes a subscriber from one topic.
    pub(crate) fn unsubscribe(&mut self, memberships: &mut Memberships, topic: TopicId) -> Option<Moved> {
        let place = memberships.places.remove(&topic)?;
        self.leave(topic, place)
    }

    /// Removes a subscriber from all its topics.
    pub(crate) fn unsubscribe_all(&mut self, memberships: Memberships) -> Vec<Moved> {
        memberships.places.into_iter().filter_map(|(topic, place)| self.leave(topic, place)).collect()
    }

    /// The subscribers of a topic.
    #[must_use]
    pub(crate) fn members(&self, topic: TopicId) -> &[Subscriber] {
        self.subscribers.get(&topic).map_or(&[], Vec::as_slice)
    }

    fn leave(&mut self, topic: TopicId, place: u32) -> Option<Moved> {
        let members = self.subscribers.get_mut(&topic)?;
        members.swap_remove(place as usize);
        if members.is_empty() {
            self.subscribers.remove(&topic);
            return None;
        }
        members.get(place as usize).map(|who| Moved { who: *who, topic, place })
    }
}

impl Memberships {
    /// Updates the position of this subscriber, which took the place of another one that left.
    pub(crate) fn moved(&mut self, moved: Moved) {
        if let Some(place) = self.places.get_mut(&moved.topic) {
            *place = moved.place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const fn id(slot: u32) -> TopicId {
        TopicId { slot, generation: 0 }
    }

    proptest! {
        /// Random subscribes, unsubscribes and departures against a set per topic.
        #[test]
        fn members_are_exactly_the_subscribed(actions in prop::collection::vec((0u32..5, 0u32..4, 0u8..4), 0..80)) {
            let mut topics = TopicSubscribers::default();
            let mut people: Vec<Memberships> = (0..5).map(|_| Memberships::default()).collect();
            let mut naive: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); 4];
            for (who, topic, action) in actions {
                let topic_id = id(topic);
                match action {
                    0 | 1 if naive[topic as usize].insert(who) => {
                        topics.subscribe(Subscriber { slot: who, generation: 0 }, &mut people[who as usize], topic_id);
                    }
                    2 => {
                        naive[topic as usize].remove(&who);
                        if let Some(moved) = topics.unsubscribe(&mut people[who as usize], topic_id) {
                            people[moved.who.slot as usize].moved(moved);
                        }
                    }
                    3 => {
                        naive.iter_mut().for_each(|members| { members.remove(&who); });
                        let memberships = std::mem::take(&mut people[who as usize]);
                        for moved in topics.unsubscribe_all(memberships) {
                            people[moved.who.slot as usize].moved(moved);
                        }
                    }
                    _ => {}
                }
                for (topic, members) in (0..).zip(&naive) {
                    let found: BTreeSet<u32> = topics.members(id(topic)).iter().map(|who| who.slot).collect();
                    prop_assert_eq!(&found, members);
                    prop_assert_eq!(topics.members(id(topic)).len(), members.len());
                }
            }
        }
    }
}
