//! What a run measures, and in which order.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};

use crate::client::Rate;
use crate::generator::{self, Measured, Target};
use crate::machine;
use crate::peers::{OWN, OwnClient, OwnSpec, PEERS, PeerSpec};
use crate::process::{self, ServerProcess};
use crate::python;
use crate::results::{Missing, Report, Series};
use crate::verify::verify;
use crate::workload::{WORKLOADS, Workload, WorkloadKind};

/// The percentiles of a latency that are kept.
const PERCENTILES: [f64; 3] = [50.0, 99.0, 99.9];

/// Rounds in which a measurement may fail before it is not tried again: each may cost its
/// time-outs.
const FAILURES: usize = 2;

/// How long a client may take beyond its time.
const CLIENT: Duration = Duration::from_secs(30);

/// A run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    workloads: Vec<&'static Workload>,
    /// Names; empty for all.
    peers: Vec<String>,
    rounds: usize,
    lasts: Duration,
}

/// Who takes part in a workload.
#[derive(Clone, Copy)]
enum Entrant {
    Server(&'static PeerSpec),
    Own(&'static OwnSpec),
}

impl Plan {
    /// A run of these workloads and peers, where none named means all of them, so many times over
    /// and each for so many seconds.
    ///
    /// # Errors
    /// There is no workload or peer of a name.
    pub(crate) fn new(
        workloads: &[String],
        peers: &[String],
        rounds: usize,
        seconds: f64,
    ) -> Result<Self> {
        for name in peers {
            let own = OWN.iter().any(|own| own.name == name);
            ensure!(own || PeerSpec::find(name).is_some(), "there is no peer {name}");
        }
        let mut found = Vec::new();
        for id in workloads {
            found.push(Workload::find(id).with_context(|| format!("there is no workload {id}"))?);
        }
        if found.is_empty() {
            found.extend(WORKLOADS);
        }
        let lasts = Duration::try_from_secs_f64(seconds).context("no time to measure in")?;
        Ok(Self { workloads: found, peers: peers.to_vec(), rounds, lasts })
    }

    /// Verifies the servers and measures everything.
    pub(crate) fn run(&self) -> Report {
        let mut missing = Vec::new();
        let excluded = self.verify(&mut missing);
        let entrants = |workload: &Workload| -> Vec<Entrant> {
            let all = entrants(workload.kind).into_iter();
            let wanted = all.filter(|entrant| self.wants(entrant.name()));
            wanted.filter(|entrant| !excluded.contains(&entrant.server())).collect()
        };
        let measurements: usize =
            self.workloads.iter().map(|workload| entrants(workload).len() * self.rounds).sum();
        let bar = progress_bar(measurements);
        let mut series = Vec::new();
        for workload in &self.workloads {
            for tally in self.measure(workload, &entrants(workload), &bar) {
                tally.finish(workload, &mut series, &mut missing);
            }
        }
        bar.finish_and_clear();
        let (machine, date) = (machine::describe(), machine::today());
        Report { machine, date, rounds: self.rounds, series, missing }
    }

    fn wants(&self, name: &str) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|wanted| wanted == name)
    }

    /// Has each server that is needed show that it works; gives the names of those that do not.
    fn verify(&self, missing: &mut Vec<Missing>) -> Vec<&'static str> {
        let needed = |peer: &PeerSpec| {
            let mut entrants = self.workloads.iter().flat_map(|workload| entrants(workload.kind));
            entrants.any(|entrant| entrant.server() == peer.name && self.wants(entrant.name()))
        };
        let mut excluded = Vec::new();
        for peer in PEERS.iter().filter(|peer| needed(peer)) {
            let verified = ServerProcess::start(peer, None).and_then(|process| {
                let wire = (peer.wire)();
                verify(target(&process, &*wire), peer.can).map_err(|error| Missing {
                    peer: peer.name.to_owned(),
                    workload: None,
                    why: format!("it does not do the work: {error:#}"),
                })
            });
            if let Err(why) = verified {
                missing.push(why);
                excluded.push(peer.name);
            }
        }
        excluded
    }

    /// All rounds of one workload. Who comes first alternates, so that what drifts meanwhile meets
    /// everybody alike.
    fn measure(&self, workload: &Workload, entrants: &[Entrant], bar: &ProgressBar) -> Vec<Tally> {
        let mut tallies: Vec<_> = entrants.iter().map(|entrant| Tally::new(*entrant)).collect();
        for round in 0..self.rounds {
            for number in order(round, entrants.len()) {
                let tally = &mut tallies[number];
                bar.set_message(format!("{} {}", workload.id, tally.entrant.name()));
                if tally.failures < FAILURES {
                    tally.add(tally.entrant.measure(workload, self.lasts));
                } else {
                    tally.samples.push(None);
                }
                bar.inc(1);
            }
        }
        tallies
    }
}

/// The order of so many entrants in this round.
fn order(round: usize, entrants: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..entrants).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// Everybody who takes part in this kind of workload.
fn entrants(kind: WorkloadKind) -> Vec<Entrant> {
    match kind {
        WorkloadKind::OwnRoundTrip | WorkloadKind::OwnEcho => {
            OWN.iter().map(Entrant::Own).collect()
        }
        _ => PEERS.iter().filter(|peer| peer.can(kind)).map(Entrant::Server).collect(),
    }
}

fn target<'a>(process: &'a ServerProcess, wire: &'a dyn crate::wire::Wire) -> Target<'a> {
    Target { addr: process.addr(), wire, process: Some(process) }
}

fn progress_bar(measurements: usize) -> ProgressBar {
    let style = "{elapsed_precise} {bar:30} {pos}/{len} {wide_msg} {eta} left";
    let style =
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(measurements as u64).with_style(style)
}

impl Entrant {
    const fn name(&self) -> &'static str {
        match self {
            Self::Server(peer) => peer.name,
            Self::Own(own) => own.name,
        }
    }

    /// The name of the server that it needs.
    const fn server(&self) -> &'static str {
        match self {
            Self::Server(peer) => peer.name,
            Self::Own(own) => own.server,
        }
    }

    /// One measurement, on a server that is started for it.
    fn measure(&self, workload: &Workload, lasts: Duration) -> Result<Measured> {
        let peer = PeerSpec::find(self.server()).context("there is no such server")?;
        let one_cpu = match workload.kind {
            WorkloadKind::RoundTrip { .. } | WorkloadKind::OwnRoundTrip => Some(0),
            _ => None,
        };
        let process = ServerProcess::start(peer, one_cpu)
            .map_err(|missing| anyhow::anyhow!("it could not be started: {}", missing.why))?;
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

/// What one entrant did in one workload until now.
struct Tally {
    entrant: Entrant,
    samples: Vec<Option<f64>>,
    latencies: Option<Histogram<u64>>,
    notes: Vec<String>,
    failures: usize,
}

impl Tally {
    const fn new(entrant: Entrant) -> Self {
        Self { entrant, samples: Vec::new(), latencies: None, notes: Vec::new(), failures: 0 }
    }

    fn add(&mut self, measured: Result<Measured>) {
        let note = match measured {
            Ok(Measured { value, latencies, note }) => {
                self.samples.push(Some(value));
                self.latencies = match (self.latencies.take(), latencies) {
                    (Some(all), Some(more)) => Some(all + more),
                    (before, new) => before.or(new),
                };
                note
            }
            Err(error) => {
                self.failures += 1;
                self.samples.push(None);
                Some(format!("round {}: {error:#}", self.samples.len()))
            }
        };
        self.notes.extend(note.filter(|note| !self.notes.contains(note)));
    }

    fn finish(self, workload: &Workload, series: &mut Vec<Series>, missing: &mut Vec<Missing>) {
        let peer = self.entrant.name().to_owned();
        let note = (!self.notes.is_empty()).then(|| self.notes.join("; "));
        if self.samples.iter().all(Option::is_none) {
            let workload = Some(workload.id.to_owned());
            let why = note.unwrap_or_else(|| "there was no round".to_owned());
            missing.push(Missing { peer, workload, why });
            return;
        }
        let percentile = |latencies: &Histogram<u64>, percentile: f64| {
            (percentile, latencies.value_at_percentile(percentile) as f64 / 1e3)
        };
        let percentiles = self.latencies.map_or_else(Vec::new, |latencies| {
            PERCENTILES.iter().map(|&at| percentile(&latencies, at)).collect()
        });
        series.push(Series {
            workload: workload.id.to_owned(),
            peer,
            unit: workload.unit.to_owned(),
            better: workload.better,
            x: workload.x(),
            samples: self.samples,
            percentiles,
            note,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_reversed_each_round() {
        assert_eq!(order(0, 3), [0, 1, 2]);
        assert_eq!(order(1, 3), [2, 1, 0]);
        assert_eq!(order(2, 3), [0, 1, 2]);
    }

    #[test]
    fn a_failed_round_keeps_its_place() {
        let mut tally = Tally::new(Entrant::Server(&PEERS[0]));
        tally.add(Ok(1.0.into()));
        tally.add(Err(anyhow::anyhow!("no answer")));
        tally.add(Ok(3.0.into()));
        let (mut series, mut missing) = (Vec::new(), Vec::new());
        tally.finish(&WORKLOADS[0], &mut series, &mut missing);
        assert_eq!(series[0].samples, [Some(1.0), None, Some(3.0)]);
        assert_eq!(series[0].note.as_deref(), Some("round 2: no answer"));
        assert!(missing.is_empty());
    }

    #[test]
    fn whoever_never_succeeds_is_missing() {
        let mut tally = Tally::new(Entrant::Server(&PEERS[0]));
        tally.add(Err(anyhow::anyhow!("no answer")));
        let (mut series, mut missing) = (Vec::new(), Vec::new());
        tally.finish(&WORKLOADS[0], &mut series, &mut missing);
        assert!(series.is_empty());
        assert_eq!(missing[0].why, "round 1: no answer");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let names =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(Plan::new(&names(&["W3"]), &names(&["limit"]), 1, 0.1).is_ok());
        assert!(Plan::new(&names(&["W99"]), &[], 1, 0.1).is_err());
        assert!(Plan::new(&[], &names(&["nobody"]), 1, 0.1).is_err());
    }
}
