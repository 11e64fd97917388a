//! What a run gives, for readers.

use std::path::Path;

use anyhow::{Context, Result};

use crate::results::{self, Report};

/// Writes the report into a directory, and a table of it to the output.
#[allow(clippy::print_stdout, reason = "its output is what it is for")]
pub(crate) fn write(report: &Report, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let path = dir.join("results.json");
    std::fs::write(&path, serde_json::to_string_pretty(report)?)
        .with_context(|| path.display().to_string())?;
    println!("| workload | peer | median | unit | ratio to the first | note |");
    println!("|---|---|---|---|---|---|");
    for series in &report.series {
        let first = report.series.iter().find(|first| first.workload == series.workload);
        let ratio = first.and_then(|first| results::median(&series.ratios(first)));
        let median = results::median(&series.measured());
        let show = |value: Option<f64>, digits| match value {
            Some(value) => format!("{value:.digits$}"),
            None => "–".to_owned(),
        };
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            series.workload,
            series.peer,
            show(median, 1),
            series.unit,
            show(ratio, 2),
            series.note.as_deref().unwrap_or_default(),
        );
    }
    for missing in &report.missing {
        let workload = missing.workload.as_deref().unwrap_or("everything");
        println!("\nMissing: {} in {workload}: {}", missing.peer, missing.why);
    }
    Ok(())
}
