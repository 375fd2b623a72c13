//! What waits to be sent to a broker: added by Node's threads, taken by the broker's thread.

use std::collections::{HashSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::gathered::{Gathered, Message};
use crate::bridge::broker::BrokerEvents;
use crate::bridge::sync::Arc;

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
    /// Oldest first; none of them is empty.
    messages: VecDeque<Gathered>,
    /// Memory for further ones.
    spares: Vec<Gathered>,
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

    /// Adds messages, and leaves memory for others in their place. Wakes the broker's thread.
    pub(crate) fn push(&self, gathered: &mut Gathered) {
        if gathered.is_empty() {
            return;
        }
        let mut state = self.state();
        let empty = state.spares.pop().unwrap_or_default();
        let full = std::mem::replace(gathered, empty);
        state.weight += full.weight();
        state.messages.push_back(full);
        state.trim();
        drop(state);
        self.wake();
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
            let Some(message) = state.take_first() else { break };
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
        while self.weight > self.limit && self.with_first(Gathered::drop_first).is_some() {
            self.lost += 1;
        }
    }

    fn take_first(&mut self) -> Option<Message> {
        self.with_first(Gathered::take_first).flatten()
    }

    /// Calls `take` with the messages among which the oldest one is, which it takes.
    fn with_first<R>(&mut self, take: impl FnOnce(&mut Gathered) -> R) -> Option<R> {
        let first = self.messages.front_mut()?;
        let before = first.weight();
        let taken = take(first);
        self.weight -= before - first.weight();
        if first.is_empty()
            && let Some(last) = self.messages.pop_front()
            && self.spares.len() < MAX_SPARES
        {
            self.spares.push(last.emptied());
        }
        Some(taken)
    }
}

/// Bytes that are sent at a time.
const MAX_BATCH_BYTES: usize = 1024 * 1024;
/// Messages that are sent at a time.
const MAX_BATCH: usize = 1024;
/// How often memory is kept for further messages.
const MAX_SPARES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::header;

    fn push(outbox: &Outbox, payloads: &[&[u8]]) {
        let mut gathered = Gathered::default();
        payloads.iter().for_each(|payload| gathered.add(b"news", payload, false, false));
        outbox.push(&mut gathered);
        assert!(gathered.is_empty());
    }

    fn numbers(work: &Work) -> Vec<u8> {
        work.messages.iter().map(|message| message.bytes[header::LENGTH]).collect()
    }

    #[test]
    fn when_there_is_too_much_the_oldest_are_lost_and_counted() {
        let weight = Message::new(b"news", &[0], false, false).weight();
        let outbox = Outbox::new(3 * weight);
        push(&outbox, &[&[0], &[1]]);
        push(&outbox, &[&[2], &[3], &[4]]);
        assert_eq!(outbox.waiting(), (3 * weight, 2));
        outbox.set_limit(2 * weight);
        assert_eq!(outbox.waiting(), (2 * weight, 3));
        assert_eq!(numbers(&outbox.take(true)), [3, 4]);
        push(&outbox, &[&vec![0; 3 * weight]]);
        assert_eq!(outbox.waiting(), (0, 4), "one that is too large by itself");
    }

    #[test]
    fn nothing_is_left_when_what_was_taken_is_sent() {
        let outbox = Outbox::new(1000);
        outbox.await_sent(Duration::ZERO);
        push(&outbox, &[]);
        assert!(outbox.is_empty());
        push(&outbox, &[&[1]]);
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
        push(&outbox, &vec![&[0][..]; MAX_BATCH - 1]);
        push(&outbox, &[&[0], &[0]]);
        assert_eq!(outbox.take(true).messages.len(), MAX_BATCH);
        outbox.note_sent(0);
        let large = vec![0; MAX_BATCH_BYTES / 2];
        push(&outbox, &[&large, &large, &large]);
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
