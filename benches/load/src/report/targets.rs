//! The targets, which are data (`targets.toml`), and their verdicts.

use std::fmt;

use serde::Deserialize;

use super::statistics::{Spread, pair};
use crate::results::{Report, Series};

/// One row of `targets.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) workload: String,
    pub(crate) ours: String,
    /// The peer of the ratio. `None` compares the median itself, in its unit.
    pub(crate) against: Option<String>,
    /// The workload of the other peer. `None` is the same workload.
    pub(crate) against_workload: Option<String>,
    pub(crate) direction: Direction,
    pub(crate) must: Option<f64>,
    pub(crate) stretch: Option<f64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Direction {
    AtLeast,
    AtMost,
}

/// The verdict on a goal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Met,
    NotMeasured,
    NotMet,
}

/// A target with its measured value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    /// The spread of the ratios, or of the values if there is no other peer.
    pub(crate) measured: Option<Spread>,
    /// The verdict on the goal, or `None` if the row has none.
    pub(crate) must: Option<Verdict>,
    pub(crate) stretch: Option<Verdict>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Targets {
    target: Vec<Target>,
    variant: Vec<Target>,
}

impl Targets {
    fn read() -> Self {
        toml::from_str(include_str!("../../targets.toml"))
            .expect("targets.toml is part of this program, and a test reads it")
    }
}

/// Returns all targets, in the order of the file.
pub(crate) fn targets() -> Vec<Target> {
    Targets::read().target
}

/// Returns the comparisons of our own variants. Not every row has a goal.
pub(crate) fn variants() -> Vec<Target> {
    Targets::read().variant
}

impl Target {
    pub(crate) fn judge(&self, report: &Report) -> Judged {
        let measured = self.measure(report);
        let verdict = |goal: f64| match measured {
            None => Verdict::NotMeasured,
            Some(spread) if self.direction.reached(spread.median, goal) => Verdict::Met,
            Some(_) => Verdict::NotMet,
        };
        Judged { measured, must: self.must.map(verdict), stretch: self.stretch.map(verdict) }
    }

    fn measure(&self, report: &Report) -> Option<Spread> {
        let find = |workload: &str, peer: &str| -> Option<&Series> {
            let mut all = report.series.iter();
            all.find(|series| series.workload == workload && series.peer == peer)
        };
        let ours = find(&self.workload, &self.ours)?;
        match &self.against {
            None => Spread::of_samples(ours),
            Some(against) => {
                let workload = self.against_workload.as_ref().unwrap_or(&self.workload);
                Some(pair(ours, find(workload, against)?)?.ratios)
            }
        }
    }
}

impl Direction {
    /// A value exactly at the goal reaches it.
    fn reached(self, measured: f64, goal: f64) -> bool {
        match self {
            Self::AtLeast => measured >= goal,
            Self::AtMost => measured <= goal,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtLeast => "≥",
            Self::AtMost => "≤",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::NotMeasured => "not measured",
            Self::NotMet => "**not met**",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{report, series};

    fn target(direction: Direction, against: Option<&str>) -> Target {
        Target {
            workload: "W3".to_owned(),
            ours: "veltix".to_owned(),
            against: against.map(str::to_owned),
            against_workload: None,
            direction,
            must: Some(0.75),
            stretch: Some(0.875),
        }
    }

    fn verdicts(target: &Target, ours: f64) -> (Option<Verdict>, Option<Verdict>) {
        let judged = target.judge(&report(vec![
            series("W3", "veltix", &[Some(ours)]),
            series("W3", "limit", &[Some(100.0)]),
        ]));
        (judged.must, judged.stretch)
    }

    #[test]
    fn a_goal_is_met_at_its_border_and_not_beyond() {
        let (met, not_met) = (Some(Verdict::Met), Some(Verdict::NotMet));
        let at_least = target(Direction::AtLeast, Some("limit"));
        assert_eq!(verdicts(&at_least, 75.0), (met, not_met));
        assert_eq!(verdicts(&at_least, 74.9), (not_met, not_met));
        assert_eq!(verdicts(&at_least, 87.5), (met, met));
        let at_most = target(Direction::AtMost, Some("limit"));
        assert_eq!(verdicts(&at_most, 75.0), (met, met));
        assert_eq!(verdicts(&at_most, 75.1), (not_met, met));
    }

    #[test]
    fn a_target_without_another_peer_is_about_the_value() {
        let absolute = target(Direction::AtMost, None);
        assert_eq!(verdicts(&absolute, 0.75).0, Some(Verdict::Met));
        assert_eq!(verdicts(&absolute, 75.0).0, Some(Verdict::NotMet));
    }

    #[test]
    fn what_was_not_measured_is_neither_met_nor_not() {
        let ours_alone = report(vec![series("W3", "veltix", &[Some(1.0)])]);
        let judged = target(Direction::AtLeast, Some("limit")).judge(&ours_alone);
        assert_eq!(judged.must, Some(Verdict::NotMeasured));
        assert!(judged.measured.is_none());
        let without_must = Target { must: None, ..target(Direction::AtLeast, None) };
        assert_eq!(without_must.judge(&ours_alone).must, None);
    }

    #[test]
    fn another_workload_can_be_compared_with() {
        let own = Target {
            workload: "own_W1s".to_owned(),
            against_workload: Some("W1s".to_owned()),
            ..target(Direction::AtMost, Some("limit"))
        };
        let judged = own.judge(&report(vec![
            series("own_W1s", "limit", &[Some(1.0)]),
            series("own_W1s", "veltix", &[Some(30.0)]),
            series("W1s", "limit", &[Some(20.0)]),
        ]));
        assert_eq!(judged.measured.map(|spread| spread.median), Some(1.5));
    }

    #[test]
    fn a_variant_is_one_of_ours_and_has_one_beside_it() {
        let known = |name: &str| {
            crate::peers::PeerSpec::find(name).is_some() || crate::path::Case::find(name).is_some()
        };
        for variant in variants() {
            let against = variant.against.as_deref();
            assert!(known(&variant.ours) && against.is_some_and(known), "{variant:?}");
        }
    }

    #[test]
    fn every_row_of_the_file_has_a_goal_and_a_stretch_goal_lies_beyond_it() {
        for target in targets() {
            assert!(target.must.or(target.stretch).is_some(), "{target:?}");
            if let (Some(must), Some(stretch)) = (target.must, target.stretch) {
                assert!(target.direction.reached(stretch, must) && stretch != must, "{target:?}");
            }
        }
    }
}
