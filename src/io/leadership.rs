//! Whether Node's loop or the I/O thread should lead a reactor: all thresholds of that decision.
//!
//! While Node's thread has time, it is cheaper that its loop drives the sockets: nobody has to be woken for a message.
//! When it has not, the I/O thread takes the work of the sockets off it, and many messages share the cost of a wake-up.
//! So the lead goes to the thread when Node's thread is busy *and* the work of a turn is worth a wake-up, and returns when
//! Node's thread has had time for a while, would still have it with the work that the thread has done, and nothing was published
//! meanwhile to many clients, or for clients in other environments or processes: for that somebody has to be woken anyway, and
//! Node's thread should have no part in it. The decision is taken on Node's thread, once per window; before a publish to many
//! it is taken at once. Two things are not decided here: that the thread leads as soon as others deliver something, and that
//! it seizes a reactor whose leader shows no sign of life (`io/reactor`).

use std::thread;
use std::time::Duration;

/// Who may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Whoever does better.
    Automatic,
    /// The same where the process has one processor: two threads would only take it from each other, so the thread leads
    /// while Node's is blocked, and for what others deliver.
    OneProcessor,
    /// Node's loop, whenever it can.
    Node,
    /// Both in turn, for tests.
    Alternate,
}

impl Policy {
    /// The policy of this process; `None` if Node's loop must not lead. The environment variable `FERROWS_LEADER` is for
    /// tests: `node`, `thread`, or `alternate`.
    #[must_use]
    pub(crate) fn of_process() -> Option<Self> {
        match std::env::var("FERROWS_LEADER").as_deref() {
            Ok("thread") => None,
            Ok("node") => Some(Self::Node),
            Ok("alternate") => Some(Self::Alternate),
            _ if thread::available_parallelism().is_ok_and(|processors| processors.get() == 1) => {
                Some(Self::OneProcessor)
            }
            _ => Some(Self::Automatic),
        }
    }

    /// Whether Node's loop leaves what other environments and brokers deliver to the thread.
    #[must_use]
    pub(crate) const fn leaves_deliveries(self) -> bool {
        matches!(self, Self::Automatic | Self::OneProcessor)
    }
}

/// What was seen of Node's thread, and what follows from it.
#[derive(Debug)]
pub(crate) struct Leadership {
    policy: Policy,
    /// Start of the current window, by the clock of Node's loop.
    window: Moment,
    /// Turns in this window in which anything happened, and the work in them.
    turns: u32,
    work: Work,
    /// Whether anything was published to a [`CROWD`] in this window.
    has_crowd: bool,
    /// Windows in a row in which Node's thread was busy, or had time.
    busy: u32,
    calm: u32,
    /// When the lead last went to the thread, and when it last came back.
    lost_at: u64,
    regained_at: u64,
    /// For how many calm windows Node's loop waits before it leads again.
    back_off: u32,
}

/// The clock of Node's loop in milliseconds, and for how many nanoseconds in all Node's thread has worked: its processor
/// time, so that on a machine that has too few processors for all a thread that waits for one does not seem to be busy.
/// Handing over would cost more of what is scarce then.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    /// Milliseconds.
    pub now: u64,
    /// Nanoseconds.
    pub busy: u64,
    /// How often other environments and brokers have handed something to the worker.
    pub delivered: u64,
    /// For how many nanoseconds in all the I/O thread has worked; 0 where the system does not tell.
    pub thread: u64,
    /// How many bytes it has read and written.
    pub moved: u64,
}

/// What was done for the sockets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    /// Events that Node's thread got.
    pub events: u32,
    /// Bytes that were read and written on Node's thread.
    pub moved: u64,
    /// Time that native work has taken on Node's thread.
    pub time: Duration,
}

impl Work {
    const NONE: Self = Self { events: 0, moved: 0, time: Duration::ZERO };

    const fn and(self, other: Self) -> Self {
        Self {
            events: self.events.saturating_add(other.events),
            moved: self.moved.saturating_add(other.moved),
            time: self.time.saturating_add(other.time),
        }
    }

    /// Whether it is next to nothing but copying between the kernel and the program's memory, as for plain uploads and large
    /// responses. Another thread copies no faster, and from there everything has to move to the core of Node's.
    fn is_copying(self) -> bool {
        self.moved as f64 > self.time.as_nanos() as f64 * COPYING
    }
}

impl Leadership {
    /// Nothing has been seen yet.
    #[must_use]
    pub(crate) fn new(policy: Policy, start: Moment) -> Self {
        Self {
            policy,
            window: start,
            turns: 0,
            work: Work::default(),
            has_crowd: false,
            busy: 0,
            calm: 0,
            lost_at: 0,
            regained_at: 0,
            back_off: CALM_WINDOWS,
        }
    }

    /// Counts a turn.
    pub(crate) const fn note_turn(&mut self, work: Work) {
        self.turns += 1;
        self.work = self.work.and(work);
    }

    /// A message is about to be published to so many subscribers of the worker. Returns whether the thread should lead.
    pub(crate) fn note_publish(&mut self, subscribers: u32) -> bool {
        let is_crowd = subscribers >= CROWD && self.policy.leaves_deliveries();
        self.has_crowd |= is_crowd;
        is_crowd
    }

    /// Whether [`Self::should_hand_over`] or [`Self::should_lead`] should be asked at `now`, by the clock of the loop.
    #[must_use]
    pub(crate) const fn is_due(&self, now: u64) -> bool {
        match self.policy {
            Policy::Automatic | Policy::OneProcessor => now >= self.window.now + WINDOW,
            Policy::Node => true,
            Policy::Alternate => now >= self.window.now + ALTERNATE_AFTER,
        }
    }

    /// Node's loop leads: whether the thread should.
    pub(crate) fn should_hand_over(&mut self, moment: Moment) -> bool {
        match self.policy {
            Policy::Node => false,
            Policy::OneProcessor => {
                self.open_window(moment);
                false
            }
            Policy::Alternate => {
                self.window = moment;
                true
            }
            Policy::Automatic => {
                let (length, busy) = self.since(moment);
                let (native, native_per_turn) = (self.work.time, self.work.time / self.turns.max(1));
                let is_copying = self.work.is_copying();
                let is_busy = busy > length.mul_f64(BUSY);
                let is_native = native > length.mul_f64(NATIVE_SHARE);
                self.busy = if is_busy { self.busy + 1 } else { 0 };
                self.open_window(moment);
                let is_worth_it = native_per_turn >= WORTH_A_WAKE && self.busy >= BUSY_WINDOWS;
                let is_heavy = native_per_turn >= HEAVY && is_native;
                let is_wanted = !is_copying && (is_worth_it || is_heavy);
                is_wanted && moment.now >= self.regained_at + SWITCH_EVERY
            }
        }
    }

    /// The lead went to the thread, which may have seized it.
    pub(crate) fn note_lost(&mut self, moment: Moment) {
        self.open_window(moment);
        self.calm = 0;
        self.lost_at = moment.now;
        // Node's loop has not led for long: it waits longer next time, and not for the same time as others do.
        self.back_off = if moment.now < self.regained_at + SOON {
            let doubled = (2 * self.back_off).min(MOST_WINDOWS);
            doubled + rand::random::<u32>() % (doubled / 4)
        } else {
            CALM_WINDOWS
        };
    }

    /// The thread leads: whether Node's loop should.
    pub(crate) fn should_lead(&mut self, moment: Moment) -> bool {
        match self.policy {
            Policy::Node => true,
            Policy::Alternate => {
                self.window = moment;
                true
            }
            Policy::Automatic | Policy::OneProcessor => {
                let (length, busy) = self.since(moment);
                let windows = u32::try_from((moment.now - self.window.now) / WINDOW).unwrap_or(u32::MAX);
                let is_calm = busy + self.inherited(moment) < length.mul_f64(CALM);
                let is_crowded = self.work.events / self.turns.max(1) >= MANY_EVENTS;
                let is_fed = moment.delivered != self.window.delivered;
                let has_time = is_calm && !is_crowded || self.policy == Policy::OneProcessor;
                let is_calm = has_time && !is_fed && !self.has_crowd;
                self.calm = if is_calm { self.calm.saturating_add(windows) } else { 0 };
                self.open_window(moment);
                self.calm >= self.back_off && moment.now >= self.lost_at + SWITCH_EVERY
            }
        }
    }

    /// Node's loop leads again.
    pub(crate) fn note_regained(&mut self, moment: Moment) {
        self.open_window(moment);
        self.busy = 0;
        self.regained_at = moment.now;
    }

    /// Length of the window that ends now, and the time that Node's thread has worked in it.
    fn since(&self, moment: Moment) -> (Duration, Duration) {
        let length = Duration::from_millis(moment.now.saturating_sub(self.window.now));
        (length, Duration::from_nanos(moment.busy.saturating_sub(self.window.busy)))
    }

    /// The time that Node's thread would work more if its loop led: that of the thread, unless most of it were wake-ups that
    /// would not be needed then, or it were copying.
    fn inherited(&self, moment: Moment) -> Duration {
        let time = Duration::from_nanos(moment.thread.saturating_sub(self.window.thread));
        let work = Work { moved: moment.moved.saturating_sub(self.window.moved), time, ..Work::NONE };
        let is_worth_it = time / self.turns.max(1) >= WORTH_A_WAKE;
        if is_worth_it && !work.is_copying() { time } else { Duration::ZERO }
    }

    const fn open_window(&mut self, moment: Moment) {
        self.window = moment;
        self.turns = 0;
        self.work = Work::NONE;
        self.has_crowd = false;
    }
}

/// Length of a window, in milliseconds.
const WINDOW: u64 = 50;
/// Share of a window from which on Node's thread is busy; and below which it has time.
const BUSY: f64 = 0.6;
const CALM: f64 = 0.4;
/// Busy windows in a row after which the thread leads; calm ones after which Node's loop does, and at most.
const BUSY_WINDOWS: u32 = 2;
const CALM_WINDOWS: u32 = 4;
const MOST_WINDOWS: u32 = 40;
/// Native work per turn that is worth the wake-ups of a thread that takes it over: some ten times what these cost.
const WORTH_A_WAKE: Duration = Duration::from_micros(100);
/// Native work per turn for which programs would not want to wait: TLS handshakes, compression, large messages. It goes to
/// the thread once it takes up more than this share of the time.
const HEAVY: Duration = Duration::from_micros(500);
const NATIVE_SHARE: f64 = 0.25;
/// Bytes per nanosecond of native work from which on it is copying. Encryption and compression are slower, and so are small
/// messages.
const COPYING: f64 = 2.5;
/// Subscribers of a worker to whom publishing is worth the wake-ups of a thread: a write to each of them takes some
/// [`WORTH_A_WAKE`], and what a publish costs Node's thread should not depend on how many more there are.
const CROWD: u32 = 64;
/// Events per wake-up of Node's thread that are worth its cost: Node's loop would not do better.
const MANY_EVENTS: u32 = 16;
/// The lead changes at most ten times a second. In milliseconds.
const SWITCH_EVERY: u64 = 100;
/// Node's loop has led too shortly for the two switches to have been worth it. In milliseconds.
const SOON: u64 = 2_000;
/// How long each of the two leads in tests, in milliseconds.
const ALTERNATE_AFTER: u64 = 3;

/// How often the watchdog looks whether Node's thread shows signs of life, while it may have something to do.
pub(crate) const WATCH_EVERY: Duration = Duration::from_millis(4);
/// The same for a while after a reactor was seized.
pub(crate) const WATCH_CLOSELY: Duration = Duration::from_millis(1);
/// How late a deadline may be.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1);
/// Looks at something that waits for Node's loop, without a sign of life, after which the thread seizes the reactor; and
/// for how many of these one counts before which Node's thread was computing. A thread that waits for a processor shows no
/// sign of life, either, but will soon.
pub(crate) const LOOKS: u32 = 10;
pub(crate) const LOOKS_IF_COMPUTING: u32 = 9;
/// Looks without a sign of life, and without anything waiting, after which the watchdog sleeps until something happens.
pub(crate) const QUIET_LOOKS: u32 = 25;
/// Looks for which the watchdog looks closely after a seizure.
pub(crate) const CLOSE_LOOKS: u32 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment { now: 10_000, busy: 0, delivered: 0, thread: 0, moved: 0 };

    /// The moment a window after `last`, in which Node's thread has worked for this share of the time.
    fn next(last: Moment, busy: f64) -> Moment {
        Moment { now: last.now + WINDOW, busy: last.busy + (busy * 50e6) as u64, ..last }
    }

    /// After how many windows with such turns the thread would lead.
    fn hands_over_after(busy: f64, turns: u32, native: Duration) -> Option<u32> {
        let (mut leadership, mut moment) = (Leadership::new(Policy::Automatic, START), START);
        (1..=10).find(|_| {
            (0..turns).for_each(|_| leadership.note_turn(Work { events: 1, moved: 0, time: native }));
            moment = next(moment, busy);
            assert!(leadership.is_due(moment.now));
            leadership.should_hand_over(moment)
        })
    }

    #[test]
    fn a_busy_thread_gives_away_what_is_worth_a_wake_up() {
        let (small, worth, heavy) = (Duration::from_micros(15), WORTH_A_WAKE, Duration::from_millis(1));
        assert_eq!(hands_over_after(0.9, 100, worth), Some(2));
        assert_eq!(hands_over_after(0.9, 1000, small), None);
        assert_eq!(hands_over_after(0.5, 100, worth), None);
        assert_eq!(hands_over_after(0.5, 20, heavy), Some(1));
        assert_eq!(hands_over_after(0.1, 2, heavy), None);
    }

    #[test]
    fn with_one_processor_only_what_others_deliver_and_what_blocks_it_takes_the_lead_from_a_busy_thread() {
        let (mut leadership, mut moment) = (Leadership::new(Policy::OneProcessor, START), START);
        for _ in 0..10 {
            (0..100).for_each(|_| leadership.note_turn(Work { events: 50, moved: 0, time: WORTH_A_WAKE }));
            moment = next(moment, 0.95);
            assert!(!leadership.should_hand_over(moment));
        }
        assert!(leadership.note_publish(CROWD));
        leadership.note_lost(moment);
        let comes_back = |leadership: &mut Leadership, moment: &mut Moment, delivers: bool| {
            (0..MOST_WINDOWS).any(|_| {
                leadership.note_turn(Work { events: 100, moved: 0, time: Duration::ZERO });
                *moment = next(*moment, 0.95);
                moment.delivered += u64::from(delivers);
                leadership.should_lead(*moment)
            })
        };
        assert!(!comes_back(&mut leadership, &mut moment, true));
        assert!(comes_back(&mut leadership, &mut moment, false));
    }

    #[test]
    fn copying_stays_with_a_busy_thread() {
        let time = Duration::from_micros(400);
        let hands_over = |bytes_per_nanosecond: u64| {
            let (mut leadership, mut moment) = (Leadership::new(Policy::Automatic, START), START);
            (0..10).any(|_| {
                (0..100).for_each(|_| {
                    leadership.note_turn(Work { events: 3, moved: 400_000 * bytes_per_nanosecond, time });
                });
                moment = next(moment, 0.95);
                leadership.should_hand_over(moment)
            })
        };
        assert!(hands_over(2));
        assert!(!hands_over(3));
    }

    #[test]
    fn a_thread_that_has_time_again_leads_again_and_hesitates_longer_each_time() {
        let (mut leadership, mut moment) = (Leadership::new(Policy::Automatic, START), START);
        let mut waited = Vec::new();
        for _ in 0..5 {
            leadership.note_lost(moment);
            let windows = (1..).find(|_| {
                moment = next(moment, 0.1);
                leadership.should_lead(moment)
            });
            leadership.note_regained(moment);
            // What is added at random comes on top of the most.
            waited.extend(windows.map(|windows| windows.min(MOST_WINDOWS)));
        }
        assert!(waited.is_sorted() && waited[0] == CALM_WINDOWS && waited[4] == MOST_WINDOWS, "{waited:?}");
        // After a long time, all is forgiven.
        moment = Moment { now: moment.now + SOON, ..moment };
        leadership.note_lost(moment);
        assert_eq!(leadership.back_off, CALM_WINDOWS);
    }

    #[test]
    fn a_publish_to_a_crowd_is_for_the_thread_and_so_are_those_that_follow() {
        let (mut leadership, mut moment) = (Leadership::new(Policy::Automatic, START), START);
        assert!(!leadership.note_publish(CROWD - 1));
        assert!(leadership.note_publish(CROWD));
        leadership.note_lost(moment);
        for _ in 0..3 * CALM_WINDOWS {
            assert!(leadership.note_publish(CROWD));
            moment = next(moment, 0.1);
            assert!(!leadership.should_lead(moment));
        }
        let windows = (1..).find(|_| {
            leadership.note_publish(CROWD - 1);
            moment = next(moment, 0.1);
            leadership.should_lead(moment)
        });
        assert_eq!(windows, Some(CALM_WINDOWS));
        assert!(!Leadership::new(Policy::Node, START).note_publish(CROWD));
    }

    #[test]
    fn many_events_per_wake_up_stay_with_the_thread() {
        let (mut leadership, mut moment) = (Leadership::new(Policy::Automatic, START), START);
        leadership.note_lost(moment);
        for _ in 0..100 {
            leadership.note_turn(Work { events: MANY_EVENTS, ..Work::default() });
            moment = next(moment, 0.1);
            assert!(!leadership.should_lead(moment));
        }
    }

    /// Whether Node's loop leads again after many windows in each of which the thread has worked for this share of the time,
    /// in so many turns.
    fn takes_over(share: f64, turns: u32, moved: u64) -> bool {
        let (mut leadership, mut moment) = (Leadership::new(Policy::Automatic, START), START);
        leadership.note_lost(moment);
        (0..3 * CALM_WINDOWS).any(|_| {
            (0..turns).for_each(|_| leadership.note_turn(Work { events: 1, ..Work::default() }));
            let thread = moment.thread + (share * 50e6) as u64;
            moment = Moment { thread, moved: moment.moved + moved, ..next(moment, 0.1) };
            leadership.should_lead(moment)
        })
    }

    #[test]
    fn node_s_loop_does_not_take_over_more_than_it_has_time_for() {
        assert!(!takes_over(0.9, 0, 0), "what was published long before");
        assert!(!takes_over(0.9, 10, 0));
        assert!(takes_over(0.2, 0, 0));
        assert!(takes_over(0.9, 1_000, 0), "each turn is little more than a wake-up");
        assert!(takes_over(0.9, 10, 200_000_000), "copying");
    }

    #[test]
    fn a_long_time_without_events_counts_as_many_windows() {
        let mut leadership = Leadership::new(Policy::Automatic, START);
        leadership.note_lost(START);
        let later = Moment { now: START.now + 1_000, busy: 10_000_000, ..START };
        assert!(leadership.should_lead(later));
    }

    #[test]
    fn node_s_loop_does_not_lead_while_others_deliver() {
        let (mut leadership, mut moment) = (Leadership::new(Policy::Automatic, START), START);
        leadership.note_lost(moment);
        for _ in 0..10 * CALM_WINDOWS {
            // However many messages the worker's own clients send.
            leadership.note_turn(Work { events: MANY_EVENTS - 1, ..Work::default() });
            moment = Moment { delivered: moment.delivered + 1, ..next(moment, 0.1) };
            assert!(!leadership.should_lead(moment));
        }
        let windows = (1..).find(|_| {
            moment = next(moment, 0.1);
            leadership.should_lead(moment)
        });
        assert_eq!(windows, Some(CALM_WINDOWS));
        leadership.note_regained(moment);
        // It loses the lead to the next one soon, and waits for longer.
        moment = next(moment, 0.1);
        leadership.note_lost(moment);
        assert!(leadership.back_off > CALM_WINDOWS);
    }
}
