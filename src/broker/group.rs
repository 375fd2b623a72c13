//! The topics of one group of apps.

use arc_swap::ArcSwap;
use rpds::HashTrieMapSync;

use super::network::outbox::Outbox;
use crate::bridge::broker::{BrokerEvent, BrokerEvents};
use crate::bridge::id::{TopicId, WorkerId};
use crate::bridge::sync::{Arc, AtomicU64, Mutex, Ordering, lock};
use crate::io::peers::Peers;

/// Apps that share their topics.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// Who is subscribed to each topic. A topic without subscribers is not in it.
    topics: ArcSwap<TopicTable>,
    /// Held while `topics` is replaced. Readers do not wait for it.
    replacing: Mutex<()>,
    /// Where the thread of the broker learns which topics have changed; `None` for a group of this process only.
    outbox: Option<Arc<Outbox>>,
    /// Where each of its apps gets events.
    listeners: Mutex<Vec<Arc<BrokerEvents>>>,
    /// How many apps it has: that of `listeners`.
    apps: AtomicU64,
}

type TopicTable = HashTrieMapSync<Arc<[u8]>, Arc<[Arc<Audience>]>>;

/// One app of a group.
#[derive(Debug)]
pub(crate) struct Member {
    group: Arc<Group>,
    /// The workers of its environment.
    peers: Arc<Peers>,
    /// The events for Node's thread of its environment.
    events: Arc<BrokerEvents>,
}

/// The subscribers of one topic in one app. Written by Node's thread of the app, read by any.
#[derive(Debug)]
pub(crate) struct Audience {
    member: Arc<Member>,
    topic: TopicId,
    /// Workers that have a subscriber, as bits by number.
    workers: AtomicU64,
    /// How many subscribers there are.
    count: AtomicU64,
}

impl Member {
    /// An app whose connections are on the workers of `peers`, and whose Node's thread gets `events`.
    #[must_use]
    pub(crate) const fn new(group: Arc<Group>, peers: Arc<Peers>, events: Arc<BrokerEvents>) -> Self {
        Self { group, peers, events }
    }

    /// The events for Node's thread of its environment.
    #[must_use]
    pub(crate) const fn events(&self) -> &Arc<BrokerEvents> {
        &self.events
    }

    /// The workers of its environment.
    #[must_use]
    pub(crate) const fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }

    /// The group.
    #[must_use]
    pub(crate) const fn group(&self) -> &Arc<Group> {
        &self.group
    }
}

impl Group {
    /// A group without apps. The thread of its broker, if it has one, learns by `outbox` which topics have changed.
    #[must_use]
    pub(crate) fn new(outbox: Option<Arc<Outbox>>) -> Self {
        Self { outbox, ..Self::default() }
    }

    /// From now on an app gets events.
    pub(crate) fn add_listener(&self, events: Arc<BrokerEvents>) {
        let mut listeners = lock(&self.listeners);
        listeners.push(events);
        self.note_apps(&listeners);
    }

    /// Release: whoever learns of a subscription in another app finds that there is one.
    fn note_apps(&self, listeners: &[Arc<BrokerEvents>]) {
        self.apps.store(listeners.len() as u64, Ordering::Release);
    }

    /// Whether it has more than one app. Costs a publisher less than to look for them.
    #[must_use]
    pub(crate) fn is_shared(&self) -> bool {
        self.apps.load(Ordering::Acquire) > 1
    }

    /// Tells every environment that has an app in the group, once.
    pub(crate) fn tell(&self, event: &BrokerEvent) {
        let mut told: Vec<Arc<BrokerEvents>> = Vec::new();
        for events in &*lock(&self.listeners) {
            if !told.iter().any(|it| Arc::ptr_eq(it, events)) {
                told.push(Arc::clone(events));
            }
        }
        // Not under the lock.
        told.iter().for_each(|events| events.push(event.clone()));
    }

    /// Adds a topic of an app, which has got its first subscriber there, on `worker`.
    pub(crate) fn open(
        &self,
        member: &Arc<Member>,
        name: &[u8],
        topic: TopicId,
        worker: WorkerId,
    ) -> Arc<Audience> {
        let (member, workers) = (Arc::clone(member), AtomicU64::new(bit(worker)));
        let audience = Arc::new(Audience { member, topic, workers, count: AtomicU64::new(1) });
        let _replacing = lock(&self.replacing);
        let topics = self.topics.load();
        let added = || std::iter::once(Arc::clone(&audience));
        match topics.get_key_value(name) {
            Some((name, others)) => {
                let all = others.iter().cloned().chain(added()).collect();
                self.topics.store(Arc::new(topics.insert(Arc::clone(name), all)));
            }
            None => {
                self.topics.store(Arc::new(topics.insert(name.into(), added().collect())));
                self.note_change(name);
            }
        }
        audience
    }

    /// Removes a topic of an app, which has lost its last subscriber there.
    pub(crate) fn close(&self, name: &[u8], audience: &Arc<Audience>) {
        let _replacing = lock(&self.replacing);
        let topics = self.topics.load();
        if let Some((name, all)) = topics.get_key_value(name) {
            let next = without(&topics, name, all, |it| Arc::ptr_eq(it, audience));
            let is_gone = !next.contains_key(name);
            self.topics.store(Arc::new(next));
            if is_gone {
                self.note_change(name);
            }
        }
    }

    /// Removes all topics of an app. From now on, nobody who publishes finds it, and it gets no events.
    pub(crate) fn remove(&self, member: &Arc<Member>) {
        let mut listeners = lock(&self.listeners);
        if let Some(place) = listeners.iter().position(|it| Arc::ptr_eq(it, &member.events)) {
            listeners.swap_remove(place);
        }
        self.note_apps(&listeners);
        drop(listeners);
        let _replacing = lock(&self.replacing);
        let topics = self.topics.load();
        let is_its = |it: &Arc<Audience>| Arc::ptr_eq(&it.member, member);
        let its: Vec<_> = topics.iter().filter(|(_, all)| all.iter().any(is_its)).collect();
        let next = TopicTable::clone(&topics);
        let next = its.iter().fold(next, |next, (name, all)| without(&next, name, all, is_its));
        self.topics.store(Arc::new(next));
        its.iter().for_each(|(name, _)| self.note_change(name));
    }

    /// Has the thread of the broker look whether a topic has subscribers. Called after the table was replaced.
    fn note_change(&self, name: &[u8]) {
        if let Some(outbox) = &self.outbox {
            outbox.note_change(name);
        }
    }

    /// Calls `deliver` with every audience of a topic.
    pub(crate) fn for_each_audience(&self, name: &[u8], mut deliver: impl FnMut(&Audience)) {
        let topics = self.topics.load();
        topics.get(name).into_iter().flat_map(|all| all.iter()).for_each(|audience| deliver(audience));
    }

    /// The subscribers of a topic in all apps.
    #[must_use]
    pub(crate) fn count(&self, name: &[u8]) -> u64 {
        let mut count = 0;
        self.for_each_audience(name, |audience| count += audience.count());
        count
    }

    /// Whether a topic has a subscriber.
    #[must_use]
    pub(crate) fn has_topic(&self, name: &[u8]) -> bool {
        self.topics.load().contains_key(name)
    }

    /// The topics that have a subscriber.
    #[must_use]
    pub(crate) fn topic_names(&self) -> Vec<Arc<[u8]>> {
        self.topics.load().keys().cloned().collect()
    }

    /// How many topics have a subscriber.
    #[must_use]
    pub(crate) fn topics(&self) -> usize {
        self.topics.load().size()
    }
}

/// The table without the audiences of a topic that `leaves` selects.
fn without(
    topics: &TopicTable,
    name: &Arc<[u8]>,
    all: &[Arc<Audience>],
    leaves: impl Fn(&Arc<Audience>) -> bool,
) -> TopicTable {
    let rest: Arc<[_]> = all.iter().filter(|it| !leaves(it)).cloned().collect();
    if rest.is_empty() { topics.remove(name) } else { topics.insert(Arc::clone(name), rest) }
}

impl Audience {
    /// Node's thread of its app: there is one subscriber more, on `worker`.
    pub(crate) fn note_subscribed(&self, worker: WorkerId) {
        // No other thread writes either. Release: whoever learns of the subscription finds its worker.
        self.workers.store(self.workers.load(Ordering::Relaxed) | bit(worker), Ordering::Release);
        self.count.store(self.count() + 1, Ordering::Release);
    }

    /// Node's thread of its app: there is one subscriber less; `is_last` if there is none left on `worker`.
    pub(crate) fn note_unsubscribed(&self, worker: WorkerId, is_last: bool) {
        if is_last {
            self.workers.store(self.workers.load(Ordering::Relaxed) & !bit(worker), Ordering::Release);
        }
        self.count.store(self.count().saturating_sub(1), Ordering::Release);
    }

    /// Removes it from its group: its last subscriber has left.
    pub(crate) fn close(self: &Arc<Self>, name: &[u8]) {
        self.member.group.close(name, self);
    }

    /// The app.
    #[must_use]
    pub(crate) const fn member(&self) -> &Arc<Member> {
        &self.member
    }

    /// The topic, as the workers of the app know it.
    #[must_use]
    pub(crate) const fn topic(&self) -> TopicId {
        self.topic
    }

    /// How many subscribers there are.
    #[must_use]
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// The workers that have a subscriber.
    pub(crate) fn workers(&self) -> impl Iterator<Item = WorkerId> + use<> {
        let workers = self.workers.load(Ordering::Acquire);
        (0..64).map(WorkerId).filter(move |worker| workers & bit(*worker) != 0)
    }
}

/// A worker as one of the bits of [`Audience::workers`]; there are at most 64.
const fn bit(worker: WorkerId) -> u64 {
    1 << (worker.0 % 64)
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::io::pool::MAX_WORKERS;

    const TOPIC: TopicId = TopicId { slot: 3, generation: 7 };

    fn member(group: &Arc<Group>) -> Arc<Member> {
        Arc::new(Member::new(
            Arc::clone(group),
            Arc::default(),
            crate::bridge::broker::BrokerEvents::silent(),
        ))
    }

    fn recipients(group: &Group, name: &[u8]) -> Vec<(TopicId, Vec<u8>)> {
        let mut found = Vec::new();
        group.for_each_audience(name, |it| {
            found.push((it.topic(), it.workers().map(|worker| worker.0).collect()));
        });
        found
    }

    #[test]
    fn an_audience_is_found_from_its_first_subscriber_to_its_last() {
        let group = Arc::new(Group::default());
        let (first, second) = (member(&group), member(&group));
        assert!(recipients(&group, b"news").is_empty());
        let audience = group.open(&first, b"news", TOPIC, WorkerId(2));
        audience.note_subscribed(WorkerId(0));
        audience.note_subscribed(WorkerId(2));
        let other = group.open(&second, b"news", TopicId { slot: 9, ..TOPIC }, WorkerId(63));
        let expected = [(TOPIC, vec![0, 2]), (TopicId { slot: 9, ..TOPIC }, vec![63])];
        assert_eq!(recipients(&group, b"news"), expected);
        assert_eq!((group.count(b"news"), group.count(b"weather"), group.topics()), (4, 0, 1));
        audience.note_unsubscribed(WorkerId(2), false);
        audience.note_unsubscribed(WorkerId(0), true);
        assert_eq!(recipients(&group, b"news")[0], (TOPIC, vec![2]));
        audience.close(b"news");
        audience.close(b"news");
        assert_eq!(recipients(&group, b"news").len(), 1);
        other.close(b"news");
        assert_eq!(group.topics(), 0);
    }

    #[test]
    fn an_app_that_leaves_takes_its_topics_and_no_others() {
        let group = Arc::new(Group::default());
        let (first, second) = (member(&group), member(&group));
        for number in 0..100_u8 {
            group.open(&first, &[number], TOPIC, WorkerId(0));
            if number % 2 == 0 {
                group.open(&second, &[number], TOPIC, WorkerId(0));
            }
        }
        group.remove(&first);
        assert_eq!(group.topics(), 50);
        assert_eq!((group.count(&[0]), group.count(&[1])), (1, 0));
        group.remove(&second);
        group.remove(&second);
        assert_eq!(group.topics(), 0);
        assert_eq!(Arc::strong_count(&group), 3, "no audience refers to it");
    }

    #[test]
    fn every_worker_has_a_bit() {
        assert_eq!(MAX_WORKERS, 64);
    }
}
