//! The command line.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Parser, Subcommand};

use crate::report;
use crate::run::run;
use crate::scenario::{SCENARIOS, Scenario};
use crate::server::{Setup, serve};
use crate::stage::Mode;

/// Runs scenarios of faults and attacks against servers of Veltix, over real sockets and in
/// separate processes. Checks that all counters agree, that messages keep their order, and that
/// nothing leaks.
///
/// Some scenarios need a network of their own (root, iproute2, nftables) or libfaketime. If that is
/// missing, they are reported as skipped.
#[derive(Debug, Parser)]
#[command(name = "veltix-chaos", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// List the scenarios without running them.
    #[arg(long)]
    list: bool,
    /// The names of the scenarios, separated by commas; all of them by default.
    #[arg(long, value_delimiter = ',', value_parser = scenarios())]
    only: Vec<String>,
    /// The seed of all random faults. Without it, each run has another one. It is printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Minutes of the soak; 5 by default.
    #[arg(long, value_parser = minutes)]
    minutes: Option<f64>,
    /// Run with fewer peers and shorter times, about two minutes in all.
    #[arg(long)]
    short: bool,
    /// Also write the table into this file, as Markdown.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Make the servers count one frame too many. Every scenario must then fail.
    #[arg(long, hide = true)]
    lie: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run as a server under test: print its address, then answer the requests of the parent
    /// process until its input ends.
    #[command(hide = true)]
    Serve {
        /// The configuration of the server, as JSON.
        setup: String,
    },
}

fn scenarios() -> PossibleValuesParser {
    let named = |scenario: &Scenario| PossibleValue::new(scenario.name).help(scenario.about);
    PossibleValuesParser::new(SCENARIOS.iter().map(named))
}

/// Parses the length of the soak: more than zero and at most two hours.
fn minutes(text: &str) -> Result<f64> {
    let minutes: f64 = text.parse()?;
    ensure!(minutes > 0.0 && minutes <= 120.0, "more than 0 and at most 120");
    Ok(minutes)
}

impl Cli {
    /// Executes the command. Returns whether every check passed.
    #[allow(
        clippy::print_stdout,
        clippy::print_stderr,
        reason = "the table is the output of the command"
    )]
    pub(crate) fn run(self) -> Result<bool> {
        if let Some(Command::Serve { setup }) = self.command {
            // This comes first, so that no process outlives its parent.
            veltix_stage::process::end_with_parent()?;
            veltix_stage::process::raise_file_limit()?;
            let setup: Setup = serde_json::from_str(&setup)
                .context("the argument is no configuration of a server")?;
            return serve(&setup).map(|()| true);
        }
        if self.list {
            for Scenario { name, about, .. } in SCENARIOS {
                println!("{name:<26} {about}");
            }
            return Ok(true);
        }
        veltix_stage::process::raise_file_limit()?;
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        let mode = Mode { seed, short: self.short, minutes: self.minutes, lies: self.lie };
        let is_wanted = |scenario: &&Scenario| {
            self.only.is_empty() || self.only.iter().any(|name| name == scenario.name)
        };
        let wanted: Vec<_> = SCENARIOS.iter().filter(is_wanted).collect();
        eprintln!("seed {seed}");
        let all = run(&wanted, mode);
        if let Some(out) = &self.out {
            let page = report::markdown(&all, mode);
            std::fs::write(out, page).with_context(|| out.display().to_string())?;
        }
        print!("{}\n{}", report::text(&all), report::summary(&all));
        Ok(all.iter().all(|played| played.holds()))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_there_is_not_is_named() {
        let cli = |arguments: &[&str]| {
            Cli::try_parse_from([&["veltix-chaos"], arguments].concat())
                .map_err(|it| it.to_string())
        };
        assert!(cli(&["--only", "resets,r48_soak", "--seed", "7", "--minutes", "30"]).is_ok());
        assert!(cli(&["--only", "r99"]).is_err_and(|error| error.contains("r99")));
        assert!(cli(&["--minutes", "0"]).is_err_and(|error| error.contains("more than 0")));
        assert!(cli(&["--seed", "x"]).is_err_and(|error| error.contains("--seed")));
    }
}
