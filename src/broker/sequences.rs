//! Numbers of messages: given out by the process that publishes, checked by those that receive.

use std::collections::HashMap;

/// The numbers that this process gives out, by topic.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    latest: HashMap<Box<[u8]>, u64>,
    /// The largest number so far.
    largest: u64,
}

impl Numbers {
    /// The number of the next message on a topic, and whether it is the first one that is known of.
    pub(crate) fn next(&mut self, topic: &[u8]) -> (u64, bool) {
        if let Some(latest) = self.latest.get_mut(topic) {
            *latest += 1;
            self.largest = self.largest.max(*latest);
            return (*latest, false);
        }
        if self.latest.len() >= MAX_TOPICS {
            self.latest = HashMap::new();
        }
        // Larger than any that the topic may have had before it was forgotten.
        self.largest += 1;
        self.latest.insert(topic.into(), self.largest);
        (self.largest, true)
    }
}

/// The numbers that have arrived, by topic and process.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    latest: HashMap<Box<[u8]>, HashMap<u64, u64>>,
}

/// What a number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The message is new; so many before it were lost.
    New {
        /// How many.
        lost: u64,
    },
    /// It has arrived before: it was sent again, because the broker had not confirmed it.
    Again,
}

impl Arrivals {
    /// Notes a message.
    pub(crate) fn note(&mut self, topic: &[u8], process: u64, number: u64, is_first: bool) -> Arrival {
        if !self.latest.contains_key(topic) {
            self.latest.insert(topic.into(), HashMap::new());
        }
        let Some(of_topic) = self.latest.get_mut(topic) else { return Arrival::New { lost: 0 } };
        if of_topic.len() >= MAX_PROCESSES && !of_topic.contains_key(&process) {
            of_topic.clear();
        }
        match of_topic.insert(process, number) {
            Some(latest) if number <= latest => {
                of_topic.insert(process, latest);
                Arrival::Again
            }
            Some(latest) if !is_first => Arrival::New { lost: number - latest - 1 },
            _ => Arrival::New { lost: 0 },
        }
    }

    /// Forgets a topic that is not subscribed any more.
    pub(crate) fn forget(&mut self, topic: &[u8]) {
        self.latest.remove(topic);
    }
}

/// Topics whose numbers are known at a time.
const MAX_TOPICS: usize = 65_536;
/// Processes whose numbers are known for a topic at a time.
const MAX_PROCESSES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_counted_and_what_comes_twice_is_known() {
        let (mut numbers, mut arrivals) = (Numbers::default(), Arrivals::default());
        let mut send = || numbers.next(b"news");
        let [first, second, third, fourth] = [send(), send(), send(), send()];
        let mut note = |(number, is_first)| arrivals.note(b"news", 7, number, is_first);
        assert_eq!(note(first), Arrival::New { lost: 0 });
        assert_eq!(note(fourth), Arrival::New { lost: 2 });
        for earlier in [first, second, third, fourth] {
            assert_eq!(note(earlier), Arrival::Again);
        }
    }

    #[test]
    fn a_receiver_that_comes_later_has_lost_nothing() {
        let (mut numbers, mut arrivals) = (Numbers::default(), Arrivals::default());
        for _ in 0..5 {
            numbers.next(b"news");
        }
        let (number, is_first) = numbers.next(b"news");
        assert_eq!(arrivals.note(b"news", 7, number, is_first), Arrival::New { lost: 0 });
        arrivals.forget(b"news");
        let (number, is_first) = (number + 10, false);
        assert_eq!(arrivals.note(b"news", 7, number, is_first), Arrival::New { lost: 0 });
    }

    #[test]
    fn a_topic_whose_number_was_forgotten_starts_anew_without_a_loss() {
        let (mut numbers, mut arrivals) = (Numbers::default(), Arrivals::default());
        let mut send = |numbers: &mut Numbers, topic: &[u8]| {
            let (number, is_first) = numbers.next(topic);
            arrivals.note(topic, 7, number, is_first)
        };
        for _ in 0..3 {
            assert_eq!(send(&mut numbers, b"news"), Arrival::New { lost: 0 });
        }
        for number in 0..=MAX_TOPICS {
            numbers.next(&number.to_be_bytes());
        }
        assert_eq!(send(&mut numbers, b"news"), Arrival::New { lost: 0 });
        assert_eq!(send(&mut numbers, b"news"), Arrival::New { lost: 0 });
    }
}
