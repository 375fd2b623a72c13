//! Queue of log records for the listener of one environment: from any thread to Node's.
//!
//! Unlike events, records may be lost: a listener that does not keep up must neither slow other threads down nor use
//! unbounded memory. A record reports how many were lost.

use std::collections::VecDeque;

use super::queue::NodeBell;
use super::record::{Level, Record};
use super::sync::{Arc, Mutex, lock};

/// Records that may wait; when there are more, the oldest are lost. With [`super::record::MAX_TEXT`], this is a few
/// megabytes.
pub(crate) const MAX_RECORDS: usize = 10_000;

/// The message of the record that reports losses.
const LOSS: &str = "records were lost, because the listener does not keep up";

/// First in, first out. Rings the bell of Node's thread, as an uplink does, and must be checked together with the
/// uplinks.
#[derive(Debug)]
pub(crate) struct RecordQueue {
    state: Mutex<State>,
    bell: Arc<NodeBell>,
}

#[derive(Debug, Default)]
struct State {
    /// The most detailed level that is recorded; `None` while there is no listener.
    max_level: Option<Level>,
    /// Oldest first; at most [`MAX_RECORDS`].
    records: VecDeque<Record>,
    /// How many were lost since the last one that was taken.
    lost: u64,
}

impl RecordQueue {
    /// A queue that takes nothing yet.
    #[must_use]
    pub(crate) fn new(bell: Arc<NodeBell>) -> Self {
        Self { state: Mutex::new(State::default()), bell }
    }

    /// Node's thread: from now on takes records up to `max_level`, or nothing. Waiting records beyond that are
    /// dropped.
    pub(crate) fn set_level(&self, max_level: Option<Level>) {
        let mut state = lock(&self.state);
        state.max_level = max_level;
        match max_level {
            Some(level) => state.records.retain(|record| record.level <= level),
            None => (state.records, state.lost) = (VecDeque::new(), 0),
        }
    }

    /// Any thread: adds a record if its level is within `max_level`.
    pub(crate) fn push(&self, record: Record) {
        let mut state = lock(&self.state);
        if state.max_level.is_none_or(|level| record.level > level) {
            return;
        }
        if state.records.len() == MAX_RECORDS {
            state.records.pop_front();
            state.lost += 1;
        }
        state.records.push_back(record);
        drop(state);
        // Ring after releasing the lock: Node's thread would otherwise wake only to block on it.
        self.bell.wake();
    }

    /// Node's thread: how many calls of [`Self::take`] will find something.
    #[must_use]
    pub(crate) fn waiting(&self) -> usize {
        let state = lock(&self.state);
        state.records.len() + usize::from(state.lost > 0)
    }

    /// Node's thread: takes the oldest record. Lost records are replaced by one that reports their number.
    #[must_use]
    pub(crate) fn take(&self) -> Option<Record> {
        let mut state = lock(&self.state);
        match std::mem::take(&mut state.lost) {
            0 => state.records.pop_front(),
            lost => Some(Record::of_loss(module_path!(), LOSS, lost)),
        }
    }
}

#[cfg(all(test, not(feature = "loom")))]
mod tests {
    use super::*;
    use crate::bridge::record::{Field, FieldValue};
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn queue() -> (RecordQueue, Arc<NodeBell>, Arc<AtomicUsize>) {
        let rung = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&rung);
        let ring = Box::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let bell = Arc::new(NodeBell::new(ring));
        (RecordQueue::new(Arc::clone(&bell)), bell, rung)
    }

    fn record(level: Level, number: usize) -> Record {
        let fields = vec![Field { name: "number", value: FieldValue::Number(number as f64) }];
        Record { level, target: "test", message: "happened".into(), fields }
    }

    #[test]
    fn records_leave_in_order_and_ring_a_sleeper_once() {
        let (queue, bell, rung) = queue();
        queue.set_level(Some(Level::Info));
        for number in 0..3 {
            queue.push(record(Level::Warn, number));
        }
        assert_eq!((queue.waiting(), rung.load(Ordering::Relaxed)), (3, 1));
        for number in 0..3 {
            assert_eq!(queue.take(), Some(record(Level::Warn, number)));
        }
        assert_eq!((queue.waiting(), queue.take()), (0, None));
        bell.sleep();
        queue.push(record(Level::Warn, 3));
        assert_eq!(rung.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn what_is_not_wanted_is_not_taken_and_rings_nobody() {
        let (queue, _, rung) = queue();
        queue.push(record(Level::Error, 0));
        queue.set_level(Some(Level::Warn));
        queue.push(record(Level::Info, 1));
        assert_eq!((queue.waiting(), rung.load(Ordering::Relaxed)), (0, 0));
        queue.push(record(Level::Warn, 2));
        queue.push(record(Level::Error, 3));
        queue.set_level(Some(Level::Error));
        assert_eq!(queue.take(), Some(record(Level::Error, 3)));
        queue.push(record(Level::Error, 4));
        queue.set_level(None);
        queue.push(record(Level::Error, 5));
        assert_eq!((queue.waiting(), queue.take()), (0, None));
    }

    #[test]
    fn the_oldest_are_lost_and_one_record_tells_how_many() {
        let (queue, _, _) = queue();
        queue.set_level(Some(Level::Debug));
        for number in 0..MAX_RECORDS + 7 {
            queue.push(record(Level::Debug, number));
        }
        assert_eq!(queue.waiting(), MAX_RECORDS + 1);
        let loss = queue.take().unwrap();
        assert_eq!(loss.level, Level::Error);
        assert_eq!(loss.fields, [Field { name: "count", value: FieldValue::Number(7.0) }]);
        assert_eq!(queue.take(), Some(record(Level::Debug, 7)));
        assert_eq!(queue.waiting(), MAX_RECORDS - 1);
        queue.push(record(Level::Debug, 0));
        assert_eq!(queue.take(), Some(record(Level::Debug, 8)), "nothing was lost since");
    }

    #[test]
    fn switching_off_forgets_losses_too() {
        let (queue, _, _) = queue();
        queue.set_level(Some(Level::Debug));
        for number in 0..=MAX_RECORDS {
            queue.push(record(Level::Debug, number));
        }
        queue.set_level(None);
        queue.set_level(Some(Level::Debug));
        assert_eq!((queue.waiting(), queue.take()), (0, None));
    }
}

#[cfg(all(test, feature = "loom"))]
mod loom_tests {
    use super::*;
    use crate::bridge::sync::{AtomicBool, Ordering};

    /// Node's thread goes to sleep while a worker pushes a record: either the last check finds it, or the bell has
    /// rung.
    #[test]
    fn no_wake_up_is_lost() {
        loom::model(|| {
            let rung = Arc::new(AtomicBool::new(false));
            let flag = Arc::clone(&rung);
            let bell = Arc::new(NodeBell::new(Box::new(move || flag.store(true, Ordering::SeqCst))));
            bell.rise();
            let queue = Arc::new(RecordQueue::new(Arc::clone(&bell)));
            queue.set_level(Some(Level::Warn));
            let writer = {
                let queue = Arc::clone(&queue);
                loom::thread::spawn(move || queue.push(Record::of_loss("test", "happened", 1)))
            };
            let mut found = queue.waiting() > 0;
            if !found {
                bell.sleep();
                found = queue.waiting() > 0;
            }
            writer.join().unwrap();
            assert!(found || rung.load(Ordering::SeqCst), "asleep with a record in the queue and no bell");
        });
    }
}
