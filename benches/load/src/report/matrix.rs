//! All ratios to the limit in one table.

use std::fmt::Write;

use super::groups::is_growth;
use super::limit::reference;
use super::statistics::pair;
use crate::names::label;
use crate::results::{Better, Report};

/// Writes a row for each workload and a column for each peer. Writes nothing if no workload was
/// measured against the limit.
pub(super) fn write_matrix(text: &mut String, report: &Report) -> std::fmt::Result {
    let (mut workloads, mut peers) = (Vec::new(), Vec::new());
    for series in &report.series {
        let (workload, peer) = (series.workload.as_str(), series.peer.as_str());
        if is_growth(workload) || reference(report, workload).is_none() {
            continue;
        }
        if !workloads.iter().any(|(known, _)| *known == workload) {
            workloads.push((workload, series.better));
        }
        if !peers.contains(&peer) {
            peers.push(peer);
        }
    }
    if workloads.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n## Ratios to the limit\n")?;
    writeln!(text, "In rows with ↓, lower is better; in the others, higher.\n")?;
    writeln!(text, "| | {} |", peers.join(" | "))?;
    writeln!(text, "|---|{}", "---:|".repeat(peers.len()))?;
    for (workload, better) in workloads {
        let sign = if better == Better::Lower { " ↓" } else { "" };
        write!(text, "| {}{sign} |", label(workload))?;
        for peer in &peers {
            match ratio(report, workload, peer) {
                Some(ratio) => write!(text, " {} |", short(ratio))?,
                None => write!(text, " – |")?,
            }
        }
        writeln!(text)?;
    }
    Ok(())
}

fn ratio(report: &Report, workload: &str, peer: &str) -> Option<f64> {
    let mut all = report.series.iter();
    let series = all.find(|series| series.workload == workload && series.peer == peer)?;
    Some(pair(series, reference(report, workload)?)?.ratios.median)
}

/// Returns a ratio with two significant digits.
fn short(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 10.0 => format!("{ratio:.0}"),
        ratio if ratio >= 0.1 => format!("{ratio:.2}"),
        ratio => format!("{ratio:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{report, series};
    use super::*;

    #[test]
    fn it_has_a_ratio_for_each_peer_of_each_workload() {
        let report = report(vec![
            series("W3", "limit", &[Some(4.0), Some(2.0)]),
            series("W3", "ours", &[Some(3.0), Some(1.5)]),
            series("W7", "limit", &[Some(1.0), Some(1.0)]),
            series("tag", "ours", &[Some(1.0), Some(1.0)]),
        ]);
        let mut text = String::new();
        write_matrix(&mut text, &report).expect("writing into a string cannot fail");
        let rows: Vec<_> = text.lines().filter(|line| line.starts_with('|')).collect();
        let expected = [
            "| | limit | ours |",
            "|---|---:|---:|",
            "| echo, 32 in flight (W3) | 1.00 | 0.75 |",
            "| connect and close (W7) | 1.00 | – |",
        ];
        assert_eq!(rows, expected, "what has no limit beside it has no ratio");
    }

    #[test]
    fn a_ratio_is_short() {
        assert_eq!([12.34, 0.856, 0.0123].map(short), ["12", "0.86", "0.012"]);
    }
}
