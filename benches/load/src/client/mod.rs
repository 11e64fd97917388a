//! The clients of Veltix and of other libraries, each as a process: the requests that an
//! application can make through one.

mod measure;
mod tarpc;
mod veltix;

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

/// The work of a client.
#[derive(Clone, Debug, Args)]
pub(crate) struct Load {
    /// The address of the server.
    #[arg(long)]
    pub(crate) addr: SocketAddr,
    /// The number of connections. Each is a client.
    #[arg(long, default_value_t = 1)]
    pub(crate) connections: usize,
    /// The number of tasks on each connection, each with one request at a time.
    #[arg(long, default_value_t = 1)]
    pub(crate) tasks: usize,
    /// Seconds of the measurement, after a warm-up of a tenth of it.
    #[arg(long, default_value_t = 1.2, value_parser = crate::args::seconds)]
    pub(crate) seconds: f64,
}

/// The output of a client, as one line of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rate {
    /// Answered requests per second.
    pub(crate) rate: f64,
    /// The median time from a request to its answer, in microseconds.
    pub(crate) p50_us: f64,
}

/// Runs the client of this name and prints its results. Returns `None` if there is none.
pub(crate) fn run(name: &str, load: Load) -> Option<anyhow::Result<()>> {
    match name {
        "tarpc" => Some(tarpc::run(load).and_then(print)),
        "veltix" => Some(veltix::run(load).and_then(print)),
        _ => None,
    }
}

#[allow(clippy::print_stdout, reason = "the parent process reads it")]
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
