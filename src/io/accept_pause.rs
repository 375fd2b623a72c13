//! Periods in which accepting fails, usually for lack of file descriptors. Each is logged with two records, however
//! many attempts failed.

use std::time::Duration;

use crate::protocol::time::Timestamp;

/// A period in which accepting fails. It ends when no attempt has failed for [`QUIET`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AcceptPause {
    /// When it failed first.
    since: Timestamp,
    /// When it failed last.
    last: Timestamp,
    /// Number of failed attempts.
    failures: u64,
}

/// Summary of a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// From the first failure to the last.
    pub duration: Duration,
    /// Number of failed attempts.
    pub failures: u64,
}

impl AcceptPause {
    /// Records a failure. Returns whether it is the first of a pause, which the caller logs.
    pub(crate) fn fail(pause: &mut Option<Self>, now: Timestamp) -> bool {
        let is_first = pause.is_none();
        let pause = pause.get_or_insert(Self { since: now, last: now, failures: 0 });
        pause.last = now;
        pause.failures += 1;
        is_first
    }

    /// When the pause is over if nothing fails until then. Failures with short intervals between them are one pause.
    #[must_use]
    pub(crate) fn end(&self) -> Timestamp {
        self.last + QUIET
    }

    /// Ends a pause that is over. Returns the summary, which the caller logs.
    pub(crate) fn finish(pause: &mut Option<Self>, now: Timestamp) -> Option<Summary> {
        let Self { since, last, failures } = pause.take_if(|pause| pause.end() <= now)?;
        Some(Summary { duration: last.since(since), failures })
    }
}

/// Time without failure after which a pause is over.
const QUIET: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_told_when_it_begins_and_when_it_is_over() {
        let mut pause = None;
        let first: Vec<bool> =
            (0..600).map(|count| AcceptPause::fail(&mut pause, Timestamp(1000 + 100 * count))).collect();
        assert_eq!((first[0], first.iter().filter(|first| **first).count()), (true, 1));
        let last = Timestamp(1000 + 100 * 599);
        assert_eq!(AcceptPause::finish(&mut pause, Timestamp(last.0 + 4999)), None);
        let summary = Summary { duration: Duration::from_millis(59_900), failures: 600 };
        assert_eq!(AcceptPause::finish(&mut pause, Timestamp(last.0 + 5000)), Some(summary));
        assert_eq!(AcceptPause::finish(&mut pause, Timestamp(last.0 + 9000)), None);
        assert!(AcceptPause::fail(&mut pause, Timestamp(last.0 + 9000)), "another one");
    }

    #[test]
    fn who_makes_it_fail_now_and_then_is_told_once() {
        let mut pause = None;
        for second in 0..100 {
            let now = Timestamp(second * 4000);
            assert_eq!(AcceptPause::finish(&mut pause, now), None);
            assert_eq!(AcceptPause::fail(&mut pause, now), second == 0);
        }
    }
}
