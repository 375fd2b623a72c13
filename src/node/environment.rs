//! The state of one load of the addon: all that Node's thread owns.

use std::cell::RefMut;

use slab::Slab;

use super::abi::Register;
use super::calls::connections::Connections;
use super::calls::http_response::Exchange;
use super::calls::shutdown::Shutdowns;
use super::calls::store;
use super::calls::websocket::Socket;
use super::error::Misuse;
use super::js::{self, Env, Registers};
use super::state::apps::Apps;
use super::state::connects::Connects;
use super::state::handles::{Handle, Table};
use super::state::pending::Pending;
use super::state::pubsub::PubSub;
use super::state::routes::behavior::Route;
use super::state::routes::cache::Cache;
use super::state::workers::Workers;
use super::turn::dispatch::Dispatcher;
use crate::bridge::id::{AppId, ConnectionId, ListenerId, RequestNumber, WorkerId};

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
    /// The apps that programs can still use, or that serve somebody.
    pub apps: Apps,
    /// All routes of all apps, by handler number.
    pub routes: Slab<Route>,
    /// Answers that are kept.
    pub cache: Cache,
    /// Cached routes that there have been.
    pub cached_routes: u64,
    /// Responses that JavaScript may use.
    pub exchanges: Table<Box<Exchange>>,
    /// Emptied exchanges, for reuse.
    pub spare_exchanges: Vec<Box<Exchange>>,
    /// WebSockets that JavaScript may use.
    pub sockets: Table<Socket>,
    /// Connects that JavaScript waits for.
    pub connects: Connects,
    /// Listening sockets that JavaScript may use.
    pub listeners: Table<Listener>,
    /// What each connection is to JavaScript at the moment, by worker and slot.
    pub occupants: Occupants,
    /// Connections that filters were told of.
    pub connections: Connections,
    /// Handshakes that wait until JavaScript was asked for a server name.
    pub handshakes: Table<ConnectionId>,
    /// Who is subscribed to what.
    pub pubsub: PubSub,
    /// Apps that are being shut down.
    pub shutdowns: Shutdowns,
    /// Names for listening sockets.
    pub next_listener: u32,
}

/// A listening socket.
#[derive(Clone, Copy, Debug)]
pub struct Listener {
    /// Its name for the worker.
    pub id: ListenerId,
    /// Who listens.
    pub app: AppId,
    /// The worker that accepts.
    pub worker: WorkerId,
    /// Local port; 0 for a Unix socket.
    pub port: u16,
}

impl Environment {
    /// Keeps Node alive as long as somebody listens or is connected, events wait to be handled, or a shutdown or a connect
    /// is waited for. Ends the I/O threads when that has not been so for a while.
    pub fn update_liveness(&mut self, env: Env<'_>) {
        let awaited = self.awaits_connections() || !self.shutdowns.is_empty() || !self.connects.is_empty();
        let is_alive = self.workers.update_liveness(env, awaited);
        self.registers.set(Register::Referenced, f64::from(u8::from(is_alive)));
    }

    /// Whether connections may come: somebody listens, or other apps may hand some over.
    fn awaits_connections(&self) -> bool {
        !self.listeners.is_empty() || self.apps.iter().any(|app| app.registration.is_some())
    }
}

impl js::Teardown for Environment {
    /// The environment ends, or nobody uses this load of the addon any more: sends what is queued, stops the threads.
    /// Nothing is lost to a program by that: as long as something may happen that it has to be told of, the bell is held,
    /// and with it the functions of the load.
    fn tear_down(&mut self) {
        store::abandon_lock();
        // From now on other environments hand their connections to somebody else.
        self.apps.iter_mut().for_each(|app| app.registration = None);
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
