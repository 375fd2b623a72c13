//! How many events of one connection wait for Node's thread, and how many more it may add. A connection that is too far
//! ahead is not read, so that a client that sends faster than its handler works does not make all others wait.
//!
//! ```text
//!     handled      older window    newer window
//!   ─ ─ ─ ─ ─ ─ ┬───────────────┬───────────────┐
//!               │  `window` at  │  `window` at  │  full: nothing is read until Node's thread has handled the batch
//!               │  most         │  most         │  with the last event of the older window
//!   ─ ─ ─ ─ ─ ─ ┴───────────────┴───────────────┘
//! ```
//!
//! With two windows Node's thread has work while the worker wakes and reads on. Nothing is counted when events are
//! handled: the worker compares the numbers of batches.

use crate::bridge::progress::{BatchNumber, Progress};

/// The events of one connection that wait for Node's thread.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lead {
    /// The batch with the last event of the older window.
    older: BatchNumber,
    /// The batch with the last event of the newer window.
    newer: BatchNumber,
    /// Events in the newer window.
    count: u16,
    /// Whether the connection is on the worker's list of those that wait ([`Context::ahead`](super::context::Context)).
    is_waiting: bool,
    /// Whether its input holds many events, so that it is read in small pieces.
    is_dense: bool,
}

impl Lead {
    /// How many events may be added to the open batch now. If none, the connection has to wait; at the earliest there is
    /// room in the next batch.
    pub(crate) fn room(&mut self, progress: Progress, window: u16) -> u16 {
        if progress.has_handled(self.newer) {
            self.count = 0;
        } else if self.count >= window && self.newer != progress.open() && progress.has_handled(self.older) {
            self.older = self.newer;
            self.count = 0;
        }
        let room = window.saturating_sub(self.count);
        self.is_waiting &= room == 0;
        room
    }

    /// Counts events that were added to the open batch.
    pub(crate) fn add(&mut self, count: usize, progress: Progress) {
        if count > 0 {
            self.newer = progress.open();
            self.count = self.count.saturating_add(u16::try_from(count).unwrap_or(u16::MAX));
        }
    }

    /// Starts to wait for room. Returns the batch that must be handled first, unless the connection waits already.
    pub(crate) const fn start_waiting(&mut self) -> Option<BatchNumber> {
        let was_waiting = std::mem::replace(&mut self.is_waiting, true);
        if was_waiting { None } else { Some(self.older) }
    }

    /// How many bytes to read at a time into a buffer of `capacity` bytes.
    pub(crate) fn read_length(&self, capacity: usize) -> usize {
        if self.is_dense { capacity.min(DENSE_READ) } else { capacity }
    }

    /// Records that a read of `length` bytes has caused `count` events, and whether input was left for lack of room.
    pub(crate) const fn note_read(&mut self, length: usize, count: usize, is_left: bool) {
        if is_left {
            self.is_dense = true;
        } else if length == DENSE_READ && count < SPARSE_EVENTS {
            self.is_dense = false;
        }
    }
}

/// The window of each connection in this pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window(u16);

impl Default for Window {
    fn default() -> Self {
        Self::shared_by(0)
    }
}

impl Window {
    /// The window if `waiting` connections have no room: so large that together they do not delay the others much more
    /// than one of them does.
    pub(crate) fn shared_by(waiting: usize) -> Self {
        let share = u16::try_from(SHARED_WINDOW / (waiting + 1)).unwrap_or(u16::MAX);
        Self(share.clamp(MIN_WINDOW, MAX_WINDOW))
    }

    /// How many events it has, if `queued` events of all connections wait for Node's thread. Connections that begin to
    /// send at the same time do not wait yet.
    pub(crate) fn size(self, queued: usize) -> u16 {
        if queued < SHARED_WINDOW { self.0 } else { self.0.min(CROWDED_WINDOW) }
    }
}

/// Events of all windows of connections without room, about; and events in the queue from which on windows are smaller.
const SHARED_WINDOW: usize = 1024;
/// The largest window while many events wait: more than clients usually send at a time.
const CROWDED_WINDOW: u16 = 32;
/// The largest window. Two of them, with a handler of 50 µs, delay others by 25 ms; and a handler of 0.5 µs needs
/// longer for one than the worker needs to wake.
const MAX_WINDOW: u16 = 256;
/// Bytes read at a time from a connection whose input holds more events than it may add at once.
const DENSE_READ: usize = 8 * 1024;
/// A read of as many bytes that causes fewer events than this makes the next ones larger again.
const SPARSE_EVENTS: usize = 32;
/// The smallest window: with a thousand such connections, each still gets on by more than one event at a time.
const MIN_WINDOW: u16 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker that hands over batches, and Node's thread that handles them.
    #[derive(Default)]
    struct Border(Progress);

    impl Border {
        fn hand_over(&mut self) {
            self.0 = self.0.after_push(0);
        }

        fn handle(&mut self) {
            self.0 = self.0.after_handling(0);
        }
    }

    #[test]
    fn two_windows_are_on_their_way_and_the_next_follows_the_older_one() {
        let (mut border, mut lead) = (Border::default(), Lead::default());
        let mut fill = |border: &Border| {
            let room = lead.room(border.0, 256);
            lead.add(usize::from(room), border.0);
            room
        };
        assert_eq!(fill(&border), 256);
        // The second window is for the next batch, so that Node's thread can finish the first one before it.
        assert_eq!(fill(&border), 0);
        border.hand_over();
        assert_eq!(fill(&border), 256);
        border.hand_over();
        assert_eq!(fill(&border), 0);
        for _ in 0..3 {
            border.handle();
            assert_eq!(fill(&border), 256);
            border.hand_over();
            assert_eq!(fill(&border), 0);
        }
    }

    #[test]
    fn events_that_are_handled_no_longer_count() {
        let (mut border, mut lead) = (Border::default(), Lead::default());
        for _ in 0..10_000 {
            lead.add(20, border.0);
            border.hand_over();
            border.handle();
            assert_eq!(lead.room(border.0, 256), 256);
        }
    }

    #[test]
    fn few_events_in_many_batches_count_together() {
        let (mut border, mut lead) = (Border::default(), Lead::default());
        for _ in 0..512 {
            assert!(lead.room(border.0, 256) > 0);
            lead.add(1, border.0);
            border.hand_over();
        }
        assert_eq!(lead.room(border.0, 256), 0);
        // The older window ends with the 256th batch.
        for _ in 0..255 {
            border.handle();
            assert_eq!(lead.room(border.0, 256), 0);
        }
        border.handle();
        assert_eq!(lead.room(border.0, 256), 256);
    }

    #[test]
    fn a_connection_waits_once_and_again_after_there_was_room() {
        let (mut border, mut lead) = (Border::default(), Lead::default());
        lead.add(256, border.0);
        assert_eq!(lead.room(border.0, 256), 0);
        assert_eq!(lead.start_waiting(), Some(BatchNumber::default()));
        assert_eq!(lead.start_waiting(), None);
        border.hand_over();
        assert_eq!(lead.room(border.0, 256), 256);
        lead.add(256, border.0);
        assert_eq!(lead.room(border.0, 256), 0);
        assert_eq!(lead.start_waiting(), Some(BatchNumber::default().next()));
    }

    #[test]
    fn dense_input_is_read_in_small_pieces_until_it_is_sparse() {
        let mut lead = Lead::default();
        assert_eq!(lead.read_length(1 << 17), 1 << 17);
        lead.note_read(1 << 17, 256, true);
        for (length, count, expected) in
            [(DENSE_READ, 300, DENSE_READ), (100, 1, DENSE_READ), (DENSE_READ, 1, 1 << 17)]
        {
            lead.note_read(length, count, false);
            assert_eq!(lead.read_length(1 << 17), expected);
        }
    }

    #[test]
    fn many_connections_share_what_one_may_have() {
        let sizes = [0, 3, 7, 63, 1_000_000].map(|waiting| Window::shared_by(waiting).size(1023));
        assert_eq!(sizes, [256, 256, 128, 16, 8]);
        let crowded = [0, 3, 7, 63, 1_000_000].map(|waiting| Window::shared_by(waiting).size(1024));
        assert_eq!(crowded, [32, 32, 32, 16, 8]);
    }
}
