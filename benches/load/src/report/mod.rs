//! A report out of what was measured: tables in Markdown, and plots.

mod axis;
mod bars;
mod lines;
mod markdown;
mod palette;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod statistics;
mod targets;
mod workloads;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::results::Report;

/// Writes `report.md` and its plots into a directory, which is made when it is not there.
pub(crate) fn write(report: &Report, dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir)?;
    let mut plots = bars::draw(report, dir)?;
    plots.extend(lines::draw(report, dir)?);
    let names: Vec<_> = plots.iter().filter_map(|plot| plot.file_name()?.to_str()).collect();
    fs::write(dir.join("report.md"), markdown::render(report, &names))?;
    Ok(())
}

/// Reads one or more files of results as one report: the machine, date and rounds are those of the
/// first, the series of all.
pub(crate) fn read(files: &[PathBuf]) -> anyhow::Result<Report> {
    let mut whole: Option<Report> = None;
    for file in files {
        let text = fs::read(file).with_context(|| file.display().to_string())?;
        let next: Report =
            serde_json::from_slice(&text).with_context(|| file.display().to_string())?;
        match &mut whole {
            None => whole = Some(next),
            Some(whole) => {
                whole.series.extend(next.series);
                whole.missing.extend(next.missing);
            }
        }
    }
    whole.context("no file of results was named")
}
