//! The end of an app. While connections may come or are there, `lib/` keeps its handlers alive. Once nobody listens for it
//! the workers are asked to tell when its last connection is gone; from then on only what the program itself does with
//! its object can need it, and it goes together with that.
//!
//! ```text
//!   made ──► in use (listen, adoptSocket, getDescriptor) ──► nobody listens ──► the last connection is gone ──► made
//!     └──► its object is collected: its number, its routes and what they keep are free again
//! ```

use crate::bridge::command::Command;
use crate::bridge::id::AppId;
use crate::node::abi::{Register, step};
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::Value;
use crate::node::state::routes::behavior::Target;

/// Whether an app may have to serve somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    /// Nobody, until it is prepared for it.
    #[default]
    Idle,
    /// Connections may come, or be there.
    InUse,
    /// None may come, and this many workers have not told yet that none is left.
    Ending(usize),
    /// The same, but connections may come again by now.
    Resumed(usize),
}

impl Usage {
    /// From now on connections may come.
    pub const fn begin(&mut self) {
        *self = match *self {
            Self::Ending(workers) | Self::Resumed(workers) => Self::Resumed(workers),
            Self::Idle | Self::InUse => Self::InUse,
        };
    }

    /// None may come any more. Returns whether `workers` have to be asked for the end of those that are left; while they
    /// are being asked, they are not asked again.
    pub const fn end(&mut self, workers: usize) -> bool {
        let asks = matches!(*self, Self::InUse);
        if asks {
            *self = Self::Ending(workers);
        }
        asks
    }

    /// A worker has told that no connection is left. Returns whether it was the last one.
    pub const fn note_worker(&mut self) -> bool {
        let left = match self {
            Self::Ending(workers) | Self::Resumed(workers) => workers,
            Self::Idle | Self::InUse => return false,
        };
        *left = left.saturating_sub(1);
        if *left > 0 {
            return false;
        }
        *self = if matches!(*self, Self::Resumed(_)) { Self::InUse } else { Self::Idle };
        true
    }
}

impl Environment {
    /// Somebody who listened for the app does so no longer, or a connection was given to it: if none can come any more, the
    /// workers are to tell when the last one is gone.
    pub fn await_end(&mut self, number: u32) {
        let listens = self.listeners.iter().any(|(_, listener)| listener.app.app == number);
        let Some(app) = self.apps.get_mut(number) else { return };
        if !listens && app.registration.is_none() && app.usage.end(self.workers.all().len()) {
            self.workers.to_all(|| Command::AwaitEnd { app: number });
        }
    }

    /// A worker has no connection of the app. Returns what JavaScript has to do, if none is left and none can come.
    pub fn handle_ended<'c>(&mut self, number: u32) -> Option<(f64, Value<'c>)> {
        let usage = &mut self.apps.get_mut(number)?.usage;
        if !usage.note_worker() {
            return None;
        }
        if *usage != Usage::Idle {
            self.await_end(number);
            return None;
        }
        self.registers.set(Register::App, f64::from(number));
        Some((step::ENDED, Value::UNDEFINED))
    }

    /// Forgets an app whose object is gone. Nothing of it is in use.
    fn forget_app(&mut self, number: u32) {
        if self.apps.get(number).is_none_or(|app| app.usage != Usage::Idle) {
            return;
        }
        self.apps.remove(number);
        let mut cached = Vec::new();
        self.routes.retain(|_, route| {
            if let (Target::Cached(route), true) = (&route.target, route.app == number) {
                cached.push(*route);
            }
            route.app != number
        });
        cached.into_iter().for_each(|route| self.forget_answers(route));
        self.workers.to_all(|| Command::ForgetApp { app: number });
    }
}

/// `appForget(app)`: its object was collected, and it is not in use.
pub fn forget<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let mut environment = call.environment()?;
    let (number, _) = environment.app(call.number(0))?;
    environment.forget_app(number);
    Ok(Value::UNDEFINED)
}

/// The owner of routes that belong to no app.
pub const NO_APP: u32 = AppId::CLIENTS.app;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_the_last_worker_says_so_and_nothing_has_begun_meanwhile() {
        let mut usage = Usage::default();
        assert!(!usage.end(2), "nobody has to be asked");
        usage.begin();
        assert!(usage.end(2));
        assert!(!usage.end(2), "they have been asked");
        assert!(!usage.note_worker());
        assert!(usage.note_worker());
        assert_eq!(usage, Usage::Idle);
        assert!(!usage.note_worker());
    }

    #[test]
    fn what_begins_before_all_have_told_is_not_over() {
        let mut usage = Usage::default();
        usage.begin();
        assert!(usage.end(2));
        assert!(!usage.note_worker());
        usage.begin();
        assert!(!usage.end(2), "not before the second one has told");
        assert!(usage.note_worker());
        assert_eq!(usage, Usage::InUse);
        assert!(usage.end(2), "now they can be asked anew");
    }
}
