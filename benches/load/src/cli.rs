//! The command line.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, Parser, Subcommand};

use crate::args::{one_of, seconds};
use crate::drive::{Drive, drive};
use crate::generator::Target;
use crate::growth::Growth;
use crate::names::help;
use crate::peers::{OWN, PEERS, PeerSpec};
use crate::plan::Plan;
use crate::process::ServerProcess;
use crate::workload::{WORKLOADS, Workload};
use crate::{
    budgets, client, cluster, growth, headline, path, path_files, process, report, server, smoke,
    verify,
};

/// Measures Veltix beside the limit of the machine and beside other servers.
///
/// Without a command, this is `run`. Only ratios inside one run carry over to another machine or
/// hour.
#[derive(Debug, Parser)]
#[command(name = "veltix-load", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure peers in turns and in alternating order, and write a report (the default).
    Run(Run),
    /// Measure for about a minute, and fail if Veltix is far below its targets.
    Smoke {
        /// Seconds of each measurement.
        #[arg(long, default_value_t = 1.2, value_parser = seconds)]
        seconds: f64,
    },
    /// Measure how memory, broadcasts and tags grow with the number of peers (about a minute).
    Growth(Growth),
    /// Count the instructions of a message on its path through a server, and fail if they are more
    /// than 10 % above their budget (about ten seconds; needs valgrind).
    ///
    /// The counts are those of the profile `measure`: `cargo run --profile measure -p veltix-load
    /// -- budgets`. The counts of one program differ by about 1 % from run to run, and seldom by 3
    /// %, since the keys of hash maps and the addresses of memory blocks differ. `--rounds` shows
    /// the range.
    ///
    /// The exit status is 1 if a case is over its budget, and 2 if nothing could be counted.
    Budgets(budgets::Options),
    /// List the source files of the library that one message of a case passes through: the files
    /// with executed lines for each message, inlined functions included (needs valgrind).
    ///
    /// The build must have the profile `measure`, or another optimised one with line tables.
    PathFiles(path_files::Options),
    /// Measure the figures that the README shows, and write their table and plot (some minutes).
    Headline(headline::Options),
    /// Measure a cluster of two and of three nodes beside one server, a hand-written relay and Socket.IO,
    /// and write the table of its figures (about twenty minutes).
    ///
    /// The build must have the feature `cluster`: `cargo run --profile measure -p veltix-load --features
    /// cluster -- cluster`. It needs nats-server, and for Socket.IO node, npm and redis-server. A peer
    /// whose programs are not installed is named.
    Cluster(cluster::Options),
    /// Check that servers do the work that is measured. A server that is not installed is named.
    Verify {
        /// The names of the peers; all of them by default.
        peers: Vec<String>,
    },
    /// Run one workload on a running server, for example under a profiler.
    Drive(Drive),
    /// Write the report of earlier results again.
    Report {
        /// The files `results.json` of one or several runs, which become one report.
        #[arg(required = true)]
        results: Vec<PathBuf>,
        /// The directory for the report.
        #[arg(long, default_value = "target/load")]
        out: PathBuf,
    },
    /// Run one server: print its address, then serve until killed.
    Serve {
        /// The name of the peer.
        name: String,
        /// The URL of the broker that a node of a cluster joins.
        #[arg(long, hide = true)]
        broker: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Run one client and print the rate of its requests as JSON.
    Client {
        /// The name of the peer.
        name: String,
        #[command(flatten)]
        load: client::Load,
        #[command(flatten)]
        place: Place,
    },
    /// Replace this process by another program.
    #[command(hide = true)]
    Exec {
        #[command(flatten)]
        place: Place,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Send messages through a server in memory, for counting instructions (see `budgets`).
    Path {
        /// The case: the messages and their handlers.
        case: String,
        /// The number of messages.
        messages: usize,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// The codes of the workloads, separated by commas; all of them by default.
    #[arg(long, value_delimiter = ',', value_parser = workloads())]
    only: Vec<String>,
    /// The names of the peers, separated by commas; all of them by default.
    #[arg(long, value_delimiter = ',', value_parser = one_of(peers()))]
    peers: Vec<String>,
    /// The number of rounds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each measurement, after a warm-up of a tenth of it.
    #[arg(long, default_value_t = 1.2, value_parser = seconds)]
    seconds: f64,
    /// One short round to check that everything works. Its figures mean little.
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// The directory for the report.
    #[arg(long, default_value = "target/load")]
    out: PathBuf,
}

fn workloads() -> PossibleValuesParser {
    let known = |workload: &Workload| PossibleValue::new(workload.id).help(help(workload.id));
    PossibleValuesParser::new(WORKLOADS.iter().map(known))
}

/// Returns the names of the servers, and of the clients without a server of the same name.
fn peers() -> impl Iterator<Item = &'static str> {
    let clients = OWN.iter().map(|own| own.name).filter(|name| PeerSpec::find(name).is_none());
    PEERS.iter().map(|peer| peer.name).chain(clients)
}

/// The processor and the life time of a process.
#[derive(Clone, Copy, Debug, Args)]
struct Place {
    /// Run on this processor alone.
    #[arg(long)]
    cpu: Option<usize>,
    /// End together with the parent process.
    #[arg(long, hide = true)]
    with_parent: bool,
}

impl Cli {
    pub(crate) fn run(self) -> Result<()> {
        veltix_stage::process::raise_file_limit()?;
        match self.command.unwrap_or(Command::Run(self.run)) {
            Command::Run(run) => run.run(),
            Command::Smoke { seconds } => smoke::smoke(seconds),
            Command::Growth(options) => growth::growth(&options),
            Command::Budgets(options) => budgets::budgets(&options),
            Command::PathFiles(options) => path_files::path_files(&options),
            Command::Headline(options) => headline::headline(&options),
            Command::Cluster(options) => cluster::cluster(&options),
            Command::Verify { peers } => verify_peers(&peers),
            Command::Drive(options) => drive(&options),
            Command::Report { results, out } => report::render(&report::read(&results)?, &out),
            Command::Serve { name, broker, place } => {
                place.take()?;
                server::serve(&name, broker.as_deref())
                    .with_context(|| format!("there is no server {name}"))
            }
            Command::Client { name, load, place } => {
                place.take()?;
                client::run(&name, load).with_context(|| format!("there is no client {name}"))?
            }
            Command::Path { case, messages } => path::run(&case, messages),
            Command::Exec { place, command } => {
                place.take()?;
                Err(process::become_program(&command))
            }
        }
    }
}

/// Verifies each peer and prints the verdict. Returns an error if one does not do the work.
#[allow(clippy::print_stdout, reason = "the verdicts are the output of the command")]
fn verify_peers(peers: &[String]) -> Result<()> {
    let mut failed = Vec::new();
    for name in peers {
        PeerSpec::find(name).with_context(|| format!("there is no peer {name}"))?;
    }
    let wanted = |peer: &&PeerSpec| peers.is_empty() || peers.iter().any(|name| name == peer.name);
    for peer in PEERS.iter().filter(wanted) {
        match ServerProcess::start(peer, None) {
            Err(missing) => println!("{} is missing: {}", peer.name, missing.why),
            Ok(process) => {
                let wire = (peer.wire)();
                let target = Target { addr: process.addr(), wire: &*wire, process: Some(&process) };
                match verify::verify(target, peer.can) {
                    Ok(()) => println!("{} is verified", peer.name),
                    Err(error) => {
                        println!("{} does not do the work: {error:#}", peer.name);
                        failed.push(peer.name);
                    }
                }
            }
        }
    }
    ensure!(failed.is_empty(), "these servers cannot be measured: {}", failed.join(", "));
    Ok(())
}

impl Run {
    #[allow(clippy::print_stdout, reason = "the user reads it")]
    fn run(&self) -> Result<()> {
        let (rounds, seconds) =
            if self.quick { (1, 0.2) } else { (self.rounds as usize, self.seconds) };
        let plan = Plan::new(&self.only, &self.peers, rounds, seconds)?;
        report::write(&plan.run(), &self.out)?;
        println!("{}", self.out.join("report.md").display());
        Ok(())
    }
}

impl Place {
    fn take(self) -> Result<()> {
        if self.with_parent {
            veltix_stage::process::end_with_parent()?;
        }
        self.cpu.map_or(Ok(()), process::pin)
    }
}
