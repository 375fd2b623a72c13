//! Before a deadline ends anything: what the peer did in time may wait in the kernel, because nobody has looked since. Not
//! even the runtime may know of it yet, after the process was stopped, or because it learns of ready sockets in portions.
//!
//! ```text
//!   deadline ──► flush, read, both of them from the kernel itself ──► it has moved: the peer was in time
//!                        │                                       └──► it stands, and nothing is left: it is acted on
//!                        └──► more is left: read on, in the passes that follow
//! ```

use super::{Connection, Protocol, Stage, UNREAD_OUTPUT};
use crate::io::context::Context;
use crate::protocol::time::Timestamp;

impl Connection {
    /// Whether something should have happened by now.
    pub(super) fn is_overdue(&mut self, now: Timestamp) -> bool {
        let is_overdue = self.deadline().is_some_and(|deadline| deadline <= now);
        if !is_overdue {
            self.last_look = None;
        }
        is_overdue
    }

    /// Takes what the kernel has of the peer, and gives it what it takes. Returns whether something should have happened by
    /// now all the same.
    pub(super) fn look_once_more(&mut self, context: &mut Context, scratch: &mut [u8]) -> bool {
        self.last_look.get_or_insert(0);
        let is_all = self.take_what_waits(context, scratch);
        // A peer that never stops sending is not waited for until it does.
        let is_enough = is_all || self.last_look.is_some_and(|read| read >= MOST_UNREAD);
        self.is_overdue(context.now) && is_enough
    }

    /// Gives the kernel what it takes, and reads what it has. Returns whether nothing is left to be read.
    fn take_what_waits(&mut self, context: &mut Context, scratch: &mut [u8]) -> bool {
        self.transport.ask_kernel(true);
        if self.has_output() {
            self.flush(context, scratch);
        }
        let is_all = self.read(context, scratch);
        self.transport.ask_kernel(false);
        is_all
    }

    /// The time that an app gave its connections is up: what the peer has sent by then still counts.
    pub fn look_before_the_end(&mut self, context: &mut Context, scratch: &mut [u8]) {
        self.take_what_waits(context, scratch);
        self.leave_if_idle(context);
        self.mark_dirty(context);
    }

    /// So much was read.
    pub(super) fn count_last_look(&mut self, count: usize) {
        if let Some(read) = &mut self.last_look {
            *read = read.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }

    /// Input waits until Node's thread has caught up, if there is any. Returns whether it does.
    pub(super) fn starve(&mut self, context: &mut Context) -> bool {
        // Otherwise it is a guess, and a wrong one costs only the look at the socket.
        if self.last_look.is_some() && !self.transport.has_input() {
            return false;
        }
        self.starved = true;
        context.starved.push(self.id);
        true
    }

    /// A client is not late with a request while we do not read it.
    pub(super) fn settle_clock(&mut self, now: Timestamp) {
        let is_unheard = self.starved || self.outbox.len() >= UNREAD_OUTPUT;
        if let (Stage::Serving, Protocol::Http(http)) = (self.stage, &mut self.protocol) {
            http.set_unheard(is_unheard, now);
        }
    }
}

/// Bytes read after a deadline, from which on the peer must have sent some of them after it: more than the kernel keeps of one
/// connection.
const MOST_UNREAD: u32 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::super::http::HttpSide;
    use super::*;
    use crate::bridge::peer::Peer;
    use crate::bridge::sync::Arc;
    use crate::protocol::http::limits::HttpLimits;
    use std::time::Duration;

    #[test]
    fn a_client_is_not_late_while_it_is_not_read_and_then_has_its_time_anew() {
        let limits = HttpLimits { headers_timeout: Some(Duration::from_secs(10)), ..HttpLimits::default() };
        let mut http = HttpSide::new(Arc::new(limits), Peer::default(), None, None, Timestamp(0));
        assert_eq!(http.deadline(), Some(Timestamp(10_000)));
        for now in [5_000, 6_000] {
            http.set_unheard(true, Timestamp(now));
            assert_eq!(http.deadline(), None);
        }
        http.set_unheard(false, Timestamp(60_000));
        assert_eq!(http.deadline(), Some(Timestamp(70_000)));
        // What does not change is no reason.
        http.set_unheard(false, Timestamp(65_000));
        assert_eq!(http.deadline(), Some(Timestamp(70_000)));
    }
}
