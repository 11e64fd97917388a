//! What a run measures, and in which order.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};

use crate::entrant::Entrant;
use crate::machine;
use crate::peers::{OWN, PEERS, PeerSpec};
use crate::results::{Missing, Report};
use crate::tally::Tally;
use crate::workload::{WORKLOADS, Workload};

/// A run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    workloads: Vec<&'static Workload>,
    /// Names; empty for all.
    peers: Vec<String>,
    rounds: usize,
    lasts: Duration,
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
            let all = Entrant::of(workload.kind).into_iter();
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
            let mut entrants =
                self.workloads.iter().flat_map(|workload| Entrant::of(workload.kind));
            entrants.any(|entrant| entrant.server() == peer.name && self.wants(entrant.name()))
        };
        let mut excluded = Vec::new();
        for peer in PEERS.iter().filter(|peer| needed(peer)) {
            if let Err(why) = Entrant::Server(peer).verify() {
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
                tally.add_round(workload, self.lasts);
                bar.inc(1);
            }
        }
        tallies
    }
}

/// The order of so many entrants in this round.
pub(crate) fn order(round: usize, entrants: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..entrants).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// The bar that shows how many measurements are done, and which is under way.
pub(crate) fn progress_bar(measurements: usize) -> ProgressBar {
    let style = "{elapsed_precise} {bar:30} {pos}/{len} {wide_msg} {eta} left";
    let style =
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(measurements as u64).with_style(style)
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
    fn what_is_not_there_is_named() {
        let names =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(Plan::new(&names(&["W3"]), &names(&["limit"]), 1, 0.1).is_ok());
        assert!(Plan::new(&names(&["W99"]), &[], 1, 0.1).is_err());
        assert!(Plan::new(&[], &names(&["nobody"]), 1, 0.1).is_err());
    }
}
