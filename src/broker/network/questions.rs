//! Counting subscribers in all processes: a question goes to everybody on one channel, and each answers on the channel
//! of the process that asks. The broker says how many have got the question.

use std::collections::HashMap;

use tokio::time::Instant;

use super::outbox::Question;
use crate::bridge::broker::{BrokerEvent, BrokerEvents};
use crate::bridge::sync::Arc;

/// The questions that wait for answers.
#[derive(Debug, Default)]
pub(super) struct Questions {
    open: HashMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    asker: Arc<BrokerEvents>,
    until: Instant,
    /// Subscribers so far.
    count: u64,
    answers: u64,
    /// Number of answers to come; `None` before the broker has said so.
    expected: Option<u64>,
}

impl Questions {
    /// Notes a question, with the number of subscribers in this process.
    pub(super) fn open(&mut self, question: &Question, count: u64) {
        let until = tokio::time::sleep(question.patience).deadline();
        let asker = Arc::clone(&question.asker);
        self.open.insert(question.number, Open { asker, until, count, answers: 0, expected: None });
    }

    /// So many other processes have got the question.
    pub(super) fn expect(&mut self, number: u64, processes: u64) {
        if let Some(open) = self.open.get_mut(&number) {
            open.expected = Some(processes);
            self.conclude(number);
        }
    }

    /// A process has answered.
    pub(super) fn note_answer(&mut self, number: u64, count: u64) {
        if let Some(open) = self.open.get_mut(&number) {
            open.count = open.count.saturating_add(count);
            open.answers += 1;
            self.conclude(number);
        }
    }

    fn conclude(&mut self, number: u64) {
        let is_complete = |open: &Open| open.expected.is_some_and(|expected| open.answers >= expected);
        if self.open.get(&number).is_some_and(is_complete)
            && let Some(open) = self.open.remove(&number)
        {
            open.asker.push(BrokerEvent::Counted { question: number, count: open.count });
        }
    }

    /// Forgets the questions that nobody waits for any more.
    pub(super) fn expire(&mut self) {
        let now = tokio::time::sleep(std::time::Duration::ZERO).deadline();
        self.open.retain(|_, open| open.until > now);
    }
}
