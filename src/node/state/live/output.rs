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
    /// The application has paused reading (`res.pause()`).
    pub is_paused: bool,
    /// What the worker has written of it; `None` unless the body is sent in pieces.
    ledger: Option<Arc<Ledger>>,
    /// The window: bytes that may be on their way to the kernel. Grows while the client keeps up, so that it never
    /// waits for the next piece, and shrinks while it does not.
    window: u64,
    /// The upper bound of `window`.
    widest: u64,
    /// Bytes that had been accepted when the worker was last asked what it has written.
    asked_at: u64,
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
            asked_at: 0,
            handed: 0,
            burst: Burst::default(),
            total: None,
            wait: Wait::None,
            is_attached: false,
        }
    }
}

/// Whether the application was refused room. If so, its `onWritable` handler, if there is one, runs when there is room
/// again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wait {
    /// It was not.
    #[default]
    None,
    /// It was, and the worker will report when there is room.
    Asked,
    /// It was, and there is room again, but no handler was attached when the worker reported it.
    Unreported,
}

impl Output {
    /// Body bytes that the system has taken for the client.
    #[must_use]
    pub(crate) fn sent(&self) -> u64 {
        let held = self.ledger.as_ref().map_or(self.written, |ledger| ledger.held(self.written));
        self.written.saturating_sub(held)
    }

    /// Bytes that may be accepted now, by what the worker has reported so far. `is_exact`: it reports before a call
    /// returns, so that what the kernel has not taken is known.
    fn room(&self, handler_serial: u64, is_exact: bool) -> u64 {
        let backlog = self.ledger.as_ref().map_or(0, |ledger| ledger.backlog());
        if self.burst.excess(handler_serial) > 0 || (is_exact && backlog > NARROWEST_WINDOW / 2) {
            return 0;
        }
        let held = self.ledger.as_ref().map_or(0, |ledger| ledger.held(self.written));
        self.window.saturating_sub(held)
    }

    /// Whether the worker should be asked what it has written, because there may be more room than it has reported.
    /// Once per [`ASK_FROM`] bytes, whatever the result.
    fn should_ask_worker(&self) -> bool {
        let backlog = self.ledger.as_ref().map_or(0, |ledger| ledger.backlog());
        backlog < self.window && self.written - self.asked_at >= ASK_FROM
    }

    /// Whether the worker should start to write while the handler is still running: otherwise the two would work one
    /// after the other, and the handler would have to wait for all of it.
    fn is_worth_writing(&mut self) -> bool {
        let is_enough = self.written - self.handed >= self.window / 4;
        if is_enough {
            self.handed = self.written;
        }
        is_enough
    }

    /// Widens or narrows the window, when the worker reports that there is room.
    fn adapt(&mut self) {
        let Some(ledger) = &self.ledger else { return };
        self.window = if ledger.backlog() == 0 {
            (self.window * 2).min(self.widest)
        } else {
            (self.window / 2).max(NARROWEST_WINDOW)
        };
    }

    /// Handles the worker's report that there is room. Returns whether to call a handler.
    pub(crate) fn take_writable(&mut self) -> bool {
        self.adapt();
        let is_reported = self.wait != Wait::None && self.is_attached;
        if is_reported {
            self.wait = Wait::None;
        } else if self.wait == Wait::Asked {
            self.wait = Wait::Unreported;
        }
        is_reported
    }

    /// The length that the first `tryEnd` has announced, if there was one.
    #[must_use]
    pub(crate) const fn total(&self) -> Option<u64> {
        self.total
    }

    /// Sets the length that the first `tryEnd` announces.
    pub(crate) const fn announce(&mut self, total: u64) {
        self.total = Some(total);
    }

    /// Keeps the window at its smallest.
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

/// What it exchanges with the worker.
impl Output {
    /// Shares a ledger with the worker, in which that counts what it has written of a body in pieces.
    pub(crate) fn meter(&mut self, to: ResponseId, workers: &mut Workers) {
        if self.ledger.is_none() {
            let ledger = Arc::new(Ledger::default());
            self.ledger = Some(Arc::clone(&ledger));
            workers.push(to.connection.worker, Command::MeterResponse { to, ledger });
        }
    }

    /// Accepts a piece; `handler_serial` identifies the running handler.
    pub(crate) fn accept_piece(
        &mut self,
        to: ResponseId,
        data: Slice,
        handler_serial: u64,
        workers: &mut Workers,
    ) {
        let worker = to.connection.worker;
        self.count_piece(data.len.into(), handler_serial, workers);
        let is_enough = self.is_worth_writing();
        workers.push(worker, Command::WriteBody { to, data });
        if is_enough {
            workers.hand_over(worker);
        }
    }

    /// Accepts a piece of `length` bytes whose command was carried out.
    pub(crate) fn accept_written(&mut self, length: u64, handler_serial: u64, workers: &mut Workers) {
        self.count_piece(length, handler_serial, workers);
        self.handed = self.written;
    }

    fn count_piece(&mut self, length: u64, handler_serial: u64, workers: &mut Workers) {
        self.written += length;
        if self.burst.add(length, handler_serial) {
            // Written from a timer, a promise or a stream: without a turn of the dispatcher it would never end.
            workers.ring();
        }
    }

    /// Bytes that may be accepted now. The kernel may accept at once what is still on its way to the worker: before the
    /// application is refused room, Node's thread waits for the worker to write.
    pub(crate) fn find_room(&mut self, to: ResponseId, handler_serial: u64, workers: &mut Workers) -> u64 {
        let is_exact = workers.is_led_by_node(to.connection.worker);
        let room = self.room(handler_serial, is_exact);
        if room > 0 || !self.should_ask_worker() {
            return room;
        }
        self.asked_at = self.written;
        workers.await_write_to(to.connection);
        self.room(handler_serial, is_exact)
    }

    /// The application is about to be refused room: asks the worker to report when there is room.
    pub(crate) fn await_room(&mut self, to: ResponseId, workers: &mut Workers) {
        if self.wait != Wait::Asked {
            self.wait = Wait::Asked;
            workers.push(to.connection.worker, Command::NotifyWritable { to });
        }
    }

    /// An `onWritable` handler was attached: asks the worker for another report if the last one had no handler to go
    /// to.
    pub(crate) fn attach_handler(&mut self, to: ResponseId, workers: &mut Workers) {
        self.is_attached = true;
        if self.wait == Wait::Unreported {
            self.await_room(to, workers);
        }
    }
}

/// Bytes of a body in pieces that may be on their way to the kernel, or wait in the worker: beyond them `tryEnd`
/// accepts nothing, and `write` returns `false`.
const FIRST_WINDOW: u64 = 256 * 1024;
/// The same for a client that has kept up for a while: of the order of the kernel's own largest buffers.
const WIDEST_WINDOW: u64 = 1024 * 1024;
/// The same for a client that has not. Twice what the worker still holds when it reports that there is room.
const NARROWEST_WINDOW: u64 = 128 * 1024;
/// Bytes accepted since the worker was last asked what it has written, from which on it is asked again.
const ASK_FROM: u64 = NARROWEST_WINDOW / 2;
