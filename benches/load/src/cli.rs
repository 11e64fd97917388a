//! The command line.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, Parser, Subcommand};

use crate::args::{one_of, seconds};
use crate::drive::{Drive, drive};
use crate::generator::Target;
use crate::growth::Growth;
use crate::peers::{OWN, PEERS, PeerSpec};
use crate::plan::Plan;
use crate::process::ServerProcess;
use crate::workload::{WORKLOADS, Workload};
use crate::{budgets, client, growth, path, path_files, process, report, server, smoke, verify};

/// Measures Veltix beside the limit of the machine and beside other servers.
///
/// Without a command it does what `run` does. Only ratios of one run mean anything.
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
    /// Measure peers in turn and in alternating order, and write a report (the default).
    Run(Run),
    /// Measure for about a minute, and fail when Veltix is far below its targets.
    Smoke {
        /// How long each measurement lasts.
        #[arg(long, default_value_t = 1.2, value_parser = seconds)]
        seconds: f64,
    },
    /// Measure how memory, broadcasts and tags grow with the number of peers (about a minute).
    Growth(Growth),
    /// Count the instructions of a message on its way through a server, and fail when they are
    /// more than 10 % above their budget (about ten seconds; needs valgrind).
    ///
    /// Counts are those of the profile `measure`: `cargo run --profile measure -p veltix-load --
    /// budgets`. Those of one program differ by about 1 % from run to run, since the keys of hash
    /// maps and the places of blocks of memory do, and seldom by 3 %; `--rounds` shows it.
    ///
    /// It ends with 1 when a case is over its budget, with 2 when nothing could be counted.
    Budgets(budgets::Options),
    /// List the source files of the library that one message of a case passes through: those with
    /// executed lines for each message, inlined functions included (needs valgrind).
    ///
    /// It must be the profile `measure`, or another optimised one with line tables.
    PathFiles(path_files::Options),
    /// Have servers show that they do what is measured. One that is not there is named.
    Verify {
        /// The peers, by their names; all of them by default.
        peers: Vec<String>,
    },
    /// Put one workload on a server that runs already, as under a profiler.
    Drive(Drive),
    /// Write the report of earlier results again.
    Report {
        /// The `results.json` of a run; several become one report.
        #[arg(required = true)]
        results: Vec<PathBuf>,
        /// Where the report goes.
        #[arg(long, default_value = "target/load")]
        out: PathBuf,
    },
    /// Run one server: print its address, then serve until killed.
    Serve {
        /// The peer.
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// Run one client and print the rate of its requests as JSON.
    Client {
        /// The peer.
        name: String,
        #[command(flatten)]
        load: client::Load,
        #[command(flatten)]
        place: Place,
    },
    /// Become another program.
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
        /// Which messages and handlers.
        case: String,
        /// How many messages.
        messages: usize,
    },
}

#[derive(Debug, Args)]
struct Run {
    /// The workloads, separated by commas; all of them by default.
    #[arg(long, value_delimiter = ',', value_parser = workloads())]
    only: Vec<String>,
    /// The peers, separated by commas; all of them by default.
    #[arg(long, value_delimiter = ',', value_parser = one_of(peers()))]
    peers: Vec<String>,
    /// How often each measurement is repeated.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How long each measurement lasts, in seconds, after a warm-up of a tenth of it.
    #[arg(long, default_value_t = 1.2, value_parser = seconds)]
    seconds: f64,
    /// One short round, which shows that everything works: its figures say little.
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// Where the report goes.
    #[arg(long, default_value = "target/load")]
    out: PathBuf,
}

fn workloads() -> PossibleValuesParser {
    let known = |workload: &Workload| {
        PossibleValue::new(workload.id).help(report::workloads::describe(workload.id))
    };
    PossibleValuesParser::new(WORKLOADS.iter().map(known))
}

/// The servers, and the clients that do not bear the name of one.
fn peers() -> impl Iterator<Item = &'static str> {
    let clients = OWN.iter().map(|own| own.name).filter(|name| PeerSpec::find(name).is_none());
    PEERS.iter().map(|peer| peer.name).chain(clients)
}

/// Where a process runs, and how long.
#[derive(Clone, Copy, Debug, Args)]
struct Place {
    /// Run on this processor alone.
    #[arg(long)]
    cpu: Option<usize>,
    /// End when the process that started this one does.
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
            Command::Verify { peers } => verify_peers(&peers),
            Command::Drive(options) => drive(&options),
            Command::Report { results, out } => report::render(&report::read(&results)?, &out),
            Command::Serve { name, place } => {
                place.take()?;
                server::serve(&name).with_context(|| format!("there is no server {name}"))
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

/// Says of each peer whether it is verified; an error if one does not do the work.
#[allow(clippy::print_stdout, reason = "its output is what it is for")]
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
    ensure!(failed.is_empty(), "of these nothing can be measured: {}", failed.join(", "));
    Ok(())
}

impl Run {
    #[allow(clippy::print_stdout, reason = "whoever gave the command reads it")]
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
