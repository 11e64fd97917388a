//! The contestants, and the processes of each.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::broker::Broker;
use crate::generator::Target;
use crate::node_packages;
use crate::process::{ServerProcess, other, own_serve};
use crate::wire::{SocketIo, Veltix, Wire};

/// The time after the start of the last node in which nodes of a cluster send everything to all, since
/// others may exist that they do not know, with room for what follows.
const UNSETTLED: Duration = Duration::from_millis(3_500);

/// Several servers as one service, or one server alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contestant {
    /// Our server of the same build, without a cluster.
    Alone,
    /// Our servers as a cluster.
    Cluster,
    /// Our servers with a hand-written relay between them.
    Relay,
    /// Socket.IO with its Redis adapter.
    SocketIo,
}

/// The running processes of a contestant. They end with this handle.
pub(super) struct Stage {
    wire: Box<dyn Wire>,
    nodes: Vec<ServerProcess>,
    /// The broker's number of the connection of each node, if it says so.
    connections: Vec<u64>,
    pub(super) broker: Option<Broker>,
    /// The time from which the nodes know each other.
    pub(super) settled: Instant,
}

impl Contestant {
    /// Returns the name in results.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Cluster => "cluster",
            Self::Relay => "relay",
            Self::SocketIo => "socket.io",
        }
    }

    /// Starts the broker and this number of nodes, one after the other.
    pub(super) fn start(self, nodes: usize) -> Result<Stage> {
        let broker = match self {
            Self::Alone => None,
            Self::Cluster | Self::Relay => Some(Broker::nats()?),
            Self::SocketIo => Some(Broker::redis()?),
        };
        let wire: Box<dyn Wire> = match self {
            Self::SocketIo => Box::new(SocketIo),
            _ => Box::new(Veltix::plain()),
        };
        let mut stage = Stage {
            wire,
            nodes: Vec::new(),
            connections: Vec::new(),
            broker,
            settled: Instant::now(),
        };
        for number in 0..nodes {
            let node = self.node(stage.broker.as_ref());
            stage.nodes.push(node.with_context(|| format!("node {number}"))?);
            if self == Self::Cluster {
                stage.connections.push(stage.newest()?);
            }
        }
        if self == Self::Cluster {
            stage.settled = Instant::now() + UNSETTLED;
        }
        Ok(stage)
    }

    fn node(self, broker: Option<&Broker>) -> Result<ServerProcess> {
        let url = broker.map(Broker::url).unwrap_or_default();
        let command = match self {
            Self::SocketIo => other(&node_packages::socket_io(&url)?, None)?,
            _ => {
                let name = if self == Self::Relay { "relay-node" } else { "veltix-node" };
                let mut command = own_serve(name, None)?;
                if !url.is_empty() {
                    command.args(["--broker", &url]);
                }
                command
            }
        };
        ServerProcess::announced(command)
    }
}

impl Stage {
    /// Returns the nodes as targets of the generator.
    pub(super) fn targets(&self) -> Vec<Target<'_>> {
        let target = |process: &'_ ServerProcess| process.addr();
        let addrs = self.nodes.iter().map(target);
        addrs.map(|addr| Target { addr, wire: &*self.wire, process: None }).collect()
    }

    /// Returns the bytes that the broker has sent to each node.
    pub(super) fn bytes_into_nodes(&self) -> Result<Vec<f64>> {
        let broker = self.broker.as_ref().context("there is no broker")?;
        let all = broker.connections()?;
        let of = |cid: &u64| {
            let found = all.iter().find(|connection| connection.cid == *cid);
            found
                .map(|connection| connection.out_bytes as f64)
                .context("a node has left the broker")
        };
        self.connections.iter().map(of).collect()
    }

    /// Returns the broker's number of its newest connection: that of the node that has just started.
    fn newest(&self) -> Result<u64> {
        let broker = self.broker.as_ref().context("there is no broker")?;
        let connections = broker.connections()?;
        Ok(connections.last().context("the node has no connection to the broker")?.cid)
    }
}
