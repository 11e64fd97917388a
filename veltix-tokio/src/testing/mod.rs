//! Tests of an application: its router on a server in memory, named clients, links that fail on
//! request, and a clock that advances only while all tasks wait. The facade's `veltix::testing` explains them.

mod client;
mod clock;
mod failure;
mod inbox;
mod line;
mod link;
mod log;
mod server;

pub use client::TestClient;
pub use link::Link;
pub use server::TestServer;
