//! The table of results: each measured value beside the condition for a pass.

use std::fmt::Write;

use veltix_stage::machine;

use crate::check::Check;
use crate::run::{End, Played};
use crate::stage::Mode;

/// Returns the table for a terminal.
pub(crate) fn text(all: &[Played]) -> String {
    let rows = rows(all);
    let wide = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; 4] = std::array::from_fn(|column| wide(column).unwrap_or(0));
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        line.push_str(&row[4]);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Returns the table as a page, with the machine of the run.
pub(crate) fn markdown(all: &[Played], mode: Mode) -> String {
    let machine::Machine { cores, kernel, rustc, cpu } = machine::describe();
    let mut text = String::new();
    let _ = writeln!(text, "# Chaos report, {}\n", machine::today());
    let _ = writeln!(
        text,
        "{cores} cores ({cpu}), {kernel}, {rustc}; seed {}{}. CONTRIBUTING.md describes how to run \
         it, and how to repeat one scenario.\n",
        mode.seed,
        if mode.short { ", short" } else { "" },
    );
    let _ = writeln!(
        text,
        "An entry holds the server's counters of one connection at its end. Its sums must add up: each \
         accepted frame was written or dropped or is queued, and each received frame was handled, \
         rejected or discarded. A stream is one direction of a connection. A peer counts the frames \
         that it decodes itself and keeps its own counters.\n",
    );
    for (number, row) in rows(all).into_iter().enumerate() {
        let row = row.map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(text, "| {} |", row.join(" | "));
        if number == 0 {
            text.push_str("|---|---|---|---|---|\n");
        }
    }
    let _ = write!(text, "\n{}", summary(all));
    text
}

/// Returns the last line of a run.
pub(crate) fn summary(all: &[Played]) -> String {
    let is_skipped = |played: &&Played| matches!(played.end, End::Skipped(_));
    let skipped = all.iter().filter(is_skipped).count();
    let failed = all.iter().filter(|played| !played.holds()).count();
    let passed = all.len() - skipped - failed;
    format!("{passed} passed, {failed} failed, {skipped} skipped\n")
}

fn rows(all: &[Played]) -> Vec<[String; 5]> {
    let mut rows =
        vec![["scenario", "check", "measured", "passes if", "result"].map(str::to_owned)];
    for played in all {
        // The name stands only in the first of its rows.
        let mut name = format!("{} ({:.0} s)", played.scenario, played.took.as_secs_f64());
        if played.tries > 1 {
            let _ = write!(name, ", {} tries", played.tries);
        }
        let mut row = |what: &str, measured: &str, pass: &str, verdict: &str| {
            let name = std::mem::take(&mut name);
            rows.push([&*name, what, measured, pass, verdict].map(str::to_owned));
        };
        match &played.end {
            End::Skipped(why) => row(why, "", "", "skipped"),
            End::Checked(checks) => checks.iter().for_each(|check| write_check(check, &mut row)),
            End::Failed(checks, why) => {
                checks.iter().for_each(|check| write_check(check, &mut row));
                row(why, "", "", "FAILED");
            }
        }
    }
    rows
}

fn write_check(check: &Check, row: &mut impl FnMut(&str, &str, &str, &str)) {
    let verdict = if check.holds { "ok" } else { "FAILED" };
    row(&check.what, &check.measured, &check.pass, verdict);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn played(scenario: &'static str, end: End) -> Played {
        Played { scenario, took: Duration::from_secs(3), tries: 1, end }
    }

    #[test]
    fn every_figure_has_its_row() {
        let good = Check::at_most("memory", 3.5, 16.0, "MiB");
        let bad = Check::equal("tasks | fibres", 2, 1);
        let all = [
            played("a", End::Checked(vec![good.clone(), bad])),
            played("b", End::Skipped("no network".to_owned())),
            played("c", End::Failed(vec![good], "it panicked".to_owned())),
        ];
        let text = text(&all);
        assert_eq!(text.lines().count(), 6, "{text}");
        assert!(text.contains("a (3 s)   memory          3.50 MiB  ≤ 16 MiB   ok"), "{text}");
        assert!(text.contains("tasks | fibres  2         = 1        FAILED"), "{text}");
        let mode = Mode { seed: 1, short: false, minutes: None, lies: false };
        let page = markdown(&all, mode);
        assert!(page.contains("| b (3 s) | no network |  |  | skipped |"), "{page}");
        assert!(page.contains("tasks \\| fibres"), "{page}");
        assert_eq!(summary(&all), "0 passed, 2 failed, 1 skipped\n");
    }
}
