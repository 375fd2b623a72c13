//! Published messages to one topic that follow each other. Most subscribers get them in one piece, which is encoded once:
//! what is published in a burst costs each of them one entry of its outbox, rather than a copy of every message.

use bytes::Bytes;

use crate::bridge::id::{ConnectionId, TopicId};
use crate::protocol::websocket::{MessageKind, encode_message};

/// The run that is being gathered.
#[derive(Debug, Default)]
pub(crate) struct PublishRun {
    topic: Option<TopicId>,
    frames: Vec<u8>,
    messages: Vec<RunMessage>,
    exceptions: Vec<ConnectionId>,
    compress: bool,
}

/// A run that is complete.
#[derive(Debug)]
pub(crate) struct FinishedRun {
    /// The topic.
    pub topic: TopicId,
    /// The uncompressed frames of all messages.
    pub frames: Bytes,
    /// The messages, in order.
    pub messages: Vec<RunMessage>,
    /// Subscribers that do not get all of them.
    pub exceptions: Vec<ConnectionId>,
    /// Whether one of them is to be compressed for the recipients that have negotiated compression.
    pub compress: bool,
}

/// One message of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunMessage {
    /// The subscriber that does not get it.
    pub except: Option<ConnectionId>,
    /// Text or binary.
    pub kind: MessageKind,
    /// Whether to compress it for the recipients that have negotiated compression.
    pub compress: bool,
    /// Where its frame starts and ends, and how long its payload is.
    start: usize,
    end: usize,
    length: usize,
}

impl PublishRun {
    /// Whether nothing has gathered.
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Whether a message of so many bytes belongs to the run, or may begin one.
    #[must_use]
    pub(crate) fn takes(&self, topic: TopicId, except: Option<ConnectionId>, length: usize) -> bool {
        if self.is_empty() {
            return length <= LONGEST;
        }
        let is_known = except.is_none_or(|id| self.exceptions.contains(&id));
        self.topic == Some(topic)
            && self.frames.len() + length <= MAX_BYTES
            && (is_known || self.exceptions.len() < MAX_EXCEPTIONS)
    }

    /// Adds a message that it [takes](Self::takes).
    pub(crate) fn push(
        &mut self,
        topic: TopicId,
        except: Option<ConnectionId>,
        kind: MessageKind,
        payload: &[u8],
        compress: bool,
    ) {
        self.topic = Some(topic);
        let start = self.frames.len();
        encode_message(kind, payload, &mut self.frames);
        let (end, length) = (self.frames.len(), payload.len());
        self.messages.push(RunMessage { except, kind, compress, start, end, length });
        self.compress |= compress;
        if let Some(id) = except
            && !self.exceptions.contains(&id)
        {
            self.exceptions.push(id);
        }
    }

    /// Ends the run, if there is one.
    #[must_use]
    pub(crate) fn finish(&mut self) -> Option<FinishedRun> {
        if self.is_empty() {
            return None;
        }
        let Self { topic, frames, messages, exceptions, compress } = std::mem::take(self);
        Some(FinishedRun { topic: topic?, frames: frames.into(), messages, exceptions, compress })
    }

    /// Takes the memory of a run that is done with, for the next one.
    pub(crate) fn recycle(&mut self, run: FinishedRun) {
        let FinishedRun { mut messages, mut exceptions, .. } = run;
        messages.clear();
        messages.shrink_to(MAX_KEPT);
        exceptions.clear();
        *self = Self { messages, exceptions, ..Self::default() };
    }
}

impl FinishedRun {
    /// The frame of a message, and its payload.
    #[must_use]
    pub(crate) fn frame_of(&self, message: &RunMessage) -> (Bytes, &[u8]) {
        let RunMessage { start, end, length, .. } = *message;
        (self.frames.slice(start..end), &self.frames[end - length..end])
    }
}

/// Bytes of a payload up to which it takes part. A longer one is shared by all outboxes anyway (`io/outbox`).
const LONGEST: usize = 4096;
/// Bytes of frames in one piece: few writes, and they stay in the processor's cache while all subscribers get them. It fits into
/// what may wait for a subscriber by default.
const MAX_BYTES: usize = 32 * 1024;
/// Messages for which memory is kept.
const MAX_KEPT: usize = 1024;
/// Subscribers that do not get all messages of a run: each recipient is compared with all of them.
const MAX_EXCEPTIONS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::id::WorkerId;

    const TOPIC: TopicId = TopicId { slot: 1, generation: 0 };

    fn connection(slot: u32) -> ConnectionId {
        ConnectionId { worker: WorkerId(0), slot, generation: 0 }
    }

    #[test]
    fn messages_of_one_topic_become_one_piece_in_their_order() {
        let mut run = PublishRun::default();
        assert!(run.is_empty() && run.finish().is_none());
        run.push(TOPIC, None, MessageKind::Text, b"a", false);
        run.push(TOPIC, Some(connection(1)), MessageKind::Binary, b"bc", true);
        let run_ = run.finish().unwrap();
        assert_eq!(&run_.frames[..], b"\x81\x01a\x82\x02bc");
        let parts: Vec<_> = run_.messages.iter().map(|message| run_.frame_of(message)).collect();
        assert_eq!(
            parts,
            [(Bytes::from_static(b"\x81\x01a"), &b"a"[..]), (Bytes::from_static(b"\x82\x02bc"), &b"bc"[..])]
        );
        assert_eq!((run_.topic, run_.compress, &run_.exceptions[..]), (TOPIC, true, &[connection(1)][..]));
        assert!(run.is_empty() && run.finish().is_none());
        run.recycle(run_);
        assert!(run.is_empty() && run.finish().is_none());
        run.push(TOPIC, None, MessageKind::Text, b"a", false);
        let next = run.finish().unwrap();
        assert_eq!((next.messages.len(), next.compress, &next.exceptions[..]), (1, false, &[][..]));
    }

    #[test]
    fn a_run_ends_at_another_topic_and_when_it_is_long() {
        let mut run = PublishRun::default();
        let other = TopicId { slot: 2, generation: 0 };
        assert!(!run.takes(TOPIC, None, LONGEST + 1), "it is shared by itself");
        assert!(run.takes(TOPIC, None, LONGEST));
        run.push(TOPIC, None, MessageKind::Text, &[b'x'; LONGEST], false);
        assert!(!run.takes(other, None, 1));
        while run.takes(TOPIC, None, LONGEST) {
            run.push(TOPIC, None, MessageKind::Text, &[b'x'; LONGEST], false);
        }
        assert_eq!(run.finish().unwrap().messages.len(), MAX_BYTES / (LONGEST + 4));
        for slot in 0..20 {
            if run.takes(TOPIC, Some(connection(slot)), 1) {
                run.push(TOPIC, Some(connection(slot)), MessageKind::Text, b"x", false);
            }
        }
        assert!(run.takes(TOPIC, Some(connection(0)), 1), "a known one");
        assert_eq!(run.finish().unwrap().exceptions.len(), MAX_EXCEPTIONS);
    }
}
