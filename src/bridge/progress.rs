//! How far Node's thread has got with the batches of a worker, which numbers them in the order in which it hands them
//! over.

/// Ordinal of a batch of events of one worker, from 1; wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BatchNumber(u32);

impl BatchNumber {
    /// The number of the following batch.
    #[must_use]
    pub(crate) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// Which batches Node's thread has handled, when the worker last looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The last batch of which every event has been handled; those before it have been, too.
    handled: BatchNumber,
    /// The batch that the worker is filling.
    open: BatchNumber,
    /// Events of the batches in between, which are not handled.
    events: usize,
}

impl Default for Progress {
    fn default() -> Self {
        Self { handled: BatchNumber(0), open: BatchNumber(1), events: 0 }
    }
}

impl Progress {
    /// What it is once the worker has handed over the open batch, which has `events` events.
    #[must_use]
    pub(crate) const fn after_push(self, events: usize) -> Self {
        Self { open: self.open.next(), events: self.events + events, ..self }
    }

    /// What it is once Node's thread has handled a further batch, which had `events` events.
    #[must_use]
    pub(crate) const fn after_handling(self, events: usize) -> Self {
        Self { handled: self.handled.next(), events: self.events.saturating_sub(events), ..self }
    }

    /// How many events that were handed over are not handled.
    #[must_use]
    pub(crate) const fn events(self) -> usize {
        self.events
    }

    /// The batch that the worker is filling.
    #[must_use]
    pub(crate) const fn open(self) -> BatchNumber {
        self.open
    }

    /// How many batches Node's thread has to finish until all events of `batch` are handled; 0 if they are. A number
    /// from before the last wrap counts as handled unless it happens to be that of a batch on its way: then for as long
    /// as that batch is.
    #[must_use]
    pub(crate) const fn distance(self, batch: BatchNumber) -> u32 {
        let distance = batch.0.wrapping_sub(self.handled.0);
        if distance <= self.open.0.wrapping_sub(self.handled.0) { distance } else { 0 }
    }

    /// Whether all events of `batch` are handled.
    #[must_use]
    pub(crate) const fn has_handled(self, batch: BatchNumber) -> bool {
        self.distance(batch) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches up to `handled` are handled, two more are on their way, and the next one is being filled.
    fn progress(handled: u32) -> Progress {
        Progress { handled: BatchNumber(handled), open: BatchNumber(handled.wrapping_add(3)), events: 0 }
    }

    #[test]
    fn batches_count_as_handled_up_to_the_last_one_that_is() {
        for handled in [0, 7, u32::MAX - 1, u32::MAX] {
            let progress = progress(handled);
            let at = |offset: u32| BatchNumber(handled.wrapping_add(offset));
            assert!(progress.has_handled(at(0)));
            assert!(progress.has_handled(at(0u32.wrapping_sub(1))));
            let distances = [1, 2, 3].map(|offset| progress.distance(at(offset)));
            assert_eq!(distances, [1, 2, 3]);
            assert_eq!(progress.open(), at(2).next());
        }
    }

    #[test]
    fn events_are_counted_until_they_are_handled() {
        let progress = Progress::default().after_push(3).after_push(5);
        assert_eq!(progress.events(), 8);
        assert_eq!(progress.after_handling(3).events(), 5);
        assert_eq!(
            progress.after_handling(3).after_handling(5),
            Progress { handled: BatchNumber(2), open: BatchNumber(3), events: 0 }
        );
    }

    #[test]
    fn a_number_from_before_the_wrap_counts_as_handled() {
        assert!(progress(5).has_handled(BatchNumber(9)));
        assert!(progress(5).has_handled(BatchNumber(u32::MAX)));
        assert!(Progress::default().has_handled(BatchNumber::default()));
    }
}
