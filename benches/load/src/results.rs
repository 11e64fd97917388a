//! What a run gives, as it is written to JSON.

use serde::{Deserialize, Serialize};
use veltix_stage::Machine;

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// What the run ran on.
    pub(crate) machine: Machine,
    /// The day of the run, `YYYY-MM-DD`, UTC.
    pub(crate) date: String,
    /// How often each measurement was repeated.
    pub(crate) rounds: usize,
    /// One for each workload and peer.
    pub(crate) series: Vec<Series>,
    /// What could not be measured.
    pub(crate) missing: Vec<Missing>,
}

/// What one peer did in one workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    /// The workload's id, such as `W4_100`.
    pub(crate) workload: String,
    pub(crate) peer: String,
    /// The unit of the samples, such as `messages/s`.
    pub(crate) unit: String,
    pub(crate) better: Better,
    /// The number of peers, in workloads of which there are several sizes.
    pub(crate) x: Option<f64>,
    /// One for each round, in order; `None` where it failed. Two series of one workload are
    /// compared round by round.
    pub(crate) samples: Vec<Option<f64>>,
    /// Pairs of a percentile and its latency in microseconds, over all rounds; empty where no
    /// latency was measured.
    pub(crate) percentiles: Vec<(f64, f64)>,
    /// What else is to be said, such as why a round failed.
    pub(crate) note: Option<String>,
}

/// Which of two samples is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// A peer that was to be measured and was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Missing {
    pub(crate) peer: String,
    /// The workload's id, or `None` for all of them.
    pub(crate) workload: Option<String>,
    pub(crate) why: String,
}

impl Series {
    /// The samples of the rounds that succeeded.
    pub(crate) fn measured(&self) -> Vec<f64> {
        self.samples.iter().flatten().copied().collect()
    }

    /// This series divided by another one, round by round, without those in which either failed.
    pub(crate) fn ratios(&self, base: &Self) -> Vec<f64> {
        let pairs = self.samples.iter().zip(&base.samples);
        pairs.filter_map(|(ours, base)| Some(ours.as_ref()? / base.as_ref()?)).collect()
    }
}

/// The value in the middle, or between the two in the middle; `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        Some(upper)
    } else {
        Some((sorted[sorted.len() / 2 - 1] + upper) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(samples: &[Option<f64>]) -> Series {
        Series {
            workload: "W3".to_owned(),
            peer: "limit".to_owned(),
            unit: "round trips/s".to_owned(),
            better: Better::Higher,
            x: None,
            samples: samples.to_vec(),
            percentiles: Vec::new(),
            note: None,
        }
    }

    #[test]
    fn ratios_are_paired_by_round() {
        let base = series(&[Some(1.0), None, Some(4.0), Some(10.0)]);
        let ours = series(&[Some(2.0), Some(3.0), None, Some(5.0)]);
        assert_eq!(ours.ratios(&base), [2.0, 0.5]);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
