//! Node's own loop as the leader of the first reactor (`io/reactor`): it watches the reactor's descriptor, keeps its
//! alarm, and hands events to the dispatcher without waking anybody.
//!
//! ```text
//!   the descriptor is readable ─► turn of the reactor ─► did the bell ring? ─► the dispatcher, which calls handlers
//!   commands outside of handlers ─► gathered ─► the loop is about to sleep ─► carried out
//! ```

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use super::doorbell::Ringer;
use crate::io::leadership::{Leadership, Moment, Policy, Work};
use crate::io::reactor::Reactor;
use crate::io::thread_clock::ThreadClock;
use crate::node::js::{Bring, Env, LoopWatch, Occasion};

/// See the top of the file. When it is dropped, Node's loop does not watch any more; the thread has to lead then.
pub(crate) struct NodeLoop {
    seat: Rc<Seat>,
}

/// What the callbacks of the loop need.
struct Seat {
    reactor: Arc<Reactor>,
    ringer: Arc<Ringer>,
    /// Owns the callbacks, which own the seat: taken out to end both.
    watch: RefCell<Option<LoopWatch>>,
    leadership: RefCell<Leadership>,
    /// The processor time of Node's thread, where the system tells.
    clock: Option<ThreadClock>,
    /// Whether Node's loop has led since the thread was last seen to do so.
    has_led: Cell<bool>,
    hooks: Hooks,
}

/// What Node's loop does for the load of the addon.
#[derive(Clone)]
pub(crate) struct Hooks {
    /// Carries out what was gathered outside of handlers ([`NodeLoop::gather`]).
    pub flush: Rc<dyn Fn()>,
    /// Brings events to the dispatcher, one by one.
    pub bring: Bring,
}

impl NodeLoop {
    /// Has Node's loop lead a reactor that its thread leads. `None` where Node's loop cannot watch descriptors of others.
    pub(crate) fn new(
        env: Env<'_>,
        reactor: &Arc<Reactor>,
        ringer: &Arc<Ringer>,
        policy: Policy,
        hooks: Hooks,
    ) -> Option<Self> {
        let descriptor = reactor.descriptor()?;
        let seat = Rc::new(Seat {
            reactor: Arc::clone(reactor),
            ringer: Arc::clone(ringer),
            watch: RefCell::new(None),
            leadership: RefCell::new(Leadership::new(policy, Moment::default())),
            clock: reactor.watch_node(policy.leaves_deliveries()),
            has_led: Cell::new(false),
            hooks,
        });
        let its_seat = Rc::clone(&seat);
        let watch = LoopWatch::new(env, descriptor, Rc::new(move |occasion| its_seat.handle(occasion)))?;
        let start = seat.moment(&watch);
        seat.watch.replace(Some(watch));
        seat.leadership.replace(Leadership::new(policy, start));
        seat.lead();
        Some(Self { seat })
    }

    /// Whether commands for the reactor may wait until [`Self::gather`] has them carried out.
    #[must_use]
    pub(crate) fn leads(&self) -> bool {
        self.seat.reactor.is_led_by_node()
    }

    /// A sign of life.
    pub(crate) fn note_life(&self) {
        self.seat.reactor.note_life();
    }

    /// How often Node's loop has turned.
    pub(crate) fn turns(&self) -> Option<u64> {
        self.seat.with_watch(LoopWatch::turns)
    }

    /// Commands wait: carries them out before Node's loop sleeps.
    pub(crate) fn gather(&self) {
        self.seat.with_watch(LoopWatch::await_sleep);
    }

    /// A message is about to be published to so many subscribers of the first worker.
    pub(crate) fn note_publish(&self, subscribers: u32) {
        if self.seat.leadership.borrow_mut().note_publish(subscribers) && self.leads() {
            self.seat.reactor.leave_to_thread();
            if self.seat.reactor.is_led_by_thread() {
                self.seat.note_lost();
                self.seat.leadership.borrow_mut().note_publish(subscribers);
            }
        }
    }

    /// The dispatcher has handled `events`: if the thread leads, considers to lead again.
    pub(crate) fn note_turn(&self, events: u32) {
        self.seat.reconsider_leading(events);
    }
}

impl Drop for NodeLoop {
    fn drop(&mut self) {
        drop(self.seat.watch.take());
    }
}

impl Seat {
    fn with_watch<R>(&self, act: impl FnOnce(&LoopWatch) -> R) -> Option<R> {
        self.watch.borrow().as_ref().map(act)
    }

    fn handle(&self, occasion: Occasion) {
        self.reactor.set_in_callback(true);
        let ((), is_rung) = self.ringer.answer(|| match occasion {
            Occasion::Sleep => (self.hooks.flush)(),
            Occasion::Readable => self.note_turn(self.reactor.turn_if_readable()),
            Occasion::Alarm => {
                self.reactor.note_alarm_rung();
                self.note_turn(self.reactor.turn());
            }
        });
        if is_rung {
            self.ringer.call(&self.hooks.bring);
        }
        // Unless the dispatcher has done that: it may have had to stop.
        self.reactor.finish_pass();
        self.reactor.set_in_callback(false);
        self.reactor.note_life();
        if let Some(after) = self.reactor.next_alarm() {
            self.with_watch(|watch| watch.set_alarm(after));
        }
        self.reconsider_handing_over();
    }

    /// The reactor had a turn, if Node's loop leads it.
    fn note_turn(&self, has_led: bool) {
        if !has_led && self.reactor.is_led_by_thread() {
            self.note_lost();
        }
    }

    /// The thread leads: there is nothing to watch any more.
    fn note_lost(&self) {
        self.with_watch(|watch| {
            watch.watch(false);
            if self.has_led.replace(false) {
                self.leadership.borrow_mut().note_lost(self.moment(watch));
            }
        });
    }

    fn reconsider_handing_over(&self) {
        if !self.reactor.is_led_by_node() {
            return;
        }
        let should_hand_over = self.with_watch(|watch| {
            let mut leadership = self.leadership.borrow_mut();
            leadership.note_turn(self.reactor.take_work());
            leadership.is_due(watch.now()) && leadership.should_hand_over(self.moment(watch))
        });
        if should_hand_over == Some(true) {
            self.reactor.hand_to_thread();
            if self.reactor.is_led_by_thread() {
                self.note_lost();
            }
        }
    }

    fn reconsider_leading(&self, events: u32) {
        if !self.reactor.is_led_by_thread() {
            return;
        }
        if self.has_led.get() {
            self.note_lost();
        }
        let should_lead = self.with_watch(|watch| {
            let mut leadership = self.leadership.borrow_mut();
            leadership.note_turn(Work { events, ..Work::default() });
            leadership.is_due(watch.now()) && leadership.should_lead(self.moment(watch))
        });
        if should_lead == Some(true) {
            self.lead();
        }
    }

    fn lead(&self) {
        self.with_watch(|watch| {
            watch.watch(true);
            self.has_led.set(true);
            self.leadership.borrow_mut().note_regained(self.moment(watch));
        });
        self.reactor.ask_node();
    }

    fn moment(&self, watch: &LoopWatch) -> Moment {
        let now = watch.now();
        let used = self.clock.and_then(ThreadClock::now);
        // Elsewhere the time in which the loop was not idle, which is nearly the same on a machine that is not overloaded.
        let busy = match used {
            Some(used) => u64::try_from(used.as_nanos()).unwrap_or(u64::MAX),
            None => (now * 1_000_000).saturating_sub(watch.idle_time()),
        };
        let (thread, moved) = self.reactor.work_of_thread();
        Moment { now, busy, delivered: self.reactor.deliveries(), thread, moved }
    }
}
