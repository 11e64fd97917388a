//! [`Get`]: one peer of any node.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use veltix_core::cluster::{AnswerContent, PeerRef, Question};
use veltix_core::limits::CLUSTER_ASK_TIMEOUT;
use veltix_core::{TargetError, peers};

use super::{add_names, check_names};
use crate::cluster::Cluster;
use crate::error::NodeError;
use crate::member::Member;

/// A look at one peer. Created by [`Cluster::get`].
#[derive(Clone, Debug)]
#[must_use = "nobody is asked before it is awaited"]
pub struct Get {
    cluster: Cluster,
    peer: PeerRef,
    tags: Vec<Arc<str>>,
    timeout: Duration,
}

impl Cluster {
    /// Returns a peer of any node while it is connected, or `None`. One node is asked.
    pub fn get(&self, peer: PeerRef) -> Get {
        Get { cluster: self.clone(), peer, tags: Vec::new(), timeout: CLUSTER_ASK_TIMEOUT }
    }
}

impl Get {
    /// Adds tags of these names, at most 1 024. Default: none.
    pub fn with_tags(mut self, names: impl IntoIterator<Item: AsRef<str>>) -> Self {
        add_names(&mut self.tags, names);
        self
    }

    /// Limits the time for which the call waits for the node of the peer. Default: 2 s.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }
}

impl IntoFuture for Get {
    type Output = Result<Option<Member>, NodeError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Asks the node of the peer.
    ///
    /// # Errors
    /// [`NodeError`] if that node does not answer.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { cluster, peer, tags, timeout } = self;
            let refused = |error: TargetError| NodeError::Refused {
                node: peer.node,
                reason: error.to_string().into(),
            };
            check_names(&tags).map_err(refused)?;
            let target = peers([peer.peer]);
            let members = if peer.node == cluster.node() {
                cluster.hub().members(&target, &tags, 1).unwrap_or_default().0
            } else {
                let question = Question::List { target, tags, limit: 1 };
                match cluster.ask_node(peer.node, question, timeout).await? {
                    AnswerContent::Members { members, .. } => members,
                    _ => return Err(NodeError::Unsupported { node: peer.node }),
                }
            };
            Ok(members.into_iter().next().map(|member| Member::of(peer.node, member)))
        })
    }
}
