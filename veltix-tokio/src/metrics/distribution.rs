//! [`Distribution`]: what a histogram has counted.

use super::buckets::Buckets;

/// The most buckets of a histogram.
pub(super) const MAX_BUCKETS: usize = 16;

/// The values that a histogram has counted until one moment.
///
/// Some histograms count one value of several with the weight of all, so that the count and the sum are estimates:
/// the documentation of the metric says so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distribution {
    buckets: Buckets,
    counts: [u64; MAX_BUCKETS],
    /// In the unit in which values are kept.
    sum: u64,
}

impl Distribution {
    pub(super) const fn empty(buckets: Buckets) -> Self {
        Self { buckets, counts: [0; MAX_BUCKETS], sum: 0 }
    }

    /// Adds the counts of a part.
    pub(super) fn add(&mut self, counts: [u64; MAX_BUCKETS], sum: u64) {
        for (count, more) in self.counts.iter_mut().zip(counts) {
            *count += more;
        }
        self.sum = self.sum.wrapping_add(sum);
    }

    /// Returns the bounds of the buckets.
    #[must_use]
    pub const fn buckets(&self) -> Buckets {
        self.buckets
    }

    /// Returns the number of values in each bucket, of which the last one has no upper bound.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts[..self.buckets.count()]
    }

    /// Returns the number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts().iter().sum()
    }

    /// Returns the sum of the values: in seconds for durations.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.buckets.shown(self.sum)
    }

    /// Estimates the value below which this part of the values lies: 0.5 is the median. Within a bucket values
    /// count as spread evenly; in the last one its lower bound is returned. Returns `None` without a value.
    ///
    /// ```
    /// # fn show(answers: veltix::metrics::Distribution) {
    /// if let Some(seconds) = answers.quantile(0.99) {
    ///     println!("99 % of the answers came within {seconds} s");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let wanted = part.clamp(0.0, 1.0) * count as f64;
        let (mut below, mut low) = (0.0, 0.0);
        for (bound, count) in self.buckets.bounds().zip(self.counts()) {
            let within = *count as f64;
            if *count > 0 && below + within >= wanted {
                return Some(low + (bound - low) * (wanted - below).max(0.0) / within);
            }
            below += within;
            low = bound;
        }
        Some(low)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::metrics::histogram::Histogram;

    #[test]
    fn a_value_belongs_to_the_first_bound_that_is_not_below_it() {
        let histogram = Histogram::new(Buckets::NUMBERS);
        for value in [0, 1, 2, 10, 11, 10_000, 10_001, u64::MAX / 2] {
            histogram.observe(value, 1);
        }
        let read = histogram.read();
        assert_eq!(read.counts(), [1, 1, 2, 1, 0, 1, 2]);
        assert_eq!(read.count(), 8);
        assert_eq!(read.buckets().bounds().collect::<Vec<_>>(), [0.0, 1.0, 10.0, 100.0, 1e3, 1e4]);
    }

    #[test]
    fn durations_are_shown_in_seconds() {
        let histogram = Histogram::new(Buckets::DURATIONS);
        histogram.observe_for(Duration::from_millis(2), 128);
        histogram.observe_for(Duration::from_secs(60), 1);
        let read = histogram.read();
        assert!((read.sum() - 60.256).abs() < 1e-9, "{}", read.sum());
        assert_eq!(read.count(), 129);
        assert_eq!(read.buckets().bounds().next(), Some(1e-5));
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let histogram = Histogram::new(Buckets::NUMBERS);
        assert_eq!(histogram.read().quantile(0.5), None);
        for value in 1..=100 {
            histogram.observe(value, 1);
        }
        let read = histogram.read();
        for (part, low, high) in
            [(0.0, 0.0, 1.0), (0.5, 10.0, 100.0), (0.05, 1.0, 10.0), (2.0, 10.0, 100.0)]
        {
            let quantile = read.quantile(part).expect("there are values");
            assert!((low..=high).contains(&quantile), "{part}: {quantile}");
        }
        histogram.observe(1 << 40, 10_000);
        assert_eq!(histogram.read().quantile(0.5), Some(10_000.0));
    }

    #[test]
    fn no_value_of_any_thread_is_lost() {
        let histogram = Histogram::new(Buckets::NUMBERS);
        thread::scope(|scope| {
            for _ in 0..2 * 8 {
                scope.spawn(|| (0..1_000).for_each(|value| histogram.observe(value % 7, 2)));
            }
        });
        assert_eq!(histogram.read().count(), 2 * 16_000);
    }

    #[test]
    fn each_histogram_fits() {
        for buckets in [Buckets::DURATIONS, Buckets::AGES, Buckets::NUMBERS] {
            assert!(buckets.count() <= MAX_BUCKETS, "{buckets:?}");
            assert!(buckets.bounds().is_sorted(), "{buckets:?}");
        }
    }
}
