//! Apps of which Node's thread wants to hear when no connection is left.

use super::Worker;
use crate::bridge::event::Event;

/// One that still has connections here.
#[derive(Debug)]
pub struct Ending {
    app: u32,
    left: usize,
}

impl Worker {
    /// `Command::AwaitEnd`. A connection that only lingers is one, too.
    pub(super) fn await_end(&mut self, app: u32) {
        let keys: Vec<_> = self.registry.keys().collect();
        let is_of_app = |&(slot, generation): &(u32, u32)| {
            self.registry.get(slot, generation).is_some_and(|connection| connection.app().app == app)
        };
        let left = keys.into_iter().filter(is_of_app).count();
        self.endings.push(Ending { app, left });
    }

    /// A connection of `app` is gone.
    pub(super) fn note_gone(&mut self, app: u32) {
        for ending in self.endings.iter_mut().filter(|ending| ending.app == app) {
            ending.left = ending.left.saturating_sub(1);
        }
    }

    /// Tells of those that have none left. Connections that came in the meantime are not meant.
    pub(super) fn conclude_endings(&mut self) {
        for Ending { app, .. } in self.endings.extract_if(.., |ending| ending.left == 0) {
            self.context.events.events.push(Event::AppEnded { app });
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
