//! Before a deadline ends a connection, the socket is read once more: what the peer sent in time may still be in the
//! kernel. The selector may not have reported it, because the process was stopped, or because a poll returns a limited
//! number of sockets.
//!
//! ```text
//!   deadline ──► flush and read, ignoring the selector ──► the deadline has moved: the peer was in time
//!                      │                                        └──► it has not, and no input is left: it takes effect
//!                      └──► input is left: the next passes read on
//! ```

/// Bytes read since a deadline passed; `None` while none has passed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastLook(Option<u32>);

impl LastLook {
    /// A deadline has passed. Keeps counting if one had passed before.
    pub(super) fn start(&mut self) {
        self.0.get_or_insert(0);
    }

    /// The deadline has moved.
    pub(super) const fn end(&mut self) {
        self.0 = None;
    }

    /// Whether a deadline has passed.
    pub(super) const fn is_under_way(self) -> bool {
        self.0.is_some()
    }

    /// Counts bytes read.
    pub(super) fn count_read(&mut self, count: usize) {
        if let Some(read) = &mut self.0 {
            *read = read.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }

    /// Whether more was read than can have been sent before the deadline. Without this bound, a peer that never stops
    /// sending would never time out.
    pub(super) fn has_read_enough(self) -> bool {
        self.0.is_some_and(|read| read >= MAX_UNREAD)
    }
}

/// More bytes than the kernel buffers for one connection.
const MAX_UNREAD: u32 = 16 * 1024 * 1024;
