//! The command line.

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::{path, process, server};

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
    /// Become another program, on one processor alone if one is given, which ends when the process
    /// that started this one does.
    #[command(hide = true)]
    Exec {
        #[arg(long)]
        cpu: Option<usize>,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<String>,
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
            Command::Exec { cpu, command } => {
                process::end_with_parent()?;
                if let Some(cpu) = cpu {
                    process::pin(cpu)?;
                }
                return Err(process::become_program(&command));
            }
            Command::Path { case, messages } => path::run(&case, messages),
        }
        Ok(())
    }
}
