//! Servers side by side under one load generator, each in a process of its own.
//!
//! `cargo run --release -p veltix-load -- --help` says what there is. Only ratios of one run
//! mean anything, and only of one build: all servers on Tokio are in this program, so whatever the
//! profile is, they are built alike.

mod args;
mod budgets;
mod callgrind;
mod cli;
mod client;
mod cost;
mod drive;
mod entrant;
mod generator;
mod growth;
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

#[allow(clippy::print_stderr, reason = "whoever gave the command reads it")]
fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            // What could not be looked at is not the same as what was found wanting.
            if error.is::<callgrind::Uncounted>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}
