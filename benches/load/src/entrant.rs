//! The entrants of a workload, and how each is measured.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::client::Rate;
use crate::generator::{self, Joining, Measured, Target};
use crate::peers::{OWN, OwnClient, OwnSpec, PEERS, PeerSpec};
use crate::process::{self, ServerProcess};
use crate::python;
use crate::results::Missing;
use crate::verify::verify;
use crate::wire::Wire;
use crate::workload::{Workload, WorkloadKind};

/// The time that a client may take beyond the time of its measurement.
const CLIENT: Duration = Duration::from_secs(30);

/// An entrant of a workload.
#[derive(Clone, Copy)]
pub(crate) enum Entrant {
    Server(&'static PeerSpec),
    Own(&'static OwnSpec),
}

impl Entrant {
    /// Returns all entrants of this kind of workload.
    pub(crate) fn of(kind: WorkloadKind) -> Vec<Self> {
        match kind {
            WorkloadKind::OwnRoundTrip | WorkloadKind::OwnEcho => {
                OWN.iter().map(Self::Own).collect()
            }
            _ => PEERS.iter().filter(|peer| peer.can(kind)).map(Self::Server).collect(),
        }
    }

    /// Returns the name in results.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Server(peer) => peer.name,
            Self::Own(own) => own.name,
        }
    }

    /// Returns the name of the server that the entrant needs.
    pub(crate) const fn server(&self) -> &'static str {
        match self {
            Self::Server(peer) => peer.name,
            Self::Own(own) => own.server,
        }
    }

    /// Checks that the server does the work. Returns the time that a connection takes.
    pub(crate) fn verify(&self) -> Result<Joining, Missing> {
        let missing = |why| Missing { peer: self.server().to_owned(), workload: None, why };
        let peer = self.peer().map_err(|error| missing(error.to_string()))?;
        let process = ServerProcess::start(peer, None)?;
        let wire = (peer.wire)();
        let target = target(&process, &*wire);
        verify(target, peer.can)
            .and_then(|()| Ok(Joining::of(target, peer.can)?))
            .map_err(|error| missing(format!("it does not do the work: {error:#}")))
    }

    fn peer(&self) -> Result<&'static PeerSpec> {
        PeerSpec::find(self.server()).context("there is no such server")
    }

    /// Measures once, on a server that is started for this measurement.
    pub(crate) fn measure(&self, workload: &Workload, lasts: Duration) -> Result<Measured> {
        let peer = self.peer()?;
        let one_cpu = match workload.kind {
            WorkloadKind::RoundTrip { .. } | WorkloadKind::OwnRoundTrip => Some(0),
            _ => None,
        };
        let process = ServerProcess::start(peer, one_cpu)
            .map_err(|missing| anyhow!("it could not be started: {}", missing.why))?;
        match self {
            Self::Server(_) => {
                let wire = (peer.wire)();
                generator::measure(workload, target(&process, &*wire), lasts)
            }
            Self::Own(own) => own.measure(workload, &process, lasts),
        }
    }
}

impl OwnSpec {
    fn measure(
        &self,
        workload: &Workload,
        server: &ServerProcess,
        lasts: Duration,
    ) -> Result<Measured> {
        let (tasks, one_cpu) = match workload.kind {
            WorkloadKind::OwnRoundTrip => (1, true),
            _ => (32, false),
        };
        let mut command = match self.client {
            OwnClient::Own(name) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["client", name, "--with-parent"]);
                if one_cpu {
                    command.args(["--cpu", "0"]);
                }
                command
            }
            OwnClient::Python => process::other(&python::client()?, one_cpu.then_some(0))?,
        };
        command.arg("--addr").arg(server.addr().to_string());
        command.arg("--connections").arg(workload.peers.to_string());
        command.arg("--tasks").arg(tasks.to_string());
        command.arg("--seconds").arg(lasts.as_secs_f64().to_string());
        let (_running, line) = process::first_line(command, lasts * 2 + CLIENT)?;
        let rate: Rate = serde_json::from_str(&line).context("the client failed")?;
        Ok(if one_cpu { rate.p50_us } else { rate.rate }.into())
    }
}

/// Returns a server that this program has started, as a target of the generator.
pub(crate) fn target<'a>(process: &'a ServerProcess, wire: &'a dyn Wire) -> Target<'a> {
    Target { addr: process.addr(), wire, process: Some(process) }
}
