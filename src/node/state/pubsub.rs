//! Publish and subscribe on Node's thread: all subscriptions, and the topics that the last closed WebSocket has left.

use indexmap::IndexSet;

use super::topics::{Change, Topics};
use super::workers::Workers;
use crate::bridge::command::Command;
use crate::bridge::id::{ConnectionId, TopicId, WorkerId};
use crate::broker::registry::Membership;

/// All subscriptions, and the departures of the last closed WebSocket.
#[derive(Debug, Default)]
pub(crate) struct PubSub {
    /// All subscriptions.
    topics: Topics,
    /// Topics left by the last closed WebSocket, for its `subscription` handler; last one first.
    departures: Vec<Change>,
}

/// The topics of one WebSocket, in the order of the calls until one is left. Boxed, because most have none.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions(Option<Box<IndexSet<TopicId>>>);

impl Subscriptions {
    /// Whether there are none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn contains(&self, topic: TopicId) -> bool {
        self.0.as_ref().is_some_and(|topics| topics.contains(&topic))
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = TopicId> {
        self.0.iter().flat_map(|topics| topics.iter().copied())
    }

    fn insert(&mut self, topic: TopicId) {
        self.0.get_or_insert_default().insert(topic);
    }

    /// Returns whether it was one of them.
    fn remove(&mut self, topic: TopicId) -> bool {
        let is_removed = self.0.as_mut().is_some_and(|topics| topics.swap_remove(&topic));
        if self.0.as_ref().is_some_and(|topics| topics.is_empty()) {
            self.0 = None;
        }
        is_removed
    }
}

impl PubSub {
    /// Subscribes a WebSocket of an app, which is a member of a group if it has a broker, with a command for its worker.
    /// `None` if it is subscribed already.
    pub(crate) fn subscribe(
        &mut self,
        (app, name): (u32, Vec<u8>),
        membership: Option<&Membership>,
        connection: ConnectionId,
        subscriptions: &mut Subscriptions,
        workers: &mut Workers,
    ) -> Option<Change> {
        if self.is_subscribed(app, &name, subscriptions) {
            return None;
        }
        let (topic, old) = self.topics.subscribe(app, &name, connection.worker, membership);
        subscriptions.insert(topic);
        workers.push(connection.worker, Command::Subscribe { connection, topic });
        Some(Change { name, new: old + 1, old })
    }

    /// Unsubscribes a WebSocket. `None` if it is not subscribed.
    pub(crate) fn unsubscribe(
        &mut self,
        (app, name): (u32, &[u8]),
        connection: ConnectionId,
        subscriptions: &mut Subscriptions,
        workers: &mut Workers,
    ) -> Option<Change> {
        let topic = self.topics.find(app, name).filter(|topic| subscriptions.remove(*topic))?;
        let change = self.topics.unsubscribe(topic, connection.worker);
        workers.push(connection.worker, Command::Unsubscribe { connection, topic });
        Some(change)
    }

    /// Whether a topic is among those of a WebSocket.
    #[must_use]
    pub(crate) fn is_subscribed(&self, app: u32, name: &[u8], subscriptions: &Subscriptions) -> bool {
        self.topics.find(app, name).is_some_and(|topic| subscriptions.contains(topic))
    }

    /// The names of the topics of a WebSocket.
    pub(crate) fn names(&self, subscriptions: &Subscriptions) -> impl Iterator<Item = &[u8]> {
        subscriptions.iter().map(|topic| self.topics.name(topic))
    }

    /// Number of subscribers.
    #[must_use]
    pub(crate) fn count(&self, app: u32, name: &[u8]) -> u32 {
        self.topics.find(app, name).map_or(0, |topic| self.topics.count(topic))
    }

    /// The topic of that name, and the workers that have subscribers of it with their numbers. `None` if it has no subscriber other than
    /// the publisher, whose topics are `own`.
    #[must_use]
    pub(crate) fn recipients(
        &self,
        app: u32,
        name: &[u8],
        own: Option<&Subscriptions>,
    ) -> Option<(TopicId, Vec<(WorkerId, u32)>)> {
        let topic = self.topics.find(app, name)?;
        let publishers = u32::from(own.is_some_and(|own| own.contains(topic)));
        (self.topics.count(topic) > publishers).then(|| (topic, self.topics.workers(topic).collect()))
    }

    /// Removes the subscriptions of a closed WebSocket; its worker removes them together with the connection. Returns
    /// the number of departures that [`Self::next_departure`] will return, 0 unless they are `wanted`.
    pub(crate) fn leave_all(
        &mut self,
        subscriptions: &Subscriptions,
        worker: WorkerId,
        wanted: bool,
    ) -> usize {
        self.departures.clear();
        for topic in subscriptions.iter().rev() {
            let change = self.topics.unsubscribe(topic, worker);
            if wanted {
                self.departures.push(change);
            }
        }
        self.departures.len()
    }

    /// The next topic that the WebSocket closed last has left, in the order in which it had subscribed.
    pub(crate) fn next_departure(&mut self) -> Option<Change> {
        self.departures.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECTION: ConnectionId = ConnectionId { worker: WorkerId(1), slot: 0, generation: 0 };

    fn subscribed(names: &[&str]) -> (PubSub, Subscriptions, Workers) {
        let (mut pubsub, mut own, mut workers) =
            (PubSub::default(), Subscriptions::default(), Workers::default());
        for name in names {
            assert!(
                pubsub.subscribe((0, (*name).into()), None, CONNECTION, &mut own, &mut workers).is_some()
            );
        }
        (pubsub, own, workers)
    }

    #[test]
    fn only_what_changes_a_subscription_is_a_command() {
        let (mut pubsub, mut own, mut workers) = subscribed(&["news"]);
        assert_eq!(pubsub.subscribe((0, b"news".to_vec()), None, CONNECTION, &mut own, &mut workers), None);
        assert_eq!(pubsub.unsubscribe((0, b"weather"), CONNECTION, &mut own, &mut workers), None);
        let (_, _, commands) = workers.waiting();
        assert_eq!((pubsub.count(0, b"news"), commands), (1, 1));
        let change = pubsub.unsubscribe((0, b"news"), CONNECTION, &mut own, &mut workers);
        assert_eq!(change, Some(Change { name: b"news".to_vec(), new: 0, old: 1 }));
        let (_, _, commands) = workers.waiting();
        assert_eq!((pubsub.count(0, b"news"), commands), (0, 2));
    }

    #[test]
    fn the_publisher_alone_is_nobody() {
        let (pubsub, own, _) = subscribed(&["news"]);
        assert_eq!(pubsub.recipients(0, b"news", Some(&own)), None);
        let (_, workers) = pubsub.recipients(0, b"news", Some(&Subscriptions::default())).unwrap();
        assert_eq!(workers, [(CONNECTION.worker, 1)]);
        assert!(pubsub.recipients(0, b"news", None).is_some());
        assert_eq!(pubsub.recipients(1, b"news", None), None, "apps do not share topics");
    }

    #[test]
    fn topics_are_left_in_the_order_in_which_they_were_subscribed() {
        let (mut pubsub, own, _) = subscribed(&["first", "second"]);
        assert_eq!(pubsub.leave_all(&own, CONNECTION.worker, true), 2);
        let mut next = || pubsub.next_departure().map(|change| change.name);
        assert_eq!([next(), next(), next()], [Some(b"first".to_vec()), Some(b"second".to_vec()), None]);
    }

    #[test]
    fn nobody_is_told_of_departures_that_nobody_wants() {
        let (mut pubsub, own, _) = subscribed(&["news"]);
        assert_eq!(pubsub.leave_all(&own, CONNECTION.worker, false), 0);
        assert_eq!((pubsub.next_departure(), pubsub.count(0, b"news")), (None, 0));
    }
}
