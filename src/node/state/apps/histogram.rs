//! How values are distributed: how many lie between any two bounds.

use std::time::Duration;

/// Counts of times, between fixed bounds.
#[derive(Debug)]
pub(crate) struct Histogram {
    /// Upper bounds in milliseconds, ascending; a value that equals one lies below it.
    bounds: &'static [u32],
    /// One more than bounds: the last one counts what lies above all of them.
    counts: Box<[u64]>,
    /// The sum of all values.
    sum: Duration,
}

impl Histogram {
    /// An empty one.
    #[must_use]
    pub(crate) fn new(bounds: &'static [u32]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1].into(), sum: Duration::ZERO }
    }

    /// Counts a value.
    pub(crate) fn count(&mut self, value: Duration) {
        let place = self.bounds.partition_point(|bound| value > Duration::from_millis(u64::from(*bound)));
        self.counts[place] += 1;
        self.sum = self.sum.saturating_add(value);
    }

    /// The upper bounds in seconds.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = f64> {
        self.bounds.iter().map(|bound| f64::from(*bound) / 1000.0)
    }

    /// How many values lie between two bounds, above the last one in the end.
    #[must_use]
    pub(crate) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The sum of all values, in seconds.
    #[must_use]
    pub(crate) fn sum(&self) -> f64 {
        self.sum.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_once_below_the_next_bound() {
        let mut histogram = Histogram::new(&[1_000, 60_000]);
        for millis in [0, 1_000, 1_001, 60_000, 60_001, 10_000_000] {
            histogram.count(Duration::from_millis(millis));
        }
        assert_eq!(histogram.counts(), [2, 2, 2]);
        assert_eq!(histogram.bounds().collect::<Vec<_>>(), [1.0, 60.0]);
        assert!((histogram.sum() - 10_122.002).abs() < 1e-9);
    }
}
