//! [`Change`]: a change of the peers of all nodes.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use veltix_core::cluster::{Change as NodeChange, Question};
use veltix_core::limits::CLUSTER_ASK_TIMEOUT;
use veltix_core::{Tag, TagError, TagValue, Target};

use crate::cluster::Cluster;
use crate::gathered::Gathered;
use crate::node::change_here;

/// A change that is being made. Created by [`Cluster::tag`], [`Cluster::untag`], [`Cluster::join`],
/// [`Cluster::leave`] and [`Cluster::close`].
///
/// Awaited, it returns the number of the changed peers. Each node changes all of its peers that the target
/// matches, or none of them; the nodes do not wait for each other. The change takes effect behind the messages
/// that this node has sent before, and in front of those that it sends after.
///
/// # Errors
/// [`TagError`] if the target, a name or a value exceeds a limit, or if one of the peers of this node does not
/// allow the change. No peer of any node is changed then. A node whose peers do not allow it is
/// [`Missing::Refused`](crate::Missing::Refused). One that is [`Missing::TimedOut`](crate::Missing::TimedOut)
/// may have made the change.
#[derive(Clone)]
#[must_use = "nothing is changed before it is awaited"]
pub struct Change {
    cluster: Cluster,
    target: Target,
    change: NodeChange,
    timeout: Duration,
}

impl Cluster {
    fn change(&self, target: impl Into<Target>, change: NodeChange) -> Change {
        let (cluster, target) = (self.clone(), target.into());
        Change { cluster, target, change, timeout: CLUSTER_ASK_TIMEOUT }
    }

    /// Tags the peers of all nodes that a target matches, as [`Hub::tag`](veltix_tokio::Hub::tag) does on one
    /// node.
    ///
    /// ```no_run
    /// # async fn f(cluster: veltix::cluster::Cluster) -> Result<(), veltix::TagError> {
    /// # use veltix::tag;
    /// let muted = cluster.tag(tag("user").is("ada"), ("muted", true)).await?;
    /// println!("{} connections, {} nodes missing", muted.value, muted.missing.len());
    /// # Ok(()) }
    /// ```
    pub fn tag(&self, target: impl Into<Target>, tag: impl Into<Tag>) -> Change {
        self.change(target, NodeChange::Tag(tag.into()))
    }

    /// Removes the tag or the set of this name from the peers of all nodes that a target matches, as
    /// [`Hub::untag`](veltix_tokio::Hub::untag) does on one node.
    pub fn untag(&self, target: impl Into<Target>, name: &str) -> Change {
        self.change(target, NodeChange::Untag(name.into()))
    }

    /// Adds a value to the set of this name of the peers of all nodes that a target matches, as
    /// [`Hub::join`](veltix_tokio::Hub::join) does on one node.
    pub fn join(
        &self,
        target: impl Into<Target>,
        name: &str,
        value: impl Into<TagValue>,
    ) -> Change {
        self.change(target, NodeChange::Join(name.into(), value.into()))
    }

    /// Removes a value from the set of this name of the peers of all nodes that a target matches, as
    /// [`Hub::leave`](veltix_tokio::Hub::leave) does on one node.
    pub fn leave(
        &self,
        target: impl Into<Target>,
        name: &str,
        value: impl Into<TagValue>,
    ) -> Change {
        self.change(target, NodeChange::Leave(name.into(), value.into()))
    }

    /// Closes the connections of the peers of all nodes that a target matches, as
    /// [`Hub::close`](veltix_tokio::Hub::close) does on one node. A ban uses this call: a user may be connected
    /// to several nodes. Of the reason, the first 1 024 bytes count.
    pub fn close(&self, target: impl Into<Target>, reason: &str) -> Change {
        self.change(target, NodeChange::Close(reason.into()))
    }
}

impl Change {
    /// Limits the time for which the call waits for other nodes. Default: 2 s.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }
}

impl IntoFuture for Change {
    type Output = Result<Gathered<usize>, TagError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Changes the peers of this node, and then asks the others.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { cluster, target, change, timeout } = self;
            let elsewhere = cluster.elsewhere(&target)?;
            let here = change_here(cluster.hub(), &target, change.clone())?;
            let question = |target| Question::Change { target, change };
            let mut answers = cluster.ask(elsewhere, question, timeout).await;
            let counts = answers.take_counts();
            let changed = counts.iter().fold(here, |sum, (_, count)| sum.saturating_add(*count));
            Ok(cluster.gathered(changed, answers.missing))
        })
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("target", &self.target)
            .field("change", &self.change)
            .finish_non_exhaustive()
    }
}
