//! The state of one load of the addon: all that Node's thread owns.

use std::cell::RefMut;

use super::abi::Register;
use super::error::Misuse;
use super::js::{self, Registers};
use super::state::apps::Apps;
use super::state::connections::Connections;
use super::state::connects::Connects;
use super::state::dispatcher::Dispatcher;
use super::state::handshakes::Handshakes;
use super::state::live::Live;
use super::state::pending::Pending;
use super::state::pubsub::PubSub;
use super::state::routes::Routes;
use super::state::shutdowns::Shutdowns;
use super::state::store;
use super::state::takeovers::Takeovers;
use super::state::workers::Workers;

/// A call of a native function, which works on the environment of its load.
pub(crate) type Call<'c> = js::Call<'c, Environment>;

/// A native function.
pub(crate) type Native = js::Native<Environment>;

impl<'c> Call<'c> {
    /// The state of this load of the addon. Must not be held while JavaScript runs.
    ///
    /// # Errors
    /// [`Misuse::bug`] if it is held already.
    pub(crate) fn environment(&self) -> Result<RefMut<'c, Environment>, Misuse> {
        self.state()
    }
}

/// See the top of the file.
#[derive(Default)]
pub(crate) struct Environment {
    /// Numbers that accompany an event to JavaScript.
    pub(in crate::node) registers: Registers<Register>,
    /// The I/O threads, and the commands for them.
    pub(in crate::node) workers: Workers,
    /// Events being handled.
    pub(in crate::node) dispatcher: Dispatcher,
    /// Events that JavaScript has caused and whose handlers have not run.
    pub(in crate::node) pending: Pending,
    /// The apps that programs can still use, or that have connections, and their listening sockets.
    pub(in crate::node) apps: Apps,
    /// The routes, by handler number.
    pub(in crate::node) routes: Routes,
    /// Responses and WebSockets that JavaScript may use.
    pub(in crate::node) live: Live,
    /// Connects that JavaScript waits for.
    pub(in crate::node) connects: Connects,
    /// Connections that were given to workers with their first request.
    pub(in crate::node) takeovers: Takeovers,
    /// Connections that were reported to filters.
    pub(in crate::node) connections: Connections,
    /// TLS handshakes that wait for the handler of missing server names.
    pub(in crate::node) handshakes: Handshakes,
    /// Subscriptions, and the topics that WebSockets leave.
    pub(in crate::node) pubsub: PubSub,
    /// Apps that are being shut down.
    pub(in crate::node) shutdowns: Shutdowns,
}

impl js::Teardown for Environment {
    /// Sends what is queued and stops the threads, when the environment ends or no reference to this load of the addon
    /// is left. A program loses no event by that: while there may be events, the bell is held, and with it the
    /// functions of the load.
    fn tear_down(&mut self) {
        store::abandon_lock();
        self.apps.unregister();
        self.workers.tear_down();
        self.registers.release();
    }
}
