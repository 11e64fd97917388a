//! Counts of a build with clusters, which has joined none, beside those of a build without.

use std::fmt::Write;

use crate::report::interval::Interval;

/// One case. The counts of a round were taken one directly after the other.
#[derive(Clone, Debug)]
pub(super) struct Added {
    pub(super) case: &'static str,
    /// The instructions that clusters may add.
    pub(super) allowed: f64,
    /// The counts of the build without clusters.
    pub(super) plain: Vec<f64>,
    pub(super) with: Vec<f64>,
}

impl Added {
    /// Returns the added instructions, paired by round.
    fn added(&self) -> Option<Interval> {
        let rounds = self.plain.iter().zip(&self.with);
        Interval::of(rounds.map(|(plain, with)| with - plain))
    }

    /// Returns whether the median or a part of its interval is within the allowance. The counts of one
    /// program differ by about 1 % from run to run.
    fn is_within(&self) -> bool {
        self.added().is_some_and(|added| added.low <= self.allowed)
    }
}

/// Returns the table, for a terminal.
pub(super) fn render(rows: &[Added]) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = writeln!(
        text,
        "{:<16} {:>9} {:>9} {:>9}  {:<20} {:>7}",
        "case", "plain", "cluster", "added", "95 % interval", "allowed"
    );
    for row in rows {
        let median = |counts: &[f64]| Interval::of(counts.iter().copied()).map(|all| all.median);
        let (Some(plain), Some(with), Some(added)) =
            (median(&row.plain), median(&row.with), row.added())
        else {
            let _ = writeln!(text, "{:<16} not comparable", row.case);
            continue;
        };
        let interval = format!("{:+.1} to {:+.1}", added.low, added.high);
        let remark = if row.is_within() { "" } else { "  too much" };
        let _ = writeln!(
            text,
            "{:<16} {plain:>9.1} {with:>9.1} {:>+9.1}  {interval:<20} {:>+7.1}{remark}",
            row.case, added.median, row.allowed
        );
    }
    text
}

/// Returns a line for each case to which clusters add more than is allowed.
pub(super) fn failures(rows: &[Added]) -> Vec<String> {
    let failure = |row: &&Added| !row.is_within();
    let line = |row: &Added| match row.added() {
        None => format!("{}: there are no counts to compare", row.case),
        Some(added) => format!(
            "{}: {:+.1} instructions, and {:+.1} are allowed",
            row.case, added.median, row.allowed
        ),
    };
    rows.iter().filter(failure).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(allowed: f64, plain: &[f64], with: &[f64]) -> Added {
        Added { case: "sink", allowed, plain: plain.to_vec(), with: with.to_vec() }
    }

    #[test]
    fn the_allowance_is_in_instructions_and_the_interval_may_reach_it() {
        let is_within = |with: &[f64]| failures(&[row(4.0, &[100.0; 3], with)]).is_empty();
        assert!(is_within(&[104.0; 3]));
        assert!(is_within(&[90.0; 3]));
        assert!(is_within(&[103.9, 106.0, 106.0]));
        assert!(!is_within(&[104.1, 106.0, 106.0]));
    }

    #[test]
    fn a_case_without_counts_fails() {
        assert_eq!(failures(&[row(4.0, &[], &[])]), ["sink: there are no counts to compare"]);
    }

    #[test]
    fn a_row_has_both_counts_and_the_difference() {
        let text = render(&[row(0.0, &[100.0, 102.0], &[103.0, 104.0])]);
        let line = "sink                 101.0     103.5      +2.5  +2.0 to +3.0            +0.0  too much";
        assert!(text.contains(line), "{text}");
    }
}
