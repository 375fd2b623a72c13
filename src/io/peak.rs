//! Decides when free memory is given back to the system: some time after a peak of usage.

use std::time::Duration;

use crate::protocol::time::Timestamp;

/// Memory use of connections since memory was given back last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peak {
    /// Peak of bytes held at a time.
    max: u64,
    /// Bytes that had been sent by then.
    sent: u64,
    /// When memory is given back, unless it is used again before, and how many bytes had been sent when that was
    /// decided.
    due: Option<(Timestamp, u64)>,
}

impl Peak {
    /// When [`Self::update`] is due.
    #[must_use]
    pub(crate) fn due(self) -> Option<Timestamp> {
        self.due.map(|(due, _)| due)
    }

    /// Updates with the bytes held now and the bytes sent in all. Returns whether to give memory back now.
    #[must_use]
    pub(crate) fn update(&mut self, held: u64, sent: u64, now: Timestamp) -> bool {
        self.max = self.max.max(held);
        let is_over = self.was_high() && held <= self.max / 2;
        let is_worth_it = is_over || (self.has_worked(sent) && held < WORTH);
        match self.due {
            None if is_worth_it => self.due = Some((now + CALM, sent)),
            Some(_) if !is_worth_it => self.due = None,
            Some((due, before)) if due <= now => {
                if is_over || sent - before < QUIET {
                    *self = Self { max: held, sent, due: None };
                    return true;
                }
                self.due = Some((now + CALM, sent));
            }
            None | Some(_) => {}
        }
        false
    }

    /// Whether so much memory was used at a time that giving it back is worth the effort.
    #[must_use]
    pub(crate) const fn was_high(self) -> bool {
        self.max >= WORTH
    }

    /// Whether so much was sent that the allocator may have accumulated free memory.
    #[must_use]
    pub(crate) const fn has_worked(self, sent: u64) -> bool {
        sent - self.sent >= WORK
    }
}

/// Bytes at a time from which on memory is given back. The allocator keeps less than that for the next requests anyway.
const WORTH: u64 = 16 * 1024 * 1024;
/// Bytes sent after which memory is given back when there is little to do, although its use had no peak.
const WORK: u64 = 64 * 1024 * 1024;
/// How long a peak must be over. Memory that is soon used again costs less if it is kept.
const CALM: Duration = Duration::from_secs(3);
/// Bytes sent in that time, below which there is little to do.
const QUIET: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    #[test]
    fn memory_is_given_back_once_when_a_peak_has_been_over_for_a_while() {
        let mut peak = Peak::default();
        assert!(!peak.update(2 * WORTH, 0, at(0)));
        assert!(!peak.update(WORTH, 0, at(10)));
        assert_eq!(peak.due(), Some(at(13)));
        assert!(!peak.update(0, 2 * QUIET, at(12)));
        assert!(peak.update(0, 4 * QUIET, at(13)), "whatever else there is to do");
        assert!(!peak.update(0, 4 * QUIET, at(20)));
        assert_eq!(peak.due(), None);
    }

    #[test]
    fn what_is_needed_again_before_is_kept() {
        let mut peak = Peak::default();
        assert!(!peak.update(2 * WORTH, 0, at(0)));
        assert!(!peak.update(0, 0, at(1)));
        assert!(!peak.update(2 * WORTH, 0, at(3)));
        assert_eq!(peak.due(), None);
        assert!(!peak.update(0, 0, at(5)));
        assert_eq!(peak.due(), Some(at(8)));
    }

    #[test]
    fn after_much_work_it_is_given_back_when_there_is_little_to_do() {
        let mut peak = Peak::default();
        assert!(!peak.update(0, WORK, at(0)));
        assert!(!peak.update(0, WORK + QUIET, at(3)), "there is much to do");
        assert!(!peak.update(0, WORK + 2 * QUIET - 1, at(5)));
        assert!(peak.update(0, WORK + 2 * QUIET - 1, at(6)));
        assert!(!peak.update(0, 2 * WORK, at(9)));
        assert_eq!(peak.due(), None);
    }

    #[test]
    fn little_is_kept() {
        let mut peak = Peak::default();
        assert!(!peak.update(WORTH - 1, WORK - 1, at(0)));
        assert!(!peak.update(0, WORK - 1, at(1)));
        assert_eq!(peak.due(), None);
    }
}
