//! The interval of a median.

/// A median with its interval of 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

/// The confidence that is not reached at most.
const RISK: f64 = 0.05;

impl Interval {
    /// Returns the interval of the finite values, or `None` if there are none. Its ends are values: of
    /// ten the second and the ninth. It assumes nothing of their distribution. Fewer than six values
    /// do not reach the confidence, and the interval is their range.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<_> = values.into_iter().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let median = crate::results::median(&sorted)?;
        let cut = cut(count);
        Some(Self { low: sorted[cut], median, high: sorted[count - 1 - cut] })
    }
}

/// Returns the number of values that lie outside of the interval at each end. The number of values
/// below the true median has a binomial distribution.
fn cut(count: usize) -> usize {
    let mut probability = 0.5_f64.powi(count as i32);
    let mut below = 0.0;
    for cut in 0..count {
        below += probability;
        if 2.0 * below > RISK {
            return cut.saturating_sub(1);
        }
        probability *= (count - cut) as f64 / (cut + 1) as f64;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_ends_at_values_and_widens_with_fewer_of_them() {
        let interval = |count: usize| Interval::of((1..=count).map(|value| value as f64));
        let ends = |count| interval(count).map(|interval| (interval.low, interval.high));
        assert_eq!(interval(0), None);
        assert_eq!(ends(1), Some((1.0, 1.0)));
        assert_eq!(ends(5), Some((1.0, 5.0)));
        assert_eq!(ends(8), Some((1.0, 8.0)));
        assert_eq!(ends(10), Some((2.0, 9.0)));
        assert_eq!(ends(20), Some((6.0, 15.0)));
        assert_eq!(interval(10).map(|interval| interval.median), Some(5.5));
    }

    #[test]
    fn a_division_by_zero_is_no_value() {
        assert_eq!(Interval::of([f64::NAN, f64::INFINITY]), None);
    }
}
