//! Messages for other processes that one Node's thread has gathered: one behind the other in one piece of memory, so that
//! publishing costs that thread a copy. The broker's thread takes them apart.
//!
//! ```text
//!   ┌──────────────────┬─────────┬───────┐┌──────────────────┬─────────┬───────┐
//!   │ room for header  │ payload │ topic ││ room for header  │ payload │ topic │ …
//!   └──────────────────┴─────────┴───────┘└──────────────────┴─────────┴───────┘
//!     ▲ `start`, as far as they were taken
//! ```

use crate::broker::header;

/// A message to other processes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// The topic.
    pub topic: Box<[u8]>,
    /// Room for the header, and the payload.
    pub bytes: Vec<u8>,
    /// Binary rather than text.
    pub is_binary: bool,
    /// To be compressed for the subscribers that have negotiated compression.
    pub compress: bool,
}

/// Many of them, see the top of the file.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    bytes: Vec<u8>,
    outlines: Vec<Outline>,
    /// How many messages were taken, and where the next one starts.
    taken: usize,
    start: usize,
    /// Sum of the weights of those that were not.
    weight: usize,
}

/// A message in `bytes`.
#[derive(Clone, Copy, Debug)]
struct Outline {
    payload: usize,
    topic: usize,
    is_binary: bool,
    compress: bool,
}

impl Message {
    /// A message with room for its header.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn new(topic: &[u8], payload: &[u8], is_binary: bool, compress: bool) -> Self {
        let mut bytes = Vec::with_capacity(header::LENGTH + payload.len());
        bytes.resize(header::LENGTH, 0);
        bytes.extend_from_slice(payload);
        Self { topic: topic.into(), bytes, is_binary, compress }
    }

    /// Bytes that it takes while it waits.
    pub(super) fn weight(&self) -> usize {
        self.topic.len() + self.bytes.len() + size_of::<Self>()
    }
}

impl Outline {
    /// As [`Message::weight`].
    const fn weight(self) -> usize {
        self.topic + header::LENGTH + self.payload + size_of::<Message>()
    }
}

impl Gathered {
    /// Whether there is no message.
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.taken == self.outlines.len()
    }

    /// Whether there is so much that it should be handed over.
    #[must_use]
    pub(crate) const fn is_long(&self) -> bool {
        self.bytes.len() >= LONG
    }

    /// Sum of the weights of the messages.
    #[must_use]
    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    /// Adds a message.
    pub(crate) fn add(&mut self, topic: &[u8], payload: &[u8], is_binary: bool, compress: bool) {
        let outline = Outline { payload: payload.len(), topic: topic.len(), is_binary, compress };
        self.bytes.reserve(header::LENGTH + payload.len() + topic.len());
        self.bytes.resize(self.bytes.len() + header::LENGTH, 0);
        self.bytes.extend_from_slice(payload);
        self.bytes.extend_from_slice(topic);
        self.outlines.push(outline);
        self.weight += outline.weight();
    }

    /// Takes the oldest message.
    pub(super) fn take_first(&mut self) -> Option<Message> {
        let (Outline { payload, is_binary, compress, .. }, start) = self.skip()?;
        let end_of_payload = start + header::LENGTH + payload;
        let topic = self.bytes[end_of_payload..self.start].into();
        let is_alone = self.outlines.len() == 1 && self.bytes.capacity() <= 2 * self.bytes.len();
        let bytes = if is_alone {
            self.bytes.truncate(end_of_payload);
            std::mem::take(&mut self.bytes)
        } else {
            self.bytes[start..end_of_payload].to_vec()
        };
        Some(Message { topic, bytes, is_binary, compress })
    }

    /// Drops the oldest message.
    pub(super) fn drop_first(&mut self) {
        self.skip();
    }

    /// The next message, and where it starts. Counts it as taken.
    fn skip(&mut self) -> Option<(Outline, usize)> {
        let outline = *self.outlines.get(self.taken)?;
        self.taken += 1;
        self.weight -= outline.weight();
        let start = self.start;
        self.start += header::LENGTH + outline.payload + outline.topic;
        Some((outline, start))
    }

    /// The memory alone, for other messages. Of what was much, less is kept.
    pub(super) fn emptied(mut self) -> Self {
        self.bytes.clear();
        self.bytes.shrink_to(2 * LONG);
        self.outlines.clear();
        self.outlines.shrink_to(2 * LONG / header::LENGTH);
        Self { bytes: self.bytes, outlines: self.outlines, ..Self::default() }
    }
}

/// Bytes from which on messages are handed over while their thread goes on publishing: it is worth waking a thread.
const LONG: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_in_order_as_they_were_added() {
        let mut gathered = Gathered::default();
        let all: Vec<_> = [
            (&b"news"[..], &b"one"[..], false, true),
            (b"", b"", true, false),
            (b"weather", b"rain", false, false),
        ]
        .map(|(topic, payload, is_binary, compress)| {
            gathered.add(topic, payload, is_binary, compress);
            Message::new(topic, payload, is_binary, compress)
        })
        .into();
        assert_eq!(gathered.weight(), all.iter().map(Message::weight).sum::<usize>());
        assert_eq!(gathered.take_first().as_ref(), Some(&all[0]));
        gathered.drop_first();
        assert_eq!(gathered.weight(), all[2].weight());
        assert!(!gathered.is_empty());
        assert_eq!(gathered.take_first().as_ref(), Some(&all[2]));
        assert!(gathered.is_empty() && gathered.take_first().is_none());
        assert_eq!(gathered.weight(), 0);
        gathered.drop_first();
        let mut next = gathered.emptied();
        assert!(next.is_empty() && next.bytes.capacity() > 0);
        next.add(b"news", b"two", false, false);
        assert_eq!(next.take_first(), Some(Message::new(b"news", b"two", false, false)));
    }

    #[test]
    fn a_large_message_is_not_copied_again() {
        let (mut gathered, payload) = (Gathered::default(), vec![7; LONG]);
        gathered.add(b"news", &payload, true, false);
        assert!(gathered.is_long());
        let place = gathered.bytes.as_ptr();
        let message = gathered.take_first().unwrap();
        assert_eq!(message, Message::new(b"news", &payload, true, false));
        assert_eq!(message.bytes.as_ptr(), place);
    }

    #[test]
    fn a_small_message_does_not_keep_the_memory_of_many() {
        let mut gathered = Gathered { bytes: Vec::with_capacity(LONG), ..Gathered::default() };
        gathered.add(b"news", b"x", false, false);
        assert!(gathered.take_first().unwrap().bytes.capacity() < 100);
    }
}
