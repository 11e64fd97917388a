//! [`Cluster`]: the handle of a cluster.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use veltix_core::Target;
use veltix_core::cluster::{NodeId, Question};
use veltix_tokio::{Context, FromContext, Hub, Rejection};

use crate::backplane::EngineState;
use crate::events::{ClusterEventStream, ClusterEvents};
use crate::node::{Answers, Node, NodeInfo};

/// A handle of the cluster that a server has joined. A clone is cheap, and keeps nothing alive.
///
/// On a server without a cluster it is the handle of a cluster of this one node, which is always complete. So
/// handlers and tests need no broker.
#[derive(Clone)]
pub struct Cluster {
    hub: Hub,
    me: NodeId,
    node: Weak<Node>,
}

impl Cluster {
    /// Returns the handle of the cluster that this server has joined.
    #[must_use]
    pub fn of(hub: &Hub) -> Self {
        let node = hub.relay().and_then(|relay| relay.as_any().downcast::<Node>().ok());
        let me = node.as_ref().map_or_else(|| hub.lone_node(), |node| node.id());
        let node = node.map_or_else(Weak::new, |node| Arc::downgrade(&node));
        Self { hub: hub.clone(), me, node }
    }

    /// Returns the id of this node.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.me
    }

    /// Returns the other nodes, as far as this one knows them.
    #[must_use]
    pub fn others(&self) -> Vec<NodeInfo> {
        self.node.upgrade().map(|node| node.others()).unwrap_or_default()
    }

    /// Returns the events of the cluster from now on.
    #[must_use]
    pub fn events(&self) -> ClusterEventStream {
        match self.node.upgrade() {
            Some(node) => node.events().subscribe(),
            // Its sender is dropped here, so that the stream has ended.
            None => ClusterEvents::new().subscribe(),
        }
    }

    /// Returns the state of the connection to the broker. A server without a cluster is connected.
    #[must_use]
    pub fn state(&self) -> EngineState {
        self.node.upgrade().map_or(EngineState::Connected, |node| node.engine().borrow().clone())
    }

    pub(crate) const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Asks all other nodes about the peers that a target matches.
    pub(crate) async fn ask(
        &self,
        target: &Target,
        question: impl FnOnce(Target) -> Question,
        timeout: Duration,
    ) -> Answers {
        // Ids of peers have a meaning on this node alone.
        let elsewhere = target.elsewhere();
        let Some(node) = self.node.upgrade().filter(|_| !elsewhere.is_nobody()) else {
            return Answers::default();
        };
        let nodes = node.others().into_iter().map(|other| other.id).collect();
        node.ask(nodes, question(elsewhere), timeout).await
    }
}

/// A handler takes the cluster as an argument, as it takes the `Hub`.
impl<S> FromContext<S> for Cluster {
    const NEEDS_HUB: bool = true;

    fn from_context(cx: &Context<'_>, state: &S) -> Result<Self, Rejection> {
        Hub::from_context(cx, state).map(|hub| Self::of(&hub))
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("node", &self.me).finish_non_exhaustive()
    }
}
