//! Events that the application itself causes: `ws.end()` a close, `res.close()` an abort, `res.upgrade()` an open,
//! `ws.subscribe()` a subscription. Their handlers run before the call returns, and what they call may cause further
//! ones.
//!
//! The call puts its event here, with all that the handler needs, and `lib/runtime/call.js` takes it out again and runs
//! the handler. Between the two JavaScript may run out of stack, or stop because handlers are nested too deep already.
//! Then the event stays in the queue: an outer call takes it or, at the latest, the dispatcher, before any other event.
//! So every event reaches its handler exactly once, whatever happens between the change of state and the handler.
//!
//! Until its event is taken, a WebSocket that was closed here counts as open: its `close` handler has not run, and the
//! application still has it in its lists.

use std::collections::VecDeque;

use super::notices::is_new;
use super::topics::Change;
use super::workers::Workers;
use crate::node::state::handles::JsHandle;
use crate::protocol::cause::CloseCause;
use crate::protocol::websocket::MessageKind;

/// An event whose handler has not run.
#[derive(Debug)]
pub(crate) enum PendingEvent {
    /// An upgrade made this WebSocket.
    Open(JsHandle),
    /// This WebSocket is closed.
    Close {
        /// Handle of the object whose handlers run.
        socket: JsHandle,
        /// The cause.
        cause: CloseCause,
        /// Code and reason of the Close frame; `None` for those of the cause, or of the shutdown.
        close_frame: Option<(u16, Vec<u8>)>,
    },
    /// This response is aborted.
    Abort {
        /// Handle of the object whose handlers run.
        exchange: JsHandle,
        /// The cause.
        cause: CloseCause,
    },
    /// A connection that was reported to filters is closed.
    ConnectionClosed(JsHandle),
    /// This WebSocket has subscribed to a topic, or unsubscribed.
    Subscription {
        /// Handle of the object whose handlers run.
        socket: JsHandle,
        /// The topic, and its numbers of subscribers.
        change: Change,
    },
    /// A message was dropped.
    Dropped {
        /// Handle of the object whose handlers run.
        socket: JsHandle,
        /// Text or binary.
        kind: MessageKind,
        /// The message.
        payload: Vec<u8>,
    },
    /// A warning for the program.
    Warning {
        /// The code of the warning.
        code: &'static str,
        /// Its text.
        text: String,
    },
    /// One that was taken before its turn. Keeps its position in the queue.
    Told,
}

impl PendingEvent {
    /// The WebSocket whose handlers it is for.
    const fn socket(&self) -> Option<JsHandle> {
        match self {
            Self::Open(socket)
            | Self::Close { socket, .. }
            | Self::Subscription { socket, .. }
            | Self::Dropped { socket, .. } => Some(*socket),
            Self::Abort { .. } | Self::ConnectionClosed(_) | Self::Warning { .. } | Self::Told => None,
        }
    }
}

/// The events whose handlers have not run, in the order in which they were caused.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    events: VecDeque<PendingEvent>,
    /// About where the stack of the running turn of Node's loop starts.
    stack_base: usize,
    /// The bell was rung for these events since the last turn of the dispatcher.
    has_rung: bool,
    /// A call may have left events because the stack was nearly used up, so that later ones are taken before them.
    has_left: bool,
}

impl Pending {
    /// How many there are: the position of the next one.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Records where the stack starts. Called by Node's loop, when the stack holds no frame of a program.
    pub(crate) fn begin_turn(&mut self) {
        self.stack_base = stack_position();
        self.has_rung = false;
    }

    /// Adds an event. The call that causes it takes it next; outside of a turn of the dispatcher this rings the bell,
    /// in case the call fails to.
    pub(crate) fn add(&mut self, event: PendingEvent, workers: &Workers) {
        self.events.push_back(event);
        self.has_rung = self.has_rung || workers.ring();
    }

    /// Warns the program, unless this process has had a warning with this code about this subject.
    pub(crate) fn warn_once(
        &mut self,
        code: &'static str,
        subject: &str,
        workers: &Workers,
        text: impl FnOnce() -> String,
    ) {
        if is_new(format!("{code} {subject}").into_bytes()) {
            self.add(PendingEvent::Warning { code, text: text() }, workers);
        }
    }

    /// Takes the event at a position; if an earlier event for the same WebSocket was left, that one instead.
    pub(crate) fn take(&mut self, place: usize) -> Option<PendingEvent> {
        if self.has_left
            && let socket @ Some(_) = self.events.get(place)?.socket()
            && let Some(earlier) = self.events.range_mut(..place).find(|event| event.socket() == socket)
        {
            return Some(std::mem::replace(earlier, PendingEvent::Told));
        }
        let event = self.events.remove(place);
        self.has_left &= !self.events.is_empty();
        event
    }

    /// Records that a call leaves its events because the stack is nearly used up.
    pub(crate) const fn leave(&mut self) {
        self.has_left = true;
    }

    /// Whether so much of the stack is in use that it is worth finding out how much is left.
    #[must_use]
    pub(crate) fn is_stack_deep(&self) -> bool {
        self.stack_base.saturating_sub(stack_position()) > SHALLOW_STACK
    }
}

/// The approximate end of the stack at present. It grows towards lower addresses.
#[inline(never)]
fn stack_position() -> usize {
    let marker = 0u8;
    std::ptr::from_ref(&marker).addr()
}

/// Bytes of stack that may be in use before `lib/` measures how many are left. Every engine has a stack large enough to
/// run a handler from here.
const SHALLOW_STACK: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(code: &'static str) -> PendingEvent {
        PendingEvent::Warning { code, text: String::new() }
    }

    fn code(event: Option<PendingEvent>) -> Option<&'static str> {
        if let Some(PendingEvent::Warning { code, .. }) = event { Some(code) } else { None }
    }

    #[test]
    fn a_call_takes_its_own_events_in_order_and_leaves_those_of_calls_further_out() {
        let (mut pending, workers) = (Pending::default(), Workers::default());
        pending.add(warning("outer"), &workers);
        let mark = pending.len();
        pending.add(warning("first"), &workers);
        pending.add(warning("second"), &workers);
        assert_eq!(code(pending.take(mark)), Some("first"));
        assert_eq!(code(pending.take(mark)), Some("second"));
        assert_eq!(code(pending.take(mark)), None);
        assert_eq!(code(pending.take(0)), Some("outer"));
        assert!(pending.is_empty());
    }

    #[test]
    fn a_turn_has_to_come_only_for_what_is_caused_outside_of_one() {
        let (mut pending, mut workers) = (Pending::default(), Workers::default());
        workers.begin_turn();
        pending.add(warning("inside"), &workers);
        assert!(!pending.has_rung);
        workers.end_turn(0);
        pending.add(warning("outside"), &workers);
        assert!(pending.has_rung);
        pending.begin_turn();
        assert!(!pending.has_rung, "the next one has to ask for a turn of its own");
    }
}
