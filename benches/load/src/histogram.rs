//! Latencies, kept as counts in logarithmic buckets: constant memory, no sorting, at most 1/64 off.

/// Sub-buckets per power of two.
const STEPS: u64 = 64;
/// log2 of [`STEPS`].
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// Counts of values from 0 to 2^64 − 1.
#[derive(Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// An empty histogram.
    pub fn new() -> Self {
        Self { counts: vec![0; bucket(u64::MAX) + 1], total: 0 }
    }

    /// Adds one value.
    pub fn record(&mut self, value: u64) {
        self.counts[bucket(value)] += 1;
        self.total += 1;
    }

    /// Forgets everything recorded so far.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
    }

    /// Smallest recorded value that at least `per_mille`/1000 of all values do not exceed, rounded down to its
    /// bucket; 0 when nothing was recorded.
    pub fn quantile(&self, per_mille: u64) -> u64 {
        let rank = (self.total * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return lower_bound(index);
            }
        }
        0
    }
}

/// Values below [`STEPS`] have a bucket each; from there every power of two is divided into [`STEPS`] equal parts.
fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let shift = value.ilog2() - STEP_BITS;
    ((u64::from(shift) + 1) * STEPS + (value >> shift) - STEPS) as usize
}

/// The smallest value of a bucket, inverse of [`bucket`].
fn lower_bound(index: usize) -> u64 {
    let index = index as u64;
    if index < STEPS {
        return index;
    }
    let shift = index / STEPS - 1;
    (STEPS + index % STEPS) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_contiguous_and_narrow() {
        for index in 0..bucket(u64::MAX) {
            let (low, next) = (lower_bound(index), lower_bound(index + 1));
            assert_eq!((bucket(low), bucket(next - 1), bucket(next)), (index, index, index + 1));
            assert!((next - low - 1) * STEPS <= low, "bucket {index} is wider than 1/{STEPS} of its value");
        }
    }

    #[test]
    fn quantiles_of_a_ramp() {
        let mut histogram = Histogram::new();
        for value in 1..=1000 {
            histogram.record(value);
        }
        for (per_mille, exact) in [(0, 1), (500, 500), (990, 990), (999, 999), (1000, 1000)] {
            let found = histogram.quantile(per_mille);
            assert!(found <= exact && exact - found <= exact / STEPS, "{per_mille}: {found}");
        }
    }

    #[test]
    fn empty_and_cleared_histograms_answer_zero() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(500), 0);
        histogram.record(7);
        histogram.clear();
        assert_eq!(histogram.quantile(500), 0);
    }
}
