//! Percentiles.

use std::collections::BTreeMap;

/// Returns the value below which this share of the values is.
#[must_use]
pub fn percentile(values: impl IntoIterator<Item = u64>, share: f64) -> u64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_unstable();
    let at = (values.len() as f64 * share) as usize;
    values.get(at.min(values.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Returns the median of the p99 of each second, for values with their times in microseconds. Other programs make
/// single seconds slow; a fault makes all of them slow.
#[must_use]
pub fn median_p99(values: impl IntoIterator<Item = (u64, u64)>) -> u64 {
    let mut seconds: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (at, value) in values {
        seconds.entry(at / 1_000_000).or_default().push(value);
    }
    percentile(seconds.into_values().map(|values| percentile(values, 0.99)), 0.5)
}
