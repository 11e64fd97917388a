//! What a run gives, as it is written to JSON.

use serde::{Deserialize, Serialize};

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
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

/// What the run ran on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
    pub(crate) cpu: String,
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
