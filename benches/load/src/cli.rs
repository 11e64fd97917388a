//! The command line.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::{path, process, report, server};

/// Measures Veltix beside the limit of the machine and beside other servers.
#[derive(Debug, Parser)]
#[command(name = "veltix-load", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one server: print its address, then serve until killed.
    Serve {
        /// The peer, as `--help` of `run` lists them.
        name: String,
        /// Run on this processor alone.
        #[arg(long)]
        cpu: Option<usize>,
        /// End when the process that started this one does.
        #[arg(long, hide = true)]
        with_parent: bool,
    },
    /// Write the report of a run: tables, targets and plots.
    Report {
        /// What `--json` of a run, of `growth` or of `budgets` wrote; several become one report.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Where `report.md` and the plots go.
        #[arg(long, default_value = "target/load")]
        out: PathBuf,
    },
    /// Send messages through a server in memory, for counting instructions (see
    /// `benches/instructions.sh`).
    Path {
        /// Which messages and handlers.
        case: String,
        /// How many messages.
        messages: usize,
    },
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        process::raise_file_limit()?;
        match self.command {
            Command::Serve { name, cpu, with_parent } => {
                if with_parent {
                    process::end_with_parent()?;
                }
                if let Some(cpu) = cpu {
                    process::pin(cpu)?;
                }
                server::serve(&name).with_context(|| format!("no server is called {name}"))?;
            }
            Command::Report { files, out } => report::write(&report::read(&files)?, &out)?,
            Command::Path { case, messages } => path::run(&case, messages),
        }
        Ok(())
    }
}
