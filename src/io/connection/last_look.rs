//! Before a deadline ends anything, the kernel is asked: what the peer did in time may wait there, because nobody has read
//! since. Not even the runtime may know of it yet, after the process was stopped, or because it learns of ready sockets in
//! portions.
//!
//! ```text
//!   deadline ──► flush, read, both of them from the kernel itself ──► it has moved: the peer was in time
//!                        │                                       └──► it stands, and nothing is left: it is acted on
//!                        └──► more is left: read on, in the passes that follow
//! ```

/// Bytes read since a deadline was found to have passed; `None` while none has.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastLook(Option<u32>);

impl LastLook {
    /// A deadline has passed. Goes on if one had before.
    pub fn start(&mut self) {
        self.0.get_or_insert(0);
    }

    /// No deadline has passed any more.
    pub const fn end(&mut self) {
        self.0 = None;
    }

    /// Whether a deadline has passed.
    pub const fn is_under_way(self) -> bool {
        self.0.is_some()
    }

    /// Counts bytes that were read.
    pub fn count_read(&mut self, count: usize) {
        if let Some(read) = &mut self.0 {
            *read = read.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }

    /// Whether the peer must have sent some of the bytes after its deadline. One that never stops sending is not waited for
    /// until it does.
    pub fn has_read_enough(self) -> bool {
        self.0.is_some_and(|read| read >= MAX_UNREAD)
    }
}

/// Bytes, more than the kernel keeps of one connection.
const MAX_UNREAD: u32 = 16 * 1024 * 1024;
