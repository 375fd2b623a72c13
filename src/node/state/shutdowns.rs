//! The shutdowns of apps that are under way, and the close codes and reasons of their connections.

use std::borrow::Cow;

use crate::bridge::command::ShutdownOrder;
use crate::bridge::id::AppId;
use crate::bridge::sync::Arc;
use crate::protocol::cause::CloseCause;

/// A shutdown that still has connections.
#[derive(Debug)]
pub(crate) struct Shutdown {
    /// The order that the workers got.
    order: Arc<ShutdownOrder>,
    /// The number by which JavaScript identifies the promise.
    number: f64,
    /// Workers that still have connections.
    workers: usize,
    /// Connections that were dropped before they were finished.
    forced: u32,
}

/// The shutdowns that are under way.
#[derive(Debug, Default)]
pub(crate) struct Shutdowns {
    under_way: Vec<Shutdown>,
}

impl Shutdowns {
    /// Whether there is none.
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The order by which the connections of `app` end, if it is shutting down; the first one counts.
    #[must_use]
    pub(crate) fn order(&self, app: AppId) -> Option<&Arc<ShutdownOrder>> {
        self.under_way.iter().map(|it| &it.order).find(|order| order.app.covers(app))
    }

    /// Adds a shutdown that `workers` workers take part in. JavaScript identifies the promise by `number`.
    pub(crate) fn start(&mut self, order: Arc<ShutdownOrder>, workers: usize, number: f64) {
        self.under_way.push(Shutdown { order, number, workers, forced: 0 });
    }

    /// Counts a worker that has no connection of `app` left. Returns number and forced connections of the shutdown if
    /// it was the last worker.
    pub(crate) fn note_worker(&mut self, app: AppId, forced: u32) -> Option<(f64, u32)> {
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
    /// Close code and reason for the handlers of a connection that ended by `cause`.
    #[must_use]
    pub(crate) fn close_status(&self, app: AppId, cause: CloseCause) -> (u16, Cow<'static, str>) {
        let verdict = cause.verdict();
        match self.order(app) {
            Some(order) if cause == CloseCause::ServerShutdown => (order.code, order.reason.clone().into()),
            Some(_) | None => (verdict.local_code, verdict.text.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn order(app: u32, epoch: u32) -> Arc<ShutdownOrder> {
        let app = AppId { app, epoch };
        Arc::new(ShutdownOrder { app, code: 1001, reason: epoch.to_string(), timeout: Duration::ZERO })
    }

    #[test]
    fn over_when_the_last_worker_says_so() {
        let mut shutdowns = Shutdowns::default();
        shutdowns.start(order(0, 0), 2, 1.0);
        shutdowns.start(order(0, 1), 1, 2.0);
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
        shutdowns.start(order(0, 0), 1, 1.0);
        shutdowns.start(order(0, 1), 1, 2.0);
        let reason = |app, epoch| shutdowns.order(AppId { app, epoch }).map(|order| order.reason.as_str());
        assert_eq!(reason(0, 0), Some("0"));
        assert_eq!(reason(0, 1), Some("1"));
        assert_eq!(reason(0, 2), None);
        assert_eq!(reason(1, 0), None);
    }
}
