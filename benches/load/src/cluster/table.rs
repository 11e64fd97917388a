//! The table of the figures, in Markdown.

use super::figures::{Figure, Need, Verdict, figures};
use crate::report::interval::Interval;
use crate::results::{Missing, Report};

/// The rounds from which an interval holds 95 %, so that there is a verdict.
const ENOUGH: usize = 6;

/// Returns the table with the conditions of the run below it.
pub(super) fn render(report: &Report, clients: usize, note: Option<&str>) -> String {
    let mut text = String::from(
        "| figure | load | cluster | beside | ratio | 95 % interval | needed | verdict |\n\
         |---|---|---:|---:|---:|---:|---:|---|\n",
    );
    let is_judged = report.rounds >= ENOUGH;
    for figure in figures(report) {
        // A short run leaves most of them out.
        if is_judged || figure.ratio.is_some() {
            text.push_str(&row(&figure, is_judged));
        }
    }
    text.push('\n');
    text.push_str(&conditions(report, clients));
    if let Some(note) = note {
        text.push(' ');
        text.push_str(note);
    }
    text.push('\n');
    text.push_str(&missing(report));
    text
}

fn row(figure: &Figure, is_judged: bool) -> String {
    let Figure { name, load, ours, beside, .. } = figure;
    let (ratio, interval) = match figure.ratio {
        Some(Interval { low, median, high }) => {
            (format!("**{median:.2}**"), format!("{low:.2}–{high:.2}"))
        }
        None => ("–".to_owned(), "–".to_owned()),
    };
    let need = match figure.need {
        Need::AtLeast(least) => format!("≥ {least:.2}"),
        Need::AtMost(most) => format!("≤ {most:.2}"),
    };
    let verdict = match figure.verdict() {
        _ if !is_judged => "too few rounds",
        Verdict::Pass => "pass",
        Verdict::Within => "pass by its interval",
        Verdict::Miss => "**miss**",
        Verdict::Unknown => "not measured",
    };
    format!("| {name} | {load} | {ours} | {beside} | {ratio} | {interval} | {need} | {verdict} |\n")
}

fn conditions(report: &Report, clients: usize) -> String {
    let machine = &report.machine;
    format!(
        "Medians of the rounds ({}) in one run on {}, with {clients} clients of each node: {} cores ({}), Linux \
         {}, {}. Each node, the broker and the load generator are processes of their own on this machine, \
         over loopback. A ratio is paired by round, and the order of the contestants is reversed in every \
         second round. The interval of a median holds 95 % without an assumption on the distribution: of \
         ten rounds it is the second to the ninth value. A figure passes if \
         the median or a part of the interval reaches it. \
         *One server alone* is the same build without a broker. *The relay* is a server on Veltix with \
         async-nats that publishes everything that is queued in one batch, without targets, sequence \
         numbers and checks. *Socket.IO* is version 4.8.4 with its Redis adapter 8.3.0, one process for each \
         node. One publisher is on the first node; the next publish is sent when every client of all nodes \
         has the oldest one. Command: `cargo run --profile measure -p veltix-load --features cluster -- \
         cluster`.",
        report.rounds, report.date, machine.cores, machine.cpu, machine.kernel, machine.rustc
    )
}

/// Names the contestants that were not measured, or not in every round.
fn missing(report: &Report) -> String {
    let lines = report.missing.iter();
    let lines = lines.map(|Missing { peer, why, .. }| format!("- Not measured: {peer} ({why})\n"));
    let lines: String = lines.collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{report, series};

    #[test]
    fn a_row_has_its_values_and_a_verdict_if_there_are_enough_rounds() {
        let rounds = |rounds: usize, first: f64| -> Vec<_> {
            (0..rounds).map(|round| Some(first + 1e3 * round as f64)).collect()
        };
        let measured = |count: usize| {
            report(vec![
                series("W8_2_64_1_cross", "cluster", &rounds(count, 95_000.0)),
                series("W8_2_64_1_cross", "relay", &rounds(count, 100_000.0)),
            ])
        };
        let text = render(&measured(5), 20, None);
        assert!(text.contains("| ≥ 0.90 | too few rounds |"), "{text}");
        assert!(!text.contains("not measured"), "{text}");
        let mut report = measured(7);
        report.missing = vec![Missing {
            peer: "socket.io".to_owned(),
            workload: None,
            why: "npm is not installed".to_owned(),
        }];
        let text = render(&report, 1_000, Some("Nothing else ran."));
        let row = "| cross-node deliveries/s of the relay | 2 nodes, 64 B, 1 in flight | \
                   98\u{2009}000/s | 103\u{2009}000/s | **0.95** | 0.95–0.95 | ≥ 0.90 | pass |\n";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("with 1000 clients of each node"), "{text}");
        assert!(text.contains("cluster`. Nothing else ran.\n"), "{text}");
        assert!(text.ends_with("\n\n- Not measured: socket.io (npm is not installed)\n"), "{text}");
    }
}
