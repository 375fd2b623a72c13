//! What waits because a part of a broker is away, while others go on.

use std::collections::{HashSet, VecDeque};

use super::gathered::Message;
use super::parcel::Parcel;

/// Messages that wait, and which parcels do: those were sent and not taken, so that they have numbers already and go
/// first.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Oldest first.
    messages: VecDeque<Message>,
    /// Sum of their weights.
    weight: usize,
    /// The channels of the parcels.
    channels: HashSet<Vec<u8>>,
    /// How many parcels there are.
    parcels: usize,
    /// Sum of their weights.
    parcels_weight: usize,
    /// At which state of the connection the parcels were tried last.
    epoch: u64,
    /// Whether there may be a way for the messages.
    is_due: bool,
}

impl Held {
    /// How many messages wait, parcels aside.
    pub(super) fn messages(&self) -> usize {
        self.messages.len()
    }

    /// How many parcels wait.
    pub(super) const fn parcels(&self) -> usize {
        self.parcels
    }

    /// Bytes of the parcels that wait.
    pub(super) const fn parcels_weight(&self) -> usize {
        self.parcels_weight
    }

    /// Bytes of all that waits.
    pub(super) const fn weight(&self) -> usize {
        self.weight + self.parcels_weight
    }

    /// Whether a parcel for a channel waits, which a message must not overtake.
    pub(super) fn has_parcel(&self, channel: &[u8]) -> bool {
        self.channels.contains(channel)
    }

    /// Adds a message. Returns how many were lost because there are more than `limit` bytes.
    pub(super) fn hold(&mut self, message: Message, limit: usize) -> u64 {
        self.weight += message.weight();
        self.messages.push_back(message);
        let mut lost = 0;
        while self.weight > limit
            && let Some(oldest) = self.messages.pop_front()
        {
            self.weight -= oldest.weight();
            lost += 1;
        }
        lost
    }

    /// Takes the messages, if there may be a way for some of them.
    pub(super) fn take_due(&mut self) -> VecDeque<Message> {
        if !std::mem::take(&mut self.is_due) {
            return VecDeque::new();
        }
        self.weight = 0;
        std::mem::take(&mut self.messages)
    }

    /// The state of the connection. Returns whether it is worth it to try the parcels again.
    pub(super) const fn note_epoch(&mut self, epoch: u64) -> bool {
        let is_new = self.epoch != epoch;
        self.epoch = epoch;
        self.is_due |= is_new;
        is_new && self.parcels > 0
    }

    /// These parcels were not taken; all others that were sent were.
    pub(super) fn note_parcels(&mut self, parcels: &[Parcel]) {
        if parcels.is_empty() && self.parcels == 0 {
            return;
        }
        let channels: HashSet<_> = parcels.iter().map(|parcel| parcel.channel.clone()).collect();
        self.is_due |= !self.channels.is_subset(&channels);
        self.channels = channels;
        self.parcels = parcels.len();
        self.parcels_weight = parcels.iter().map(Parcel::weight).sum();
    }

    /// There is no connection any more: everything is tried over the next one.
    pub(super) fn note_disconnected(&mut self) {
        self.note_parcels(&[]);
        self.is_due = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, number: u8) -> Message {
        Message::new(topic.as_bytes(), &[number], false, false)
    }

    fn parcel(channel: &str) -> Parcel {
        Parcel { channel: channel.into(), reply: None, bytes: vec![0; 10], question: None, is_message: true }
    }

    #[test]
    fn messages_wait_until_something_has_changed() {
        let mut held = Held::default();
        assert_eq!([held.hold(message("a", 1), 1000), held.hold(message("b", 2), 1000)], [0, 0]);
        assert!(held.take_due().is_empty());
        assert!(!held.note_epoch(7), "no parcel waits");
        assert_eq!(held.take_due(), [message("a", 1), message("b", 2)]);
        assert_eq!(held.weight(), 0);
        assert!(!held.note_epoch(7));
        held.hold(message("a", 3), 1000);
        assert!(held.take_due().is_empty());
        held.note_disconnected();
        assert_eq!(held.take_due(), [message("a", 3)]);
    }

    #[test]
    fn the_oldest_are_lost_and_counted() {
        let mut held = Held::default();
        let limit = 2 * message("a", 0).weight();
        let lost: u64 = (0..5).map(|number| held.hold(message("a", number), limit)).sum();
        held.note_epoch(1);
        assert_eq!((lost, held.weight()), (3, limit));
        assert_eq!(held.take_due(), [message("a", 3), message("a", 4)]);
        assert_eq!(held.hold(message("a", 1), 0), 1);
    }

    #[test]
    fn messages_do_not_overtake_parcels_of_their_channel() {
        let mut held = Held::default();
        held.note_parcels(&[parcel("a"), parcel("a"), parcel("b")]);
        assert!(held.has_parcel(b"a") && !held.has_parcel(b"c") && held.parcels() == 3);
        held.hold(message("a", 1), 1000);
        assert!(held.take_due().is_empty());
        assert!(held.note_epoch(1), "the parcels may be tried again");
        for message in held.take_due() {
            assert_eq!(held.hold(message, 1000), 0);
        }
        held.note_parcels(&[parcel("b")]);
        assert!(!held.has_parcel(b"a"));
        assert_eq!(held.take_due(), [message("a", 1)], "nothing is in front of it any more");
        held.note_parcels(&[]);
        assert_eq!((held.parcels(), held.weight()), (0, 0));
    }
}
