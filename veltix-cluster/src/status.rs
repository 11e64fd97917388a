//! [`ClusterStatus`]: the state of a node in its cluster.

use std::sync::Arc;

use crate::backplane::EngineState;

/// The state of a node in its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterStatus {
    /// The node sends to the other nodes and hears them. A server without a cluster is connected as well.
    Connected,
    /// The broker is away. The node serves its own peers, and answers are incomplete.
    Degraded {
        /// The reason, for people.
        reason: Arc<str>,
    },
}

impl From<EngineState> for ClusterStatus {
    fn from(state: EngineState) -> Self {
        match state {
            EngineState::Connected => Self::Connected,
            EngineState::Disconnected { reason } => Self::Degraded { reason },
        }
    }
}
