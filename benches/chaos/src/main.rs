//! Deliberate faults: a server of Veltix in a separate process, under broken networks and hostile
//! peers, with checks that it loses, leaks and delays nothing that it must not.
//!
//! `cargo run --release -p veltix-chaos -- --list` lists the scenarios.

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

#[allow(clippy::print_stderr, reason = "the user reads it")]
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
