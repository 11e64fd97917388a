//! The figures, their peers, and the values of both.

use crate::names::label;
use crate::report::format::number;
use crate::report::limit::{LIMIT, reference};
use crate::report::statistics::{Spread, pair};
use crate::results::{Better, Report, Series};

/// One figure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figure {
    pub(super) workload: &'static str,
    /// The quantity, in words.
    quantity: &'static str,
    /// The unit behind a value.
    unit: &'static str,
}

const fn figure(workload: &'static str, quantity: &'static str, unit: &'static str) -> Figure {
    Figure { workload, quantity, unit }
}

const PER_SECOND: &str = "/s";

/// All figures, in their order.
pub(super) const FIGURES: [Figure; 5] = [
    figure("W2", "messages received per second", PER_SECOND),
    figure("W4_1000", "deliveries per second", PER_SECOND),
    figure("W4p_1000", "deliveries per second", PER_SECOND),
    figure("W1s", "round-trip time", " µs"),
    figure("W6", "bytes per idle connection", " B"),
];

/// Our server.
const OURS: &str = "veltix";

/// The measured peers, with the names for readers.
pub(super) const PEERS: [(&str, &str); 9] = [
    (LIMIT, "raw limit"),
    (OURS, "Veltix"),
    ("delimited", "LengthDelimitedCodec hub"),
    ("delimited-batch", "batching LengthDelimitedCodec hub"),
    ("tarpc", "tarpc"),
    ("tungstenite", "tokio-tungstenite"),
    ("nats", "NATS"),
    ("redis", "Redis"),
    ("python", "Python package"),
];

/// The measured values of one peer in one figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measured {
    pub(super) peer: &'static str,
    pub(super) name: &'static str,
    pub(super) value: Spread,
    /// The ratio to the limit, paired by round.
    pub(super) ratio: Option<Spread>,
    better: Better,
}

impl Measured {
    pub(super) fn is_ours(&self) -> bool {
        self.peer == OURS
    }

    /// Returns the part of the limit's performance that the peer reaches. More is better in every
    /// figure: for a time or a size it is the limit's value divided by that of the peer.
    pub(super) fn reached(&self) -> Option<f64> {
        let ratio = self.ratio?.median;
        let reached = if self.better == Better::Higher { ratio } else { 1.0 / ratio };
        reached.is_finite().then_some(reached)
    }
}

impl Figure {
    /// Returns the name of the figure, with the name and the code of its workload.
    pub(super) fn name(&self) -> String {
        format!("{}: {}", self.quantity, label(self.workload))
    }

    /// Returns the values of each peer that was measured, the best one first.
    pub(super) fn measured(&self, report: &Report) -> Vec<Measured> {
        let series = |peer: &str| -> Option<&Series> {
            let mut all = report.series.iter();
            all.find(|series| series.workload == self.workload && series.peer == peer)
        };
        let limit = reference(report, self.workload);
        let measured = PEERS.iter().filter_map(|(peer, name)| {
            let series = series(peer)?;
            let ratio = limit.and_then(|limit| pair(series, limit)).map(|paired| paired.ratios);
            let value = Spread::of_samples(series)?;
            Some(Measured { peer, name, value, ratio, better: series.better })
        });
        let mut measured: Vec<_> = measured.collect();
        measured.sort_by(|one, other| match one.better {
            Better::Higher => other.value.median.total_cmp(&one.value.median),
            Better::Lower => one.value.median.total_cmp(&other.value.median),
        });
        measured
    }

    /// Returns a value with its unit.
    pub(super) fn text(&self, value: f64) -> String {
        format!("{}{}", self.short(value), self.unit)
    }

    /// Returns the range of a value with its unit.
    pub(super) fn range(&self, value: Spread) -> String {
        format!("{}–{}{}", self.short(value.low), self.short(value.high), self.unit)
    }

    /// Returns a number with three digits and more. Rates are abbreviated to millions and thousands.
    fn short(&self, value: f64) -> String {
        match value {
            1e6.. if self.is_rate() => format!("{} M", number(value / 1e6)),
            1e4.. if self.is_rate() => format!("{} k", number(value / 1e3)),
            _ => number(value),
        }
    }

    fn is_rate(&self) -> bool {
        self.unit == PER_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{report, series};

    #[test]
    fn a_value_is_short_and_has_its_unit() {
        let [ingest, _, _, round_trip, memory] = FIGURES;
        assert_eq!(ingest.text(33_751_565.0), "33.8 M/s");
        assert_eq!(ingest.text(160_500.0), "160 k/s");
        assert_eq!(ingest.text(997_125.0), "997 k/s");
        assert_eq!(round_trip.text(7.016), "7.02 µs");
        assert_eq!(memory.text(2_450.4), "2\u{2009}450 B");
        assert_eq!(memory.text(11_905.0), "11\u{2009}905 B");
        let spread = Spread { low: 6.99, median: 7.02, high: 7.06 };
        assert_eq!(round_trip.range(spread), "6.99–7.06 µs");
    }

    #[test]
    fn the_best_peer_comes_first_and_longer_is_better_for_a_time_too() {
        let lower = |peer: &str, value: f64| Series {
            better: Better::Lower,
            ..series("W1s", peer, &[Some(value)])
        };
        let measured =
            FIGURES[3].measured(&report(vec![lower("veltix", 8.0), lower("limit", 6.0)]));
        let names: Vec<_> = measured.iter().map(|measured| measured.name).collect();
        assert_eq!(names, ["raw limit", "Veltix"]);
        assert_eq!(measured[1].reached(), Some(0.75));
        let measured = FIGURES[0].measured(&report(vec![
            series("W2", "python", &[Some(1.0)]),
            series("W2", "limit", &[Some(4.0)]),
            series("W2", "veltix", &[Some(3.0)]),
            series("W3", "veltix", &[Some(9.0)]),
        ]));
        let reached: Vec<_> = measured.iter().map(Measured::reached).collect();
        assert_eq!(reached, [Some(1.0), Some(0.75), Some(0.25)]);
    }

    #[test]
    fn without_the_limit_there_is_no_ratio() {
        let measured = FIGURES[0].measured(&report(vec![series("W2", "veltix", &[Some(3.0)])]));
        assert_eq!((measured[0].ratio, measured[0].reached()), (None, None));
    }
}
