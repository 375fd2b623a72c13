//! The queue of events: those of one batch in their order, batches of several workers in turn. A turn of
//! Node's loop has a budget, so that timers and other I/O of the application never starve.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::workers::Workers;
use crate::bridge::broker::BrokerEvent;
use crate::bridge::event::{Event, EventBatch, Payload};
use crate::bridge::id::WorkerId;
use crate::bridge::record::Record;
use crate::node::error::Misuse;
use crate::node::state::handles::JsHandle;

/// The queue of events, with the budget of a turn.
#[derive(Debug, Default)]
pub(crate) struct Dispatcher {
    /// The current batch, its worker, and the position of the next event.
    batch: Option<(WorkerId, EventBatch, usize)>,
    /// The worker to ask first for the next batch.
    turn: usize,
    /// The response whose handler is running.
    pub serving: Option<JsHandle>,
    /// Responses with body that arrived before its handler was attached.
    late_bodies: VecDeque<JsHandle>,
    /// What is left of the budget of this turn of Node's loop; `None` before its first event. All callbacks of one turn,
    /// which may be several, share it. Where turns are not counted, it applies until it is used up.
    budget: Option<Budget>,
    /// The turn of Node's loop in which the dispatcher was called last.
    turn_of_loop: Option<u64>,
    /// Serial of the running handler: how often JavaScript has asked for an event.
    pub handler_serial: u64,
    /// The same at the end of the last turn.
    turn_serial: u64,
    /// Number of records for the listener of `setLogger` that are handed over before the next batch.
    records: usize,
    /// Number of events of brokers that are handed over before the next batch.
    broker_events: usize,
    /// Whether every published message that was dropped is reported, even without a handler for it.
    pub reports_drops: bool,
    /// Events since commands were handed over.
    unflushed: u32,
    /// Whether the budget was used up, and the dispatcher has not been called since in a turn of its own.
    is_yielding: bool,
}

#[derive(Debug)]
struct Budget {
    events: u32,
    /// `None` before the first handler: most turns have one, and need no clock.
    started: Option<Instant>,
}

impl Budget {
    const fn new() -> Self {
        Self { events: EVENTS_PER_TURN, started: None }
    }

    /// Counts one event. Returns whether that was the last one.
    #[expect(
        clippy::disallowed_methods,
        reason = "the budget of a turn is time on Node's thread, not of the engine"
    )]
    fn take_one(&mut self) -> bool {
        self.events -= 1;
        if self.events == EVENTS_PER_TURN - EVENTS_WITHOUT_CLOCK {
            self.started = Some(Instant::now());
        }
        let is_look = self.events.is_multiple_of(EVENTS_PER_LOOK);
        self.events == 0 || (is_look && self.started.is_some_and(|started| started.elapsed() > TIME_PER_TURN))
    }
}

/// The turn of Node's loop.
impl Dispatcher {
    /// The dispatcher is called by Node's loop, which has turned so often.
    pub(crate) fn begin_turn(&mut self, turn_of_loop: Option<u64>) {
        self.is_yielding = false;
        if self.turn_of_loop != turn_of_loop {
            self.turn_of_loop = turn_of_loop;
            self.budget = None;
        }
    }

    /// Ends a turn whose budget is used up: the next one, which is another turn of Node's loop, gets a new budget.
    pub(crate) fn yield_turn(&mut self, workers: &mut Workers) {
        self.budget = None;
        self.is_yielding = true;
        self.end_turn(workers);
    }

    /// Whether a later turn of Node's loop goes on with the events, before which no other one may.
    #[must_use]
    pub(crate) const fn is_yielding(&self) -> bool {
        self.is_yielding
    }

    /// Whether no further event is at hand. More may be found ([`Self::next_batch`]).
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.remaining() == 0 && self.late_bodies.is_empty() && self.records == 0 && self.broker_events == 0
    }

    /// Ends the turn: commands are handed over.
    pub(crate) fn end_turn(&mut self, workers: &mut Workers) {
        self.unflushed = 0;
        let events = self.handler_serial - std::mem::replace(&mut self.turn_serial, self.handler_serial);
        // The last request found none.
        workers.end_turn(u32::try_from(events.saturating_sub(1)).unwrap_or(u32::MAX));
    }

    /// Counts one event. Reads the clock once per [`EVENTS_PER_LOOK`] events.
    pub(crate) fn is_budget_used_up(&mut self, workers: &mut Workers) -> bool {
        workers.note_life();
        self.unflushed += 1;
        if self.unflushed > EVENTS_PER_FLUSH {
            self.unflushed = 0;
            workers.flush();
        }
        self.budget.get_or_insert_with(Budget::new).take_one()
    }
}

/// The queue of events.
impl Dispatcher {
    /// Queues the delivery of what has arrived of the body for this response's handler.
    pub(crate) fn deliver_body(&mut self, handle: JsHandle) {
        self.late_bodies.push_back(handle);
    }

    /// The next response with a queued delivery.
    pub(crate) fn next_late_body(&mut self) -> Option<JsHandle> {
        self.late_bodies.pop_front()
    }

    /// The batch whose events are being handled.
    #[must_use]
    pub(crate) fn batch(&self) -> Option<&EventBatch> {
        self.batch.as_ref().map(|(_, batch, _)| batch)
    }

    /// The same, mutable.
    pub(crate) fn batch_mut(&mut self) -> Option<&mut EventBatch> {
        self.batch.as_mut().map(|(_, batch, _)| batch)
    }

    /// The next event, without its payload, which the caller reads from the batch.
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        let (_, batch, position) = self.batch.as_mut()?;
        let event = batch.events.get(*position).copied()?;
        *position += 1;
        Some(event)
    }

    /// Number of events of the current batch that have not been handled.
    #[must_use]
    pub(crate) fn remaining(&self) -> usize {
        self.batch.as_ref().map_or(0, |(_, batch, position)| batch.events.len() - position)
    }

    /// The bytes that the spans and slices of the current batch refer to.
    #[must_use]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.batch.as_ref().map_or(&[], |(_, batch, _)| &batch.bytes)
    }

    /// A payload of the current batch.
    #[must_use]
    pub(crate) fn payload(&self, payload: Payload) -> &[u8] {
        self.batch.as_ref().map_or(&[], |(_, batch, _)| payload.of(batch))
    }

    /// The next record for the listener of `setLogger`, out of those that were waiting at the start of this batch:
    /// newer ones follow after the events of the next batch.
    pub(crate) fn next_record(&mut self, workers: &Workers) -> Option<Record> {
        self.records = self.records.checked_sub(1)?;
        workers.journal()?.take()
    }

    /// The next event of a broker, out of those that were waiting at the start of this batch.
    pub(crate) fn next_broker_event(&mut self, workers: &Workers) -> Option<BrokerEvent> {
        self.broker_events = self.broker_events.checked_sub(1)?;
        workers.threads().ok()?.broker_events.take()
    }

    /// Gets the next batch, and counts the records and events of brokers that wait. When there is nothing, enables the
    /// bell and checks once more. Returns whether there is something to handle.
    ///
    /// # Errors
    /// `lib/` has not called `start` yet.
    pub(crate) fn next_batch(&mut self, workers: &mut Workers) -> Result<bool, Misuse> {
        if let Some((worker, batch, _)) = self.batch.take()
            && let Some(handle) = workers.all().get(worker.index())
            && handle.uplink.recycle(batch)
        {
            handle.downlink.wake();
        }
        if Self::seems_any(workers)? && self.take_batch(workers)? {
            return Ok(true);
        }
        workers.advance();
        if Self::seems_any(workers)? && self.take_batch(workers)? {
            return Ok(true);
        }
        workers.threads()?.bell.sleep();
        let is_any = self.take_batch(workers)?;
        if is_any {
            workers.threads()?.bell.rise();
        }
        Ok(is_any)
    }

    /// Whether anything seems to have arrived, at the cost of a load for each queue. May overlook what another thread is
    /// handing over.
    fn seems_any(workers: &Workers) -> Result<bool, Misuse> {
        let threads = workers.threads()?;
        let is_event = threads.pool.workers().iter().any(|worker| worker.uplink.seems_full());
        Ok(is_event || threads.journal.waiting() > 0 || threads.broker_events.waiting_at_a_glance() > 0)
    }

    fn take_batch(&mut self, workers: &Workers) -> Result<bool, Misuse> {
        let threads = workers.threads()?;
        let workers = threads.pool.workers();
        self.records = threads.journal.waiting();
        self.broker_events = threads.broker_events.waiting();
        for number in (self.turn..workers.len()).chain(0..self.turn.min(workers.len())) {
            if let Some((batch, resume)) = workers[number].uplink.take() {
                if resume {
                    workers[number].downlink.wake();
                }
                self.turn = number + 1;
                // There are at most 64 workers.
                let worker = WorkerId(u8::try_from(number).unwrap_or(0));
                self.batch = Some((worker, batch, 0));
                return Ok(true);
            }
        }
        Ok(self.records > 0 || self.broker_events > 0)
    }
}

/// Events per turn of Node's loop.
const EVENTS_PER_TURN: u32 = 4096;
/// Time per turn of Node's loop; checked every [`EVENTS_PER_LOOK`] events.
const TIME_PER_TURN: Duration = Duration::from_millis(4);
/// Events between two readings of the clock.
const EVENTS_PER_LOOK: u32 = 16;
/// Events before the first reading. A turn with one event asks three times whether the budget is used up.
const EVENTS_WITHOUT_CLOCK: u32 = 4;
/// Events after which commands are handed over, so that the workers write while the next handlers run. Fewer make
/// smaller batches and more wake-ups; more would only delay, as a turn ends after [`TIME_PER_TURN`] anyway.
const EVENTS_PER_FLUSH: u32 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// Handles at most `limit` events, which take no time. Returns how many until the budget was used up.
    fn handle(dispatcher: &mut Dispatcher, workers: &mut Workers, limit: u32) -> u32 {
        for count in 0..limit {
            if dispatcher.is_budget_used_up(workers) {
                return count;
            }
            dispatcher.budget.as_mut().unwrap().started = None;
        }
        limit
    }

    #[test]
    fn callbacks_of_one_turn_of_the_loop_share_its_budget() {
        let (mut dispatcher, mut workers) = (Dispatcher::default(), Workers::default());
        for turn in 0..3 {
            dispatcher.begin_turn(Some(turn));
            assert_eq!(handle(&mut dispatcher, &mut workers, 1000), 1000);
            dispatcher.end_turn(&mut workers);
            dispatcher.begin_turn(Some(turn));
            assert_eq!(handle(&mut dispatcher, &mut workers, u32::MAX), EVENTS_PER_TURN - 1000 - 1);
            dispatcher.yield_turn(&mut workers);
        }
    }

    #[test]
    fn a_turn_of_the_loop_begins_with_a_whole_budget() {
        let (mut dispatcher, mut workers) = (Dispatcher::default(), Workers::default());
        for turn in 0..3 {
            dispatcher.begin_turn(Some(turn));
            assert_eq!(handle(&mut dispatcher, &mut workers, EVENTS_PER_TURN - 1), EVENTS_PER_TURN - 1);
            dispatcher.end_turn(&mut workers);
        }
    }
}
