//! The questions of a process to the others, and who has answered them.

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;

use super::outbox::Question;
use crate::bridge::broker::{BrokerEvent, BrokerEvents};
use crate::bridge::sync::Arc;

/// The questions that wait for answers.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// By a number of their own: those of several threads of the process may be the same.
    open: HashMap<u64, Open>,
    latest: u64,
}

#[derive(Debug)]
struct Open {
    /// The number that the asker knows it by.
    number: u64,
    asker: Arc<BrokerEvents>,
    until: Instant,
    /// Subscribers so far.
    count: u64,
    /// Processes that have answered.
    answers: HashSet<u64>,
    /// Number of answers to come; `None` before the broker has said so.
    expected: Option<u64>,
}

impl Questions {
    /// Notes a question, with the number of subscribers in this process. Returns its number among processes, from 1.
    pub(super) fn open(&mut self, question: &Question, count: u64) -> u64 {
        self.latest += 1;
        let until = tokio::time::sleep(question.patience).deadline();
        let asker = Arc::clone(&question.asker);
        let open =
            Open { number: question.number, asker, until, count, answers: HashSet::new(), expected: None };
        self.open.insert(self.latest, open);
        self.latest
    }

    /// So many other processes have got the question.
    pub(super) fn expect(&mut self, number: u64, processes: u64) {
        if let Some(open) = self.open.get_mut(&number) {
            open.expected = Some(processes);
            self.conclude(number);
        }
    }

    /// A process has answered, or is known not to be there any more.
    pub(super) fn note_answer(&mut self, number: u64, process: u64, count: u64) {
        if let Some(open) = self.open.get_mut(&number)
            && open.answers.insert(process)
        {
            open.count = open.count.saturating_add(count);
            self.conclude(number);
        }
    }

    fn conclude(&mut self, number: u64) {
        let is_complete =
            |open: &Open| open.expected.is_some_and(|expected| open.answers.len() as u64 >= expected);
        if self.open.get(&number).is_some_and(is_complete)
            && let Some(open) = self.open.remove(&number)
        {
            open.asker.push(BrokerEvent::Counted { question: open.number, count: open.count });
        }
    }

    /// Forgets the questions that nobody waits for any more.
    pub(super) fn expire(&mut self) {
        let now = tokio::time::sleep(std::time::Duration::ZERO).deadline();
        self.open.retain(|_, open| open.until > now);
    }
}
