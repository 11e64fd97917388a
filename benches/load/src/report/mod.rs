//! A report of measured values: tables in Markdown, and plots.

pub(crate) mod axis;
mod bars;
pub(crate) mod format;
mod goals;
mod groups;
pub(crate) mod interval;
pub(crate) mod limit;
mod lines;
mod markdown;
mod matrix;
pub(crate) mod palette;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod statistics;
pub(crate) mod targets;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::results::Report;

/// Writes the results as `results.json`, and their report, into a directory.
pub(crate) fn write(report: &Report, dir: &Path) -> anyhow::Result<()> {
    // The results come first: a run takes minutes, and a report can be written again.
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let path = dir.join("results.json");
    fs::write(&path, serde_json::to_string_pretty(report)?)
        .with_context(|| path.display().to_string())?;
    render(report, dir)
}

/// Writes `report.md` and its plots into a directory. Makes the directory if it does not exist.
pub(crate) fn render(report: &Report, dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir)?;
    let mut plots = bars::draw(report, dir)?;
    plots.extend(lines::draw(report, dir)?);
    let names: Vec<_> = plots.iter().filter_map(|plot| plot.file_name()?.to_str()).collect();
    fs::write(dir.join("report.md"), markdown::render(report, &names))?;
    Ok(())
}

/// Reads one or several files of results as one report, with the machine, date and rounds of the
/// first file and the series of all files.
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
    whole.context("no file of results was given")
}

#[cfg(test)]
mod tests {
    use super::sample::{report, series};
    use super::*;
    use crate::results::Missing;

    /// A temporary directory, which is removed at the end of the test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("veltix-load-{name}-{}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_report_is_the_same_after_json_and_several_become_one() {
        let scratch = Scratch::new("round-trip");
        fs::create_dir_all(&scratch.0).expect("a directory can be made");
        let mut one = report(vec![series("W3", "limit", &[Some(0.1), None])]);
        one.series[0].percentiles = vec![(99.9, 3.5)];
        let why = "not installed".to_owned();
        one.missing = vec![Missing { peer: "nats".to_owned(), workload: None, why }];
        let other = report(vec![series("growth_memory", "veltix", &[Some(1.0)])]);
        let files = ["one.json", "other.json"].map(|name| scratch.0.join(name));
        for (file, report) in files.iter().zip([&one, &other]) {
            fs::write(file, serde_json::to_vec(report).expect("it can be written"))
                .expect("a file");
        }
        assert_eq!(read(&files[..1]).expect("it was written"), one);
        let both = read(&files).expect("they were written");
        assert_eq!(both.series, [&one.series[..], &other.series[..]].concat());
        assert_eq!(both.missing, one.missing);
        assert!(read(&[scratch.0.join("absent.json")]).is_err());
    }

    #[test]
    fn every_plot_is_written_and_shown() {
        let scratch = Scratch::new("plots");
        let sized = |workload: &str, peer: &str, x: f64| {
            let samples = [Some(x), None, Some(2.0 * x)];
            crate::results::Series { x: Some(x), ..series(workload, peer, &samples) }
        };
        let mut series: Vec<_> = ["limit", "veltix", "<a peer>"]
            .into_iter()
            .flat_map(|peer| [sized("W4_100", peer, 100.0), sized("W4_1000", peer, 1_000.0)])
            .collect();
        series.extend([100.0, 1_000.0].map(|x| sized("growth_memory", "veltix", x)));
        series[0].percentiles = vec![(50.0, 3.0), (100.0, 900.0)];
        write(&report(series), &scratch.0).expect("a directory can be written to");
        let text = fs::read_to_string(scratch.0.join("report.md")).expect("there is a report");
        for name in
            ["ratios-broadcast-higher", "subscribers-W4", "percentiles-W4_100", "growth_memory"]
        {
            let plot = fs::read_to_string(scratch.0.join(format!("{name}.svg")));
            let plot = plot.expect("there is a plot");
            assert!(plot.trim_end().ends_with("</svg>"), "{name} is whole");
            assert!(!plot.contains("NaN") && !plot.contains("<a peer>"), "{name} can be shown");
            assert!(text.contains(&format!("![{name}]({name}.svg)")), "{name} is in the report");
        }
    }

    #[test]
    fn nothing_measured_is_a_report_too() {
        let scratch = Scratch::new("nothing");
        write(&report(Vec::new()), &scratch.0).expect("a directory can be written to");
        assert_eq!(
            read(&[scratch.0.join("results.json")]).expect("the results are kept"),
            report(Vec::new())
        );
        let text = fs::read_to_string(scratch.0.join("report.md")).expect("there is a report");
        assert!(text.contains("0 met, 0 not met, "));
    }
}
