//! The clusters, as the cases use them.

#[cfg(feature = "cluster-nats")]
mod nats;

use std::time::Duration;

use veltix::Server;
use veltix_cluster::{Backplane, Cluster, ClusterConfig, Joining, Memory, MemoryNetwork};

#[cfg(feature = "cluster-nats")]
pub(super) use nats::{OverNats, OverSmallNats};

/// A cluster that no other test uses.
pub(super) trait Place: Sized {
    /// Its name among the skipped tests.
    const NAME: &'static str;

    /// The number of nodes of a case.
    const NODES: usize;

    /// Returns a cluster, or records the case as skipped.
    async fn new(case: &str) -> Option<Self>;

    /// Lets a server join.
    async fn join(&self, server: Server) -> Server;
}

/// A cluster with an engine.
pub(super) trait Between: Place {
    /// Its engine.
    type Engine: Backplane;

    /// Returns the engine of another node.
    async fn engine(&self) -> Self::Engine;
}

/// Returns an engine with the settings of the cases. Frequent heartbeats make them fast, and each case must
/// hold with any of them.
pub(super) fn joining<B: Backplane>(engine: B) -> Joining<B> {
    let config = ClusterConfig::default().heartbeat(Duration::from_millis(200));
    Cluster::over(engine).config(config).expect("the times fit each other")
}

/// A server without a cluster.
pub(super) struct Alone;

impl Place for Alone {
    const NAME: &'static str = "alone";
    const NODES: usize = 1;

    async fn new(_: &str) -> Option<Self> {
        Some(Self)
    }

    async fn join(&self, server: Server) -> Server {
        server
    }
}

/// The engine in memory.
pub(super) struct InMemory(MemoryNetwork);

impl Place for InMemory {
    const NAME: &'static str = "memory";
    const NODES: usize = 3;

    async fn new(_: &str) -> Option<Self> {
        Some(Self(MemoryNetwork::new()))
    }

    async fn join(&self, server: Server) -> Server {
        server.cluster(joining(self.engine().await))
    }
}

impl Between for InMemory {
    type Engine = Memory;

    async fn engine(&self) -> Memory {
        self.0.engine()
    }
}
