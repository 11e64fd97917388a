//! Several real servers with real clients as one cluster, on a paused clock, by seeds.
//!
//! A seed decides everything: the nodes, their messages and calls and the times of these, and the faults. The
//! [broker] between the nodes is simulated; it delays, loses, repeats and keeps batches, cuts nodes off, and
//! tells that a live node does not listen. Nodes end, drain and start again. The [checks](check) compare what
//! each client has heard with what the nodes have sent, and the [sums] of the counters with what the broker
//! has seen.

mod aim;
mod app;
mod broker;
mod check;
mod engine;
mod events;
mod faults;
mod host;
mod ledger;
mod links;
mod plan;
#[cfg(veltix_planted_bugs)]
mod planted;
mod quiet;
mod run;
mod sums;
mod tap;
mod traffic;
mod watch;

use super::seeds::Seeds;

const CLUSTERS: Seeds = Seeds {
    test: "simulation::cluster::every_seed_keeps_the_promises",
    features: " --package veltix-tests --features cluster",
    run: run::run,
};

#[test]
fn every_seed_keeps_the_promises() {
    CLUSTERS.each();
}

#[test]
fn a_seed_gives_the_same_trace_each_time() {
    CLUSTERS.twice();
}

#[test]
fn a_seed_gives_the_same_trace_in_another_process() {
    CLUSTERS.elsewhere();
}
