//! [`Count`]: the number of peers of all nodes.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use veltix_core::cluster::{NodeId, Question};
use veltix_core::limits::CLUSTER_ASK_TIMEOUT;
use veltix_core::{Target, TargetError};

use crate::cluster::Cluster;
use crate::gathered::Gathered;

/// A count that is being made. Created by [`Cluster::count`].
#[derive(Clone, Debug)]
#[must_use = "nobody is asked before it is awaited"]
pub struct Count {
    cluster: Cluster,
    target: Target,
    timeout: Duration,
}

impl Cluster {
    /// Counts the peers of all nodes that a target matches. The count of each node is exact, and of slightly
    /// different moments: a peer that moves meanwhile counts 0, 1 or 2 times.
    ///
    /// ```no_run
    /// # async fn f(cluster: veltix::cluster::Cluster) -> Result<(), veltix::TargetError> {
    /// let peers = cluster.count(veltix::all()).await?;
    /// println!("{} peers, {} nodes missing", peers.value, peers.missing.len());
    /// # Ok(()) }
    /// ```
    pub fn count(&self, target: impl Into<Target>) -> Count {
        Count { cluster: self.clone(), target: target.into(), timeout: CLUSTER_ASK_TIMEOUT }
    }
}

impl Count {
    /// Limits the time for which the call waits for other nodes. Default: 2 s.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Returns the counts of the nodes instead of their sum. A node on which the target cannot match is left
    /// out.
    pub fn per_node(self) -> CountPerNode {
        CountPerNode(self)
    }
}

/// The counts of the nodes that are being made. Created by [`Count::per_node`].
#[derive(Clone, Debug)]
#[must_use = "nobody is asked before it is awaited"]
pub struct CountPerNode(Count);

impl IntoFuture for CountPerNode {
    type Output = Result<Gathered<Vec<(NodeId, usize)>>, TargetError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Asks all nodes.
    ///
    /// # Errors
    /// [`TargetError`] if the target exceeds a limit.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Count { cluster, target, timeout } = self.0;
            let elsewhere = cluster.elsewhere(&target)?;
            let mut counts = vec![(cluster.node(), cluster.hub().count(&target)?)];
            let mut answers = cluster.ask(elsewhere, Question::Count, timeout).await;
            counts.extend(answers.take_counts());
            Ok(cluster.gathered(counts, answers.missing))
        })
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
            let counts = self.per_node().await?;
            let sum = |sum: usize, (_, count): &(NodeId, usize)| sum.saturating_add(*count);
            Ok(counts.map(|counts| counts.iter().fold(0, sum)))
        })
    }
}
