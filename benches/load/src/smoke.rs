//! A run of about a minute that fails when Veltix has become slow.

use anyhow::{Result, bail};

use crate::plan::Plan;
use crate::results::{self, Report};

/// A ratio that must hold.
#[derive(Clone, Copy, Debug)]
struct Floor {
    workload: &'static str,
    /// What Veltix is compared with.
    base: &'static str,
    /// What PERFORMANCE.md promises.
    target: f64,
}

const fn floor(workload: &'static str, base: &'static str, target: f64) -> Floor {
    Floor { workload, base, target }
}

const FLOORS: &[Floor] = &[
    floor("W2", "limit", 0.70),
    floor("W2", "delimited", 1.05),
    floor("W3", "limit", 0.70),
    floor("W3", "delimited", 8.0),
    floor("W4_100", "limit", 0.85),
    floor("W4_100", "delimited", 1.2),
];

/// A busy machine takes something from every ratio; what falls below this part of a target is no
/// noise.
const MARGIN: f64 = 0.75;

const ROUNDS: usize = 3;

/// Measures, prints each ratio beside its floor, and fails if one is below it.
pub(crate) fn smoke(seconds: f64) -> Result<()> {
    let owned = |names: [&str; 3]| names.map(str::to_owned);
    let workloads = owned(["W2", "W3", "W4_100"]);
    let peers = owned(["limit", "delimited", "veltix"]);
    judge(&Plan::new(&workloads, &peers, ROUNDS, seconds)?.run())
}

#[allow(clippy::print_stdout, reason = "its output is what it is for")]
fn judge(report: &Report) -> Result<()> {
    let series = |workload: &str, peer: &str| {
        report.series.iter().find(|series| series.workload == workload && series.peer == peer)
    };
    let mut failures = Vec::new();
    for Floor { workload, base, target } in FLOORS {
        let least = target * MARGIN;
        let ratios = match (series(workload, "veltix"), series(workload, base)) {
            (Some(ours), Some(base)) => ours.ratios(base),
            _ => Vec::new(),
        };
        let verdict = match results::median(&ratios) {
            Some(ratio) if ratio >= least => {
                println!("{workload}: {ratio:.2} of {base}, at least {least:.2}");
                continue;
            }
            Some(ratio) => format!("{workload}: {ratio:.2} of {base}, but it must be {least:.2}"),
            None => format!("{workload}: nothing to compare with {base}"),
        };
        failures.push(verdict);
    }
    for missing in &report.missing {
        println!("missing: {}: {}", missing.peer, missing.why);
    }
    if failures.is_empty() { Ok(()) } else { bail!("too slow:\n{}", failures.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Better, Machine, Series};

    fn report(ratios: [f64; 6]) -> Report {
        let machine =
            Machine { cores: 2, kernel: String::new(), rustc: String::new(), cpu: String::new() };
        let series = |workload: &str, peer: &str, sample: f64| Series {
            workload: workload.to_owned(),
            peer: peer.to_owned(),
            unit: String::new(),
            better: Better::Higher,
            x: None,
            samples: vec![Some(sample)],
            percentiles: Vec::new(),
            note: None,
        };
        let mut all = Vec::new();
        for (floor, ratio) in FLOORS.iter().zip(ratios) {
            all.push(series(floor.workload, floor.base, 1.0 / ratio));
        }
        for workload in ["W2", "W3", "W4_100"] {
            all.push(series(workload, "veltix", 1.0));
        }
        Report { machine, date: String::new(), rounds: 1, series: all, missing: Vec::new() }
    }

    #[test]
    fn the_targets_less_their_margin_hold() {
        let at = FLOORS.iter().map(|floor| floor.target * MARGIN * 1.001).collect::<Vec<_>>();
        let at = <[f64; 6]>::try_from(at).expect("six floors");
        judge(&report(at)).expect("all hold");
        for below in 0..at.len() {
            let mut ratios = at;
            ratios[below] *= 0.9;
            let error = judge(&report(ratios)).expect_err("one is below").to_string();
            assert!(error.contains(FLOORS[below].workload), "{error}");
            assert!(error.contains(FLOORS[below].base), "{error}");
        }
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        let mut report = report([10.0; 6]);
        report.series.retain(|series| series.peer != "delimited");
        assert!(judge(&report).is_err());
    }
}
