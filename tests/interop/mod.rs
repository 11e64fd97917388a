//! Real Python peers of the package `veltix`, of three versions, against this crate in both roles.
//!
//! [`env`] creates the virtual environments, [`process`] and [`python`] control the scripts in
//! `python/`, [`lab`] is the Rust side that they expect, and [`run`] makes a test of each case for
//! each version. The other modules are the cases. Known errors of old packages are asserted, not
//! skipped. Each outcome is a line of `target/interop/results.tsv`; `python/table.py` makes a table
//! of it.

#![allow(clippy::unwrap_used, reason = "cases are tests, though not marked as such")]

mod auth;
mod chat;
mod chat_client;
#[cfg(feature = "cluster-nats")]
mod cluster_chat;
mod differential;
mod env;
pub(crate) mod examples;
mod file_transfer;
mod game;
mod handshake;
mod lab;
mod large;
mod order;
pub(crate) mod process;
mod python;
mod run;
mod rust_client;
mod rust_server;
mod slow_link;
#[cfg(feature = "tls")]
mod stunnel;
