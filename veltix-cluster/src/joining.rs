//! [`Joining`]: an engine with its settings, for `Server::cluster`.

use std::sync::Arc;

use veltix_core::cluster::NodeId;
use veltix_tokio::{Hub, IntoRelay, Relay};

use crate::backplane::Backplane;
use crate::config::ClusterConfig;
use crate::error::ClusterConfigError;
use crate::node::Node;

/// An engine with the settings of its node. A server [joins](veltix_tokio::Server::cluster) with it.
#[derive(Debug)]
#[must_use = "a server joins with it"]
pub struct Joining<B> {
    engine: B,
    config: ClusterConfig,
    me: NodeId,
}

impl<B: Backplane> Joining<B> {
    /// Takes an engine that has not started, as [`Cluster::over`](crate::Cluster::over) does. The node gets a
    /// random id.
    pub(crate) fn new(engine: B) -> Self {
        let me = NodeId::of_random(fastrand::u64(..));
        Self { engine, config: ClusterConfig::default(), me }
    }

    /// Sets the settings of the node.
    ///
    /// # Errors
    /// [`ClusterConfigError`] if settings do not fit each other.
    pub fn config(mut self, config: ClusterConfig) -> Result<Self, ClusterConfigError> {
        config.check()?;
        self.config = config;
        Ok(self)
    }

    /// Returns the id of the node.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.me
    }
}

impl<B: Backplane> IntoRelay for Joining<B> {
    fn join(self, hub: Hub, types: u64) -> Arc<dyn Relay> {
        Node::new(self.me, self.config, self.engine, hub, types)
    }
}

#[cfg(feature = "nats")]
impl IntoRelay for crate::Nats {
    fn join(self, hub: Hub, types: u64) -> Arc<dyn Relay> {
        Joining::new(self).join(hub, types)
    }
}
