//! Events that the application itself causes: `ws.end()` a close, `res.close()` an abort, `res.upgrade()` an open,
//! `ws.subscribe()` a subscription. Their handlers run before the call returns, and what they call may cause further ones.
//!
//! The call puts its event here, with all that the handler needs, and `lib/runtime/call.js` takes it out again and runs the
//! handler. Between the two JavaScript may run out of stack, or stop because handlers are nested too deep already. Then
//! the event stays where it is: a call further out takes it or, at the latest, the dispatcher, before any other event. So
//! every event is told exactly once, whatever happens between the change of state and the handler.
//!
//! Until its event is taken, a WebSocket that was closed here counts as open: the application has not been told, and goes
//! through lists that it is still in.

use std::collections::VecDeque;

use super::notices::is_new;
use super::topics::Change;
use super::workers::Workers;
use crate::node::state::handles::Handle;
use crate::protocol::cause::CloseCause;
use crate::protocol::websocket::MessageKind;

/// An event that JavaScript has not been told of.
#[derive(Debug)]
pub(crate) enum PendingEvent {
    /// An upgrade made this WebSocket.
    Open(Handle),
    /// This WebSocket is closed.
    Close {
        /// Whose handlers are to run.
        socket: Handle,
        /// Why.
        cause: CloseCause,
        /// Code and reason; `None` for those of the cause, or of the shutdown.
        said: Option<(u16, Vec<u8>)>,
    },
    /// This response is aborted.
    Abort {
        /// Whose handler is to run.
        exchange: Handle,
        /// Why.
        cause: CloseCause,
    },
    /// A connection that filters were told of is closed.
    ConnectionClosed(Handle),
    /// This WebSocket has subscribed to a topic, or unsubscribed.
    Subscription {
        /// Whose handler is to run.
        socket: Handle,
        /// What became of the topic.
        change: Change,
    },
    /// A message was dropped.
    Dropped {
        /// Whose handler is to run.
        socket: Handle,
        /// Text or binary.
        kind: MessageKind,
        /// The message.
        payload: Vec<u8>,
    },
    /// The program is to be warned.
    Warning {
        /// The code of the warning.
        code: &'static str,
        /// Its text.
        text: String,
    },
    /// One that was told before its turn. Keeps the place.
    Told,
}

impl PendingEvent {
    /// The WebSocket whose handlers it is for.
    const fn socket(&self) -> Option<Handle> {
        match self {
            Self::Open(socket)
            | Self::Close { socket, .. }
            | Self::Subscription { socket, .. }
            | Self::Dropped { socket, .. } => Some(*socket),
            Self::Abort { .. } | Self::ConnectionClosed(_) | Self::Warning { .. } | Self::Told => None,
        }
    }
}

/// The events that JavaScript has not been told of, in the order in which they were caused.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    events: VecDeque<PendingEvent>,
    /// Where the stack of the running turn of Node's loop begins, about.
    stack_base: usize,
    /// The bell was rung for these events since the last turn of the dispatcher.
    has_rung: bool,
    /// A call may have left events for want of stack, in front of which others are told.
    has_left: bool,
}

impl Pending {
    /// How many there are: the place of the next one.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Node's loop has called: nothing of a program is on the stack.
    pub(crate) fn begin_turn(&mut self) {
        self.stack_base = stack_position();
        self.has_rung = false;
    }

    /// Adds an event. The call that causes it is about to tell it; should that fail outside of a turn of the dispatcher, a
    /// turn has to come.
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

    /// Takes the event at a place; if that is for a WebSocket of which a call has left an earlier one, that one instead.
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

    /// A call leaves its events for want of stack.
    pub(crate) const fn leave(&mut self) {
        self.has_left = true;
    }

    /// Whether so much of the stack is in use that it is worth finding out how much is left.
    #[must_use]
    pub(crate) fn is_stack_deep(&self) -> bool {
        self.stack_base.saturating_sub(stack_position()) > SHALLOW_STACK
    }
}

/// About where the stack ends at present. It grows towards lower addresses.
#[inline(never)]
fn stack_position() -> usize {
    let marker = 0u8;
    std::ptr::from_ref(&marker).addr()
}

/// Bytes of stack that may be in use before anybody asks how many are left. No engine gives programs so few that a
/// handler could not run from here.
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
        workers.end_turn();
        pending.add(warning("outside"), &workers);
        assert!(pending.has_rung);
        pending.begin_turn();
        assert!(!pending.has_rung, "the next one has to ask for a turn of its own");
    }
}
