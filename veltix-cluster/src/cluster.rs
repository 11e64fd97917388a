//! [`Cluster`]: the handle of a cluster.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use veltix_core::cluster::{AnswerContent, NodeCall, NodeId, Question};
use veltix_core::{Target, TargetError, all};
use veltix_tokio::{Context, FromContext, Hub, Rejection};

use crate::backplane::Backplane;
use crate::error::{NodeError, too_long};
use crate::events::{ClusterEventStream, ClusterEvents};
use crate::gathered::{Gathered, Missing};
use crate::joining::Joining;
use crate::node::{Answers, ClusterStats, Node, NodeInfo};
use crate::status::ClusterStatus;

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
    /// Takes an engine for a server, with default settings.
    ///
    /// ```no_run
    /// # use veltix::cluster::Backplane;
    /// # async fn f<B: Backplane>(engine: B, server: veltix::Server)
    /// #     -> Result<(), Box<dyn std::error::Error>> {
    /// use veltix::cluster::{Cluster, ClusterConfig};
    ///
    /// let config = ClusterConfig::default().name("chat-1");
    /// server.cluster(Cluster::over(engine).config(config)?).run().await?;
    /// # Ok(()) }
    /// ```
    pub fn over<B: Backplane>(engine: B) -> Joining<B> {
        Joining::new(engine)
    }

    /// Returns the handle of the cluster that this server has joined.
    #[must_use]
    pub fn of(hub: &Hub) -> Self {
        let node = hub.relay().and_then(|relay| relay.as_any().downcast::<Node>().ok());
        let me = hub.node();
        let node = node.map_or_else(Weak::new, |node| Arc::downgrade(&node));
        Self { hub: hub.clone(), me, node }
    }

    /// Returns the id of this node.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.me
    }

    /// Returns all nodes that this one knows, itself first.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeInfo> {
        let peers = self.hub.count(all()).unwrap_or_default();
        let here = match self.node.upgrade() {
            Some(node) => node.info(peers),
            None => NodeInfo::lone(self.me, peers),
        };
        std::iter::once(here).chain(self.others()).collect()
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

    /// Returns the state of this node in the cluster, and its changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<ClusterStatus> {
        let connected = || watch::Sender::new(ClusterStatus::Connected).subscribe();
        self.node.upgrade().map_or_else(connected, |node| node.status())
    }

    /// Returns the counters of this node: records that were sent, received, dropped and missed.
    #[must_use]
    pub fn stats(&self) -> ClusterStats {
        self.node.upgrade().map(|node| node.stats()).unwrap_or_default()
    }

    pub(crate) const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Returns the node if the server has joined a cluster.
    pub(crate) fn joined(&self) -> Option<Arc<Node>> {
        self.node.upgrade()
    }

    /// Returns an answer with the nodes that are missing.
    pub(crate) fn gathered<T>(&self, value: T, missing: Vec<(NodeId, Missing)>) -> Gathered<T> {
        Gathered { value, missing, status: self.status().borrow().clone() }
    }

    /// Returns a target as the other nodes are asked about it: ids of peers have a meaning on this node alone.
    ///
    /// # Errors
    /// [`TargetError::TooLong`] if they would not read it, since it is over the limit.
    pub(crate) fn elsewhere(&self, target: &Target) -> Result<Target, TargetError> {
        let elsewhere = target.elsewhere();
        if self.joined().is_some() {
            NodeCall::check(&elsewhere, &[]).map_err(too_long)?;
        }
        Ok(elsewhere)
    }

    /// Asks all other nodes about the peers that a target for [`elsewhere`](Self::elsewhere) matches.
    pub(crate) async fn ask(
        &self,
        elsewhere: Target,
        question: impl FnOnce(Target) -> Question,
        timeout: Duration,
    ) -> Answers {
        let Some(node) = self.joined().filter(|_| !elsewhere.is_nobody()) else {
            return Answers::default();
        };
        node.ask_all(elsewhere, question, timeout).await
    }

    /// Asks another node.
    pub(crate) async fn ask_node(
        &self,
        node: NodeId,
        question: Question,
        timeout: Duration,
    ) -> Result<AnswerContent, NodeError> {
        let Some(joined) = self.joined() else { return Err(NodeError::Gone { node }) };
        let mut answers = joined.ask([node], question, timeout).await;
        match (answers.answers.pop(), answers.missing.pop()) {
            (Some((_, answer)), _) => Ok(answer),
            (None, Some((_, missing))) => Err(node_error(node, missing)),
            (None, None) => Err(NodeError::Gone { node }),
        }
    }
}

fn node_error(node: NodeId, missing: Missing) -> NodeError {
    match missing {
        Missing::Gone => NodeError::Gone { node },
        Missing::TimedOut => NodeError::TimedOut { node },
        Missing::Offline => NodeError::Offline { node },
        Missing::Unsupported | Missing::Truncated => NodeError::Unsupported { node },
        Missing::Refused(reason) => NodeError::Refused { node, reason },
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
