//! `veltix-load headline`: the few figures that a first reader sees, beside the limit and named
//! alternatives, as a table and one plot.

mod figures;
mod plot;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use self::figures::{FIGURES, PEERS};
use crate::args::seconds;
use crate::plan::Plan;
use crate::report;
use crate::results::Report;

/// The directory of the recorded figures.
const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/performance");

#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// The number of rounds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each measurement, after a warm-up of a tenth of it.
    #[arg(long, default_value_t = 1.2, value_parser = seconds)]
    seconds: f64,
    /// Write the table and the plot of an earlier `headline.json` again, without measuring.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rounds", "seconds"])]
    from: Option<PathBuf>,
    /// A sentence about the conditions of the run, which is written below the table.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// The directory for headline.md, headline.svg and headline.json.
    #[arg(long, default_value = DIRECTORY)]
    out: PathBuf,
}

/// Measures the figures, prints their table, and writes the table, the plot and the results.
#[allow(clippy::print_stdout, reason = "the table is the output of the command")]
pub(crate) fn headline(options: &Options) -> Result<()> {
    let report = match &options.from {
        Some(file) => report::read(std::slice::from_ref(file))?,
        None => {
            let owned = |name: &str| name.to_owned();
            let workloads = FIGURES.map(|figure| owned(figure.workload));
            let peers = PEERS.map(|(peer, _)| owned(peer));
            Plan::new(&workloads, &peers, options.rounds as usize, options.seconds)?.run()
        }
    };
    write(&report, options.note.as_deref(), &options.out)?;
    print!("{}", table::render(&report, options.note.as_deref()));
    Ok(())
}

fn write(report: &Report, note: Option<&str>, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    // The results come first: a run takes minutes, and the rest can be written again.
    write("headline.json", &(serde_json::to_string_pretty(report)? + "\n"))?;
    write("headline.md", &table::render(report, note))?;
    plot::draw(report, &dir.join("headline.svg"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::PeerSpec;
    use crate::workload::Workload;

    #[test]
    fn every_figure_and_every_peer_can_be_measured() {
        for figure in FIGURES {
            let workload = Workload::find(figure.workload).expect(figure.workload);
            for peer in ["limit", "veltix", "delimited", "tungstenite", "python"] {
                let peer = PeerSpec::find(peer).expect(peer);
                assert!(peer.can(workload.kind), "{} in {}", peer.name, workload.id);
            }
        }
        for (peer, _) in PEERS {
            let peer = PeerSpec::find(peer).expect(peer);
            let mut workloads = FIGURES.iter().filter_map(|figure| Workload::find(figure.workload));
            assert!(workloads.any(|workload| peer.can(workload.kind)), "{} in none", peer.name);
        }
    }
}
