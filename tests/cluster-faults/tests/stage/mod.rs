//! The parts of the tests: brokers, nodes, clients, and the figures that a test measures.

mod apart;
mod balance;
mod broker;
mod client;
mod members;
mod node;
mod ports;
mod row;
mod world;

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

pub(crate) use apart::{apart, run};
pub(crate) use balance::Balance;
pub(crate) use broker::Broker;
pub(crate) use client::{Heard, Reader};
pub(crate) use members::Members;
pub(crate) use node::Node;
pub(crate) use row::Row;
pub(crate) use world::{Setup, World, connect};

/// Waits for an event that comes soon unless it never comes.
pub(crate) async fn soon<T>(wait: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(40), wait).await.expect("it comes")
}

/// Returns microseconds as seconds.
pub(crate) fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// Returns the seconds from one time to another one, which may be before it.
pub(crate) fn between(from: u64, to: u64) -> f64 {
    to as f64 / 1e6 - from as f64 / 1e6
}
