//! The end of an app. While connections may come or are there, `lib/` keeps its handlers alive. Once nobody listens for it
//! the workers are asked to tell when its last connection is gone; from then on only what the program itself does with
//! its object can need it, and it goes together with that.
//!
//! ```text
//!   made ──► in use (listen, adoptSocket, getDescriptor) ──► nobody listens ──► the last connection is gone ──► made
//!     └──► its object is collected: its number, its routes and what they keep are free again
//! ```

/// Whether an app may have to serve somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Usage {
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
    pub(crate) const fn begin(&mut self) {
        *self = match *self {
            Self::Ending(workers) | Self::Resumed(workers) => Self::Resumed(workers),
            Self::Idle | Self::InUse => Self::InUse,
        };
    }

    /// None may come any more. Returns whether `workers` have to be asked for the end of those that are left; while they
    /// are being asked, they are not asked again.
    pub(crate) const fn end(&mut self, workers: usize) -> bool {
        let asks = matches!(*self, Self::InUse);
        if asks {
            *self = Self::Ending(workers);
        }
        asks
    }

    /// A worker has told that no connection is left. Returns whether it was the last one.
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
