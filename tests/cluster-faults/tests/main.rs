//! Clusters under faults: a real NATS server, and nodes in processes of their own.
//!
//! Each test prints one line with its figures and the limits beside them. They measure times, so they run one after
//! the other: `cargo test --package veltix-cluster-faults -- --test-threads 1 --nocapture`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod asking;
mod broker;
mod cut;
mod ends;
mod hung;
mod login;
mod restarts;
mod sends;
#[path = "../../support/skipped.rs"]
mod skipped;
mod stage;
mod storm;
mod versions;
