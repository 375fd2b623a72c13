//! The state of one load of the addon: all that Node's thread owns.

use std::cell::RefMut;

use super::abi::Register;
use super::calls::http_response::Exchange;
use super::calls::websocket::Socket;
use super::error::Misuse;
use super::js::{self, Registers};
use super::state::apps::Apps;
use super::state::connections::Connections;
use super::state::connects::Connects;
use super::state::dispatcher::Dispatcher;
use super::state::handles::{Handle, Table};
use super::state::handshakes::Handshakes;
use super::state::pending::Pending;
use super::state::pubsub::PubSub;
use super::state::routes::Routes;
use super::state::shutdowns::Shutdowns;
use super::state::store;
use super::state::workers::Workers;
use crate::bridge::id::{ConnectionId, RequestNumber};

/// A call of a native function, which works on the environment of its load.
pub type Call<'c> = js::Call<'c, Environment>;

/// A native function.
pub type Native = js::Native<Environment>;

impl<'c> Call<'c> {
    /// The state of this load of the addon. Must not be held while JavaScript runs.
    ///
    /// # Errors
    /// [`Misuse::bug`] if it is held already.
    pub fn environment(&self) -> Result<RefMut<'c, Environment>, Misuse> {
        self.state()
    }
}

/// See the top of the file.
#[derive(Default)]
pub struct Environment {
    /// Numbers that accompany an event to JavaScript.
    pub registers: Registers<Register>,
    /// The I/O threads, and what is on its way to them.
    pub workers: Workers,
    /// Events being handled.
    pub dispatcher: Dispatcher,
    /// Events that JavaScript has caused and was not told of.
    pub pending: Pending,
    /// The apps that programs can still use, or that serve somebody, and what listens for them.
    pub apps: Apps,
    /// What requests lead to, by handler number.
    pub routes: Routes,
    /// Responses that JavaScript may use.
    pub exchanges: Table<Box<Exchange>>,
    /// Emptied exchanges, for reuse.
    pub spare_exchanges: Vec<Box<Exchange>>,
    /// WebSockets that JavaScript may use.
    pub sockets: Table<Socket>,
    /// Connects that JavaScript waits for.
    pub connects: Connects,
    /// What each connection is to JavaScript at the moment, by worker and slot.
    pub occupants: Occupants,
    /// Connections that filters were told of.
    pub connections: Connections,
    /// TLS handshakes that wait until JavaScript was asked for a server name.
    pub handshakes: Handshakes,
    /// Who is subscribed to what.
    pub pubsub: PubSub,
    /// Apps that are being shut down.
    pub shutdowns: Shutdowns,
}

impl js::Teardown for Environment {
    /// The environment ends, or nobody uses this load of the addon any more: sends what is queued, stops the threads.
    /// Nothing is lost to a program by that: as long as something may happen that it has to be told of, the bell is held,
    /// and with it the functions of the load.
    fn tear_down(&mut self) {
        store::abandon_lock();
        self.apps.unregister();
        self.workers.tear_down();
        self.registers.release();
    }
}

/// What a connection is to JavaScript.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Occupant {
    /// Nothing: between requests, or closed as far as JavaScript is concerned.
    #[default]
    Nobody,
    /// A response.
    Exchange {
        /// Which request of the connection it answers.
        request: RequestNumber,
        /// Its handle.
        handle: Handle,
    },
    /// A WebSocket.
    Socket(Handle),
}

/// The occupant of every connection. An event for a connection whose occupant is another one, or gone, is dropped here:
/// no handler of a WebSocket runs after its `close`.
#[derive(Debug, Default)]
pub struct Occupants {
    by_worker: Vec<Vec<(u32, Occupant)>>,
}

impl Occupants {
    /// The occupant of a connection.
    #[must_use]
    pub fn get(&self, id: ConnectionId) -> Occupant {
        let place = self.by_worker.get(id.worker.index()).and_then(|slots| slots.get(id.slot as usize));
        match place {
            Some((generation, occupant)) if *generation == id.generation => *occupant,
            Some(_) | None => Occupant::Nobody,
        }
    }

    /// Sets the occupant of a connection.
    pub fn set(&mut self, id: ConnectionId, occupant: Occupant) {
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
    pub fn exchange(&self, id: ConnectionId, number: RequestNumber) -> Option<Handle> {
        match self.get(id) {
            Occupant::Exchange { request, handle } if request == number => Some(handle),
            Occupant::Exchange { .. } | Occupant::Socket(_) | Occupant::Nobody => None,
        }
    }

    /// The handle of the WebSocket, if JavaScript may still use it.
    #[must_use]
    pub fn socket(&self, id: ConnectionId) -> Option<Handle> {
        match self.get(id) {
            Occupant::Socket(handle) => Some(handle),
            Occupant::Exchange { .. } | Occupant::Nobody => None,
        }
    }
}
