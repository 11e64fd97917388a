//! [`Count`]: the number of peers of all nodes.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use veltix_core::cluster::{AnswerContent, Question};
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
    /// # async fn f(cluster: veltix_cluster::Cluster) -> Result<(), veltix_core::TargetError> {
    /// let peers = cluster.count(veltix_core::all()).await?;
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
            let mut peers = cluster.hub().count(&target)?;
            let answers = cluster.ask(&target, Question::Count, timeout).await;
            for (_, answer) in answers.answers {
                if let AnswerContent::Count(count) = answer {
                    peers += usize::try_from(count).unwrap_or(usize::MAX);
                }
            }
            Ok(Gathered::new(peers, answers.missing))
        })
    }
}
