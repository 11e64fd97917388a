//! The chat of `chat_server` on several servers, which are one service over a NATS server. A line that is said on
//! one of them appears on all.
//!
//! ```sh
//! cargo run -p cluster_chat -- --name a --addr 127.0.0.1:8081 --nats nats://127.0.0.1:4222
//! cargo run -p cluster_chat -- --name b --addr 127.0.0.1:8082 --nats nats://127.0.0.1:4222
//! ```
//!
//! `examples/cluster.sh` starts a NATS server and three of these. The options have variables of the same meaning:
//! `VELTIX_NODE`, `VELTIX_ADDR` and `VELTIX_NATS`. Everything else is as with `chat_server`: the messages, the
//! line "listening on", and the clients that join. A `roster` counts the members on all nodes, and `/who` lists them.
//!
//! Two lines make the server a node of the cluster "chat". [`members`] asks all nodes where the plain server asks its own hub,
//! and [`presence`] tells the clients of each node that a user is gone, also if the user's node was killed.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person")]

#[path = "../../chat/app.rs"]
mod app;
mod members;
#[path = "../../chat/messages.rs"]
mod messages;
mod options;
mod presence;
#[cfg(test)]
mod tests;

use std::io::{IsTerminal, stderr};

use veltix::cluster::{Cluster, ClusterConfig, Nats};
use veltix::{Server, ServerConfig};

use options::Options;

#[tokio::main]
async fn main() -> veltix::Result<()> {
    // Colours are for a terminal. A file or pipe gets no colour codes.
    let colours = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt().with_writer(stderr).with_ansi(colours).init();
    let Options { addr, nats, name } = Options::read().unwrap_or_else(|usage| {
        eprintln!("{usage}");
        std::process::exit(2);
    });
    let nats = Nats::connect(&nats, "chat").await?; // line 1
    let server = Server::bind(ServerConfig::default().addr(addr), app::router()).await?;
    let server = server.cluster(Cluster::over(nats).config(ClusterConfig::default().name(name))?); // line 2
    server.hub().spawn(presence::announce(server.hub()));
    println!("listening on {}", server.local_addr());
    server.run_until(veltix::stop_signal()).await
}
