//! One workload on a running server, for example under a profiler.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::generator::{self, Target};
use crate::names::label;
use crate::peers::PeerSpec;
use crate::verify::verify;
use crate::workload::Workload;

#[derive(Clone, Debug, Args)]
pub(crate) struct Drive {
    /// The code of the workload, for example `W3`.
    workload: String,
    /// The address of the server.
    addr: SocketAddr,
    /// The peer whose wire the server speaks.
    #[arg(long, default_value = "veltix")]
    wire: String,
    /// Seconds of the measurement.
    #[arg(long, default_value_t = 1.2, value_parser = crate::args::seconds)]
    seconds: f64,
}

#[allow(clippy::print_stdout, reason = "the result is the output of the command")]
pub(crate) fn drive(options: &Drive) -> Result<()> {
    let workload = Workload::find(&options.workload)
        .context("there is no such workload: `run --help` lists the codes")?;
    let peer = PeerSpec::find(&options.wire)
        .context("there is no such peer: `run --help` lists the names")?;
    let wire = (peer.wire)();
    let target = Target { addr: options.addr, wire: &*wire, process: None };
    verify(target, &[workload.kind])?;
    let lasts = Duration::from_secs_f64(options.seconds);
    let measured = generator::measure(workload, target, lasts)?;
    let note = measured.note.map(|note| format!(" ({note})")).unwrap_or_default();
    println!("{}: {:.1} {}{note}", label(workload.id), measured.value, workload.unit);
    Ok(())
}
