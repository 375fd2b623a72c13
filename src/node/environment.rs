//! The state of one load of the addon: all that Node's thread owns.

use std::cell::RefMut;
use std::time::{Duration, Instant};

use slab::Slab;

use super::apps::Apps;
use super::behavior::Route;
use super::cache::Cache;
use super::client::Clients;
use super::connections::Connections;
use super::dispatch::Dispatcher;
use super::error::{Misuse, code_of};
use super::handles::{Handle, Table};
use super::http_response::Exchange;
use super::js::{self, Env, Registers};
use super::pending::Pending;
use super::shutdown::Shutdowns;
use super::state::doorbell::Doorbell;
use super::state::outgoing::Outgoing;
use super::state::topics::{Change, Topics};
use super::store;
use super::websocket::Socket;
use crate::bridge::id::{AppId, ConnectionId, ListenerId, RequestNumber, WorkerId};
use crate::bridge::queue::NodeBell;
use crate::bridge::sync::Arc;
use crate::io::pool::Pool;
use crate::log::journal::Journal;
use crate::log::journals;

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
    pub registers: Registers,
    /// How workers get attention.
    pub doorbell: Doorbell,
    /// The I/O threads; `None` before `start`.
    pub threads: Option<Threads>,
    /// Commands being gathered.
    pub outgoing: Outgoing,
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
    pub clients: Clients,
    /// Listening sockets that JavaScript may use.
    pub listeners: Table<Listener>,
    /// What each connection is to JavaScript at the moment, by worker and slot.
    pub occupants: Occupants,
    /// Connections that filters were told of.
    pub connections: Connections,
    /// Handshakes that wait until JavaScript was asked for a server name.
    pub handshakes: Table<ConnectionId>,
    /// Subscriptions.
    pub topics: Topics,
    /// Topics left by the last closed WebSocket, for its `subscription` handler; last one first.
    pub departures: Vec<Change>,
    /// Apps that are being shut down.
    pub shutdowns: Shutdowns,
    /// Names for listening sockets.
    pub next_listener: u32,
    /// The process is about to end: whatever is sent from now on is waited for, in all no longer than this.
    pub farewell: Option<Duration>,
}

/// The I/O threads and their bell.
pub struct Threads {
    /// The workers.
    pub pool: Pool,
    /// Rung by them.
    pub bell: Arc<NodeBell>,
    /// What they tell of themselves.
    pub journal: Arc<Journal>,
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
    /// The I/O threads.
    ///
    /// # Errors
    /// `lib/` has not called `start` yet.
    pub fn threads(&mut self) -> Result<&mut Threads, Misuse> {
        self.threads.as_mut().ok_or_else(Misuse::bug)
    }

    /// Hands commands over, unless they are to gather.
    pub fn settle(&mut self) {
        let Some(threads) = &self.threads else { return };
        match self.farewell {
            None => self.outgoing.settle(&threads.pool),
            Some(left) => self.farewell = Some(left.saturating_sub(self.wait(left.min(CALL_PATIENCE)))),
        }
    }

    /// Hands commands over now.
    pub fn flush(&mut self) {
        if let Some(threads) = &self.threads {
            self.outgoing.flush(&threads.pool);
        }
    }

    /// Hands over what has gathered for one worker, so that it writes while a handler goes on.
    pub fn hand_over(&mut self, worker: WorkerId) {
        if let Some(threads) = &self.threads {
            self.outgoing.hand_over(&threads.pool, worker);
        }
    }

    /// Hands commands over and waits until the worker of `connection` has written what the kernel takes of its output: from
    /// then on it is known what the peer really leaves waiting. Costs two thread hand-overs, as much as uWebSockets.js pays
    /// for a few writes.
    pub fn look_at(&mut self, connection: ConnectionId) {
        if let Some(threads) = &self.threads {
            self.outgoing.look_at(&threads.pool, connection);
        }
    }

    /// The same for all connections of `worker`.
    pub fn look(&mut self, worker: WorkerId) {
        if let Some(threads) = &self.threads {
            self.outgoing.look(&threads.pool, worker);
        }
    }

    /// Hands commands over before they are too many, whether or not they are to gather.
    pub fn flush_if_long(&mut self) {
        if self.outgoing.is_long() {
            self.flush();
        }
    }

    /// Hands commands over and waits until they are written, at most `patience`. Returns how long that took.
    #[expect(clippy::disallowed_methods, reason = "how long Node's thread waits is no time of the engine")]
    fn wait(&mut self, patience: Duration) -> Duration {
        let started = Instant::now();
        if let Some(threads) = &self.threads {
            self.outgoing.flush_and_wait(&threads.pool, patience);
        }
        started.elapsed()
    }

    /// Starts the I/O threads, of which at least `count` are wanted, unless they run.
    ///
    /// # Errors
    /// The system has no more of them to give.
    pub fn start_threads(&mut self, env: Env<'_>, count: usize) -> Result<&mut Threads, Misuse> {
        let threads = self.threads.as_mut().ok_or_else(Misuse::bug)?;
        threads
            .pool
            .ensure(count)
            .map_err(|error| Misuse::system(code_of(&error), format!("no I/O thread: {error}")))?;
        self.doorbell.hold(env, true);
        Ok(threads)
    }

    /// Ends the I/O threads if they have been needed for nothing for a while. Otherwise, and while there is something left
    /// to be told, what the bell calls is kept alive.
    fn rest(&mut self, env: Env<'_>) {
        let Some(threads) = &mut self.threads else { return };
        if !self.doorbell.is_alive() && threads.pool.is_running() && threads.pool.rests() {
            self.outgoing.flush(&threads.pool);
            threads.pool.stop();
        }
        let waiting =
            threads.journal.waiting() > 0 || threads.pool.workers().iter().any(|it| !it.uplink.is_empty());
        self.doorbell.hold(env, waiting || threads.pool.is_running());
    }

    /// Keeps Node alive as long as somebody listens or is connected, events wait to be handled, or a shutdown or a connect
    /// is waited for. Ends the I/O threads when that has not been so for a while.
    pub fn update_liveness(&mut self, env: Env<'_>) {
        let workers = || self.threads.iter().flat_map(|it| it.pool.workers());
        // In this order, because a worker hands over the last event of a connection before it reports it gone.
        let connected = workers().any(|worker| worker.uplink.population() > 0);
        let waiting = workers().any(|worker| !worker.uplink.is_empty());
        let awaited = self.awaits_connections() || !self.shutdowns.is_empty() || !self.clients.is_empty();
        self.doorbell.keep_alive(env, connected || waiting || awaited);
        self.registers.set(REFERENCED, f64::from(u8::from(self.doorbell.is_alive())));
        self.rest(env);
    }

    /// Whether connections may come: somebody listens, or other apps may hand some over.
    fn awaits_connections(&self) -> bool {
        !self.listeners.is_empty() || self.apps.iter().any(|app| app.registration.is_some())
    }

    /// The process exits: what was sent leaves it first, as it would have from a socket written within the call.
    pub fn prepare_exit(&mut self) {
        store::abandon_lock();
        self.wait(EXIT_PATIENCE);
        self.farewell = Some(EXIT_PATIENCE);
        if let Some(threads) = &self.threads {
            threads.journal.flush();
        }
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
        self.wait(self.farewell.unwrap_or(EXIT_PATIENCE));
        if let Some(mut threads) = self.threads.take() {
            threads.pool.stop();
            journals::close(&threads.journal);
        }
        self.doorbell.remove();
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

/// The register that tells whether Node is kept alive (`lib/dispatcher.js`).
const REFERENCED: usize = 7;
/// How long the end of the process may wait for peers that do not take what is queued; and how long, in all, for what is
/// sent after that.
const EXIT_PATIENCE: Duration = Duration::from_secs(1);
/// How much of it a single call may take: one such peer shall not use up the patience for all others.
const CALL_PATIENCE: Duration = Duration::from_millis(50);
