//! The real server and the real client over a simulated network, on a paused clock, by seeds.
//!
//! A seed decides everything: the properties of the network, the messages of both sides and their
//! times, and the faults. Afterwards the promises are checked against the bytes on the wire. The
//! same seed gives the same run on the same machine: the order of a broadcast's peers depends on
//! the number of processors. The simulation uses no threads, and so no blocking handlers.

mod app;
mod body;
mod check;
#[cfg(feature = "cluster")]
mod cluster;
mod faults;
mod host;
mod ledger;
mod network;
mod pipe;
mod plan;
#[cfg(veltix_planted_bugs)]
mod planted;
mod record;
mod run;
mod seeds;
mod tap;
mod traffic;

use self::seeds::Seeds;

const NETWORKS: Seeds =
    Seeds { test: "simulation::every_seed_keeps_the_promises", features: "", run: run::run };

#[test]
fn every_seed_keeps_the_promises() {
    NETWORKS.each();
}

#[test]
fn a_seed_gives_the_same_trace_each_time() {
    NETWORKS.twice();
}

#[test]
fn a_seed_gives_the_same_trace_in_another_process() {
    NETWORKS.elsewhere();
}
