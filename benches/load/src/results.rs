//! What a run measured: the one type that every measurement ends in and every report starts from.

use serde::{Deserialize, Serialize};

/// A whole run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) date: String,
    pub(crate) rounds: usize,
    pub(crate) series: Vec<Series>,
    pub(crate) missing: Vec<Missing>,
}

/// Where it ran.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) rustc: String,
    pub(crate) cpu: String,
}

/// One peer under one workload.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Series {
    pub(crate) workload: String,
    pub(crate) peer: String,
    pub(crate) unit: String,
    pub(crate) better: Better,
    /// How large the case is, where that is what varies (peers, for the growth).
    pub(crate) x: Option<f64>,
    /// One for each round, in order; a round that failed has none.
    pub(crate) samples: Vec<Option<f64>>,
    /// Per cent, and the value below which so many of them were.
    pub(crate) percentiles: Vec<(f64, f64)>,
    pub(crate) note: Option<String>,
}

/// Which way is good.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// What could not be measured.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Missing {
    pub(crate) peer: String,
    /// None: in no workload at all.
    pub(crate) workload: Option<String>,
    pub(crate) why: String,
}
