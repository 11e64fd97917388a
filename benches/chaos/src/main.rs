//! Faults on purpose: a server of Veltix in a process of its own, under broken networks and hostile
//! peers, and checks of what it may not lose, leak or delay.
//!
//! `cargo run --release -p veltix-chaos -- --list` says which scenarios there are.

mod accounts;
mod check;
mod cli;
mod client;
mod honest;
mod namespace;
mod order;
mod peer;
mod probe;
mod proxy;
mod report;
mod run;
mod scenario;
mod scenarios;
mod server;
mod stage;
#[cfg(feature = "tls")]
mod tls;
mod wire;

use std::process::ExitCode;

use clap::Parser;

#[allow(clippy::print_stderr, reason = "whoever gave the command reads it")]
fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
