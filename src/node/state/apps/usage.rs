//! The end of an app. While it has, or may get, connections, `lib/` keeps its handlers alive. Once no socket listens
//! for it, the workers are asked to report when its last connection has ended; from then on only the program can use
//! it, and it is released when its object is collected.
//!
//! ```text
//!   made ──► in use (listen, adoptSocket, getDescriptor) ──► nobody listens ──► the last connection is gone ──► made
//!     └──► its object is collected: its number, its routes and what they keep are free again
//! ```

/// Whether an app has, or may get, connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Usage {
    /// It has none, and gets none until it is prepared for them.
    #[default]
    Idle,
    /// It may get connections, or has some.
    InUse,
    /// It gets no more, and this many workers have not reported yet that they have none left.
    Ending(usize),
    /// The same, but since then it may get connections again.
    Resumed(usize),
}

impl Usage {
    /// From now on it may get connections.
    pub(crate) const fn start(&mut self) {
        *self = match *self {
            Self::Ending(workers) | Self::Resumed(workers) => Self::Resumed(workers),
            Self::Idle | Self::InUse => Self::InUse,
        };
    }

    /// It gets no more connections. Returns whether to ask the `workers` to report the end of those that are left,
    /// which they are not asked twice at a time.
    pub(crate) const fn end(&mut self, workers: usize) -> bool {
        let asks = matches!(*self, Self::InUse);
        if asks {
            *self = Self::Ending(workers);
        }
        asks
    }

    /// Counts a worker that has reported to have no connection left. Returns whether it was the last one.
    pub(crate) const fn note_worker(&mut self) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_the_last_worker_says_so_and_nothing_has_started_meanwhile() {
        let mut usage = Usage::default();
        assert!(!usage.end(2), "nobody has to be asked");
        usage.start();
        assert!(usage.end(2));
        assert!(!usage.end(2), "they have been asked");
        assert!(!usage.note_worker());
        assert!(usage.note_worker());
        assert_eq!(usage, Usage::Idle);
        assert!(!usage.note_worker());
    }

    #[test]
    fn what_starts_before_all_have_reported_is_not_over() {
        let mut usage = Usage::default();
        usage.start();
        assert!(usage.end(2));
        assert!(!usage.note_worker());
        usage.start();
        assert!(!usage.end(2), "not before the second one has reported");
        assert!(usage.note_worker());
        assert_eq!(usage, Usage::InUse);
        assert!(usage.end(2), "now they can be asked anew");
    }
}
