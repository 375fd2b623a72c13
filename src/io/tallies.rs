//! Where one worker counts what becomes of each app.

use crate::bridge::id::AppId;
use crate::bridge::sync::Arc;
use crate::bridge::tally::Tally;

/// The counters of all apps on one worker. Found by the number of the app rather than kept by each connection, which is so
/// as small as it was.
#[derive(Debug, Default)]
pub struct Tallies {
    by_app: Vec<Arc<Tally>>,
    /// Takes what belongs to no app. Nobody reads it.
    nobody: Arc<Tally>,
}

impl Tallies {
    /// From now on what becomes of `app` is counted there.
    pub fn set(&mut self, app: AppId, tally: Arc<Tally>) {
        let number = app.app as usize;
        if self.by_app.len() <= number {
            self.by_app.resize(number + 1, Arc::clone(&self.nobody));
        }
        self.by_app[number] = tally;
    }

    /// The app is gone, and its number free for another one.
    pub fn forget(&mut self, app: u32) {
        if let Some(tally) = self.by_app.get_mut(app as usize) {
            *tally = Arc::clone(&self.nobody);
        }
    }

    /// The counters of an app, of whatever epoch.
    #[must_use]
    pub fn of(&self, app: AppId) -> &Tally {
        self.by_app.get(app.app as usize).unwrap_or(&self.nobody)
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
