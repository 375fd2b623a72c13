//! Detects that a worker is idle, and reports it to Node's thread, which may end the worker's thread.

use std::time::Duration;

use crate::protocol::time::Timestamp;

/// Whether there is anything to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rest {
    /// There is a listening socket, a connection, or a connect under way.
    #[default]
    Busy,
    /// There is none; that is reported at this time unless it changes before.
    Pausing(Timestamp),
    /// That has been reported.
    Reported,
}

impl Rest {
    /// When [`Self::update`] is due.
    #[must_use]
    pub(crate) const fn due(self) -> Option<Timestamp> {
        match self {
            Self::Pausing(until) => Some(until),
            Self::Busy | Self::Reported => None,
        }
    }

    /// At the end of a pass: returns whether the worker is idle, if that has changed.
    #[must_use]
    pub(crate) fn update(&mut self, is_needed: bool, now: Timestamp) -> Option<bool> {
        match *self {
            Self::Busy if !is_needed => *self = Self::Pausing(now + REST_AFTER),
            Self::Pausing(_) if is_needed => *self = Self::Busy,
            Self::Pausing(until) if until <= now => {
                *self = Self::Reported;
                return Some(true);
            }
            Self::Reported if is_needed => {
                *self = Self::Busy;
                return Some(false);
            }
            Self::Busy | Self::Pausing(_) | Self::Reported => {}
        }
        None
    }
}

/// How long a worker has nothing to do before it reports that it is idle. Starting a thread takes a fraction of a
/// millisecond, but an application that closes and listens in turn should not pay even that.
const REST_AFTER: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Timestamp {
        Timestamp(millis)
    }

    #[test]
    fn rest_is_told_once_it_has_lasted_and_again_when_it_is_over() {
        let mut rest = Rest::default();
        assert_eq!((rest.update(true, at(0)), rest.due()), (None, None));
        assert_eq!((rest.update(false, at(10)), rest.due()), (None, Some(at(110))));
        assert_eq!((rest.update(false, at(109)), rest.due()), (None, Some(at(110))));
        assert_eq!((rest.update(false, at(110)), rest.due()), (Some(true), None));
        assert_eq!(rest.update(false, at(111)), None);
        assert_eq!(rest.update(true, at(112)), Some(false));
        assert_eq!(rest.update(true, at(113)), None);
    }

    #[test]
    fn a_short_rest_is_not_told() {
        let mut rest = Rest::default();
        for turn in 0..10 {
            assert_eq!(rest.update(false, at(turn * 100)), None);
            assert_eq!(rest.update(true, at(turn * 100 + 99)), None);
        }
    }
}
