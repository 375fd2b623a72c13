//! The groups of the process by name. A group exists while an app is in it.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::group::{Audience, Group, Member};
use crate::bridge::id::{TopicId, WorkerId};
use crate::bridge::sync::{Arc, Mutex, lock};
use crate::io::peers::Peers;

/// Groups by name.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    groups: Mutex<HashMap<Arc<str>, Entry>>,
}

#[derive(Debug)]
struct Entry {
    group: Arc<Group>,
    /// Apps that are in it.
    members: usize,
}

/// An app is in its group until this is dropped.
#[derive(Debug)]
pub(crate) struct Membership {
    registry: Arc<Registry>,
    name: Arc<str>,
    member: Arc<Member>,
}

impl Registry {
    /// The registry of the process.
    #[must_use]
    pub(crate) fn shared() -> &'static Arc<Self> {
        static REGISTRY: LazyLock<Arc<Registry>> = LazyLock::new(Arc::default);
        &REGISTRY
    }

    /// Adds an app whose connections are on the workers of `peers` to the group of this name.
    pub(crate) fn join(self: &Arc<Self>, name: &str, peers: Arc<Peers>) -> Membership {
        let mut groups = lock(&self.groups);
        let (name, group) = match groups.get_key_value(name) {
            Some((name, entry)) => (Arc::clone(name), Arc::clone(&entry.group)),
            None => (name.into(), Arc::default()),
        };
        let entry = groups.entry(Arc::clone(&name)).or_insert(Entry { group, members: 0 });
        entry.members += 1;
        let member = Arc::new(Member::new(Arc::clone(&entry.group), peers));
        Membership { registry: Arc::clone(self), name, member }
    }

    fn leave(&self, name: &str) {
        let mut groups = lock(&self.groups);
        let Some(entry) = groups.get_mut(name) else { return };
        entry.members -= 1;
        if entry.members == 0 {
            let left = groups.remove(name);
            // Not under the lock.
            drop(groups);
            drop(left);
        }
    }

    fn members(&self, name: &str) -> usize {
        lock(&self.groups).get(name).map_or(0, |entry| entry.members)
    }
}

impl Membership {
    /// Adds a topic of the app that has got its first subscriber, on `worker`.
    #[must_use]
    pub(crate) fn open(&self, name: &[u8], topic: TopicId, worker: WorkerId) -> Arc<Audience> {
        self.member.group().open(&self.member, name, topic, worker)
    }

    /// Calls `deliver` with the audience of a topic in every other app of the group.
    pub(crate) fn for_each_other(&self, name: &[u8], mut deliver: impl FnMut(&Audience)) {
        self.member.group().for_each_audience(name, |audience| {
            if !Arc::ptr_eq(audience.member(), &self.member) {
                deliver(audience);
            }
        });
    }

    /// The subscribers of a topic in all apps of the group.
    #[must_use]
    pub(crate) fn count(&self, name: &[u8]) -> u64 {
        self.member.group().count(name)
    }

    /// The name of the group.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How many topics have a subscriber in one of the apps.
    #[must_use]
    pub(crate) fn topics(&self) -> usize {
        self.member.group().topics()
    }

    /// How many apps are in the group.
    #[must_use]
    pub(crate) fn members(&self) -> usize {
        self.registry.members(&self.name)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.member.group().remove(&self.member);
        self.registry.leave(&self.name);
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;

    const TOPIC: TopicId = TopicId { slot: 0, generation: 0 };

    fn others(membership: &Membership, name: &[u8]) -> usize {
        let mut count = 0;
        membership.for_each_other(name, |_| count += 1);
        count
    }

    #[test]
    fn apps_of_one_name_find_each_other_and_nobody_else() {
        let registry = Arc::new(Registry::default());
        let [first, second] = [(); 2].map(|()| registry.join("chat", Arc::default()));
        let stranger = registry.join("other", Arc::default());
        for membership in [&first, &second, &stranger] {
            let _ = membership.open(b"news", TOPIC, WorkerId(0));
        }
        assert_eq!((others(&first, b"news"), others(&stranger, b"news")), (1, 0));
        assert_eq!((first.count(b"news"), stranger.count(b"news")), (2, 1));
        assert_eq!((first.members(), stranger.members()), (2, 1));
        drop(second);
        assert_eq!((others(&first, b"news"), first.count(b"news"), first.members()), (0, 1, 1));
    }

    #[test]
    fn a_group_ends_with_its_last_app() {
        let registry = Arc::new(Registry::default());
        let first = registry.join("chat", Arc::default());
        let _ = first.open(b"news", TOPIC, WorkerId(0));
        drop(first);
        assert!(lock(&registry.groups).is_empty());
        let next = registry.join("chat", Arc::default());
        assert_eq!(next.topics(), 0);
    }
}

#[cfg(all(test, feature = "loom"))]
mod loom_tests {
    //! The table of topics is replaced under a lock of loom; it is read by `arc_swap`, whose loads are atomic, so each
    //! happens at one of the points that loom interleaves.

    use super::*;
    use crate::bridge::command::{Command, CommandBatch};
    use crate::bridge::queue::Downlink;
    use crate::protocol::websocket::MessageKind;

    const TOPIC: TopicId = TopicId { slot: 0, generation: 0 };
    const WORKER: WorkerId = WorkerId(0);

    /// An app with a worker that does nothing.
    fn join(registry: &Arc<Registry>) -> (Membership, Arc<Downlink>) {
        let (peers, downlink) = (Peers::default(), Arc::new(Downlink::default()));
        peers.add(Arc::clone(&downlink));
        (registry.join("chat", Arc::new(peers)), downlink)
    }

    fn publish(membership: &Membership) {
        membership.for_each_other(b"news", |audience| {
            for worker in audience.workers() {
                let payload = Default::default();
                let (topic, kind) = (audience.topic(), MessageKind::Text);
                let command = Command::Publish { topic, except: None, kind, payload, compress: false };
                audience.member().peers().push(worker, &mut CommandBatch::of(command));
            }
        });
    }

    /// One app leaves while another one publishes: the third gets the message, and who has left gets none that is
    /// published later.
    #[test]
    fn an_app_that_leaves_loses_nobody_elses_message() {
        loom::model(|| {
            let registry = Arc::new(Registry::default());
            let ((publisher, _), (leaving, leaving_link), (staying, link)) =
                (join(&registry), join(&registry), join(&registry));
            let _audiences = [&leaving, &staying].map(|it| it.open(b"news", TOPIC, WORKER));
            let leaver = loom::thread::spawn(move || drop(leaving));
            publish(&publisher);
            leaver.join().unwrap();
            let waiting = leaving_link.waiting();
            publish(&publisher);
            assert_eq!((link.waiting(), leaving_link.waiting()), (2, waiting));
        });
    }

    /// Apps come and go: those that are there at the same time are in one group, and nothing is left of it.
    #[test]
    fn a_group_is_one_while_it_lasts() {
        loom::model(|| {
            let registry = Arc::new(Registry::default());
            let (staying, link) = join(&registry);
            let _audience = staying.open(b"news", TOPIC, WORKER);
            let visitor = {
                let registry = Arc::clone(&registry);
                loom::thread::spawn(move || {
                    let (visitor, _) = join(&registry);
                    let audience = visitor.open(b"news", TOPIC, WORKER);
                    publish(&visitor);
                    audience.close(b"news");
                })
            };
            let (other, _) = join(&registry);
            publish(&other);
            drop(other);
            visitor.join().unwrap();
            assert_eq!((link.waiting(), staying.members(), staying.count(b"news")), (2, 1, 1));
            drop(staying);
            assert!(lock(&registry.groups).is_empty());
        });
    }

    /// The last app leaves while another one joins: the newcomer's group is the registered one.
    #[test]
    fn whoever_joins_at_the_end_is_found() {
        loom::model(|| {
            let registry = Arc::new(Registry::default());
            let (last, _) = join(&registry);
            let leaver = loom::thread::spawn(move || drop(last));
            let (newcomer, link) = join(&registry);
            let _audience = newcomer.open(b"news", TOPIC, WORKER);
            leaver.join().unwrap();
            let (publisher, _) = join(&registry);
            publish(&publisher);
            assert_eq!((link.waiting(), newcomer.members()), (1, 2));
        });
    }
}
