//! Apps for which Node's thread is notified when no connection is left on a worker.

/// See the top of the file.
#[derive(Debug, Default)]
pub(crate) struct Endings(Vec<Ending>);

/// An app that still has connections here.
#[derive(Debug)]
struct Ending {
    app: u32,
    left: usize,
}

impl Endings {
    /// Starts to watch an app that has `left` connections. Later connections do not count.
    pub(crate) fn start(&mut self, app: u32, left: usize) {
        self.0.push(Ending { app, left });
    }

    /// Records that a connection of `app` has one more part that is to be closed: a WebSocket in a stream.
    pub(crate) fn note_entered(&mut self, app: u32) {
        for ending in self.0.iter_mut().filter(|ending| ending.app == app) {
            ending.left += 1;
        }
    }

    /// Records that a connection of `app` has closed.
    pub(crate) fn note_removed(&mut self, app: u32) {
        for ending in self.0.iter_mut().filter(|ending| ending.app == app) {
            ending.left = ending.left.saturating_sub(1);
        }
    }

    /// Removes and returns an app that has no connection left.
    pub(crate) fn take_finished(&mut self) -> Option<u32> {
        let position = self.0.iter().position(|ending| ending.left == 0)?;
        Some(self.0.remove(position).app)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_told_of_once_its_last_connection_is_gone() {
        let mut endings = Endings::default();
        endings.start(1, 2);
        endings.start(2, 0);
        assert_eq!((endings.take_finished(), endings.take_finished()), (Some(2), None));
        endings.note_removed(1);
        endings.note_removed(3);
        assert_eq!(endings.take_finished(), None);
        endings.note_removed(1);
        assert_eq!((endings.take_finished(), endings.take_finished()), (Some(1), None));
    }
}
