//! The groups of the process by name. A group exists while an app is in it.

use std::collections::HashMap;
use std::io;
use std::sync::LazyLock;
use std::time::Duration;

use super::group::{Audience, Group, Member};
use super::network::outbox::{Outbox, Question};
use super::network::{Network, Options};
use crate::bridge::broker::BrokerEvents;
use crate::bridge::id::{TopicId, WorkerId};
use crate::bridge::sync::{Arc, Mutex, lock};
use crate::io::peers::Peers;
use crate::log::journal::Journal;

/// Groups by name.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    groups: Mutex<HashMap<Arc<str>, Entry>>,
}

#[derive(Debug, Default)]
struct Entry {
    group: Arc<Group>,
    /// The connection to other processes; `None` for a group of this process only.
    network: Option<Arc<Network>>,
    /// Apps that are in it.
    members: usize,
}

/// An app is in its group until this is dropped.
#[derive(Debug)]
pub(crate) struct Membership {
    registry: Arc<Registry>,
    name: Arc<str>,
    member: Arc<Member>,
    network: Option<Arc<Network>>,
}

impl Registry {
    /// The registry of the process.
    #[must_use]
    pub(crate) fn shared() -> &'static Arc<Self> {
        static REGISTRY: LazyLock<Arc<Registry>> = LazyLock::new(Arc::default);
        &REGISTRY
    }

    /// Adds an app to the group of this name. `options` say how the group reaches other processes; `None` for one of
    /// this process only.
    ///
    /// # Errors
    /// Other apps are in the group with other options; the system refuses a thread.
    pub(crate) fn join(
        self: &Arc<Self>,
        name: &str,
        options: Option<Options>,
        home: Home,
    ) -> Result<Membership, JoinError> {
        let mut groups = lock(&self.groups);
        let name = match groups.get_key_value(name) {
            Some((name, entry)) => {
                if entry.network.as_deref().map(Network::options) != options.as_ref() {
                    return Err(JoinError::Mismatch);
                }
                entry.group.add_listener(Arc::clone(&home.events));
                Arc::clone(name)
            }
            None => {
                let name = Arc::from(name);
                let entry = start(&name, options, &home)?;
                groups.insert(Arc::clone(&name), entry);
                name
            }
        };
        let entry = groups.entry(Arc::clone(&name)).or_default();
        entry.members += 1;
        let member = Arc::new(Member::new(Arc::clone(&entry.group), home.peers, home.events));
        Ok(Membership { registry: Arc::clone(self), name, member, network: entry.network.clone() })
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

/// The environment of an app.
#[derive(Debug)]
pub(crate) struct Home {
    /// Its workers.
    pub peers: Arc<Peers>,
    /// The events for its Node's thread.
    pub events: Arc<BrokerEvents>,
    /// Its log.
    pub journal: Option<Arc<Journal>>,
}

/// Why an app is not in a group.
#[derive(Debug)]
pub(crate) enum JoinError {
    /// Apps of the same name have other options.
    Mismatch,
    /// The system refuses a thread.
    System(io::Error),
}

/// A group that has one listener, and the thread that connects it to other processes.
fn start(name: &Arc<str>, options: Option<Options>, home: &Home) -> Result<Entry, JoinError> {
    let (Some(options), Some(journal)) = (options, &home.journal) else {
        let entry = Entry::default();
        entry.group.add_listener(Arc::clone(&home.events));
        return Ok(entry);
    };
    let outbox = Arc::new(Outbox::new(options.max_pending));
    let group = Arc::new(Group::new(Some(Arc::clone(&outbox))));
    // Before the thread starts, which may fail to connect at once.
    group.add_listener(Arc::clone(&home.events));
    let network = Network::start(name, options, &group, outbox, Arc::clone(journal));
    Ok(Entry { group, network: Some(Arc::new(network.map_err(JoinError::System)?)), members: 0 })
}

impl Membership {
    /// Adds a topic of the app that has got its first subscriber, on `worker`.
    #[must_use]
    pub(crate) fn open(&self, name: &[u8], topic: TopicId, worker: WorkerId) -> Arc<Audience> {
        self.member.group().open(&self.member, name, topic, worker)
    }

    /// Calls `deliver` with the audience of a topic in every other app of the group.
    pub(crate) fn for_each_other(&self, name: &[u8], mut deliver: impl FnMut(&Audience)) {
        if !self.member.group().is_shared() {
            return;
        }
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

    /// The connection to other processes.
    #[must_use]
    pub(crate) const fn network(&self) -> Option<&Arc<Network>> {
        self.network.as_ref()
    }

    /// Asks other processes how many subscribers a topic has there. Returns `false` if there are none to ask.
    pub(crate) fn ask(&self, number: u64, topic: Vec<u8>, patience: Duration) -> bool {
        let Some(network) = self.network() else { return false };
        network.ask(Question { number, topic, patience, asker: Arc::clone(self.member.events()) });
        true
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

    #[expect(clippy::unwrap_used, reason = "a test")]
    fn join(registry: &Arc<Registry>, name: &str) -> Membership {
        let home = Home { peers: Arc::default(), events: BrokerEvents::silent(), journal: None };
        registry.join(name, None, home).unwrap()
    }

    fn others(membership: &Membership, name: &[u8]) -> usize {
        let mut count = 0;
        membership.for_each_other(name, |_| count += 1);
        count
    }

    #[test]
    fn apps_of_one_name_find_each_other_and_nobody_else() {
        let registry = Arc::new(Registry::default());
        let [first, second] = [(); 2].map(|()| join(&registry, "chat"));
        let stranger = join(&registry, "other");
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
        let first = join(&registry, "chat");
        let _ = first.open(b"news", TOPIC, WorkerId(0));
        drop(first);
        assert!(lock(&registry.groups).is_empty());
        let next = join(&registry, "chat");
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
    #[expect(clippy::unwrap_used, reason = "a test")]
    fn join(registry: &Arc<Registry>) -> (Membership, Arc<Downlink>) {
        let (peers, downlink) = (Peers::default(), Arc::new(Downlink::default()));
        peers.add(Arc::clone(&downlink));
        let home = Home { peers: Arc::new(peers), events: BrokerEvents::silent(), journal: None };
        (registry.join("chat", None, home).unwrap(), downlink)
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
