//! Counts beside their budgets.

use std::fmt::Write;

/// The part of a budget by which a count may exceed it. The standard library of another system and
/// another processor change the count of the same source.
const ROOM: f64 = 0.10;

/// One case.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) case: &'static str,
    pub(super) budget: Option<f64>,
    pub(super) count: f64,
}

/// The verdict on a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Kept,
    Grown,
    /// The count is so far below the budget that the budget no longer guards anything.
    Fallen,
    /// The case has no budget.
    New,
}

impl Row {
    /// A count exactly at the limit is kept.
    fn verdict(&self) -> Verdict {
        // The last digits of a product mean nothing.
        const NOTHING: f64 = 1e-9;
        match self.budget {
            None => Verdict::New,
            Some(budget) if self.count > budget * (1.0 + ROOM) + NOTHING => Verdict::Grown,
            Some(budget) if self.count < budget * (1.0 - ROOM) - NOTHING => Verdict::Fallen,
            Some(_) => Verdict::Kept,
        }
    }
}

/// Returns the table, for a terminal.
pub(super) fn render(rows: &[Row]) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = writeln!(text, "{:<16} {:>9} {:>9} {:>9}", "case", "budget", "measured", "change");
    for row in rows {
        let budget = row.budget.map_or_else(|| "–".to_owned(), |budget| format!("{budget:.1}"));
        let change = row.budget.map_or_else(
            || "–".to_owned(),
            |budget| format!("{:+.1} %", 100.0 * (row.count / budget - 1.0)),
        );
        let remark = match row.verdict() {
            Verdict::Kept => "",
            Verdict::Grown => "  over budget",
            Verdict::Fallen => "  warning: far below; `--write` lowers the budget",
            Verdict::New => "  no budget",
        };
        let (case, count) = (row.case, row.count);
        let _ = writeln!(text, "{case:<16} {budget:>9} {count:>9.1} {change:>9}{remark}");
    }
    text
}

/// Returns a line for each case that is over its budget or has none.
pub(super) fn failures(rows: &[Row]) -> Vec<String> {
    let failure = |row: &Row| match (row.verdict(), row.budget) {
        (Verdict::Grown, Some(budget)) => Some(format!(
            "{}: {:.1} instructions, more than 10 % above its budget of {budget:.1}",
            row.case, row.count
        )),
        (Verdict::New, _) => {
            Some(format!("{}: it has no budget; `budgets {0} --write` gives it one", row.case))
        }
        _ => None,
    };
    rows.iter().filter_map(failure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(budget: Option<f64>, count: f64) -> Row {
        Row { case: "sink", budget, count }
    }

    #[test]
    fn a_count_is_kept_up_to_a_tenth_on_either_side() {
        for (count, verdict) in [
            (90.0, Verdict::Kept),
            (89.9, Verdict::Fallen),
            (100.0, Verdict::Kept),
            (110.0, Verdict::Kept),
            (110.1, Verdict::Grown),
        ] {
            assert_eq!(row(Some(100.0), count).verdict(), verdict, "{count}");
            let (tenth, budget) = (count / 10.0, 10.0);
            assert_eq!(row(Some(budget), tenth).verdict(), verdict, "{tenth}");
        }
    }

    #[test]
    fn only_growth_and_a_missing_budget_are_failures() {
        assert!(failures(&[row(Some(100.0), 110.0), row(Some(100.0), 1.0)]).is_empty());
        let failures = failures(&[row(Some(100.0), 200.0), row(None, 1.0)]);
        assert_eq!(failures.len(), 2);
        assert!(failures[0].contains("sink: 200.0"), "{failures:?}");
        assert!(failures[1].contains("budgets sink --write"), "{failures:?}");
    }

    #[test]
    fn what_fell_is_only_warned_of() {
        let text = render(&[row(Some(100.0), 50.0), row(Some(100.0), 200.0), row(None, 7.0)]);
        assert!(text.contains("-50.0 %  warning"), "{text}");
        assert!(text.contains("+100.0 %  over budget"), "{text}");
        assert!(text.contains("no budget"), "{text}");
    }
}
