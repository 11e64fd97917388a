//! Servers beside each other under one load generator, each in a process of its own.
//!
//! `cargo run --release -p veltix-load -- --help` lists the commands. Only ratios inside one run of
//! one build carry over. All servers on Tokio are in this program, so any profile builds them
//! alike.

mod args;
mod budgets;
mod callgrind;
mod cli;
mod client;
mod cluster;
mod cost;
mod drive;
mod entrant;
mod generator;
mod growth;
mod headline;
mod names;
mod node_packages;
mod path;
mod path_files;
mod peers;
mod plan;
mod process;
mod program;
mod python;
mod report;
mod results;
mod server;
mod smoke;
mod socket;
mod tally;
mod through;
mod tls;
mod turns;
mod verify;
mod wire;
mod workload;

use std::process::ExitCode;

use clap::Parser;

#[allow(clippy::print_stderr, reason = "the user reads it")]
fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            // A failed measurement is not the same as a bad result.
            if error.is::<callgrind::Uncounted>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}
