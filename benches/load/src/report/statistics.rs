//! The arithmetic of a report: medians, pairs and fits.

use crate::results::Series;

/// The smallest value, the median and the largest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// Returns the spread of the finite values, or `None` if there are none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<_> = values.into_iter().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Self { low, median, high })
    }

    pub(crate) fn of_samples(series: &Series) -> Option<Self> {
        Self::of(series.measured())
    }
}

/// Returns the points of each peer, sorted by size. The peers are in the order of their first
/// series.
pub(crate) fn by_peer<'a>(all: &[&'a Series]) -> Vec<(&'a str, Vec<(f64, Spread)>)> {
    let mut peers: Vec<(&str, Vec<_>)> = Vec::new();
    for series in all {
        let (Some(x), Some(spread)) = (series.x, Spread::of_samples(series)) else { continue };
        match peers.iter_mut().find(|(peer, _)| *peer == series.peer) {
            Some((_, points)) => points.push((x, spread)),
            None => peers.push((&series.peer, vec![(x, spread)])),
        }
    }
    for (_, points) in &mut peers {
        points.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    }
    peers
}

/// The ratios of two series, round by round.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Paired {
    pub(crate) ratios: Spread,
    /// The rounds in which both have a value.
    pub(crate) rounds: usize,
    /// The rounds that were left out because one of the two has no value.
    pub(crate) left_out: usize,
}

/// Pairs two series round by round, since the speed of the host drifts by more than most
/// differences. Returns `None` without a common round.
pub(crate) fn pair(ours: &Series, against: &Series) -> Option<Paired> {
    let all = ours.samples.len().max(against.samples.len());
    let ratios: Vec<_> = ours
        .samples
        .iter()
        .zip(&against.samples)
        .filter_map(|(ours, against)| Some((*ours)? / (*against)?))
        .filter(|ratio| ratio.is_finite())
        .collect();
    let rounds = ratios.len();
    Some(Paired { ratios: Spread::of(ratios)?, rounds, left_out: all - rounds })
}

/// A power law through points: `y = scale · x^exponent`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PowerLaw {
    pub(crate) exponent: f64,
    pub(crate) scale: f64,
}

impl PowerLaw {
    /// Fits a power law by the least squares of the logarithms. Returns `None` with fewer than two
    /// different positive `x`.
    pub(crate) fn fit(points: &[(f64, f64)]) -> Option<Self> {
        let logs: Vec<_> = points
            .iter()
            .filter(|(x, y)| *x > 0.0 && *y > 0.0)
            .map(|(x, y)| (x.ln(), y.ln()))
            .collect();
        let count = logs.len() as f64;
        let mean_x = logs.iter().map(|(x, _)| x).sum::<f64>() / count;
        let mean_y = logs.iter().map(|(_, y)| y).sum::<f64>() / count;
        let varied: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        let together: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        if logs.len() < 2 || varied <= 0.0 {
            return None;
        }
        let exponent = together / varied;
        Some(Self { exponent, scale: (mean_y - exponent * mean_x).exp() })
    }

    pub(crate) fn at(&self, x: f64) -> f64 {
        self.scale * x.powf(self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::series;

    #[test]
    fn a_median_is_the_middle_one_or_between_the_two_middle_ones() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some(Spread { low: 1.0, median: 2.0, high: 3.0 }));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]).map(|spread| spread.median), Some(2.5));
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[f64::NAN]), None, "a division by zero is no measurement");
    }

    #[test]
    fn rounds_are_compared_with_themselves_and_a_failed_one_is_left_out() {
        let ours = series("W3", "veltix", &[Some(50.0), None, Some(90.0), Some(8.0)]);
        let limit = series("W3", "limit", &[Some(100.0), Some(1.0), Some(100.0), None]);
        let paired = pair(&ours, &limit).expect("two rounds are whole");
        assert_eq!(paired.ratios, Spread { low: 0.5, median: 0.7, high: 0.9 });
        assert_eq!((paired.rounds, paired.left_out), (2, 2));
    }

    #[test]
    fn nothing_to_pair_is_no_ratio() {
        let ours = series("W3", "veltix", &[None, Some(1.0)]);
        let limit = series("W3", "limit", &[Some(1.0), None]);
        assert_eq!(pair(&ours, &limit), None);
        assert_eq!(pair(&ours, &series("W3", "limit", &[Some(0.0), Some(0.0)])), None);
    }

    #[test]
    fn a_power_law_is_found_again() {
        let points = [100.0, 1_000.0, 10_000.0].map(|x: f64| (x, 3.0 * x.powf(1.5)));
        let law = PowerLaw::fit(&points).expect("three points");
        assert!((law.exponent - 1.5).abs() < 1e-9 && (law.scale - 3.0).abs() < 1e-9, "{law:?}");
        assert!((law.at(400.0) - 24_000.0).abs() < 1e-6);
        assert_eq!(PowerLaw::fit(&points[..1]), None);
        assert_eq!(PowerLaw::fit(&[(5.0, 1.0), (5.0, 2.0)]), None);
    }
}
