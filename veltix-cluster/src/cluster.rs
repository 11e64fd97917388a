//! [`Cluster`]: the handle of a cluster.

use std::collections::BTreeSet;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use veltix_core::cluster::{AnswerContent, Question};
use veltix_core::limits::CLUSTER_ASK_TIMEOUT;
use veltix_core::{Target, TargetError};
use veltix_tokio::{Context, FromContext, Hub, Rejection};

use crate::gathered::Gathered;
use crate::node::{Node, NodeInfo};

/// A handle of the cluster that a server has joined. A clone is cheap, and keeps nothing alive.
///
/// On a server without a cluster it is the handle of a cluster of this one node, which is always complete. So
/// handlers and tests need no broker.
#[derive(Clone)]
pub struct Cluster {
    hub: Hub,
    node: Weak<Node>,
}

impl Cluster {
    /// Returns the handle of the cluster that this server has joined.
    #[must_use]
    pub fn of(hub: &Hub) -> Self {
        let node = hub.relay().and_then(|relay| relay.as_any().downcast::<Node>().ok());
        let node = node.map_or_else(Weak::new, |node| Arc::downgrade(&node));
        Self { hub: hub.clone(), node }
    }

    /// Returns the other nodes, as far as this one knows them.
    #[must_use]
    pub fn others(&self) -> Vec<NodeInfo> {
        self.node.upgrade().map(|node| node.others()).unwrap_or_default()
    }

    /// Counts the peers of all nodes that a target matches. The count of each node is exact, and of slightly
    /// different moments: a peer that moves meanwhile counts 0, 1 or 2 times.
    ///
    /// ```no_run
    /// # async fn f(cluster: veltix_cluster::Cluster) -> Result<(), veltix_core::TargetError> {
    /// let peers = cluster.count(veltix_core::all()).await?;
    /// println!("{} peers, {} nodes missing", peers.value, peers.missing.len());
    /// # Ok(()) }
    /// ```
    pub fn count(&self, target: impl Into<Target>) -> Count {
        Count { cluster: self.clone(), target: target.into(), timeout: CLUSTER_ASK_TIMEOUT }
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
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

/// A count that is being made. Created by [`Cluster::count`].
#[derive(Clone, Debug)]
#[must_use = "nobody is asked before it is awaited"]
pub struct Count {
    cluster: Cluster,
    target: Target,
    timeout: Duration,
}

impl Count {
    /// Limits the time for which the call waits for other nodes. Default: 2 s.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }
}

impl IntoFuture for Count {
    type Output = Result<Gathered<usize>, TargetError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Asks all nodes.
    ///
    /// # Errors
    /// [`TargetError`] if the target exceeds a limit.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { cluster, target, timeout } = self;
            let mut peers = cluster.hub.count(&target)?;
            let Some(node) = cluster.node.upgrade() else {
                return Ok(Gathered::new(peers, Vec::new()));
            };
            let nodes: BTreeSet<_> = node.others().into_iter().map(|node| node.id).collect();
            let elsewhere = target.elsewhere();
            if elsewhere.is_nobody() {
                return Ok(Gathered::new(peers, Vec::new()));
            }
            let answers = node.ask(nodes, Question::Count(elsewhere), timeout).await;
            for (_, answer) in answers.answers {
                if let AnswerContent::Count(count) = answer {
                    peers += usize::try_from(count).unwrap_or(usize::MAX);
                }
            }
            Ok(Gathered::new(peers, answers.missing))
        })
    }
}
