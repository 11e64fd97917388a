//! The table of the figures, in Markdown.

use super::figures::{FIGURES, Figure, Measured};
use crate::results::{Missing, Report};

/// Returns the table with the conditions of the run below it.
pub(super) fn render(report: &Report, note: Option<&str>) -> String {
    let mut text = String::from(
        "| figure | Veltix | range of the rounds | ratio to the raw limit | alternatives |\n\
         |---|---:|---:|---:|---|\n",
    );
    for figure in FIGURES {
        text.push_str(&row(&figure, report));
    }
    text.push('\n');
    text.push_str(&conditions(report));
    if let Some(note) = note {
        text.push(' ');
        text.push_str(note);
    }
    text.push('\n');
    text.push_str(&missing(report));
    text
}

fn row(figure: &Figure, report: &Report) -> String {
    let measured = figure.measured(report);
    let none = || "not measured".to_owned();
    let (value, range, ratio) = match measured.iter().find(|measured| measured.is_ours()) {
        Some(Measured { value, ratio, .. }) => (
            format!("**{}**", figure.text(value.median)),
            figure.range(*value),
            ratio.map_or_else(none, |ratio| {
                format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.low, ratio.high)
            }),
        ),
        None => (none(), none(), none()),
    };
    let others = measured.iter().filter(|measured| !measured.is_ours());
    let others = others.map(|other| format!("{} {}", other.name, figure.text(other.value.median)));
    let others = others.collect::<Vec<_>>().join(" · ");
    format!("| {} | {value} | {range} | {ratio} | {others} |\n", figure.name())
}

fn conditions(report: &Report) -> String {
    let machine = &report.machine;
    format!(
        "Medians of {} rounds in one run on {}: {} cores ({}), Linux {}, {}. All servers were \
         measured in turns, over loopback, by one load generator on the same machine; a ratio is \
         paired by round. The raw limit is a Tokio loop with the same handshake, frames and \
         checksums and nothing else. The handlers of Veltix are plain functions that borrow the \
         body; PERFORMANCE.md has the rates of async and typed ones. For the round-trip time and the memory, lower is better. \
         Command: `cargo run --release -p veltix-load -- headline`.",
        report.rounds, report.date, machine.cores, machine.cpu, machine.kernel, machine.rustc
    )
}

/// Names the peers that could not be measured at all.
fn missing(report: &Report) -> String {
    let everywhere = report.missing.iter().filter(|missing| missing.workload.is_none());
    let lines =
        everywhere.map(|Missing { peer, why, .. }| format!("- Not measured: {peer} ({why})\n"));
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{report, series};

    #[test]
    fn a_row_has_the_figure_its_range_its_ratio_and_the_alternatives() {
        let report = report(vec![
            series("W2", "limit", &[Some(44e6), Some(40e6), Some(42e6)]),
            series("W2", "veltix", &[Some(33e6), Some(36e6), Some(35e6)]),
            series("W2", "python", &[Some(160e3), Some(150e3), Some(170e3)]),
            series("W2", "delimited", &[Some(20e6), Some(19e6), Some(21e6)]),
        ]);
        let text = render(&report, Some("Nothing else ran."));
        let row = "| messages received per second: ingest (W2) | **35.0 M/s** | 33.0 M–36.0 M/s \
                   | 0.83 (0.75–0.90) | raw limit 42.0 M/s · LengthDelimitedCodec hub 20.0 M/s \
                   · Python package 160 k/s |\n";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("Medians of 3 rounds in one run on 2026-01-02: 2 cores (a CPU)"));
        assert!(text.contains("headline`. Nothing else ran.\n"), "{text}");
        let unmeasured = "| round-trip time: round trip, one CPU (W1s) | not measured ";
        assert!(text.contains(unmeasured), "{text}");
    }

    #[test]
    fn a_peer_that_could_not_be_measured_is_named() {
        let mut report = report(Vec::new());
        report.missing = vec![Missing {
            peer: "nats".to_owned(),
            workload: None,
            why: "nats-server is not installed".to_owned(),
        }];
        let text = render(&report, None);
        assert!(
            text.ends_with("\n\n- Not measured: nats (nats-server is not installed)\n"),
            "{text}"
        );
    }
}
