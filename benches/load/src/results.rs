//! The results of a run, as they are written to JSON.

use serde::{Deserialize, Serialize};
use veltix_stage::Machine;

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The machine of the run.
    pub(crate) machine: Machine,
    /// The day of the run, `YYYY-MM-DD`, UTC.
    pub(crate) date: String,
    /// The number of rounds.
    pub(crate) rounds: usize,
    /// A series for each workload and peer.
    pub(crate) series: Vec<Series>,
    /// The measurements that failed.
    pub(crate) missing: Vec<Missing>,
}

/// The samples of one peer in one workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    /// The code of the workload, for example `W4_100`.
    pub(crate) workload: String,
    pub(crate) peer: String,
    /// The unit of the samples, for example `messages/s`.
    pub(crate) unit: String,
    pub(crate) better: Better,
    /// The number of peers, in workloads that exist in several sizes.
    pub(crate) x: Option<f64>,
    /// A sample for each round, in order, or `None` if the round failed. Two series of one workload
    /// are compared round by round.
    pub(crate) samples: Vec<Option<f64>>,
    /// Pairs of a percentile and its latency in microseconds, over all rounds. Empty if no latency
    /// was measured.
    pub(crate) percentiles: Vec<(f64, f64)>,
    /// A remark, for example the reason why a round failed.
    pub(crate) note: Option<String>,
}

/// The direction in which a sample is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// A peer that could not be measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Missing {
    pub(crate) peer: String,
    /// The code of the workload, or `None` for all workloads.
    pub(crate) workload: Option<String>,
    pub(crate) why: String,
}

impl Series {
    /// Returns the samples of the rounds that succeeded.
    pub(crate) fn measured(&self) -> Vec<f64> {
        self.samples.iter().flatten().copied().collect()
    }

    /// Returns the ratios of this series to another one, round by round. Rounds in which one of
    /// them failed are left out.
    pub(crate) fn ratios(&self, base: &Self) -> Vec<f64> {
        let pairs = self.samples.iter().zip(&base.samples);
        pairs.filter_map(|(ours, base)| Some(ours.as_ref()? / base.as_ref()?)).collect()
    }
}

/// Returns the median, or `None` without values.
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
