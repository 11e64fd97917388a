//! The tables of the report.

use std::fmt::Write;

use super::format::{both, number};
use super::goals::{write_targets, write_variants};
use super::groups::is_growth;
use super::limit::reference;
use super::matrix::write_matrix;
use super::statistics::{PowerLaw, Spread, by_peer, pair};
use crate::names::title;
use crate::results::{Better, Missing, Report, Series};

/// Returns the whole text, which shows the plots of these names.
pub(crate) fn render(report: &Report, plots: &[&str]) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write_all(&mut text, report, plots);
    text
}

fn write_all(text: &mut String, report: &Report, plots: &[&str]) -> std::fmt::Result {
    let machine = &report.machine;
    writeln!(text, "# Load report, {}\n", report.date)?;
    writeln!(
        text,
        "{} cores ({}), {}, {}; {} rounds, peers interleaved, ratios paired by round. Only \
         ratios of one run carry over to another machine or hour.",
        machine.cores, machine.cpu, machine.kernel, machine.rustc, report.rounds
    )?;
    missing_everywhere(text, report)?;
    write_targets(text, report)?;
    write_variants(text, report)?;
    write_matrix(text, report)?;
    for workload in workloads(report) {
        let of_it: Vec<_> =
            report.series.iter().filter(|series| series.workload == workload).collect();
        heading(text, workload, &of_it)?;
        if is_growth(workload) {
            write_growth(text, &of_it)?;
        } else {
            write_workload(text, report, workload, &of_it)?;
        }
        percentiles(text, &of_it)?;
        footnotes(text, report, workload, &of_it)?;
    }
    if !plots.is_empty() {
        writeln!(text, "\n## Plots\n")?;
    }
    for plot in plots {
        writeln!(text, "![{}]({plot})", plot.trim_end_matches(".svg"))?;
    }
    Ok(())
}

/// Returns each workload that was measured or lacks a peer, in the order of the report.
fn workloads(report: &Report) -> Vec<&str> {
    let measured = report.series.iter().map(|series| series.workload.as_str());
    let missing = report.missing.iter().filter_map(|missing| missing.workload.as_deref());
    let mut all = Vec::new();
    for workload in measured.chain(missing) {
        if !all.contains(&workload) {
            all.push(workload);
        }
    }
    all
}

fn missing_everywhere(text: &mut String, report: &Report) -> std::fmt::Result {
    let everywhere: Vec<_> =
        report.missing.iter().filter(|missing| missing.workload.is_none()).collect();
    if everywhere.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n**Missing in this run:**\n")?;
    for Missing { peer, why, .. } in everywhere {
        writeln!(text, "- {peer}: {why}")?;
    }
    Ok(())
}

fn heading(text: &mut String, workload: &str, series: &[&Series]) -> std::fmt::Result {
    let mut title = title(workload);
    match series.first().map(|series| series.better) {
        Some(Better::Higher) => title.push_str(" (higher is better)"),
        Some(Better::Lower) => title.push_str(" (lower is better)"),
        None => {}
    }
    writeln!(text, "\n## {title}")
}

fn write_workload(
    text: &mut String,
    report: &Report,
    workload: &str,
    series: &[&Series],
) -> std::fmt::Result {
    if series.is_empty() {
        return Ok(());
    }
    let limit = reference(report, workload);
    writeln!(text, "\n| peer | median | min–max | unit | ratio to limit | min–max |")?;
    writeln!(text, "|---|---:|---:|---|---:|---:|")?;
    for series in series {
        let (median, range) = both(Spread::of_samples(series));
        let (ratio, ratios) =
            both(limit.and_then(|limit| pair(series, limit)).map(|paired| paired.ratios));
        let Series { peer, unit, .. } = series;
        writeln!(text, "| {peer} | {median} | {range} | {unit} | {ratio} | {ratios} |")?;
    }
    Ok(())
}

/// Writes series over sizes: a column for each size, and the exponent of the growth.
fn write_growth(text: &mut String, all: &[&Series]) -> std::fmt::Result {
    let mut sizes: Vec<_> = all.iter().filter_map(|series| series.x).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    write!(text, "\n| peer | unit |")?;
    for size in &sizes {
        write!(text, " {} |", number(*size))?;
    }
    writeln!(text, " growth exponent |\n|---|---|{}---:|", "---:|".repeat(sizes.len()))?;
    for (peer, points) in by_peer(all) {
        let unit = all.iter().find(|series| series.peer == peer).map_or("", |series| &series.unit);
        write!(text, "| {peer} | {unit} |")?;
        for size in &sizes {
            let point = points.iter().find(|(x, _)| x == size);
            write!(text, " {} |", point.map_or_else(|| "–".to_owned(), |(_, y)| number(y.median)))?;
        }
        let medians: Vec<_> = points.iter().map(|(x, y)| (*x, y.median)).collect();
        match PowerLaw::fit(&medians) {
            Some(law) => writeln!(text, " {:.2} |", law.exponent)?,
            None => writeln!(text, " – |")?,
        }
    }
    Ok(())
}

fn percentiles(text: &mut String, all: &[&Series]) -> std::fmt::Result {
    let measured = || all.iter().filter(|series| !series.percentiles.is_empty());
    let Some(first) = measured().next() else { return Ok(()) };
    let columns: Vec<_> = first.percentiles.iter().map(|(percent, _)| *percent).collect();
    write!(text, "\n| peer | latency in |")?;
    for percent in &columns {
        write!(text, " p{percent} |")?;
    }
    writeln!(text, "\n|---|---|{}", "---:|".repeat(columns.len()))?;
    for series in measured() {
        write!(text, "| {} | µs |", series.peer)?;
        for column in &columns {
            let value = series.percentiles.iter().find(|(percent, _)| percent == column);
            write!(text, " {} |", value.map_or_else(|| "–".to_owned(), |(_, at)| number(*at)))?;
        }
        writeln!(text)?;
    }
    Ok(())
}

/// Writes the remarks on each series, the rounds that were left out, and the missing peers.
fn footnotes(
    text: &mut String,
    report: &Report,
    workload: &str,
    all: &[&Series],
) -> std::fmt::Result {
    let mut lines = Vec::new();
    let limit = reference(report, workload);
    for series in all {
        let failed = series.samples.iter().filter(|sample| sample.is_none()).count();
        if failed > 0 {
            let of = series.samples.len();
            lines.push(format!("- {}: {failed} of {of} rounds failed", series.peer));
        }
        let paired = limit.and_then(|limit| pair(series, limit));
        if let Some(paired) = paired.filter(|paired| paired.left_out > 0) {
            let of = paired.rounds + paired.left_out;
            lines.push(format!("- {}: ratio of {} of {of} rounds", series.peer, paired.rounds));
        }
        if let Some(note) = &series.note {
            lines.push(format!("- {}: {note}", series.peer));
        }
    }
    for Missing { peer, why, .. } in
        report.missing.iter().filter(|missing| missing.workload.as_deref() == Some(workload))
    {
        lines.push(format!("- {peer} is missing: {why}"));
    }
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{report, series};

    fn small() -> Report {
        let mut small = report(vec![
            series("W3", "limit", &[Some(1_000_000.0), Some(2_000_000.0), Some(1_000_000.0)]),
            series("W3", "veltix", &[Some(800_000.0), None, Some(700_000.0)]),
        ]);
        let missing = |peer: &str, workload: Option<&str>, why: &str| Missing {
            peer: peer.to_owned(),
            workload: workload.map(str::to_owned),
            why: why.to_owned(),
        };
        small.missing = vec![
            missing("nats", None, "nats-server is not installed"),
            missing("python", Some("W3"), "verify: an echo came back changed"),
            missing("tarpc", Some("W2"), "it did not start"),
        ];
        small
    }

    #[test]
    fn a_workload_is_a_table_with_what_failed_and_who_is_missing_below() {
        let text = render(&small(), &["ratios-throughput-higher.svg"]);
        let expected = "\
## echo, 32 in flight (W3): 100 connections with 32 echoes in flight each (higher is better)

| peer | median | min–max | unit | ratio to limit | min–max |
|---|---:|---:|---|---:|---:|
| limit | 1\u{2009}000\u{2009}000 | 1\u{2009}000\u{2009}000–2\u{2009}000\u{2009}000 | messages/s | 1.00 | 1.00–1.00 |
| veltix | 750\u{2009}000 | 700\u{2009}000–800\u{2009}000 | messages/s | 0.750 | 0.700–0.800 |

- veltix: 1 of 3 rounds failed
- veltix: ratio of 2 of 3 rounds
- python is missing: verify: an echo came back changed

## ingest (W2): 100 connections that only send, 16 KiB in each write

- tarpc is missing: it did not start

## Plots

![ratios-throughput-higher](ratios-throughput-higher.svg)
";
        let at = text.find("## echo, 32").expect("the workload has a heading");
        assert_eq!(&text[at..], expected);
        assert!(
            text.contains("**Missing in this run:**\n\n- nats: nats-server is not installed\n")
        );
    }

    #[test]
    fn the_targets_say_what_is_met_and_what_was_not_measured() {
        let text = render(&small(), &[]);
        let met = "| echo, 32 in flight (W3) | veltix | limit | 0.750 | 0.700–0.800 | ≥ 0.7 | met | ≥ 0.9 | **not met** |";
        assert!(text.contains(met), "{text}");
        assert!(text.contains(
            "| echo, 32 in flight (W3) | veltix | python | – | – | ≥ 120 | not measured | – | – |"
        ));
        assert!(text.contains("1 met, 0 not met, "), "{text}");
    }

    #[test]
    fn growth_is_a_column_for_each_size() {
        let sized =
            |x: f64, y: f64| Series { x: Some(x), ..series("growth_memory", "veltix", &[Some(y)]) };
        let text = render(&report(vec![sized(100.0, 3.0), sized(10_000.0, 30.0)]), &[]);
        let row = "| veltix | messages/s | 3.00 | 30.0 | 0.50 |";
        assert!(text.contains(row), "{text}");
    }

    #[test]
    fn our_own_client_is_compared_with_the_limit_under_the_generator() {
        let text = render(
            &report(vec![
                series("W1s", "limit", &[Some(10.0)]),
                series("own_W1s", "veltix", &[Some(12.0)]),
            ]),
            &[],
        );
        assert!(text.contains("| veltix | 12.0 | 12.0–12.0 | messages/s | 1.20 | 1.20–1.20 |"));
    }
}
