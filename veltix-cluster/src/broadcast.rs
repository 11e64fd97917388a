//! [`ClusterBroadcast`]: one message to peers of all nodes.

use veltix_core::cluster::{NodeCall, PeerRef};
use veltix_core::{Ask, Target, ToMessage};
use veltix_tokio::{Delivery, Peer, ScopedBroadcast, SendError};

use crate::cluster::Cluster;
use crate::error::too_long;
use crate::survey::ClusterSurvey;

/// A broadcast to peers of all nodes that is being built. Created by [`Cluster::to`].
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `send`"]
pub struct ClusterBroadcast {
    cluster: Cluster,
    target: Target,
    broadcast: ScopedBroadcast,
}

impl Cluster {
    /// Begins a broadcast to the peers of all nodes that a target matches.
    pub fn to(&self, target: impl Into<Target>) -> ClusterBroadcast {
        let target = target.into();
        let broadcast = self.hub().to(&target).into();
        ClusterBroadcast { cluster: self.clone(), target, broadcast }
    }
}

impl ClusterBroadcast {
    /// Excludes this peer of this node. It may be called several times.
    pub fn except(mut self, peer: &Peer) -> Self {
        self.broadcast = self.broadcast.except(peer);
        self
    }

    /// Excludes this peer of any node. At most 64 peers of other nodes can be excluded: a tag names more of
    /// them.
    pub fn except_ref(mut self, peer: PeerRef) -> Self {
        self.broadcast = self.broadcast.except_ref(peer);
        self
    }

    /// Sends the message, as [`Broadcast::send`](veltix_tokio::Broadcast::send) does.
    ///
    /// # Errors
    /// Those of [`Broadcast::send`](veltix_tokio::Broadcast::send).
    pub fn send(self, message: &(impl ToMessage + ?Sized)) -> Result<Delivery, SendError> {
        self.broadcast.send(message)
    }

    /// Creates a survey that asks each of the peers. The message is encoded once, now.
    ///
    /// ```no_run
    /// # async fn f(cluster: veltix::cluster::Cluster, ballot: veltix::Message)
    /// #     -> Result<(), veltix::SendError> {
    /// # use veltix::tag;
    /// let votes = cluster.to(tag("voter")).request(&ballot)?.quorum(3).await;
    /// println!("{} of {} responses are replies", votes.replies().count(), votes.responses.len());
    /// for (node, why) in &votes.missing {
    ///     println!("the peers of {node} are missing: {why:?}");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of [`send`](Self::send). No peer is asked then.
    pub fn request<Q: Ask + ?Sized>(self, message: &Q) -> Result<ClusterSurvey<Q>, SendError> {
        let Self { cluster, target, broadcast } = self;
        let except_elsewhere = broadcast.excepted_elsewhere().to_vec();
        let elsewhere = target.elsewhere();
        NodeCall::check(&elsewhere, &except_elsewhere).map_err(too_long)?;
        let here = broadcast.request(message)?;
        Ok(ClusterSurvey::new(cluster, here, elsewhere, except_elsewhere))
    }
}
