//! The authoritative table of subscriptions, so that every call returns exact counts. The workers
//! hold only numbers, changed by commands in the order of the calls.

use std::collections::HashMap;

use slab::Slab;

use crate::bridge::id::{TopicId, WorkerId};

/// All topics of all apps of one environment.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    by_name: HashMap<TopicName, TopicId>,
    topics: Slab<Topic>,
}

/// Apps do not share topics.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TopicName {
    app: u32,
    name: Box<[u8]>,
}

/// A topic with at least one subscriber.
#[derive(Debug)]
struct Topic {
    name: TopicName,
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
    /// Adds a subscriber on `worker` to a topic. Returns the topic and the number of subscribers it had.
    pub(crate) fn subscribe(&mut self, app: u32, name: &[u8], worker: WorkerId) -> (TopicId, u32) {
        let key = TopicName { app, name: name.into() };
        let topics = &mut self.topics;
        let id = *self.by_name.entry(key).or_insert_with_key(|key| {
            let index = topics.insert(Topic { name: key.clone(), per_worker: Vec::new() });
            // 2^32 topics would not fit the memory.
            TopicId(u32::try_from(index).unwrap_or(u32::MAX))
        });
        let topic = &mut self.topics[id.0 as usize];
        let before = topic.count();
        if topic.per_worker.len() <= worker.index() {
            topic.per_worker.resize(worker.index() + 1, 0);
        }
        topic.per_worker[worker.index()] += 1;
        (id, before)
    }

    /// Removes a subscriber on `worker` from a topic it is subscribed to.
    pub(crate) fn unsubscribe(&mut self, id: TopicId, worker: WorkerId) -> Change {
        let topic = &mut self.topics[id.0 as usize];
        let old = topic.count();
        topic.per_worker[worker.index()] -= 1;
        let name = topic.name.name.to_vec();
        if old == 1 {
            let topic = self.topics.remove(id.0 as usize);
            self.by_name.remove(&topic.name);
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
        self.topics.get(id.0 as usize).map_or(0, Topic::count)
    }

    /// The topic's name.
    #[must_use]
    pub(crate) fn name(&self, id: TopicId) -> &[u8] {
        self.topics.get(id.0 as usize).map_or(&[], |topic| &topic.name.name)
    }

    /// The workers that have subscribers of the topic.
    pub(crate) fn workers(&self, id: TopicId) -> impl Iterator<Item = WorkerId> {
        let counts = self.topics.get(id.0 as usize).map_or(&[][..], |topic| &topic.per_worker);
        (0u8..).zip(counts).filter(|(_, count)| **count > 0).map(|(number, _)| WorkerId(number))
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
        let (id, before) = topics.subscribe(0, b"news", FIRST);
        assert_eq!((before, topics.count(id)), (0, 1));
        assert_eq!(topics.subscribe(0, b"news", SECOND), (id, 1));
        assert_eq!(topics.workers(id).collect::<Vec<_>>(), [FIRST, SECOND]);
        assert_eq!(topics.unsubscribe(id, FIRST), Change { name: b"news".to_vec(), new: 1, old: 2 });
        assert_eq!(topics.workers(id).collect::<Vec<_>>(), [SECOND]);
        topics.unsubscribe(id, SECOND);
        assert_eq!(topics.find(0, b"news"), None);
        assert_eq!(topics.count(id), 0);
    }

    #[test]
    fn apps_do_not_share_topics() {
        let mut topics = Topics::default();
        topics.subscribe(0, b"news", FIRST);
        assert_eq!(topics.find(1, b"news"), None);
    }
}
