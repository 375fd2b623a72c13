//! What has been accepted of the body of a response, and how much more there is room for.

use crate::bridge::command::{Command, ResponseId};
use crate::bridge::event::Slice;
use crate::bridge::ledger::Ledger;
use crate::bridge::sync::Arc;
use crate::node::state::burst::Burst;
use crate::node::state::workers::Workers;

/// What has been accepted of the body of a response.
#[derive(Debug)]
pub(crate) struct Output {
    /// Body bytes.
    pub written: u64,
    /// The application wants nothing read (`res.pause()`).
    pub is_paused: bool,
    /// What the worker has done of it; `None` unless the body comes in pieces.
    ledger: Option<Arc<Ledger>>,
    /// Bytes that may be on their way to the kernel. Grows while the client keeps up, so that it never waits for the next
    /// piece, and shrinks while it does not.
    window: u64,
    /// The most that `window` grows to.
    widest: u64,
    /// Bytes that had been accepted when the worker was last asked how it gets on.
    looked: u64,
    /// Bytes that had been accepted when they were last handed over before the handler had returned.
    handed: u64,
    /// What the handler that wrote last has written.
    burst: Burst,
    /// The length that the first `tryEnd` announced.
    total: Option<u64>,
    /// Whether the application has to wait.
    wait: Wait,
    /// An `onWritable` handler is attached.
    is_attached: bool,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            written: 0,
            is_paused: false,
            ledger: None,
            window: FIRST_WINDOW,
            widest: WIDEST_WINDOW,
            looked: 0,
            handed: 0,
            burst: Burst::default(),
            total: None,
            wait: Wait::None,
            is_attached: false,
        }
    }
}

/// Whether the application has been told that there is no room. Whoever has been told so hears of it when there is room
/// again, if it wants to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wait {
    /// It has not.
    #[default]
    None,
    /// It has, and the worker will say when there is room.
    Asked,
    /// It has, and there is room, but there was no handler to tell.
    Untold,
}

impl Output {
    /// Bytes that may be accepted now, as far as is known.
    fn room(&self, asked: u64) -> u64 {
        if self.burst.excess(asked) > 0 {
            return 0;
        }
        let held = self.ledger.as_ref().map_or(0, |ledger| ledger.held(self.written));
        self.window.saturating_sub(held)
    }

    /// Whether there may be more room than is known, so that the worker should be asked. Once for each time that as much was
    /// written, whatever came of it.
    fn is_worth_a_look(&self) -> bool {
        let backlog = self.ledger.as_ref().map_or(0, |ledger| ledger.backlog());
        backlog < self.window && self.written - self.looked >= LOOK_FROM
    }

    /// Whether the worker should start to write while the handler goes on: otherwise neither would do anything while the other
    /// does, and the handler would have to wait for all of it.
    fn is_worth_writing(&mut self) -> bool {
        let is_enough = self.written - self.handed >= self.window / 4;
        if is_enough {
            self.handed = self.written;
        }
        is_enough
    }

    /// The worker says that there is room.
    fn adapt(&mut self) {
        let Some(ledger) = &self.ledger else { return };
        self.window = if ledger.backlog() == 0 {
            (self.window * 2).min(self.widest)
        } else {
            (self.window / 2).max(NARROWEST_WINDOW)
        };
    }

    /// The worker says that there is room. Returns whether a handler is to be told.
    pub(crate) fn take_writable(&mut self) -> bool {
        self.adapt();
        let tell = self.wait != Wait::None && self.is_attached;
        if tell {
            self.wait = Wait::None;
        } else if self.wait == Wait::Asked {
            self.wait = Wait::Untold;
        }
        tell
    }

    /// The length that the first `tryEnd` has announced, if it has.
    #[must_use]
    pub(crate) const fn total(&self) -> Option<u64> {
        self.total
    }

    /// The first `tryEnd` announces the length.
    pub(crate) const fn announce(&mut self, total: u64) {
        self.total = Some(total);
    }

    /// As little as possible of the body is to wait in memory.
    pub(crate) const fn narrow(&mut self) {
        self.widest = NARROWEST_WINDOW;
        self.window = NARROWEST_WINDOW;
    }

    /// Whether the accepted body has the length that was announced, if one was.
    #[must_use]
    pub(crate) fn is_as_announced(&self) -> bool {
        self.total.is_none_or(|total| total == self.written)
    }
}

/// What the worker is told of it.
impl Output {
    /// The body comes in pieces: the worker is to say what it has done of them.
    pub(crate) fn meter(&mut self, to: ResponseId, workers: &mut Workers) {
        if self.ledger.is_none() {
            let ledger = Arc::new(Ledger::default());
            self.ledger = Some(Arc::clone(&ledger));
            workers.push(to.connection.worker, Command::MeterResponse { to, ledger });
        }
    }

    /// Accepts a piece, of the handler that JavaScript has `asked` for.
    pub(crate) fn accept_piece(&mut self, to: ResponseId, data: Slice, asked: u64, workers: &mut Workers) {
        let worker = to.connection.worker;
        self.written += u64::from(data.len);
        let is_long = self.burst.add(u64::from(data.len), asked);
        let is_enough = self.is_worth_writing();
        workers.push(worker, Command::WriteBody { to, data });
        if is_enough {
            workers.hand_over(worker);
        }
        if is_long {
            // Written from a timer, a promise or a stream: without a turn of the dispatcher it would never end.
            workers.ring();
        }
    }

    /// Bytes that may be accepted now. What is merely on its way to the worker may well be taken by the kernel at once:
    /// before the application is told that there is no room, the worker is given the time to find out.
    pub(crate) fn find_room(&mut self, to: ResponseId, asked: u64, workers: &mut Workers) -> u64 {
        let room = self.room(asked);
        if room > 0 || !self.is_worth_a_look() {
            return room;
        }
        self.looked = self.written;
        workers.look_at(to.connection);
        self.room(asked)
    }

    /// The application is about to learn that there is no room: it will learn when there is.
    pub(crate) fn await_room(&mut self, to: ResponseId, workers: &mut Workers) {
        if self.wait != Wait::Asked {
            self.wait = Wait::Asked;
            workers.push(to.connection.worker, Command::NotifyWritable { to });
        }
    }

    /// An `onWritable` handler is attached: makes up for what could not be told before.
    pub(crate) fn attach_handler(&mut self, to: ResponseId, workers: &mut Workers) {
        self.is_attached = true;
        if self.wait == Wait::Untold {
            self.await_room(to, workers);
        }
    }
}

/// Bytes of a body in pieces that may be on their way to the kernel, or wait behind it: `tryEnd` accepts no more, and `write`
/// asks to wait.
const FIRST_WINDOW: u64 = 256 * 1024;
/// The same for a client that has kept up for a while: of the order of the kernel's own largest buffers.
const WIDEST_WINDOW: u64 = 1024 * 1024;
/// The same for a client that has not. Twice what the worker still has when it says that there is room.
const NARROWEST_WINDOW: u64 = 128 * 1024;
/// Bytes that were written since the worker was last asked how it gets on, from which on it is asked again.
const LOOK_FROM: u64 = NARROWEST_WINDOW / 2;
