//! Notifies Node's thread when no connection of an app is left.

use super::Worker;
use crate::bridge::event::Event;

impl Worker {
    /// `Command::AwaitEnd`. Lingering connections count, too.
    pub(super) fn await_end(&mut self, app: u32) {
        let keys: Vec<_> = self.registry.keys().collect();
        let is_of_app = |&(slot, generation): &(u32, u32)| {
            self.registry.get(slot, generation).is_some_and(|connection| connection.app().app == app)
        };
        let left = keys.into_iter().filter(is_of_app).count();
        self.endings.start(app, left);
    }

    /// Reports the apps that have no connection left.
    pub(super) fn conclude_endings(&mut self) {
        while let Some(app) = self.endings.take_finished() {
            self.context.emit(Event::AppEnded { app });
        }
    }

    /// `Command::ForgetApp`.
    pub(super) fn forget_app(&mut self, app: u32) {
        self.setups.remove(&app);
        self.ended.remove(&app);
        self.context.tallies.forget(app);
        self.context.budgets.forget(app);
    }
}
