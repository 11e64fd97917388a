//! One workload on a server that runs already: for a profiler, or for a server of one's own.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::generator::{self, Target};
use crate::peers::PeerSpec;
use crate::verify::verify;
use crate::workload::Workload;

#[derive(Clone, Debug, Args)]
pub(crate) struct Drive {
    /// The workload's id, such as `W3`.
    workload: String,
    /// Where the server listens.
    addr: SocketAddr,
    /// The peer whose wire the server speaks.
    #[arg(long, default_value = "veltix")]
    wire: String,
    /// How long to measure.
    #[arg(long, default_value_t = 1.2, value_parser = crate::args::seconds)]
    seconds: f64,
}

#[allow(clippy::print_stdout, reason = "its output is what it is for")]
pub(crate) fn drive(options: &Drive) -> Result<()> {
    let workload = Workload::find(&options.workload).context("there is no such workload")?;
    let peer = PeerSpec::find(&options.wire).context("there is no such peer")?;
    let wire = (peer.wire)();
    let target = Target { addr: options.addr, wire: &*wire, process: None };
    verify(target, &[workload.kind])?;
    let lasts = Duration::from_secs_f64(options.seconds);
    let measured = generator::measure(workload, target, lasts)?;
    let note = measured.note.map(|note| format!(" ({note})")).unwrap_or_default();
    println!("{} {:.1} {}{note}", workload.id, measured.value, workload.unit);
    Ok(())
}
