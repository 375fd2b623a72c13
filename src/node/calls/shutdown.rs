//! `app.shutdown()`: Node's part of it. What has to happen within the call happens here: the port is free, every open
//! WebSocket is told and its handler runs. The workers do the rest, and tell when they are done.

use std::borrow::Cow;
use std::time::Duration;

use crate::bridge::command::{Command, ShutdownOrder};
use crate::bridge::id::AppId;
use crate::bridge::sync::Arc;
use crate::node::abi::Register;
use crate::node::calls::websocket::close_code;
use crate::node::environment::{Call, Environment};
use crate::node::error::Misuse;
use crate::node::js::{Range, Value};
use crate::node::state::pending::PendingEvent;
use crate::protocol::cause::CloseCause;

/// A shutdown whose last connection is not gone.
#[derive(Debug)]
pub struct Shutdown {
    /// What the workers were told.
    order: Arc<ShutdownOrder>,
    /// The name under which JavaScript keeps the promise.
    number: f64,
    /// Workers that still have connections.
    workers: usize,
    /// Connections that were dropped before they were finished.
    forced: u32,
}

/// The shutdowns that are under way.
#[derive(Debug, Default)]
pub struct Shutdowns {
    under_way: Vec<Shutdown>,
}

impl Shutdowns {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// What the connections of `app` are told, if they are to end; the first word counts.
    #[must_use]
    pub fn order(&self, app: AppId) -> Option<&Arc<ShutdownOrder>> {
        self.under_way.iter().map(|it| &it.order).find(|order| order.app.covers(app))
    }

    fn begin(&mut self, order: Arc<ShutdownOrder>, workers: usize, number: f64) {
        self.under_way.push(Shutdown { order, number, workers, forced: 0 });
    }

    /// A worker has no connection of `app` left. Returns number and forced connections of the shutdown if it was the
    /// last worker.
    pub fn note_worker(&mut self, app: AppId, forced: u32) -> Option<(f64, u32)> {
        let position = self.under_way.iter().position(|it| it.order.app == app)?;
        let shutdown = &mut self.under_way[position];
        shutdown.forced += forced;
        shutdown.workers -= 1;
        if shutdown.workers > 0 {
            return None;
        }
        let Shutdown { number, forced, .. } = self.under_way.remove(position);
        Some((number, forced))
    }
}

impl Environment {
    /// Ends the current epoch of an app in good order. `name` is what JavaScript will be told the end of this shutdown by.
    /// Returns whether there is anything to wait for; without workers there are no connections.
    fn shut_down_app(
        &mut self,
        number: u32,
        code: u16,
        reason: String,
        timeout: Duration,
        name: f64,
    ) -> bool {
        let Some(app) = self.apps.get_mut(number).map(|app| app.end_epoch(number)) else { return false };
        self.forget_listeners(app);
        let sockets = self.sockets.iter().filter(|(_, socket)| app.covers(socket.app));
        let cause = CloseCause::ServerShutdown;
        let events = sockets.map(|(socket, _)| PendingEvent::Close { socket, cause, said: None });
        let events: Vec<_> = events.collect();
        events.into_iter().for_each(|event| self.add_pending(event));
        if !self.workers.is_running() {
            return false;
        }
        // First of all no worker accepts any more. What they have accepted is then on its way to the worker that is to
        // serve it, in front of the second command.
        self.workers.ask_all(|done| Command::StopAccepting { app, done }, crate::node::calls::app::PATIENCE);
        let order = Arc::new(ShutdownOrder { app, code, reason, timeout });
        self.workers.to_all(|| Command::ShutDownApp(Arc::clone(&order)));
        self.await_end(number);
        self.shutdowns.begin(order, self.workers.all().len(), name);
        true
    }

    /// Code and reason for the handlers of what `cause` has ended.
    #[must_use]
    pub fn farewell(&self, app: AppId, cause: CloseCause) -> (u16, Cow<'static, str>) {
        let verdict = cause.verdict();
        match self.shutdowns.order(app) {
            Some(order) if cause == CloseCause::ServerShutdown => (order.code, order.reason.clone().into()),
            Some(_) | None => (verdict.local_code, verdict.text.into()),
        }
    }

    /// A WebSocket that has opened while its app shuts down is told.
    fn tell_latecomer(&mut self, number: f64) {
        let Ok((handle, socket)) = self.socket(number) else { return };
        let app = socket.app;
        if self.shutdowns.order(app).is_some() {
            let (code, reason) = self.farewell(app, CloseCause::ServerShutdown);
            let said = Some((code, reason.as_bytes().to_vec()));
            self.close_pending(handle, CloseCause::ServerShutdown, said);
        }
    }
}

/// `appShutdown(app, timeout, code, reason, name)`: returns whether there is anything to wait for, whose end `next` will tell
/// under that name, a number. Register 1 has the place of the first event for `told`.
pub fn shut_down<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    let env = call.env();
    let timeout = Duration::from_millis(call.integer(1, "timeout", TIMEOUT)?);
    let verdict = CloseCause::ServerShutdown.verdict();
    let code = close_code(call, 2)?.unwrap_or(verdict.local_code);
    let reason = call.text(3)?;
    let reason = match reason.is_empty() {
        true => verdict.text.to_owned(),
        false => reason,
    };
    let mut environment = call.environment()?;
    let (number, _) = environment.app(call.number(0))?;
    let mark = environment.pending.len();
    let is_under_way = environment.shut_down_app(number, code, reason, timeout, call.number(4));
    environment.registers.set(Register::Mark, mark as f64);
    environment.update_liveness(env);
    Ok(env.from_bool(is_under_way))
}

/// `wsShutDown(socket)`: to be called when its `open` handler has returned. Closes it, unless it may stay.
pub fn tell_latecomer<'c>(call: &Call<'c>) -> Result<Value<'c>, Misuse> {
    call.environment()?.tell_latecomer(call.number(0));
    Ok(Value::UNDEFINED)
}

/// How long connections may take to end, unless the call says otherwise. Less than the time for which process managers
/// wait before they kill: 30 s in Kubernetes, 10 s in Docker, 90 s in systemd.
/// In milliseconds; the longest is the longest time that a timer of Node can be set to.
const TIMEOUT: Range = Range { min: 0, max: 2_147_483_647, default: 10_000 };

#[cfg(test)]
mod tests {
    use super::*;

    fn order(app: u32, epoch: u32) -> Arc<ShutdownOrder> {
        let app = AppId { app, epoch };
        Arc::new(ShutdownOrder { app, code: 1001, reason: epoch.to_string(), timeout: Duration::ZERO })
    }

    #[test]
    fn over_when_the_last_worker_says_so() {
        let mut shutdowns = Shutdowns::default();
        shutdowns.begin(order(0, 0), 2, 1.0);
        shutdowns.begin(order(0, 1), 1, 2.0);
        let app = |epoch| AppId { app: 0, epoch };
        assert_eq!(shutdowns.note_worker(app(0), 3), None);
        assert_eq!(shutdowns.note_worker(app(1), 0), Some((2.0, 0)));
        assert_eq!(shutdowns.note_worker(app(0), 4), Some((1.0, 7)));
        assert!(shutdowns.is_empty());
        assert_eq!(shutdowns.note_worker(app(0), 0), None);
    }

    #[test]
    fn the_first_word_counts_and_later_connections_of_the_app_are_not_meant() {
        let mut shutdowns = Shutdowns::default();
        shutdowns.begin(order(0, 0), 1, 1.0);
        shutdowns.begin(order(0, 1), 1, 2.0);
        let reason = |app, epoch| shutdowns.order(AppId { app, epoch }).map(|order| order.reason.as_str());
        assert_eq!(reason(0, 0), Some("0"));
        assert_eq!(reason(0, 1), Some("1"));
        assert_eq!(reason(0, 2), None);
        assert_eq!(reason(1, 0), None);
    }
}
