//! Watches of the peers of all nodes.

mod groups;
mod members;

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use thiserror::Error;
use tokio::time::{Sleep, sleep};
use veltix_core::cluster::{NodeWatch, WatchForm, WireError};
use veltix_core::limits::{CLUSTER_WATCH_WAIT, CLUSTER_WATCHES};
use veltix_core::{Target, TargetError};

pub use groups::{ClusterGroupWatch, ClusterGroupWatchBuilder};
pub use members::{ClusterWatch, WatchEvent};

use crate::asking::{add_names, check_names};
use crate::cluster::Cluster;
use crate::node::{FeedReader, Item};

/// The reason why a watch of the peers of all nodes did not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The target exceeds a limit.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// This node has as many watches on others as it can have.
    #[error("this node has {limit} watches of the cluster already: share one among its readers")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

impl Cluster {
    /// Begins a watch of the peers of all nodes that a target matches, as
    /// [`Hub::watch`](veltix_tokio::Hub::watch) does on one node. What happens on other nodes is told at most
    /// one way through the broker later.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn f(cluster: veltix::cluster::Cluster) -> Result<(), veltix::cluster::WatchError> {
    /// # use veltix::tag;
    /// let lobby = tag("room").is("lobby");
    /// let mut connections = cluster.watch(&lobby).with_tags(["user"]).start()?;
    /// let mut users = cluster.watch(&lobby).by("user").grace(Duration::from_secs(10)).start()?;
    /// # let _ = (connections.next().await, users.next().await);
    /// # Ok(()) }
    /// ```
    ///
    /// Each node tells its own peers, and no other node does. A node that leaves takes its peers with it: each
    /// of them leaves once. Changes that are lost on their way are noticed by their numbers, and the node is
    /// asked again.
    pub fn watch(&self, target: impl Into<Target>) -> ClusterWatchBuilder {
        ClusterWatchBuilder { cluster: self.clone(), target: target.into(), names: Vec::new() }
    }
}

/// A watch that has not started. Created by [`Cluster::watch`].
#[derive(Clone, Debug)]
#[must_use = "a watch does nothing until `start`"]
pub struct ClusterWatchBuilder {
    cluster: Cluster,
    target: Target,
    names: Vec<Arc<str>>,
}

impl ClusterWatchBuilder {
    /// Adds tags that each [`Member`](crate::Member) carries, as
    /// [`WatchBuilder::with_tags`](veltix_tokio::WatchBuilder::with_tags) does, at most 1 024. Default: no tags.
    pub fn with_tags(mut self, names: impl IntoIterator<Item: AsRef<str>>) -> Self {
        add_names(&mut self.names, names);
        self
    }

    /// Watches groups of peers in place of peers: those that have the same value of this tag, on any node.
    pub fn by(self, name: impl Into<String>) -> ClusterGroupWatchBuilder {
        ClusterGroupWatchBuilder::new(self.cluster, self.target, name.into())
    }

    /// Starts the watch.
    ///
    /// # Errors
    /// [`WatchError`].
    pub fn start(self) -> Result<ClusterWatch, WatchError> {
        let Self { cluster, target, names } = self;
        check_names(&names)?;
        let here = cluster.hub().watch(&target).with_tags(&names).start()?;
        let form = WatchForm::Members(names);
        let elsewhere = begin(&cluster, &target, &form)?;
        Ok(ClusterWatch::new(cluster.node(), here, elsewhere))
    }
}

/// Begins the part of a watch that concerns other nodes.
fn begin<I: Item>(
    cluster: &Cluster,
    target: &Target,
    form: &WatchForm,
) -> Result<Option<FeedReader<I>>, WatchError> {
    let target = target.elsewhere();
    let Some(node) = cluster.joined().filter(|_| !target.is_nobody()) else { return Ok(None) };
    match NodeWatch::check(&target) {
        Ok(()) => {}
        Err(WireError::TooLong { what, length, limit }) => {
            return Err(TargetError::TooLong { what, length, limit }.into());
        }
        Err(_) => return Ok(None),
    }
    let too_many = |_| WatchError::TooMany { limit: CLUSTER_WATCHES };
    node.watch(&target, form).map(Some).map_err(too_many)
}

/// The wait for the parts of the other nodes, before the first event.
#[derive(Default)]
struct Beginning {
    has_ended: bool,
    limit: Option<Pin<Box<Sleep>>>,
}

impl Beginning {
    /// Returns whether the first event is due.
    fn has_ended<I: Item>(
        &mut self,
        elsewhere: Option<&FeedReader<I>>,
        cx: &mut Context<'_>,
    ) -> bool {
        if self.has_ended {
            return true;
        }
        let limit: Duration = CLUSTER_WATCH_WAIT;
        let timer = self.limit.get_or_insert_with(|| Box::pin(sleep(limit)));
        self.has_ended = elsewhere.is_none_or(|reader| reader.is_complete(cx))
            || timer.as_mut().poll(cx).is_ready();
        if self.has_ended {
            self.limit = None;
        }
        self.has_ended
    }
}
