//! Counts of two builds beside each other.

use std::fmt::Write;

use super::allowance::{Allowance, allowed};
use crate::results::median;

/// One case. The counts of a round were taken one directly after the other.
#[derive(Clone, Debug)]
pub(super) struct Compared {
    pub(super) case: &'static str,
    pub(super) before: Vec<f64>,
    pub(super) after: Vec<f64>,
}

/// The growth of a case in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Change {
    before: f64,
    after: f64,
    /// The change of the two medians.
    percent: f64,
    /// The smallest and the largest change of a single round.
    low: f64,
    high: f64,
}

impl Compared {
    /// Returns the change, or `None` without a round or if `before` counted nothing.
    fn change(&self) -> Option<Change> {
        let (before, after) = (median(&self.before)?, median(&self.after)?);
        let percent = |before: f64, after: f64| 100.0 * (after / before - 1.0);
        let rounds = self.before.iter().zip(&self.after);
        let changes: Vec<_> = rounds.map(|(before, after)| percent(*before, *after)).collect();
        let low = changes.iter().copied().fold(f64::INFINITY, f64::min);
        let high = changes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let change = Change { before, after, percent: percent(before, after), low, high };
        (change.percent.is_finite() && low.is_finite() && high.is_finite()).then_some(change)
    }
}

impl Change {
    /// Returns whether the growth is at most the allowance.
    fn is_within(&self, allowance: f64) -> bool {
        // The last digits of a quotient mean nothing.
        self.percent <= allowance + 1e-9
    }
}

/// Returns the table, for a terminal.
pub(super) fn render(rows: &[Compared], allowances: &[Allowance]) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = writeln!(
        text,
        "{:<16} {:>9} {:>9} {:>9}  {:<20} {:>7}",
        "case", "before", "after", "change", "range by round", "allowed"
    );
    for row in rows {
        let allowance = allowed(allowances, row.case);
        let Some(Change { before, after, percent, low, high }) = row.change() else {
            let _ = writeln!(text, "{:<16} not comparable", row.case);
            continue;
        };
        let range = format!("{low:+.2} to {high:+.2} %");
        let remark = if row.change().is_some_and(|change| change.is_within(allowance)) {
            ""
        } else {
            "  grown"
        };
        let _ = writeln!(
            text,
            "{:<16} {before:>9.1} {after:>9.1} {percent:>+7.2} %  {range:<20} {allowance:>+5} %{remark}",
            row.case
        );
    }
    text
}

/// Returns a line for each case that has grown by more than is allowed to it, or could not be
/// compared.
pub(super) fn failures(rows: &[Compared], allowances: &[Allowance]) -> Vec<String> {
    let failure = |row: &Compared| {
        let allowance = allowed(allowances, row.case);
        match row.change() {
            None => Some(format!("{}: there are no counts to compare", row.case)),
            Some(change) if change.is_within(allowance) => None,
            Some(Change { before, after, percent, .. }) => Some(format!(
                "{}: {before:.1} → {after:.1} instructions, {percent:+.2} %, and +{allowance} % is allowed",
                row.case
            )),
        }
    };
    rows.iter().filter_map(failure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(case: &'static str, before: &[f64], after: &[f64]) -> Compared {
        Compared { case, before: before.to_vec(), after: after.to_vec() }
    }

    #[test]
    fn the_change_is_that_of_the_medians_and_its_range_that_of_the_rounds() {
        let change = row("echo", &[100.0, 200.0, 100.0], &[110.0, 200.0, 101.0]).change();
        let change = change.expect("there are counts");
        assert_eq!((change.before, change.after), (100.0, 110.0));
        for (value, expected) in [(change.percent, 10.0), (change.low, 0.0), (change.high, 10.0)] {
            assert!((value - expected).abs() < 1e-9, "{change:?}");
        }
    }

    #[test]
    fn growth_up_to_the_allowance_passes_and_above_it_fails() {
        let verdict = |after: f64, allowances: &[Allowance]| {
            failures(&[row("echo", &[1000.0], &[after])], allowances).is_empty()
        };
        assert!(verdict(1.0, &[]), "a case may shrink without limit");
        assert!(verdict(1010.0, &[]));
        assert!(!verdict(1010.1, &[]));
        let more = ["echo=3".parse().expect("it is an allowance")];
        assert!(verdict(1030.0, &more));
        assert!(!verdict(1030.1, &more));
        let other = ["typed*=3".parse().expect("it is an allowance")];
        assert!(!verdict(1030.0, &other));
    }

    #[test]
    fn a_case_without_counts_fails() {
        let failures = failures(&[row("echo", &[], &[]), row("sink", &[0.0], &[1.0])], &[]);
        assert_eq!(failures.len(), 2, "{failures:?}");
        assert!(failures[0].starts_with("echo: "), "{failures:?}");
    }

    #[test]
    fn the_table_has_a_row_for_each_case() {
        let rows = [
            row("echo", &[827.4, 829.0], &[821.0, 822.2]),
            row("typed", &[1956.1], &[2100.0]),
            row("sink", &[], &[]),
        ];
        let text = render(&rows, &["typed=3".parse().expect("it is an allowance")]);
        assert_eq!(
            text,
            "\
case                before     after    change  range by round       allowed
echo                 828.2     821.6   -0.80 %  -0.82 to -0.77 %        +1 %
typed               1956.1    2100.0   +7.36 %  +7.36 to +7.36 %        +3 %  grown
sink             not comparable
"
        );
    }

    #[test]
    fn a_failure_names_both_counts_and_the_allowance() {
        let failures = failures(&[row("typed", &[1956.1], &[2100.0])], &[]);
        assert_eq!(failures, ["typed: 1956.1 → 2100.0 instructions, +7.36 %, and +1 % is allowed"]);
    }
}
