//! The tables of goals beside measured values.

use std::fmt::{Result, Write};

use super::format::{both, number};
use super::targets::{Judged, Target, Verdict, targets, variants};
use crate::names::label;
use crate::results::Report;

/// Writes the targets of our server against the limit and against others.
pub(super) fn write_targets(text: &mut String, report: &Report) -> Result {
    writeln!(text, "\n## Targets\n")?;
    write_rows(text, &judge(report, targets()))
}

/// Writes the goals of our variants against each other. Instructions are counted by another
/// command, whose results can be reported together with those of a run.
pub(super) fn write_variants(text: &mut String, report: &Report) -> Result {
    let rows = judge(report, variants());
    if rows.iter().all(|(judged, _)| judged.measured.is_none()) {
        return Ok(());
    }
    writeln!(text, "\n## Our own variants\n")?;
    write_rows(text, &rows)
}

fn judge(report: &Report, rows: Vec<Target>) -> Vec<(Judged, Target)> {
    rows.into_iter().map(|row| (row.judge(report), row)).collect()
}

fn write_rows(text: &mut String, rows: &[(Judged, Target)]) -> Result {
    let count = |verdict| rows.iter().filter(|(judged, _)| judged.must == Some(verdict)).count();
    writeln!(
        text,
        "{} met, {} not met, {} not measured.\n",
        count(Verdict::Met),
        count(Verdict::NotMet),
        count(Verdict::NotMeasured)
    )?;
    // A run of a single workload, or of the growth, has no use for a table of empty rows.
    if rows.iter().all(|(judged, _)| judged.measured.is_none()) {
        return Ok(());
    }
    writeln!(text, "| workload | ours | against | measured | min–max | must | | stretch | |")?;
    writeln!(text, "|---|---|---|---:|---:|---:|---|---:|---|")?;
    rows.iter().try_for_each(|(judged, target)| write_row(text, *judged, target))
}

fn write_row(text: &mut String, judged: Judged, target: &Target) -> Result {
    let Target { workload, ours, direction, .. } = target;
    let goal = |goal: Option<f64>| match goal {
        Some(goal) if goal < 1000.0 => format!("{direction} {goal}"),
        Some(goal) => format!("{direction} {}", number(goal)),
        None => "–".to_owned(),
    };
    let verdict = |verdict: Option<Verdict>| {
        verdict.map_or_else(|| "–".to_owned(), |verdict| verdict.to_string())
    };
    let against = match (&target.against, &target.against_workload) {
        (None, _) => "(value)".to_owned(),
        (Some(against), None) => against.clone(),
        (Some(against), Some(workload)) => format!("{against} in {}", label(workload)),
    };
    let (measured, range) = both(judged.measured);
    writeln!(
        text,
        "| {} | {ours} | {against} | {measured} | {range} | {} | {} | {} | {} |",
        label(workload),
        goal(target.must),
        verdict(judged.must),
        goal(target.stretch),
        verdict(judged.stretch)
    )
}

#[cfg(test)]
mod tests {
    use super::super::sample::{report, series};
    use super::*;

    #[test]
    fn variants_are_there_when_one_was_measured() {
        let mut text = String::new();
        write_variants(&mut text, &report(Vec::new())).expect("writing into a string cannot fail");
        assert_eq!(text, "");
        let measured = report(vec![
            series("Ir", "sink-owned", &[Some(400.0)]),
            series("Ir", "sink-async", &[Some(640.0)]),
            series("W2", "veltix", &[Some(2.0), Some(1.0)]),
            series("W2", "veltix-layered", &[Some(1.0), Some(1.0)]),
        ]);
        write_variants(&mut text, &measured).expect("writing into a string cannot fail");
        let missed = "| instructions (Ir) | sink-async | sink-owned | 1.60 | 1.60–1.60 | ≤ 1.5 | **not met** | – | – |";
        assert!(text.contains(missed), "{text}");
        let seen = "| ingest (W2) | veltix-layered | veltix | 0.750 | 0.500–1.00 | – | – | – | – |";
        assert!(text.contains(seen), "{text}");
        assert!(text.contains("0 met, 1 not met, 3 not measured."), "{text}");
    }
}
