//! The statistics of all apps on one worker.

use crate::bridge::id::AppId;
use crate::bridge::sync::Arc;
use crate::bridge::tally::{Counter, Tally};

/// The counters of all apps on one worker. Found by the number of the app, so that a connection needs no pointer to
/// them.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    by_app: Vec<Arc<Tally>>,
    /// Counts for connections of no app. Never read.
    unowned: Arc<Tally>,
    /// Bytes that wait because sockets did not take them, of all apps.
    backlog: Counter,
    /// Bytes that sockets have taken and that were read from them, of all apps.
    sent: Counter,
    received: Counter,
}

impl Tallies {
    /// Sets the counters of `app`.
    pub(crate) fn set(&mut self, app: AppId, tally: Arc<Tally>) {
        let number = app.app as usize;
        if self.by_app.len() <= number {
            self.by_app.resize(number + 1, Arc::clone(&self.unowned));
        }
        self.by_app[number] = tally;
    }

    /// Removes an app; its number may be given to another one.
    pub(crate) fn forget(&mut self, app: u32) {
        if let Some(tally) = self.by_app.get_mut(app as usize) {
            *tally = Arc::clone(&self.unowned);
        }
    }

    /// Updates the backlog of a connection of an app, in bytes.
    pub(crate) fn change_backlog(&self, app: AppId, before: u64, now: u64) {
        for counter in [&self.of(app).backlog, &self.backlog] {
            counter.add(now);
            counter.sub(before);
        }
    }

    /// Bytes that wait because sockets did not take them, of all apps and of connections to servers.
    #[must_use]
    pub(crate) fn backlog(&self) -> u64 {
        self.backlog.get()
    }

    /// Counts bytes that sockets of an app have taken.
    pub(crate) fn count_sent(&self, app: AppId, bytes: u64) {
        self.of(app).bytes_sent.add(bytes);
        self.sent.add(bytes);
    }

    /// Counts bytes that were read from sockets of an app.
    pub(crate) fn count_received(&self, app: AppId, bytes: u64) {
        self.of(app).bytes_received.add(bytes);
        self.received.add(bytes);
    }

    /// Bytes that were read and that sockets have taken, of all apps and of connections to servers.
    #[must_use]
    pub(crate) fn moved(&self) -> u64 {
        self.received.get() + self.sent.get()
    }

    /// Bytes that sockets have taken, of all apps and of connections to servers.
    #[must_use]
    pub(crate) fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// The counters of an app, for all its epochs.
    #[must_use]
    pub(crate) fn of(&self, app: AppId) -> &Tally {
        self.by_app.get(app.app as usize).unwrap_or(&self.unowned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_app_has_counters_of_its_own_in_all_of_its_epochs() {
        let mut tallies = Tallies::default();
        let (first, third) = (Arc::new(Tally::default()), Arc::new(Tally::default()));
        let app = |app, epoch| AppId { app, epoch };
        tallies.set(app(2, 0), Arc::clone(&third));
        tallies.set(app(0, 0), Arc::clone(&first));
        for (app, count) in
            [(app(0, 0), 1), (app(1, 0), 10), (app(2, 0), 100), (app(2, 5), 1000), (app(9, 0), 10)]
        {
            tallies.of(app).requests.add(count);
        }
        assert_eq!((first.requests.get(), third.requests.get()), (1, 1100));
    }
}
