//! Apps that stay above their output limit, and when they are checked again.

use std::time::Duration;

use crate::protocol::time::Timestamp;

/// Apps that stay above their limit. The search for the slowest peers visits all connections, so it is not done in
/// every pass in which output has grown, but at intervals, unless connections have to be closed.
#[derive(Debug, Default)]
pub(crate) struct Relief {
    /// When to check them again.
    due: Option<Timestamp>,
    apps: Vec<u32>,
}

impl Relief {
    /// When [`Self::take_due`] returns something.
    #[must_use]
    pub(crate) const fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// Whether an app will be checked again.
    #[must_use]
    pub(crate) fn holds(&self, app: u32) -> bool {
        self.apps.contains(&app)
    }

    /// Has an app checked again, after [`CHECK_EVERY`].
    pub(crate) fn put_off(&mut self, app: u32, now: Timestamp) {
        self.due.get_or_insert(now + CHECK_EVERY);
        if !self.holds(app) {
            self.apps.push(app);
        }
    }

    /// Removes and returns the apps, if they are due.
    #[must_use]
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Vec<u32> {
        match self.due.take_if(|due| *due <= now) {
            Some(_) => std::mem::take(&mut self.apps),
            None => Vec::new(),
        }
    }
}

/// How often a budget that stays exceeded is checked again, and `Command::Relieve` sent to the other workers.
pub(crate) const CHECK_EVERY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_looked_at_again_once_however_often_it_was_put_off() {
        let mut relief = Relief::default();
        assert!(relief.take_due(Timestamp(0)).is_empty());
        for millis in 0..50 {
            relief.put_off(7, Timestamp(millis));
            relief.put_off(8, Timestamp(millis));
        }
        assert_eq!((relief.due(), relief.holds(7), relief.holds(9)), (Some(Timestamp(100)), true, false));
        assert!(relief.take_due(Timestamp(99)).is_empty());
        assert_eq!(relief.take_due(Timestamp(100)), [7, 8]);
        assert_eq!((relief.due(), relief.holds(7)), (None, false));
    }
}
