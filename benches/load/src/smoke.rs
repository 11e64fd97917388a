//! A run of about a minute that fails if Veltix has become slow.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::names::label;
use crate::plan::Plan;
use crate::report::targets::targets;
use crate::results::{self, Report};

/// The contents of `smoke.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Floors {
    /// The part of the expected ratio that must be reached.
    margin: f64,
    rounds: usize,
    floor: Vec<Floor>,
}

/// A ratio that must be reached.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Floor {
    workload: String,
    /// The peer that Veltix is compared with.
    against: String,
    /// The expected ratio, if it is not the target.
    usual: Option<f64>,
}

impl Floors {
    fn read() -> Self {
        toml::from_str(include_str!("../smoke.toml"))
            .expect("smoke.toml is part of this program, and a test reads it")
    }

    /// Returns the smallest ratio that a floor allows.
    fn least(&self, floor: &Floor) -> Result<f64> {
        let expected = match floor.usual {
            Some(usual) => usual,
            None => target(&floor.workload, &floor.against).with_context(|| {
                format!("{floor:?} has no target, so smoke.toml must give it a `usual` ratio")
            })?,
        };
        Ok(expected * self.margin)
    }
}

/// Returns the ratio of `targets.toml` that Veltix must reach against this peer.
fn target(workload: &str, against: &str) -> Option<f64> {
    let mut all = targets().into_iter();
    let found = all.find(|target| {
        target.workload == workload
            && target.ours == OURS
            && target.against.as_deref() == Some(against)
            && target.against_workload.is_none()
    });
    found?.must
}

/// The peer that must reach the floors.
const OURS: &str = "veltix";

/// Measures, prints each ratio beside its floor, and fails if one is below it.
pub(crate) fn smoke(seconds: f64) -> Result<()> {
    let floors = Floors::read();
    let mut workloads: Vec<_> = floors.floor.iter().map(|floor| floor.workload.clone()).collect();
    workloads.sort();
    workloads.dedup();
    let mut peers: Vec<_> = floors.floor.iter().map(|floor| floor.against.clone()).collect();
    peers.push(OURS.to_owned());
    judge(&floors, &Plan::new(&workloads, &peers, floors.rounds, seconds)?.run())
}

#[allow(clippy::print_stdout, reason = "the result is the output of the command")]
fn judge(floors: &Floors, report: &Report) -> Result<()> {
    let series = |workload: &str, peer: &str| {
        report.series.iter().find(|series| series.workload == workload && series.peer == peer)
    };
    let mut failures = Vec::new();
    for floor in &floors.floor {
        let least = floors.least(floor)?;
        let Floor { workload, against, .. } = floor;
        let name = label(workload);
        let ratios = match (series(workload, OURS), series(workload, against)) {
            (Some(ours), Some(base)) => ours.ratios(base),
            _ => Vec::new(),
        };
        let verdict = match results::median(&ratios) {
            Some(ratio) if ratio >= least => {
                println!("{name}: {ratio:.2} of {against}, at least {least:.2}");
                continue;
            }
            Some(ratio) => {
                format!("{name}: {ratio:.2} of {against}, but at least {least:.2} is required")
            }
            None => format!("{name}: there are no rounds to compare with {against}"),
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
    use veltix_stage::Machine;

    use super::*;
    use crate::results::{Better, Series};

    fn report(floors: &Floors, ratios: &[f64]) -> Report {
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
        for (Floor { workload, against, .. }, ratio) in floors.floor.iter().zip(ratios) {
            all.push(series(workload, against, 1.0 / ratio));
            all.push(series(workload, OURS, 1.0));
        }
        Report { machine, date: String::new(), rounds: 1, series: all, missing: Vec::new() }
    }

    #[test]
    fn what_is_expected_holds_less_its_margin() {
        let floors = Floors::read();
        let least = |floor: &Floor| floors.least(floor).expect("it is said") * 1.001;
        let at: Vec<_> = floors.floor.iter().map(least).collect();
        judge(&floors, &report(&floors, &at)).expect("all hold");
        for below in 0..at.len() {
            let mut ratios = at.clone();
            ratios[below] *= 0.9;
            let judged = judge(&floors, &report(&floors, &ratios));
            let error = judged.expect_err("one is below").to_string();
            assert!(error.contains(&floors.floor[below].workload), "{error}");
            assert!(error.contains(&floors.floor[below].against), "{error}");
        }
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        let floors = Floors::read();
        let mut report = report(&floors, &vec![100.0; floors.floor.len()]);
        report.series.retain(|series| series.peer != "delimited");
        assert!(judge(&floors, &report).is_err());
    }

    #[test]
    fn a_floor_is_the_target_unless_it_says_what_is_usual() {
        let floors: Floors = toml::from_str(
            r#"
            margin = 0.5
            rounds = 1
            floor = [
                { workload = "W2", against = "limit" },
                { workload = "W2", against = "limit", usual = 0.6 },
                { workload = "W2", against = "nobody" },
            ]
            "#,
        )
        .expect("it is TOML");
        let least: Vec<_> = floors.floor.iter().map(|floor| floors.least(floor).ok()).collect();
        let target = target("W2", "limit").expect("there is one");
        assert_eq!(least, [Some(target / 2.0), Some(0.3), None]);
    }
}
