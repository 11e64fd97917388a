//! The measurements of a run, and their order.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use indicatif::ProgressBar;
use veltix_stage::{machine, progress_bar};

use crate::cost;
use crate::entrant::Entrant;
use crate::generator::Joining;
use crate::names::label;
use crate::peers::{OWN, PEERS, PeerSpec};
use crate::results::{Missing, Report};
use crate::tally::Tally;
use crate::turns::order;
use crate::workload::{WORKLOADS, Workload};

/// The servers that do the work, with the time that a connection takes each.
type Verified = BTreeMap<&'static str, Joining>;

/// A run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    workloads: Vec<&'static Workload>,
    /// The names, or none for all.
    peers: Vec<String>,
    rounds: usize,
    lasts: Duration,
}

impl Plan {
    /// Plans a run of these workloads and peers, in `rounds` rounds and `seconds` for each
    /// measurement. No names mean all of them.
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
            ensure!(
                own || PeerSpec::find(name).is_some(),
                "there is no peer {name}: `run --help` lists the names"
            );
        }
        let mut found = Vec::new();
        for id in workloads {
            found.push(Workload::find(id).with_context(|| {
                format!("there is no workload {id}: `run --help` lists the codes")
            })?);
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
        let verified = self.verify(&mut missing);
        let mut all = Vec::new();
        for workload in &self.workloads {
            all.push((*workload, self.entrants(workload, &verified, &mut missing)));
        }
        self.announce(&all);
        let measurements: usize = all.iter().map(|(_, entrants)| entrants.len()).sum();
        let bar = progress_bar(measurements * self.rounds);
        let mut series = Vec::new();
        for (workload, entrants) in &all {
            for tally in self.measure(workload, entrants, &bar) {
                tally.finish(workload, &mut series, &mut missing);
            }
        }
        bar.finish_and_clear();
        let (machine, date) = (machine::describe(), machine::today());
        Report { machine, date, rounds: self.rounds, series, missing }
    }

    /// Returns the entrants of a workload, with the time that a connection takes each. An entrant
    /// that would take too long is added to `missing`.
    fn entrants(
        &self,
        workload: &Workload,
        verified: &Verified,
        missing: &mut Vec<Missing>,
    ) -> Vec<(Entrant, Joining)> {
        let mut entrants = Vec::new();
        for entrant in Entrant::of(workload.kind) {
            let Some(join) = verified.get(entrant.server()) else { continue };
            if !self.wants(entrant.name()) {
                continue;
            }
            match cost::too_slow(workload, *join) {
                None => entrants.push((entrant, *join)),
                Some(why) => missing.push(Missing {
                    peer: entrant.name().to_owned(),
                    workload: Some(workload.id.to_owned()),
                    why,
                }),
            }
        }
        entrants
    }

    /// Prints the number of measurements and their approximate time.
    #[allow(clippy::print_stderr, reason = "the user reads it")]
    fn announce(&self, all: &[(&Workload, Vec<(Entrant, Joining)>)]) {
        let (mut measurements, mut round) = (0, Duration::ZERO);
        for (workload, entrants) in all {
            measurements += entrants.len();
            for (_, join) in entrants {
                round += cost::estimate(workload, *join, self.lasts);
            }
        }
        let seconds = (round * self.rounds as u32).as_secs_f64();
        let rounds = self.rounds;
        let about = match seconds {
            ..100.0 => format!("{seconds:.0} seconds"),
            _ => format!("{:.0} minutes", seconds / 60.0),
        };
        eprintln!("{rounds} × {measurements} measurements, about {about}");
    }

    fn wants(&self, name: &str) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|wanted| wanted == name)
    }

    /// Checks each server that is needed. Returns those that do the work.
    fn verify(&self, missing: &mut Vec<Missing>) -> Verified {
        let needed = |peer: &&PeerSpec| {
            let mut entrants =
                self.workloads.iter().flat_map(|workload| Entrant::of(workload.kind));
            entrants.any(|entrant| entrant.server() == peer.name && self.wants(entrant.name()))
        };
        let needed: Vec<_> = PEERS.iter().filter(needed).collect();
        let bar = progress_bar(needed.len());
        let mut verified = Verified::new();
        for peer in needed {
            bar.set_message(format!("verify {}", peer.name));
            match Entrant::Server(peer).verify() {
                Ok(join) => drop(verified.insert(peer.name, join)),
                Err(why) => missing.push(why),
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        verified
    }

    /// Measures all rounds of one workload. The order alternates, so that a drift of the machine's
    /// speed affects all entrants alike.
    fn measure(
        &self,
        workload: &Workload,
        entrants: &[(Entrant, Joining)],
        bar: &ProgressBar,
    ) -> Vec<Tally> {
        let mut tallies: Vec<_> =
            entrants.iter().map(|(entrant, _)| Tally::new(*entrant)).collect();
        for round in 0..self.rounds {
            for number in order(round, entrants.len()) {
                let tally = &mut tallies[number];
                bar.set_message(format!("{}, {}", label(workload.id), tally.entrant.name()));
                tally.add_round(workload, self.lasts);
                bar.inc(1);
            }
        }
        tallies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_named() {
        let names =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(Plan::new(&names(&["W3"]), &names(&["limit"]), 1, 0.1).is_ok());
        assert!(Plan::new(&names(&["W99"]), &[], 1, 0.1).is_err());
        assert!(Plan::new(&[], &names(&["nobody"]), 1, 0.1).is_err());
    }
}
