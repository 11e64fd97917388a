//! Servers side by side under one load generator, each in a process of its own.
//!
//! `cargo run --release -p veltix-load -- --help` says what there is. Only ratios of one run mean
//! anything.

mod cli;
mod path;
mod peers;
mod process;
mod report;
mod results;
mod server;
mod wire;
mod workload;

use clap::Parser;

fn main() -> anyhow::Result<()> {
    cli::Cli::parse().run()
}
