//! `veltix-load cluster` (W8): broadcasts from one node to the clients of all nodes, beside one server
//! alone, a hand-written relay and Socket.IO.

mod broker;
mod contestant;
mod figures;
mod measure;
mod sheet;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use veltix_stage::machine;

use self::measure::Plan;
use crate::args::seconds;
use crate::results::Report;

/// The directory of the recorded figures.
const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance");

/// The directory of a short run, in which the recorded figures stay.
const SHORT: &str = "target/load/cluster";

/// The error of a build that has no nodes.
pub(crate) const NOT_BUILT: &str =
    "this program was built without clusters: build it with --features cluster";

#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// The number of rounds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each measurement, after a warm-up of a tenth of it.
    #[arg(long, default_value_t = 0.8, value_parser = seconds)]
    seconds: f64,
    /// The clients of each node.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    clients: u32,
    /// One round of a few seconds with 20 clients on three nodes, which checks that everything works. Its
    /// figures have no verdict.
    #[arg(long, conflicts_with_all = ["rounds", "seconds", "clients", "from"])]
    short: bool,
    /// Write the table of an earlier `cluster.json` again, without measuring.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rounds", "seconds", "clients"])]
    from: Option<PathBuf>,
    /// A sentence about the conditions of the run, which is written below the table.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// The directory for cluster.md and cluster.json [default: that of the recorded figures, and
    /// target/load/cluster with `--short`].
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Options {
    fn out(&self) -> &Path {
        let default = if self.short { SHORT } else { DIRECTORY };
        self.out.as_deref().unwrap_or_else(|| Path::new(default))
    }
}

/// The results of a run, as they are written to JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Results {
    /// The clients of each node.
    clients: usize,
    report: Report,
}

/// Measures, prints the table of the figures, and writes the table and the results.
///
/// # Errors
/// The build has no nodes, or a contestant that is installed failed.
pub(crate) fn cluster(options: &Options) -> Result<()> {
    if let Some(file) = &options.from {
        let text = fs::read(file).with_context(|| file.display().to_string())?;
        let results = serde_json::from_slice(&text).with_context(|| file.display().to_string())?;
        return write(&results, options.note.as_deref(), options.out());
    }
    ensure!(cfg!(feature = "cluster"), NOT_BUILT);
    if let Some(why) = broker::missing() {
        say(&format!("skipped: {why}"));
        return Ok(());
    }
    let (rounds, seconds, clients) = match options.short {
        true => (1, 0.1, 20),
        false => (options.rounds as usize, options.seconds, options.clients as usize),
    };
    let lasts = Duration::try_from_secs_f64(seconds).context("no time to measure in")?;
    let sheet = Plan { rounds, lasts, clients, short: options.short }.run();
    let failures = sheet.failures;
    let (machine, date) = (machine::describe(), machine::today());
    let report = Report { machine, date, rounds, series: sheet.series, missing: sheet.missing };
    let results = Results { clients, report };
    write(&results, options.note.as_deref(), options.out())?;
    ensure!(failures.is_empty(), "not everything was measured:\n{}", failures.join("\n"));
    Ok(())
}

fn write(results: &Results, note: Option<&str>, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    // The results come first: a run takes minutes, and the table can be written again.
    write("cluster.json", &(serde_json::to_string_pretty(results)? + "\n"))?;
    let table = table::render(&results.report, results.clients, note);
    write("cluster.md", &table)?;
    say(&table);
    Ok(())
}

#[allow(clippy::print_stdout, reason = "the table is the output of the command")]
fn say(text: &str) {
    println!("{}", text.trim_end());
}
