//! The response or WebSocket that each connection has for JavaScript.

use crate::bridge::id::{ConnectionId, RequestNumber};
use crate::node::state::handles::JsHandle;

/// The response or WebSocket that a connection has for JavaScript.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Occupant {
    /// Neither: between requests, or closed for JavaScript.
    #[default]
    Nobody,
    /// A response.
    Exchange {
        /// Which request of the connection it answers.
        request: RequestNumber,
        /// Its handle.
        handle: JsHandle,
    },
    /// A WebSocket.
    Socket(JsHandle),
}

/// The occupant of every connection. An event for another occupant than the present one is dropped here:
/// no handler of a WebSocket runs after its `close`.
#[derive(Debug, Default)]
pub(crate) struct Occupants {
    by_worker: Vec<Vec<(u32, Occupant)>>,
}

impl Occupants {
    /// The occupant of a connection.
    #[must_use]
    pub(crate) fn get(&self, id: ConnectionId) -> Occupant {
        let place = self.by_worker.get(id.worker.index()).and_then(|slots| slots.get(id.slot as usize));
        match place {
            Some((generation, occupant)) if *generation == id.generation => *occupant,
            Some(_) | None => Occupant::Nobody,
        }
    }

    /// Sets the occupant of a connection.
    pub(crate) fn set(&mut self, id: ConnectionId, occupant: Occupant) {
        let (worker, slot) = (id.worker.index(), id.slot as usize);
        if self.by_worker.len() <= worker {
            self.by_worker.resize_with(worker + 1, Vec::new);
        }
        let slots = &mut self.by_worker[worker];
        if slots.len() <= slot {
            slots.resize(slot + 1, (0, Occupant::Nobody));
        }
        slots[slot] = (id.generation, occupant);
    }

    /// The handle of the response to one request, if JavaScript may still use it.
    #[must_use]
    pub(crate) fn exchange(&self, id: ConnectionId, number: RequestNumber) -> Option<JsHandle> {
        match self.get(id) {
            Occupant::Exchange { request, handle } if request == number => Some(handle),
            Occupant::Exchange { .. } | Occupant::Socket(_) | Occupant::Nobody => None,
        }
    }

    /// The handle of the WebSocket, if JavaScript may still use it.
    #[must_use]
    pub(crate) fn socket(&self, id: ConnectionId) -> Option<JsHandle> {
        match self.get(id) {
            Occupant::Socket(handle) => Some(handle),
            Occupant::Exchange { .. } | Occupant::Nobody => None,
        }
    }
}
