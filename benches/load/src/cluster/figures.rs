//! The figures: ratios by round, what they must be, and the verdicts.

use super::contestant::Contestant::{self, Alone, Cluster, Relay, SocketIo};
use super::sheet::{Load, Quantity};
use crate::report::format::number;
use crate::report::interval::Interval;
use crate::results::{Report, Series};

/// The loads on two and on three nodes.
const NODES: [usize; 2] = [2, 3];

/// The number of nodes in the figures of one node beside a cluster.
pub(super) const LOCAL: usize = 2;

/// The number of nodes that share the rooms.
pub(super) const ROOMS: usize = 3;

/// The load whose series belong to no load: those of a broker and of rooms.
pub(super) const fn any(nodes: usize) -> Load {
    Load { nodes, body: 64, in_flight: 1 }
}

/// The condition that a figure must meet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Need {
    AtLeast(f64),
    AtMost(f64),
}

/// The verdict on a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    /// The median misses it, and a part of the interval reaches it.
    Within,
    Miss,
    /// It was not measured.
    Unknown,
}

/// A figure with its values.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    /// The quantity and what it is compared with.
    pub(super) name: &'static str,
    pub(super) load: String,
    pub(super) need: Need,
    /// The ratio, paired by round.
    pub(super) ratio: Option<Interval>,
    /// The median of the cluster, with its unit, and that of the other side.
    pub(super) ours: String,
    pub(super) beside: String,
}

impl Figure {
    /// Returns the verdict: the median or a part of its interval must reach the figure.
    pub(super) fn verdict(&self) -> Verdict {
        let Some(Interval { low, median, high }) = self.ratio else { return Verdict::Unknown };
        let (by_median, by_interval) = match self.need {
            Need::AtLeast(least) => (median >= least, high >= least),
            Need::AtMost(most) => (median <= most, low <= most),
        };
        match (by_median, by_interval) {
            (true, _) => Verdict::Pass,
            (false, true) => Verdict::Within,
            (false, false) => Verdict::Miss,
        }
    }
}

/// Returns all figures, in the order of the table.
pub(super) fn figures(report: &Report) -> Vec<Figure> {
    let sheet = Reader(report);
    let mut all = Vec::new();
    for load in Load::of(LOCAL) {
        all.push(sheet.ratio(
            "local deliveries/s, no node interested, of one server alone",
            (Quantity::LocalRate, load),
            (Alone, Load { nodes: 1, ..load }),
            Need::AtLeast(0.97),
        ));
    }
    for load in Load::of(LOCAL) {
        all.push(sheet.local_p99(load));
    }
    for (name, quantity, beside, need) in [
        ("cross-node deliveries/s of the relay", Quantity::CrossRate, Relay, Need::AtLeast(0.90)),
        ("cross-node p99 of the relay", Quantity::CrossP99, Relay, Need::AtMost(1.15)),
        ("cross-node deliveries/s of Socket.IO", Quantity::CrossRate, SocketIo, Need::AtLeast(5.0)),
    ] {
        for load in NODES.into_iter().flat_map(Load::of) {
            all.push(sheet.ratio(name, (quantity, load), (beside, load), need));
        }
    }
    for load in NODES.into_iter().flat_map(Load::of).filter(|load| load.in_flight == 1) {
        all.push(sheet.cross_p50(load));
    }
    all.push(sheet.interest());
    all
}

/// Reads the series of a report.
struct Reader<'a>(&'a Report);

impl Reader<'_> {
    /// Returns the samples of a contestant by round.
    fn samples(&self, contestant: Contestant, quantity: Quantity, load: Load) -> &[Option<f64>] {
        let code = quantity.code(load);
        let mut all = self.0.series.iter();
        let found = all.find(|series| series.workload == code && series.peer == contestant.name());
        found.map_or(&[], |series: &Series| &series.samples)
    }

    fn ratio(
        &self,
        name: &'static str,
        (quantity, load): (Quantity, Load),
        (beside, its_load): (Contestant, Load),
        need: Need,
    ) -> Figure {
        let ours = self.samples(Cluster, quantity, load);
        let theirs = self.samples(beside, quantity, its_load);
        Figure {
            name,
            load: load.text(),
            need,
            ratio: Interval::of(rounds([ours, theirs]).map(|[ours, theirs]| ours / theirs)),
            ours: text(ours, quantity),
            beside: text(theirs, quantity),
        }
    }

    /// The larger of 1.5 times that of one server and that of one server and a millisecond is allowed.
    fn local_p99(&self, load: Load) -> Figure {
        let quantity = Quantity::LocalP99;
        let ours = self.samples(Cluster, quantity, load);
        let alone = self.samples(Alone, quantity, Load { nodes: 1, ..load });
        let allowed = |alone: f64| (1.5 * alone).max(alone + 1e3);
        Figure {
            name: "local p99, no node interested, of the larger of 1.5 × and 1 ms more than one server alone",
            load: load.text(),
            need: Need::AtMost(1.0),
            ratio: Interval::of(rounds([ours, alone]).map(|[ours, alone]| ours / allowed(alone))),
            ours: text(ours, quantity),
            beside: text(alone, quantity),
        }
    }

    fn cross_p50(&self, load: Load) -> Figure {
        let ours = self.samples(Cluster, Quantity::CrossP50, load);
        let origin = self.samples(Cluster, Quantity::OriginP50, load);
        let broker = self.samples(Cluster, Quantity::RoundTrip, load);
        let ratios = rounds([ours, origin, broker])
            .map(|[ours, origin, broker]| ours / (origin + 2.0 * broker));
        Figure {
            name: "cross-node p50 of local p50 and two round trips of the broker",
            load: load.text(),
            need: Need::AtMost(1.0),
            ratio: Interval::of(ratios),
            ours: text(ours, Quantity::CrossP50),
            beside: format!(
                "{} and 2 × {}",
                text(origin, Quantity::OriginP50),
                text(broker, Quantity::RoundTrip)
            ),
        }
    }

    fn interest(&self) -> Figure {
        let ours = self.samples(Cluster, Quantity::Interest, any(ROOMS));
        Figure {
            name: "bytes into a node of its own rooms' share",
            load: format!("{ROOMS} nodes, 100 rooms, each on one node"),
            need: Need::AtMost(1.1),
            ratio: Interval::of(ours.iter().flatten().copied()),
            ours: text(ours, Quantity::Interest),
            beside: "1".to_owned(),
        }
    }
}

/// Returns the rounds in which each of these series has a value.
fn rounds<const N: usize>(all: [&[Option<f64>]; N]) -> impl Iterator<Item = [f64; N]> {
    let count = all.iter().map(|samples| samples.len()).min().unwrap_or(0);
    (0..count).filter_map(move |round| {
        let values = all.map(|samples| samples[round]);
        let is_whole = values.iter().all(Option::is_some);
        is_whole.then(|| values.map(Option::unwrap_or_default))
    })
}

/// Returns the median of some samples with its unit.
fn text(samples: &[Option<f64>], quantity: Quantity) -> String {
    match Interval::of(samples.iter().flatten().copied()) {
        None => "–".to_owned(),
        Some(Interval { median, .. }) => match quantity {
            Quantity::LocalRate | Quantity::CrossRate => format!("{}/s", number(median)),
            Quantity::Interest => number(median),
            _ => format!("{} µs", number(median)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{report, series};

    const LOAD: Load = Load { nodes: 2, body: 64, in_flight: 1 };

    fn of(report: &Report, name: &str) -> Figure {
        let mut all = figures(report).into_iter();
        all.find(|figure| figure.name.starts_with(name) && figure.load == LOAD.text())
            .expect("it is one of them")
    }

    fn samples(quantity: Quantity, peer: &str, load: Load, values: [f64; 2]) -> Series {
        series(&quantity.code(load), peer, &values.map(Some))
    }

    #[test]
    fn a_figure_that_was_not_measured_has_no_verdict() {
        for figure in figures(&report(Vec::new())) {
            assert_eq!(figure.verdict(), Verdict::Unknown, "{}", figure.name);
        }
    }

    #[test]
    fn a_rate_passes_if_its_interval_reaches_the_figure() {
        let measured = |ours: [f64; 2]| {
            report(vec![
                samples(Quantity::CrossRate, "cluster", LOAD, ours),
                samples(Quantity::CrossRate, "relay", LOAD, [100.0, 200.0]),
            ])
        };
        let verdict = |ours| of(&measured(ours), "cross-node deliveries/s of the relay").verdict();
        assert_eq!(verdict([91.0, 182.0]), Verdict::Pass);
        assert_eq!(verdict([80.0, 184.0]), Verdict::Within);
        assert_eq!(verdict([80.0, 178.0]), Verdict::Miss);
    }

    #[test]
    fn a_short_latency_may_grow_by_a_millisecond_and_a_long_one_by_half() {
        let alone = Load { nodes: 1, ..LOAD };
        let verdict = |ours: f64, theirs: f64| {
            let measured = report(vec![
                samples(Quantity::LocalP99, "cluster", LOAD, [ours; 2]),
                samples(Quantity::LocalP99, "alone", alone, [theirs; 2]),
            ]);
            of(&measured, "local p99").verdict()
        };
        assert_eq!(verdict(1_100.0, 100.0), Verdict::Pass);
        assert_eq!(verdict(1_110.0, 100.0), Verdict::Miss);
        assert_eq!(verdict(6_000.0, 4_000.0), Verdict::Pass);
        assert_eq!(verdict(6_010.0, 4_000.0), Verdict::Miss);
    }

    #[test]
    fn a_hop_may_take_two_round_trips_of_the_broker() {
        let verdict = |ours: f64| {
            let measured = report(vec![
                samples(Quantity::CrossP50, "cluster", LOAD, [ours; 2]),
                samples(Quantity::OriginP50, "cluster", LOAD, [500.0; 2]),
                samples(Quantity::RoundTrip, "cluster", LOAD, [50.0; 2]),
            ]);
            of(&measured, "cross-node p50").verdict()
        };
        assert_eq!(verdict(600.0), Verdict::Pass);
        assert_eq!(verdict(601.0), Verdict::Miss);
    }
}
