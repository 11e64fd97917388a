//! The samples of a run, by what is measured and by contestant.

use super::contestant::Contestant;
use crate::results::{Better, Missing, Series};

/// A measured quantity of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// Deliveries of a broadcast to a tag that only clients of the first node have.
    LocalRate,
    LocalP99,
    /// Deliveries of a broadcast to all, on the other nodes.
    CrossRate,
    CrossP50,
    CrossP99,
    /// The same broadcast on the node of the publisher.
    OriginP50,
    /// A ping of the broker and its answer.
    RoundTrip,
    /// The bytes into a node with all rooms, as a multiple of those with its own rooms alone.
    Interest,
}

/// The load under which a quantity is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) nodes: usize,
    pub(super) body: usize,
    pub(super) in_flight: usize,
}

impl Load {
    /// Returns the loads on this number of nodes.
    pub(super) fn of(nodes: usize) -> impl Iterator<Item = Self> {
        let sizes = [64, 1_024].into_iter();
        sizes.flat_map(move |body| [1, 64].map(|in_flight| Self { nodes, body, in_flight }))
    }

    /// Returns the load in words.
    pub(super) fn text(&self) -> String {
        let body = if self.body < 1_024 { format!("{} B", self.body) } else { "1 KiB".to_owned() };
        format!("{} nodes, {body}, {} in flight", self.nodes, self.in_flight)
    }
}

impl Quantity {
    /// Returns the code of the series: that of the workload, of the load and of the quantity.
    pub(super) fn code(self, load: Load) -> String {
        let Load { nodes, body, in_flight } = load;
        let quantity = match self {
            Self::LocalRate => "local",
            Self::LocalP99 => "local_p99",
            Self::CrossRate => "cross",
            Self::CrossP50 => "cross_p50",
            Self::CrossP99 => "cross_p99",
            Self::OriginP50 => "origin_p50",
            Self::RoundTrip => return format!("W8_{nodes}_broker"),
            Self::Interest => return format!("W8_{nodes}_interest"),
        };
        format!("W8_{nodes}_{body}_{in_flight}_{quantity}")
    }

    pub(super) const fn unit(self) -> &'static str {
        match self {
            Self::LocalRate | Self::CrossRate => "deliveries/s",
            Self::Interest => "of its own rooms' bytes",
            _ => "µs",
        }
    }

    const fn better(self) -> Better {
        match self {
            Self::LocalRate | Self::CrossRate => Better::Higher,
            _ => Better::Lower,
        }
    }
}

/// All samples so far.
#[derive(Debug)]
pub(super) struct Sheet {
    rounds: usize,
    pub(super) series: Vec<Series>,
    pub(super) missing: Vec<Missing>,
    /// The failures of contestants that are installed.
    pub(super) failures: Vec<String>,
}

impl Sheet {
    pub(super) const fn new(rounds: usize) -> Self {
        Self { rounds, series: Vec::new(), missing: Vec::new(), failures: Vec::new() }
    }

    /// Records the value of a round.
    pub(super) fn set(
        &mut self,
        round: usize,
        contestant: Contestant,
        quantity: Quantity,
        load: Load,
        value: f64,
    ) {
        let (workload, peer) = (quantity.code(load), contestant.name());
        let known = |series: &&mut Series| series.workload == workload && series.peer == peer;
        let series = match self.series.iter_mut().find(known) {
            Some(series) => series,
            None => {
                self.series.push(Series {
                    workload,
                    peer: peer.to_owned(),
                    unit: quantity.unit().to_owned(),
                    better: quantity.better(),
                    x: None,
                    samples: vec![None; self.rounds],
                    percentiles: Vec::new(),
                    note: None,
                });
                let last = self.series.len() - 1;
                &mut self.series[last]
            }
        };
        series.samples[round] = Some(value);
    }

    /// Records that a contestant failed in a round.
    pub(super) fn fail(&mut self, contestant: Contestant, why: String) {
        self.failures.push(why.clone());
        self.miss(contestant, why);
    }

    /// Records that a contestant was not measured.
    pub(super) fn miss(&mut self, contestant: Contestant, why: String) {
        self.missing.push(Missing { peer: contestant.name().to_owned(), workload: None, why });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_round_keeps_its_place() {
        let mut sheet = Sheet::new(3);
        let load = Load { nodes: 2, body: 64, in_flight: 1 };
        for (round, value) in [(0, 1.0), (2, 3.0)] {
            sheet.set(round, Contestant::Relay, Quantity::CrossRate, load, value);
        }
        assert_eq!(sheet.series.len(), 1);
        assert_eq!(sheet.series[0].samples, [Some(1.0), None, Some(3.0)]);
        assert_eq!(sheet.series[0].workload, "W8_2_64_1_cross");
    }
}
