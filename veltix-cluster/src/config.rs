//! [`ClusterConfig`]: the settings of a node.

use std::sync::Arc;
use std::time::Duration;

use veltix_core::cluster::Timing;
use veltix_core::limits::{CLUSTER_HEARTBEAT, CLUSTER_MESSAGE_TTL};

/// The settings of a node in a cluster.
#[derive(Clone, Debug)]
#[must_use]
pub struct ClusterConfig {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) heartbeat: Duration,
    pub(crate) message_ttl: Duration,
    pub(crate) timing: Timing,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            name: None,
            heartbeat: CLUSTER_HEARTBEAT,
            message_ttl: CLUSTER_MESSAGE_TTL,
            timing: Timing::default(),
        }
    }
}

impl ClusterConfig {
    /// Sets the name of the node, for people: in logs, and in the list of nodes. It is cut to 64 bytes.
    /// A restarted node has its former name, so that the others forget its former self at once. Default:
    /// the id of the node, which is new for each start.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the time between two heartbeats. Default: 1 s.
    pub const fn heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = every;
        self
    }

    /// Sets the time after which a message that waits for the broker, or was kept by it, is dropped and
    /// counted. Default: 5 s.
    pub const fn message_ttl(mut self, ttl: Duration) -> Self {
        self.message_ttl = ttl;
        self
    }

    /// Sets the silence after which a node leaves. Default: 10 s.
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.timing.lease = lease;
        self
    }
}
