//! The authoritative table of subscriptions, so that every call returns exact counts. The workers
//! hold only numbers, changed by commands in the order of the calls.

use std::collections::HashMap;

use slab::Slab;

use crate::bridge::id::{TopicId, WorkerId};
use crate::bridge::sync::Arc;
use crate::broker::group::Audience;
use crate::broker::registry::Membership;

/// All topics of all apps of one environment.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    by_name: HashMap<TopicName, TopicId>,
    topics: Slab<Topic>,
    /// Topics that there have been. Wraps.
    made: u32,
}

/// Apps do not share topics here; those with a broker share them through `crate::broker`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TopicName {
    app: u32,
    name: Box<[u8]>,
}

/// A topic with at least one subscriber.
#[derive(Debug)]
struct Topic {
    name: TopicName,
    /// Tells it from earlier topics on the same slot.
    generation: u32,
    /// What other apps with the same broker name see of it; `None` for an app without a broker.
    audience: Option<Arc<Audience>>,
    /// Subscribers on each worker, by number. Short: there are few workers.
    per_worker: Vec<u32>,
}

/// A change of a topic, for the `subscription` handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The topic's name.
    pub name: Vec<u8>,
    /// Subscribers now.
    pub new: u32,
    /// Subscribers before.
    pub old: u32,
}

impl Topics {
    /// Adds a subscriber on `worker` to a topic of an app, which is a member of a group if it has a broker. Returns the
    /// topic and the number of subscribers it had.
    pub(crate) fn subscribe(
        &mut self,
        app: u32,
        name: &[u8],
        worker: WorkerId,
        membership: Option<&Membership>,
    ) -> (TopicId, u32) {
        let key = TopicName { app, name: name.into() };
        let (topics, made) = (&mut self.topics, &mut self.made);
        let id = *self.by_name.entry(key).or_insert_with_key(|key| {
            let generation = *made;
            *made = made.wrapping_add(1);
            let topic = Topic { name: key.clone(), generation, audience: None, per_worker: Vec::new() };
            // 2^32 topics would not fit the memory.
            TopicId { slot: u32::try_from(topics.insert(topic)).unwrap_or(u32::MAX), generation }
        });
        let topic = &mut self.topics[id.slot as usize];
        let before = topic.count();
        match (&topic.audience, membership) {
            (Some(audience), _) => audience.note_subscribed(worker),
            (None, Some(membership)) => topic.audience = Some(membership.open(name, id, worker)),
            (None, None) => {}
        }
        if topic.per_worker.len() <= worker.index() {
            topic.per_worker.resize(worker.index() + 1, 0);
        }
        topic.per_worker[worker.index()] += 1;
        (id, before)
    }

    /// Removes a subscriber on `worker` from a topic it is subscribed to.
    pub(crate) fn unsubscribe(&mut self, id: TopicId, worker: WorkerId) -> Change {
        let topic = &mut self.topics[id.slot as usize];
        let old = topic.count();
        let on_worker = &mut topic.per_worker[worker.index()];
        *on_worker -= 1;
        if let Some(audience) = &topic.audience {
            audience.note_unsubscribed(worker, *on_worker == 0);
        }
        let name = topic.name.name.to_vec();
        if old == 1 {
            let topic = self.topics.remove(id.slot as usize);
            self.by_name.remove(&topic.name);
            topic.audience.inspect(|audience| audience.close(&name));
        }
        Change { name, new: old - 1, old }
    }

    /// The topic of that name, if it has subscribers.
    #[must_use]
    pub(crate) fn find(&self, app: u32, name: &[u8]) -> Option<TopicId> {
        self.by_name.get(&TopicName { app, name: name.into() }).copied()
    }

    /// Number of subscribers.
    #[must_use]
    pub(crate) fn count(&self, id: TopicId) -> u32 {
        self.topic(id).map_or(0, Topic::count)
    }

    /// The topic's name.
    #[must_use]
    pub(crate) fn name(&self, id: TopicId) -> &[u8] {
        self.topic(id).map_or(&[], |topic| &topic.name.name)
    }

    /// The workers that have subscribers of the topic, and how many.
    pub(crate) fn workers(&self, id: TopicId) -> impl Iterator<Item = (WorkerId, u32)> {
        let counts = self.topic(id).map_or(&[][..], |topic| &topic.per_worker);
        (0u8..).map(WorkerId).zip(counts.iter().copied()).filter(|(_, count)| *count > 0)
    }

    fn topic(&self, id: TopicId) -> Option<&Topic> {
        self.topics.get(id.slot as usize).filter(|topic| topic.generation == id.generation)
    }
}

impl Topic {
    fn count(&self) -> u32 {
        self.per_worker.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: WorkerId = WorkerId(0);
    const SECOND: WorkerId = WorkerId(1);

    #[test]
    fn counts_are_exact_and_a_topic_without_subscribers_is_gone() {
        let mut topics = Topics::default();
        let (id, before) = topics.subscribe(0, b"news", FIRST, None);
        assert_eq!((before, topics.count(id)), (0, 1));
        assert_eq!(topics.subscribe(0, b"news", SECOND, None), (id, 1));
        assert_eq!(topics.workers(id).collect::<Vec<_>>(), [(FIRST, 1), (SECOND, 1)]);
        assert_eq!(topics.unsubscribe(id, FIRST), Change { name: b"news".to_vec(), new: 1, old: 2 });
        assert_eq!(topics.workers(id).collect::<Vec<_>>(), [(SECOND, 1)]);
        topics.unsubscribe(id, SECOND);
        assert_eq!(topics.find(0, b"news"), None);
        assert_eq!(topics.count(id), 0);
    }

    #[test]
    fn apps_do_not_share_topics() {
        let mut topics = Topics::default();
        topics.subscribe(0, b"news", FIRST, None);
        assert_eq!(topics.find(1, b"news"), None);
    }
}
