//! `app.shutdown()` on one worker: which connections may finish by themselves, until when, and which are dropped.
//!
//! ```text
//!   StopAccepting ──► ShutDownApp ──► connections end one by one ──────────► none is left ──► AppShutDown
//!                                       └──► deadline: the rest is forced ─────┘
//! ```

use super::Worker;
use crate::bridge::command::ShutdownOrder;
use crate::bridge::event::Event;
use crate::bridge::id::AppId;
use crate::bridge::latch::Latch;
use crate::io::connection::Connection;
use crate::io::context::Context;

impl Worker {
    /// `Command::StopAccepting`. Accepts the connections that wait: to their clients they are established, and closing
    /// the socket would reset them.
    pub(super) fn stop_accepting(&mut self, app: AppId, done: &Latch) {
        for mut listener in self.take_listeners(|listener| app.covers(listener.app)) {
            for accepted in listener.accept_waiting(&self.peers) {
                self.place(accepted, listener.app);
            }
        }
        self.stop_ports(|_, known| app.covers(known));
        done.release();
    }

    /// `Command::ShutDownApp`.
    pub(super) fn shut_down_app(&mut self, order: &ShutdownOrder) {
        let connections = self.connections_of(order.app);
        self.shutdowns.start(order.app, self.context.now + order.timeout, connections.len());
        for (slot, generation) in connections {
            self.with(slot, generation, |connection, context, _| {
                connection.shut_down(order.code, &order.reason, context);
            });
        }
    }

    /// Drops the remaining connections of apps whose shutdown timeout has passed.
    pub(super) fn force_due(&mut self) {
        while let Some(app) = self.shutdowns.take_due(self.context.now) {
            for (slot, generation) in self.connections_of(app) {
                self.with(slot, generation, Connection::look_before_shutdown);
                self.force(slot, generation, Connection::handle_shutdown_timeout);
            }
        }
    }

    /// Closes a connection with `act`, and counts it if it was not finished.
    pub(super) fn force(
        &mut self,
        slot: u32,
        generation: u32,
        end: impl FnOnce(&mut Connection, &mut Context),
    ) {
        let forced = self.with(slot, generation, |connection, context, _| {
            let (app, was_finished) = (connection.app(), connection.is_finished());
            end(connection, context);
            (!was_finished).then_some(app)
        });
        if let Some(app) = forced.flatten() {
            self.shutdowns.note_forced(app);
        }
    }

    /// Reports the apps whose last connection has closed.
    pub(super) fn conclude_shutdowns(&mut self) {
        while let Some((app, forced)) = self.shutdowns.take_finished() {
            self.note_ended(app);
            self.context.emit(Event::AppShutDown { app, forced });
        }
    }

    /// Slot and generation of the connections that end together with an app.
    pub(super) fn connections_of(&mut self, app: AppId) -> Vec<(u32, u32)> {
        let keys: Vec<_> = self.registry.keys().collect();
        let is_covered = |&(slot, generation): &(u32, u32)| {
            self.registry.get(slot, generation).is_some_and(|connection| app.covers(connection.app()))
        };
        let mut covered: Vec<_> = keys.into_iter().filter(is_covered).collect();
        if self.tunnels > 0 {
            // A WebSocket in a stream before the connection of the stream, which has to send what it says last.
            covered.sort_by_key(|&(slot, generation)| {
                self.registry.get(slot, generation).is_none_or(|connection| connection.tunnel().is_none())
            });
        }
        covered
    }
}
