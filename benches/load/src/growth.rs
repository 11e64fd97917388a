//! `veltix-load growth`: the cost of a connection, a delivery and a selection by the number of
//! peers.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use veltix_stage::{machine, process, progress_bar};

use crate::entrant::target;
use crate::names::label;
use crate::peers::PeerSpec;
use crate::process::ServerProcess;
use crate::report::statistics::{PowerLaw, by_peer};
use crate::results::{Better, Missing, Report, Series};
use crate::turns::order;
use crate::{generator, report};

/// The files that a process has open beside the connections, and some reserve.
const OTHER_FILES: usize = generator::FIRST + 64;

/// The failed rounds after which a measurement is not tried again.
const FAILURES: usize = 2;

#[derive(Clone, Debug, Args)]
pub(crate) struct Growth {
    /// Numbers of peers, separated by commas. A number that needs more open files than the system
    /// allows is reported as missing.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000, 20_000])]
    sizes: Vec<usize>,
    /// The number of rounds. Each measurement has a server in a fresh process.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each broadcast, after a warm-up of a tenth of it.
    #[arg(long, default_value_t = 1.2, value_parser = crate::args::seconds)]
    seconds: f64,
    /// The directory for the report.
    #[arg(long, default_value = "target/load/growth")]
    out: PathBuf,
}

/// A quantity and the peer of which it is measured.
#[derive(Clone, Copy, Debug)]
struct Measurement {
    quantity: Quantity,
    peer: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    Memory,
    Broadcast,
    Select,
}

/// The limit has no tags.
const MEASUREMENTS: [Measurement; 5] = [
    Measurement { quantity: Quantity::Memory, peer: "limit" },
    Measurement { quantity: Quantity::Memory, peer: "veltix" },
    Measurement { quantity: Quantity::Broadcast, peer: "limit" },
    Measurement { quantity: Quantity::Broadcast, peer: "veltix" },
    Measurement { quantity: Quantity::Select, peer: "veltix" },
];

impl Quantity {
    /// Returns the series of the quantity, with their units.
    const fn series(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Memory => &[("growth_memory", "B/connection")],
            Self::Broadcast => &[("growth_broadcast", "ns/delivery")],
            Self::Select => &[("growth_select", "ns"), ("growth_count", "ns")],
        }
    }
}

impl Measurement {
    /// Measures once, on a server that is started for this measurement. Returns a value for each
    /// series.
    fn measure(self, size: usize, lasts: Duration) -> Result<Vec<f64>> {
        let peer = PeerSpec::find(self.peer).context("there is no such peer")?;
        let process = ServerProcess::start(peer, None)
            .map_err(|missing| anyhow!("it could not be started: {}", missing.why))?;
        let wire = (peer.wire)();
        let target = target(&process, &*wire);
        Ok(match self.quantity {
            Quantity::Memory => vec![generator::idle(target, size)?],
            Quantity::Broadcast => vec![1e9 / generator::broadcast(target, size, lasts)?],
            Quantity::Select => {
                let selected = generator::select(target, size)?;
                vec![selected.list, selected.count]
            }
        })
    }
}

/// One measurement at one size, over all rounds.
struct Point {
    measurement: Measurement,
    size: usize,
    rounds: Vec<Option<Vec<f64>>>,
    notes: Vec<String>,
}

impl Point {
    fn add_round(&mut self, lasts: Duration) {
        if self.notes.len() >= FAILURES {
            self.rounds.push(None);
            return;
        }
        let measured = self.measurement.measure(self.size, lasts);
        if let Err(error) = &measured {
            self.notes.push(format!("round {}: {error:#}", self.rounds.len() + 1));
        }
        self.rounds.push(measured.ok());
    }

    /// Appends the samples to the series, or an entry to `missing` if there are none.
    fn finish(self, series: &mut Vec<Series>, missing: &mut Vec<Missing>) {
        let note = (!self.notes.is_empty()).then(|| self.notes.join("; "));
        let peer = self.measurement.peer.to_owned();
        for (number, (workload, unit)) in self.measurement.quantity.series().iter().enumerate() {
            let workload = (*workload).to_owned();
            if self.rounds.iter().all(Option::is_none) {
                let why = note.clone().unwrap_or_else(|| "there was no round".to_owned());
                let why = format!("{} peers: {why}", self.size);
                missing.push(Missing { peer: peer.clone(), workload: Some(workload), why });
                continue;
            }
            let sample = |round: &Option<Vec<f64>>| Some(*round.as_ref()?.get(number)?);
            series.push(Series {
                workload,
                peer: peer.clone(),
                unit: (*unit).to_owned(),
                better: Better::Lower,
                x: Some(self.size as f64),
                samples: self.rounds.iter().map(sample).collect(),
                percentiles: Vec::new(),
                note: note.clone(),
            });
        }
    }
}

/// Measures, writes a report, and prints the power of the number of peers with which each cost
/// grows.
#[allow(clippy::print_stdout, reason = "the result is the output of the command")]
pub(crate) fn growth(options: &Growth) -> Result<()> {
    let lasts = Duration::try_from_secs_f64(options.seconds).context("no time to measure in")?;
    ensure!(
        options.sizes.iter().all(|size| *size >= 100),
        "each size must be at least 100, since 1 % of the peers have the tag"
    );
    let (mut series, mut missing) = (Vec::new(), Vec::new());
    let limit = process::file_limit();
    let (possible, too_many): (Vec<_>, Vec<_>) =
        options.sizes.iter().copied().partition(|size| size + OTHER_FILES <= limit);
    missing.extend(too_many.into_iter().flat_map(|size| beyond(size, limit)));
    let bar = progress_bar(possible.len() * options.rounds * MEASUREMENTS.len());
    for size in possible {
        let mut points = MEASUREMENTS.map(|measurement| Point {
            measurement,
            size,
            rounds: Vec::new(),
            notes: Vec::new(),
        });
        for round in 0..options.rounds {
            for number in order(round, points.len()) {
                let Measurement { quantity, peer } = points[number].measurement;
                bar.set_message(format!("{quantity:?} of {peer}, {size} peers"));
                points[number].add_round(lasts);
                bar.inc(1);
            }
        }
        points.into_iter().for_each(|point| point.finish(&mut series, &mut missing));
    }
    bar.finish_and_clear();
    let (machine, date, rounds) = (machine::describe(), machine::today(), options.rounds);
    let report = Report { machine, date, rounds, series, missing };
    report::write(&report, &options.out)?;
    fits(&report).iter().for_each(|fit| println!("{fit}"));
    for Missing { peer, workload, why } in &report.missing {
        let workload = workload.as_deref().map_or_else(|| "all workloads".to_owned(), label);
        println!("missing: {peer}, {workload}: {why}");
    }
    println!("the report is in {}", options.out.display());
    Ok(())
}

/// Returns the missing measurements of a size that needs more open files than the system allows.
fn beyond(size: usize, limit: usize) -> Vec<Missing> {
    let why = format!(
        "{size} peers need {} open files in each process, and the system's hard limit is {limit}",
        size + OTHER_FILES
    );
    let missing = |measurement: &Measurement| {
        let (peer, why) = (measurement.peer.to_owned(), why.clone());
        let series = measurement.quantity.series().iter();
        series
            .map(|(workload, _)| Missing {
                peer: peer.clone(),
                workload: Some((*workload).to_owned()),
                why: why.clone(),
            })
            .collect::<Vec<_>>()
    };
    MEASUREMENTS.iter().flat_map(missing).collect()
}

/// Returns a line for each workload and peer, with the medians by size and the exponent of the
/// power law through them.
fn fits(report: &Report) -> Vec<String> {
    let workloads = MEASUREMENTS.iter().flat_map(|measurement| measurement.quantity.series());
    let mut lines = Vec::new();
    let mut seen = Vec::new();
    for (workload, unit) in workloads {
        if seen.contains(workload) {
            continue;
        }
        seen.push(*workload);
        let all: Vec<_> =
            report.series.iter().filter(|series| series.workload == *workload).collect();
        for (peer, points) in by_peer(&all) {
            let medians: Vec<_> = points.iter().map(|(x, y)| (*x, y.median)).collect();
            let at = |(x, y): &(f64, f64)| format!("{x:.0}: {y:.0}");
            let values = medians.iter().map(at).collect::<Vec<_>>().join(", ");
            let law = PowerLaw::fit(&medians)
                .map_or_else(String::new, |law| format!("; grows with n^{:.2}", law.exponent));
            lines.push(format!("{}, {peer}: {values} {unit}{law}", label(workload)));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::report;

    const MEMORY: Measurement = MEASUREMENTS[0];

    fn point(measurement: Measurement, size: usize, rounds: Vec<Option<Vec<f64>>>) -> Point {
        Point { measurement, size, rounds, notes: Vec::new() }
    }

    #[test]
    fn a_measurement_gives_a_series_for_each_of_its_values() {
        let (mut series, mut missing) = (Vec::new(), Vec::new());
        let rounds = vec![Some(vec![1.0, 2.0]), None, Some(vec![3.0, 4.0])];
        point(MEASUREMENTS[4], 1_000, rounds).finish(&mut series, &mut missing);
        assert!(missing.is_empty());
        assert_eq!(series.len(), 2);
        assert_eq!(series[0].samples, [Some(1.0), None, Some(3.0)]);
        assert_eq!(series[1].samples, [Some(2.0), None, Some(4.0)]);
        assert!(series.iter().all(|series| series.x == Some(1_000.0)));
    }

    #[test]
    fn the_exponent_is_that_of_the_medians() {
        let (mut series, mut missing) = (Vec::new(), Vec::new());
        for size in [100, 1_000, 10_000] {
            let value = (size as f64).sqrt();
            let rounds = vec![Some(vec![value]), Some(vec![1e9]), Some(vec![value / 2.0])];
            point(MEMORY, size, rounds).finish(&mut series, &mut missing);
        }
        let lines = fits(&report(series));
        assert_eq!(
            lines,
            [
                "idle memory by number of peers (growth_memory), limit: 100: 10, 1000: 32, 10000: 100 B/connection; grows with n^0.50"
            ]
        );
    }

    #[test]
    fn what_cannot_be_is_missing_by_its_name() {
        let missing = beyond(20_000, 20_000);
        let named = |workload: &str| {
            let mut all = missing.iter();
            all.any(|missing| missing.workload.as_deref() == Some(workload))
        };
        for workload in ["growth_memory", "growth_broadcast", "growth_select", "growth_count"] {
            assert!(named(workload), "{workload}");
        }
        assert!(missing[0].why.contains("hard limit is 20000"), "{}", missing[0].why);
        let (mut series, mut missing) = (Vec::new(), Vec::new());
        let failed =
            Point { notes: vec!["round 1: no".to_owned()], ..point(MEMORY, 7, vec![None]) };
        failed.finish(&mut series, &mut missing);
        assert!(series.is_empty());
        assert_eq!(missing[0].why, "7 peers: round 1: no");
    }
}
