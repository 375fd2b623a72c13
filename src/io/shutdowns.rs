//! Progress of every `app.shutdown()` on one worker.

use crate::bridge::id::AppId;
use crate::protocol::time::Timestamp;

/// The shutdowns that are under way on one worker; nearly always none.
#[derive(Debug, Default)]
pub(crate) struct WorkerShutdowns {
    under_way: Vec<Shutdown>,
}

/// One `app.shutdown()`.
#[derive(Debug)]
struct Shutdown {
    /// The app and the epoch that ends.
    app: AppId,
    /// When the rest is forced; `None` once that is done.
    deadline: Option<Timestamp>,
    /// Connections that are still open.
    left: usize,
    /// Connections that were dropped before they were finished.
    forced: u32,
}

impl WorkerShutdowns {
    /// Whether none is under way.
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Starts a shutdown, with `left` connections to close.
    pub(crate) fn start(&mut self, app: AppId, deadline: Timestamp, left: usize) {
        self.under_way.push(Shutdown { app, deadline: Some(deadline), left, forced: 0 });
    }

    /// Records that a connection of `app` has one more part that is to be closed: a WebSocket in a stream.
    pub(crate) fn note_entered(&mut self, app: AppId) {
        for shutdown in self.under_way.iter_mut().filter(|it| it.app.covers(app)) {
            shutdown.left += 1;
        }
    }

    /// Records that a connection of `app` has closed.
    pub(crate) fn note_removed(&mut self, app: AppId) {
        for shutdown in self.under_way.iter_mut().filter(|it| it.app.covers(app)) {
            shutdown.left = shutdown.left.saturating_sub(1);
        }
    }

    /// Records that a connection of `app` was dropped before it was finished.
    pub(crate) fn note_forced(&mut self, app: AppId) {
        for shutdown in self.under_way.iter_mut().filter(|it| it.app.covers(app)) {
            shutdown.forced += 1;
        }
    }

    /// When [`Self::take_due`] returns something.
    #[must_use]
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.under_way.iter().filter_map(|it| it.deadline).min()
    }

    /// Returns an app whose timeout has passed, each once.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<AppId> {
        let due = self.under_way.iter_mut().find(|it| it.deadline.is_some_and(|deadline| deadline <= now))?;
        due.deadline = None;
        Some(due.app)
    }

    /// Removes and returns an app whose connections have all closed, and how many of them were forced.
    pub(crate) fn take_finished(&mut self) -> Option<(AppId, u32)> {
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
        let mut shutdowns = WorkerShutdowns::default();
        shutdowns.start(app(0, 0), Timestamp(10), 2);
        shutdowns.start(app(1, 0), Timestamp(10), 0);
        assert_eq!(shutdowns.take_finished(), Some((app(1, 0), 0)));
        shutdowns.note_removed(app(0, 0));
        shutdowns.note_removed(app(2, 0));
        shutdowns.note_removed(app(0, 1));
        assert_eq!(shutdowns.take_finished(), None);
        shutdowns.note_forced(app(0, 0));
        shutdowns.note_removed(app(0, 0));
        assert_eq!(shutdowns.take_finished(), Some((app(0, 0), 1)));
        assert_eq!(shutdowns.take_finished(), None);
    }

    #[test]
    fn each_is_due_once_the_earliest_first() {
        let mut shutdowns = WorkerShutdowns::default();
        shutdowns.start(app(0, 0), Timestamp(30), 1);
        shutdowns.start(app(1, 0), Timestamp(20), 1);
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
        let mut shutdowns = WorkerShutdowns::default();
        shutdowns.start(app(0, 0), Timestamp(30), 1);
        shutdowns.start(app(0, 1), Timestamp(20), 2);
        shutdowns.note_forced(app(0, 0));
        shutdowns.note_removed(app(0, 0));
        assert_eq!(shutdowns.take_finished(), Some((app(0, 0), 1)));
        shutdowns.note_removed(app(0, 1));
        assert_eq!(shutdowns.take_finished(), Some((app(0, 1), 1)));
    }
}
