//! What waits to be sent to a broker: added by Node's threads, taken by the broker's thread.

use std::collections::{HashSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::bridge::broker::BrokerEvents;
use crate::bridge::sync::Arc;
use crate::broker::header;

/// The queue. Bounded: when there is too much, the oldest messages are lost.
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Wakes the broker's thread.
    wake: Notify,
    /// Notified when nothing is left to send.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Message>,
    /// Sum of the weights of `messages`.
    weight: usize,
    /// How much that may be, in bytes.
    limit: usize,
    /// Messages that were lost because of it.
    lost: u64,
    /// Topics that have got their first subscriber in this process, or lost their last one.
    changed: HashSet<Box<[u8]>>,
    questions: Vec<Question>,
    /// Whether messages were taken whose arrival is not confirmed.
    is_sending: bool,
    /// Bytes of those among them that have to wait.
    held: usize,
    /// Whether the last app has left.
    is_ended: bool,
}

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

/// How many subscribers has a topic elsewhere?
#[derive(Debug)]
pub(crate) struct Question {
    /// Its number.
    pub number: u64,
    /// The topic.
    pub topic: Vec<u8>,
    /// How long others have to answer.
    pub patience: Duration,
    /// Who asks.
    pub asker: Arc<BrokerEvents>,
}

/// What the broker's thread takes at a time.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Messages, oldest first.
    pub messages: Vec<Message>,
    /// Topics that have changed.
    pub changed: HashSet<Box<[u8]>>,
    /// Questions.
    pub questions: Vec<Question>,
    /// Whether the last app has left.
    pub is_ended: bool,
}

impl Message {
    /// A message with room for its header.
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

impl Outbox {
    /// An empty queue for so many bytes.
    #[must_use]
    pub(crate) fn new(limit: usize) -> Self {
        let state = Mutex::new(State { limit, ..State::default() });
        Self { state, wake: Notify::new(), emptied: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A poisoned lock is harmless: the queue is consistent after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message. [`Self::wake`] must follow.
    pub(crate) fn push(&self, message: Message) {
        let mut state = self.state();
        state.weight += message.weight();
        state.messages.push_back(message);
        state.trim();
    }

    /// Adds a topic that has got its first subscriber in this process, or lost its last one.
    pub(crate) fn note_change(&self, topic: &[u8]) {
        if self.state().changed.insert(topic.into()) {
            self.wake();
        }
    }

    /// Adds a question.
    pub(crate) fn ask(&self, question: Question) {
        self.state().questions.push(question);
        self.wake();
    }

    /// Wakes the broker's thread.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Ends the broker's thread, once the messages are sent or a second has passed.
    pub(crate) fn end(&self) {
        self.state().is_ended = true;
        self.wake();
    }

    /// Waits until all messages are sent, at most `patience`.
    pub(crate) fn await_sent(&self, patience: Duration) {
        let is_busy = |state: &mut State| !state.messages.is_empty() || state.is_sending;
        drop(self.emptied.wait_timeout_while(self.state(), patience, is_busy));
    }

    /// Bytes of the messages that wait, and how many messages were lost.
    #[must_use]
    pub(crate) fn waiting(&self) -> (usize, u64) {
        let state = self.state();
        (state.weight + state.held, state.lost)
    }

    /// The broker's thread: sets how many bytes may wait.
    pub(super) fn set_limit(&self, limit: usize) {
        let mut state = self.state();
        state.limit = limit;
        state.trim();
    }

    /// The broker's thread: waits until something was added.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// The broker's thread: takes what waits; messages only if `with_messages`, and no more than one batch of them,
    /// which counts as being sent until [`Self::note_sent`].
    pub(super) fn take(&self, with_messages: bool) -> Work {
        let mut state = self.state();
        let mut work = Work {
            messages: Vec::new(),
            changed: std::mem::take(&mut state.changed),
            questions: std::mem::take(&mut state.questions),
            is_ended: state.is_ended,
        };
        let mut bytes = 0;
        while with_messages && bytes < MAX_BATCH_BYTES && work.messages.len() < MAX_BATCH {
            let Some(message) = state.messages.pop_front() else { break };
            state.weight -= message.weight();
            bytes += message.weight();
            work.messages.push(message);
        }
        state.is_sending |= !work.messages.is_empty();
        work
    }

    /// The broker's thread: the messages that were taken are sent, or lost, but for some that have to wait, with so many
    /// bytes.
    pub(super) fn note_sent(&self, held: usize) {
        let mut state = self.state();
        (state.is_sending, state.held) = (held > 0, held);
        if !state.messages.is_empty() {
            self.wake();
        } else if held == 0 {
            self.emptied.notify_all();
        }
    }

    /// The broker's thread: whether nothing is left to send.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.state();
        state.messages.is_empty() && !state.is_sending
    }
}

impl State {
    fn trim(&mut self) {
        while self.weight > self.limit
            && let Some(message) = self.messages.pop_front()
        {
            self.weight -= message.weight();
            self.lost += 1;
        }
    }
}

/// Bytes that are sent at a time.
const MAX_BATCH_BYTES: usize = 1024 * 1024;
/// Messages that are sent at a time.
const MAX_BATCH: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u8) -> Message {
        Message::new(b"news", &[number], false, false)
    }

    fn numbers(work: &Work) -> Vec<u8> {
        work.messages.iter().map(|message| message.bytes[header::LENGTH]).collect()
    }

    #[test]
    fn when_there_is_too_much_the_oldest_are_lost_and_counted() {
        let weight = message(0).weight();
        let outbox = Outbox::new(3 * weight);
        (0..5).for_each(|number| outbox.push(message(number)));
        assert_eq!(outbox.waiting(), (3 * weight, 2));
        outbox.set_limit(2 * weight);
        assert_eq!(outbox.waiting(), (2 * weight, 3));
        assert_eq!(numbers(&outbox.take(true)), [3, 4]);
        outbox.push(Message::new(b"news", &vec![0; 3 * weight], false, false));
        assert_eq!(outbox.waiting(), (0, 4), "one that is too large by itself");
    }

    #[test]
    fn nothing_is_left_when_what_was_taken_is_sent() {
        let outbox = Outbox::new(1000);
        outbox.await_sent(Duration::ZERO);
        outbox.push(message(1));
        assert!(!outbox.is_empty());
        assert_eq!(numbers(&outbox.take(false)), [0; 0]);
        assert_eq!(numbers(&outbox.take(true)), [1]);
        assert!(!outbox.is_empty(), "it may still get lost");
        outbox.note_sent(0);
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_batch_is_bounded() {
        let outbox = Outbox::new(usize::MAX);
        (0..=MAX_BATCH).for_each(|_| outbox.push(message(0)));
        assert_eq!(outbox.take(true).messages.len(), MAX_BATCH);
        outbox.note_sent(0);
        let large = vec![0; MAX_BATCH_BYTES / 2];
        (0..3).for_each(|_| outbox.push(Message::new(b"news", &large, false, false)));
        assert_eq!(outbox.take(true).messages.len(), 3);
        assert_eq!(outbox.take(true).messages.len(), 1);
    }

    #[test]
    fn a_topic_that_changes_twice_is_told_once() {
        let outbox = Outbox::new(1000);
        for topic in [b"news", b"news"] {
            outbox.note_change(topic);
        }
        assert_eq!(outbox.take(true).changed.len(), 1);
        assert!(outbox.take(true).changed.is_empty());
    }
}
