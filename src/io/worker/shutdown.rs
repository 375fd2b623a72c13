//! `app.shutdown()` on one worker: who may finish by itself, until when, and who is left.
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
use crate::io::listener::Listener;
use crate::protocol::time::Timestamp;

impl Worker {
    /// `Command::StopAccepting`. A client that waits to be accepted is connected, as far as it knows: closing the socket
    /// over it would reset it.
    pub(super) fn stop_accepting(&mut self, app: AppId, done: &Latch) {
        let is_ending = |listener: &mut Listener| app.covers(listener.app);
        let ending: Vec<Listener> = self.listeners.extract_if(.., is_ending).collect();
        for mut listener in ending {
            for accepted in listener.accept_waiting() {
                self.place(accepted, listener.app);
            }
        }
        done.release();
    }

    /// `Command::ShutDownApp`.
    pub(super) fn shut_down_app(&mut self, order: &ShutdownOrder) {
        let connections = self.connections_of(order.app);
        self.shutdowns.begin(order.app, self.context.now + order.timeout, connections.len());
        for (slot, generation) in connections {
            self.with(slot, generation, |connection, context, _| {
                connection.shut_down(order.code, &order.reason, context);
            });
        }
    }

    /// Forces what is left of the apps whose time is up.
    pub(super) fn force_due(&mut self) {
        while let Some(app) = self.shutdowns.take_due(self.context.now) {
            for (slot, generation) in self.connections_of(app) {
                self.with(slot, generation, Connection::look_before_the_end);
                self.force(slot, generation, Connection::handle_shutdown_timeout);
            }
        }
    }

    /// Ends a connection for good, and counts it if it was not finished.
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

    /// Tells of the apps whose last connection is gone.
    pub(super) fn conclude_shutdowns(&mut self) {
        while let Some((app, forced)) = self.shutdowns.take_finished() {
            self.note_ended(app);
            self.context.events.events.push(Event::AppShutDown { app, forced });
        }
    }

    /// Slot and generation of the connections that end together with an app.
    pub(super) fn connections_of(&mut self, app: AppId) -> Vec<(u32, u32)> {
        let keys: Vec<_> = self.registry.keys().collect();
        let is_covered = |&(slot, generation): &(u32, u32)| {
            self.registry.get(slot, generation).is_some_and(|connection| app.covers(connection.app()))
        };
        keys.into_iter().filter(is_covered).collect()
    }
}

/// The shutdowns that are under way on one worker; nearly always none.
#[derive(Debug, Default)]
pub struct Shutdowns {
    under_way: Vec<Shutdown>,
}

/// One `app.shutdown()`.
#[derive(Debug)]
struct Shutdown {
    /// The app and the epoch that ends.
    app: AppId,
    /// When the rest is forced; `None` once that is done.
    deadline: Option<Timestamp>,
    /// Connections that are not gone.
    left: usize,
    /// Connections that were dropped before they were finished.
    forced: u32,
}

impl Shutdowns {
    /// Whether none is under way.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// A shutdown begins, with `left` connections to end.
    pub fn begin(&mut self, app: AppId, deadline: Timestamp, left: usize) {
        self.under_way.push(Shutdown { app, deadline: Some(deadline), left, forced: 0 });
    }

    /// A connection of `app` is gone.
    pub fn note_gone(&mut self, app: AppId) {
        for shutdown in self.under_way.iter_mut().filter(|it| it.app.covers(app)) {
            shutdown.left = shutdown.left.saturating_sub(1);
        }
    }

    /// A connection of `app` was dropped before it was finished.
    pub fn note_forced(&mut self, app: AppId) {
        for shutdown in self.under_way.iter_mut().filter(|it| it.app.covers(app)) {
            shutdown.forced += 1;
        }
    }

    /// When [`Self::take_due`] has something to give.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.under_way.iter().filter_map(|it| it.deadline).min()
    }

    /// An app whose connections have had their time. Each is returned once.
    pub fn take_due(&mut self, now: Timestamp) -> Option<AppId> {
        let due = self.under_way.iter_mut().find(|it| it.deadline.is_some_and(|deadline| deadline <= now))?;
        due.deadline = None;
        Some(due.app)
    }

    /// An app without connections, and how many of them were forced. It is under way no longer.
    pub fn take_finished(&mut self) -> Option<(AppId, u32)> {
        let position = self.under_way.iter().position(|it| it.left == 0)?;
        let Shutdown { app, forced, .. } = self.under_way.remove(position);
        Some((app, forced))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn app(app: u32, epoch: u32) -> AppId {
        AppId { app, epoch }
    }

    #[test]
    fn finished_when_the_last_connection_is_gone() {
        let mut shutdowns = Shutdowns::default();
        shutdowns.begin(app(0, 0), Timestamp(10), 2);
        shutdowns.begin(app(1, 0), Timestamp(10), 0);
        assert_eq!(shutdowns.take_finished(), Some((app(1, 0), 0)));
        shutdowns.note_gone(app(0, 0));
        shutdowns.note_gone(app(2, 0));
        shutdowns.note_gone(app(0, 1));
        assert_eq!(shutdowns.take_finished(), None);
        shutdowns.note_forced(app(0, 0));
        shutdowns.note_gone(app(0, 0));
        assert_eq!(shutdowns.take_finished(), Some((app(0, 0), 1)));
        assert_eq!(shutdowns.take_finished(), None);
    }

    #[test]
    fn each_is_due_once_the_earliest_first() {
        let mut shutdowns = Shutdowns::default();
        shutdowns.begin(app(0, 0), Timestamp(30), 1);
        shutdowns.begin(app(1, 0), Timestamp(20), 1);
        assert_eq!(shutdowns.next_deadline(), Some(Timestamp(20)));
        assert_eq!(shutdowns.take_due(Timestamp(19)), None);
        assert_eq!(shutdowns.take_due(Timestamp(20)), Some(app(1, 0)));
        assert_eq!(shutdowns.take_due(Timestamp(20)), None);
        assert_eq!(shutdowns.next_deadline(), Some(Timestamp(30)));
        assert_eq!(shutdowns.take_due(Timestamp(99)), Some(app(0, 0)));
        assert_eq!(shutdowns.next_deadline(), None);
    }

    #[test]
    fn a_later_shutdown_of_an_app_covers_what_an_earlier_one_has_left() {
        let mut shutdowns = Shutdowns::default();
        shutdowns.begin(app(0, 0), Timestamp(30), 1);
        shutdowns.begin(app(0, 1), Timestamp(20), 2);
        shutdowns.note_forced(app(0, 0));
        shutdowns.note_gone(app(0, 0));
        assert_eq!(shutdowns.take_finished(), Some((app(0, 0), 1)));
        shutdowns.note_gone(app(0, 1));
        assert_eq!(shutdowns.take_finished(), Some((app(0, 1), 1)));
    }
}
