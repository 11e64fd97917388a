//! Clients of their own: what an application can ask through one, as a process.

mod measure;
mod tarpc;
mod veltix;

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

/// What a client does.
#[derive(Clone, Debug, Args)]
pub(crate) struct Load {
    /// Where the server listens.
    #[arg(long)]
    pub(crate) addr: SocketAddr,
    /// Connections, each a client.
    #[arg(long, default_value_t = 1)]
    pub(crate) connections: usize,
    /// Tasks on each connection, each with one request at a time.
    #[arg(long, default_value_t = 1)]
    pub(crate) tasks: usize,
    /// How long to measure, after a warm-up of a tenth of it.
    #[arg(long, default_value_t = 1.2, value_parser = crate::args::seconds)]
    pub(crate) seconds: f64,
}

/// What a client prints, as one line of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rate {
    /// Requests that were answered a second.
    pub(crate) rate: f64,
    /// The median time from request to answer, in microseconds.
    pub(crate) p50_us: f64,
}

/// Runs the client of this name and prints what it did, or says that there is none.
pub(crate) fn run(name: &str, load: Load) -> Option<anyhow::Result<()>> {
    match name {
        "tarpc" => Some(tarpc::run(load).and_then(print)),
        "veltix" => Some(veltix::run(load).and_then(print)),
        _ => None,
    }
}

#[allow(clippy::print_stdout, reason = "whoever started the process reads it")]
fn print(rate: Rate) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(&rate)?);
    Ok(())
}

impl Load {
    fn warm_up(&self) -> Duration {
        self.lasts() / 10
    }

    fn lasts(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}
