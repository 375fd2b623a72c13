//! Counting subscribers in all processes: a process asks the others, and each answers.
//!
//! Redis says how many have got a question. NATS does not, so there a process keeps a roll of the others: each announces
//! itself when it has connected, and the others answer that; a question goes to each of them, and the server says at
//! once if one is not connected any more.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::channels::{Channels, Scheme, answered};
use super::outbox::Question;
use super::parcel::{Arrival, Parcel};
use super::questions::Questions;
use crate::bridge::sync::Arc;
use crate::broker::group::Group;
use crate::broker::header::{self, Header, Received};

/// What this process asks and answers.
pub(super) struct Census {
    /// Identifies this process to others.
    process: u64,
    channels: Arc<Channels>,
    questions: Questions,
    roll: Option<Roll>,
    /// What is sent next.
    letters: Vec<Parcel>,
}

/// The other processes (NATS).
#[derive(Default)]
struct Roll {
    /// When each was heard of last.
    members: HashMap<u64, Instant>,
    stage: Stage,
    /// Questions that wait until the roll is complete.
    held: Vec<Question>,
    /// When this process announces itself next; `None` without a connection.
    announce_at: Option<Instant>,
}

/// Whether a roll has all who are there.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// Nobody was asked yet.
    #[default]
    Empty,
    /// At this time at the latest.
    Filling(Instant),
    /// It has.
    Complete,
}

impl Census {
    pub(super) fn new(process: u64, channels: Arc<Channels>, scheme: Scheme) -> Self {
        let roll = (scheme == Scheme::Nats).then(Roll::default);
        Self { process, channels, questions: Questions::default(), roll, letters: Vec::new() }
    }

    /// Takes what is to be sent.
    pub(super) fn take_letters(&mut self) -> Vec<Parcel> {
        std::mem::take(&mut self.letters)
    }

    /// Whether there is something to send.
    pub(super) fn has_letters(&self) -> bool {
        !self.letters.is_empty()
    }

    /// There is a connection, with all subscriptions.
    pub(super) fn note_connected(&mut self) {
        if let Some(roll) = &mut self.roll {
            roll.stage = Stage::Filling(sleep(SETTLING).deadline());
            let reply = self.channels.answer(self.process, ANNOUNCEMENT, 0);
            self.announce(Some(reply));
        }
    }

    /// The connection has ended.
    pub(super) fn note_disconnected(&mut self) {
        self.letters.clear();
        if self.roll.is_some() {
            self.roll = Some(Roll::default());
        }
    }

    /// Asks all other processes; this one has `here` subscribers.
    pub(super) fn ask(&mut self, question: Question, here: u64) {
        if self.letters.len() >= MAX_LETTERS {
            return;
        }
        match &mut self.roll {
            None => {
                let number = self.questions.open(&question, here);
                let (channel, bytes) = (self.channels.everybody(), self.letter(number, &question.topic));
                let question = Some(number);
                self.letters.push(Parcel { channel, reply: None, bytes, question, is_message: false });
            }
            Some(roll) if roll.stage != Stage::Complete => {
                if roll.held.len() < MAX_LETTERS {
                    roll.held.push(question);
                }
            }
            Some(roll) => {
                let others: Vec<_> = roll.members.keys().copied().collect();
                let number = self.questions.open(&question, here);
                for other in &others {
                    let bytes = self.letter(number, &question.topic);
                    let reply = self.channels.answer(self.process, number, *other);
                    self.send(self.channels.process(*other), Some(reply), bytes);
                }
                self.questions.expect(number, others.len() as u64);
            }
        }
    }

    /// Something was sent: Redis says how many have got it, this process among them.
    pub(super) fn note_receivers(&mut self, question: u64, receivers: u64) {
        self.questions.expect(question, receivers.saturating_sub(1));
    }

    /// Redis: a question of another process.
    pub(super) fn note_question(&mut self, bytes: &[u8], group: &Group) {
        if let Received::Own(Header { process, number, .. }, topic) = header::decode(bytes)
            && process != self.process
        {
            let bytes = self.letter(number, &group.count(topic).to_be_bytes());
            self.send(self.channels.process(process), None, bytes);
        }
    }

    /// The answer of another process.
    pub(super) fn note_answer(&mut self, bytes: &[u8]) {
        if let Received::Own(Header { process, number, .. }, count) = header::decode(bytes)
            && let Ok(count) = <[u8; 8]>::try_from(count)
        {
            self.questions.note_answer(number, process, u64::from_be_bytes(count));
        }
    }

    /// NATS: a question of another process.
    pub(super) fn note_nats_question(&mut self, question: &Arrival, group: &Group) {
        if let Received::Own(Header { process, number, .. }, topic) = header::decode(&question.payload) {
            let bytes = self.letter(number, &group.count(topic).to_be_bytes());
            // Not to any subject that the question names: whoever asks may not be allowed to publish there.
            self.send(self.channels.answer(process, number, self.process), None, bytes);
        }
    }

    /// NATS: an answer of another process, or of the server, that it is not connected.
    pub(super) fn note_nats_answer(&mut self, answer: &Arrival, group: &Group) {
        match (answered(&answer.subject), answer.is_unheard) {
            (Some((ANNOUNCEMENT, _)), true) => self.complete(group),
            (Some((ANNOUNCEMENT, _)), false) => self.note_announcement(answer, group),
            (Some((question, other)), true) => {
                if let Some(roll) = &mut self.roll {
                    roll.members.remove(&other);
                }
                self.questions.note_answer(question, other, 0);
            }
            (Some(_), false) => self.note_answer(&answer.payload),
            (None, _) => {}
        }
    }

    /// NATS: another process is there. It says how many it knows, once it knows all.
    pub(super) fn note_announcement(&mut self, announcement: &Arrival, group: &Group) {
        let Some(roll) = &mut self.roll else { return };
        let Received::Own(Header { process, number, .. }, _) = header::decode(&announcement.payload) else {
            return;
        };
        if process == self.process || roll.members.len() >= MAX_MEMBERS {
            return;
        }
        let is_new = roll.members.insert(process, sleep(Duration::ZERO).deadline()).is_none();
        let known = roll.members.len() as u64 + 1;
        let is_complete = number > 0 && known >= number;
        // One that is new, but does not ask, may not know of this process either: there was no way between the two.
        if announcement.is_question || is_new {
            let bytes = self.announcement();
            self.send(self.channels.answer(process, ANNOUNCEMENT, self.process), None, bytes);
        }
        if is_complete {
            self.complete(group);
        }
    }

    /// When to call [`Self::check`] next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let roll = self.roll.as_ref()?;
        match roll.stage {
            Stage::Filling(at) => Some(roll.announce_at.map_or(at, |announce_at| announce_at.min(at))),
            Stage::Empty | Stage::Complete => roll.announce_at,
        }
    }

    /// Does what is due.
    pub(super) fn check(&mut self, group: &Group) {
        let Some(roll) = &mut self.roll else { return };
        let now = sleep(Duration::ZERO).deadline();
        let is_complete = matches!(roll.stage, Stage::Filling(at) if at <= now);
        let is_due = roll.announce_at.is_some_and(|at| at <= now);
        if is_due {
            roll.members.retain(|_, heard| now < *heard + MAX_SILENCE);
            self.announce(None);
        }
        if is_complete {
            self.complete(group);
        }
    }

    /// Forgets the questions that nobody waits for any more.
    pub(super) fn expire(&mut self) {
        self.questions.expire();
    }

    /// The roll has all who are there.
    fn complete(&mut self, group: &Group) {
        let Some(roll) = &mut self.roll else { return };
        roll.stage = Stage::Complete;
        for question in std::mem::take(&mut roll.held) {
            let here = group.count(&question.topic);
            self.ask(question, here);
        }
    }

    fn announce(&mut self, reply: Option<Vec<u8>>) {
        let bytes = self.announcement();
        self.send(self.channels.everybody(), reply, bytes);
        if let Some(roll) = &mut self.roll {
            roll.announce_at = Some(sleep(ANNOUNCE_INTERVAL).deadline());
        }
    }

    fn announcement(&self) -> Vec<u8> {
        let is_complete = |roll: &&Roll| roll.stage == Stage::Complete;
        let known = self.roll.as_ref().filter(is_complete).map_or(0, |roll| roll.members.len() as u64 + 1);
        self.letter(known, b"")
    }

    fn letter(&self, number: u64, content: &[u8]) -> Vec<u8> {
        let [is_binary, compress, is_first] = [true, false, false];
        let header = Header { is_binary, compress, is_first, process: self.process, number };
        [&header.encode()[..], content].concat()
    }

    fn send(&mut self, channel: Vec<u8>, reply: Option<Vec<u8>>, bytes: Vec<u8>) {
        if self.letters.len() < MAX_LETTERS {
            self.letters.push(Parcel { channel, reply, bytes, question: None, is_message: false });
        }
    }
}

/// The number of a question that is none: it announces a process. Questions start at 1.
const ANNOUNCEMENT: u64 = 0;
/// How long to wait for others after an announcement, if none that answers knows all of them.
const SETTLING: Duration = Duration::from_secs(1);
/// How often a process announces itself.
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(15);
/// After this a process of which nothing was heard is forgotten.
const MAX_SILENCE: Duration = Duration::from_secs(40);
/// Questions and answers that may wait; further ones are dropped, and whoever asks gives up after a while.
const MAX_LETTERS: usize = 10_000;
/// Processes that are known at a time.
const MAX_MEMBERS: usize = 10_000;

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::bridge::broker::{BrokerEvent, BrokerEvents};
    use crate::bridge::id::{TopicId, WorkerId};
    use crate::broker::group::Member;
    use crate::broker::network::channels::Source;

    /// A NATS server, and processes with a subscriber each.
    struct Net {
        processes: Vec<Census>,
        group: Arc<Group>,
    }

    impl Net {
        fn new() -> Self {
            let group = Arc::new(Group::default());
            let member = Arc::new(Member::new(Arc::clone(&group), Arc::default(), BrokerEvents::silent()));
            let topic = TopicId { slot: 0, generation: 0 };
            let _audience = group.open(&member, b"news", topic, WorkerId(0));
            Self { processes: Vec::new(), group }
        }

        fn join(&mut self, process: u64) {
            let channels = Arc::new(Channels::new("chat", Scheme::Nats));
            let mut census = Census::new(process, channels, Scheme::Nats);
            census.note_connected();
            self.processes.push(census);
        }

        /// Carries letters until nobody has one.
        fn run(&mut self) {
            while let Some(sender) = self.processes.iter().position(Census::has_letters) {
                for letter in self.processes[sender].take_letters() {
                    let mut is_heard = false;
                    for receiver in (0..self.processes.len()).filter(|receiver| *receiver != sender) {
                        is_heard |= self.deliver(receiver, &letter.channel, &letter, false);
                    }
                    if let (Some(reply), false) = (&letter.reply, is_heard) {
                        assert!(self.deliver(sender, reply, &letter, true));
                    }
                }
            }
        }

        fn deliver(&mut self, receiver: usize, subject: &[u8], letter: &Parcel, is_unheard: bool) -> bool {
            let Self { processes, group } = self;
            let census = &mut processes[receiver];
            let own = census.channels.process(census.process);
            let arrival = Arrival {
                source: Arc::new(Source::Everybody),
                subject: Bytes::copy_from_slice(subject),
                is_question: letter.reply.is_some(),
                is_unheard,
                payload: letter.bytes.clone().into(),
            };
            if subject == census.channels.everybody() {
                census.note_announcement(&arrival, group);
            } else if subject == own {
                census.note_nats_question(&arrival, group);
            } else if subject.starts_with(&own) {
                census.note_nats_answer(&arrival, group);
            } else {
                return false;
            }
            true
        }

        /// Asks under this number, and says what was answered.
        fn ask(&mut self, asker: usize, number: u64) -> Vec<(u64, u64)> {
            let events = BrokerEvents::silent();
            for number in [number, number + 1] {
                let (asker_events, topic) = (Arc::clone(&events), b"news".to_vec());
                let question = Question { number, topic, patience: Duration::MAX, asker: asker_events };
                let here = self.group.count(b"news");
                self.processes[asker].ask(question, here);
            }
            self.run();
            let answer = |event| match event {
                BrokerEvent::Counted { question, count } => (question, count),
                BrokerEvent::StateChanged(_) => panic!("nobody asked for that"),
            };
            std::iter::from_fn(|| events.take()).map(answer).collect()
        }
    }

    #[expect(clippy::unwrap_used, reason = "a test")]
    fn test(run: impl FnOnce(Net)) {
        // Deadlines need a clock.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _context = runtime.enter();
        run(Net::new());
    }

    #[test]
    fn who_is_alone_knows_at_once() {
        test(|mut net| {
            net.join(1);
            assert_eq!(net.ask(0, 1), [(1, 1), (2, 1)]);
        });
    }

    #[test]
    fn whoever_joins_is_asked_and_asks_all_others() {
        test(|mut net| {
            for process in 1..=4 {
                net.join(process);
                let newcomer = net.processes.len() - 1;
                assert_eq!(
                    net.ask(newcomer, 1),
                    [(1, process), (2, process)],
                    "even before its announcement was sent"
                );
                assert_eq!(net.ask(0, 7), [(7, process), (8, process)]);
            }
        });
    }

    #[test]
    fn who_is_gone_is_not_waited_for() {
        test(|mut net| {
            (1..=3).for_each(|process| net.join(process));
            net.run();
            net.processes[0].complete(&Group::default());
            assert_eq!(net.ask(0, 1), [(1, 3), (2, 3)]);
            net.processes.pop();
            assert_eq!(net.ask(0, 3), [(3, 2), (4, 2)]);
            assert_eq!(net.processes[0].roll.as_ref().map(|roll| roll.members.len()), Some(1));
        });
    }

    #[test]
    fn two_threads_may_ask_under_the_same_number() {
        test(|mut net| {
            net.join(1);
            net.join(2);
            net.run();
            net.processes[0].complete(&Group::default());
            let askers = [BrokerEvents::silent(), BrokerEvents::silent()];
            for asker in &askers {
                let asker = Arc::clone(asker);
                let question =
                    Question { number: 1, topic: b"news".to_vec(), patience: Duration::MAX, asker };
                net.processes[0].ask(question, 1);
            }
            net.run();
            for asker in &askers {
                assert!(matches!(asker.take(), Some(BrokerEvent::Counted { question: 1, count: 2 })));
            }
        });
    }
}
