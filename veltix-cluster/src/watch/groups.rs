//! [`ClusterGroupWatch`]: the groups of the peers of all nodes, as a stream.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::Stream;
use tokio::task::coop;
use tokio::time::{Instant, Sleep, sleep_until};
use veltix_core::cluster::{MergedGroups, NodeId, WatchForm};
use veltix_core::limits::FAR_FUTURE;
use veltix_core::{Group, GroupStep, Target};
use veltix_tokio::{GroupEvent, GroupWatch};

use super::{Beginning, WatchError, begin};
use crate::cluster::Cluster;
use crate::gathered::Missing;
use crate::node::{FeedEvent, FeedReader};

/// A watch of groups that has not started. Created by
/// [`ClusterWatchBuilder::by`](super::ClusterWatchBuilder::by).
#[derive(Clone, Debug)]
#[must_use = "a watch does nothing until `start`"]
pub struct ClusterGroupWatchBuilder {
    cluster: Cluster,
    target: Target,
    by: String,
    grace: Duration,
}

impl ClusterGroupWatchBuilder {
    pub(super) const fn new(cluster: Cluster, target: Target, by: String) -> Self {
        Self { cluster, target, by, grace: Duration::ZERO }
    }

    /// Sets the time for which a group without connections is still reported as present, as
    /// [`GroupWatchBuilder::grace`](veltix_tokio::GroupWatchBuilder::grace) does. With a grace above the time
    /// over which clients reconnect, and 5 s more, a restart of one node after the other is no event. Default:
    /// zero.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace.min(FAR_FUTURE);
        self
    }

    /// Starts the watch.
    ///
    /// # Errors
    /// [`WatchError`].
    pub fn start(self) -> Result<ClusterGroupWatch, WatchError> {
        let Self { cluster, target, by, grace } = self;
        let here = cluster.hub().watch(&target).by(by.clone()).start()?;
        let elsewhere = begin(&cluster, &target, &WatchForm::Groups(by.into()))?;
        Ok(ClusterGroupWatch {
            me: cluster.node(),
            here,
            elsewhere,
            groups: MergedGroups::new(grace),
            beginning: Beginning::default(),
            timer: None,
            here_has_ended: false,
            ended: false,
        })
    }
}

/// A stream of the groups of peers that a target matches: a group joins with its first connection on any node,
/// and leaves with its last one, after the grace. Created by [`ClusterGroupWatchBuilder::start`].
///
/// The first event waits for the other nodes, for at most 2 s. The stream ends with that of this node.
#[must_use = "a watch does nothing unless it is read"]
pub struct ClusterGroupWatch {
    me: NodeId,
    here: GroupWatch,
    elsewhere: Option<FeedReader<Group>>,
    groups: MergedGroups<NodeId>,
    beginning: Beginning,
    /// Is set while a group is in its grace.
    timer: Option<Pin<Box<Sleep>>>,
    here_has_ended: bool,
    ended: bool,
}

impl ClusterGroupWatch {
    /// Returns the nodes whose groups are not known, or not known to be current, each with the reason.
    #[must_use]
    pub fn missing(&self) -> Vec<(NodeId, Missing)> {
        self.elsewhere.as_ref().map(FeedReader::missing).unwrap_or_default()
    }

    /// Returns the next event, or `None` once the server drains and its last peer has left.
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<GroupEvent> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Applies the next change, if there is one.
    fn apply(&mut self, cx: &mut Context<'_>) -> bool {
        let now = Instant::now().into_std();
        match self.elsewhere.as_ref().and_then(|reader| reader.next(cx)) {
            Some(FeedEvent::Entered(node, group)) => self.groups.join(node, group.key, now),
            Some(FeedEvent::Left(node, group)) => self.groups.leave(node, &group.key, now),
            Some(FeedEvent::Reset(nodes)) => {
                let me = self.me;
                let gone = self.groups.sources().filter(|node| *node != me);
                let mut nodes: BTreeMap<_, _> = nodes.into_iter().collect();
                gone.collect::<Vec<_>>()
                    .into_iter()
                    .for_each(|node| _ = nodes.entry(node).or_default());
                for (node, groups) in nodes {
                    let keys = groups.into_iter().map(|group| group.key).collect();
                    self.groups.reset(node, keys, now);
                }
            }
            None if self.here_has_ended => return false,
            None => match Pin::new(&mut self.here).poll_next(cx) {
                Poll::Ready(Some(GroupEvent::Reset(groups))) => {
                    let keys = groups.into_iter().map(|group| group.key).collect();
                    self.groups.reset(self.me, keys, now);
                }
                Poll::Ready(Some(GroupEvent::Joined(group))) => {
                    self.groups.join(self.me, group.key, now);
                }
                Poll::Ready(Some(GroupEvent::Left(group))) => {
                    self.groups.leave(self.me, &group.key, now);
                }
                Poll::Ready(_) => self.here_has_ended = true,
                Poll::Pending => return false,
            },
        }
        true
    }

    /// Waits for the end of the next grace.
    fn poll_timer(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx)
    }
}

impl Stream for ClusterGroupWatch {
    type Item = GroupEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<GroupEvent>> {
        let this = &mut *self;
        if this.ended || !this.beginning.has_ended(this.elsewhere.as_ref(), cx) {
            return if this.ended { Poll::Ready(None) } else { Poll::Pending };
        }
        let budget = ready!(coop::poll_proceed(cx));
        while this.apply(cx) {}
        let event = loop {
            let now = Instant::now().into_std();
            match this.groups.next(now, this.here_has_ended) {
                GroupStep::Reset(groups) => break Some(GroupEvent::Reset(groups)),
                GroupStep::Joined(group) => break Some(GroupEvent::Joined(group)),
                GroupStep::Left(group) => break Some(GroupEvent::Left(group)),
                GroupStep::Idle(Some(deadline)) => {
                    ready!(this.poll_timer(Instant::from_std(deadline), cx));
                }
                GroupStep::Idle(None) if !this.here_has_ended => {
                    this.timer = None;
                    return Poll::Pending;
                }
                GroupStep::Idle(None) | GroupStep::Ended => break None,
            }
        };
        budget.made_progress();
        this.ended = event.is_none();
        Poll::Ready(event)
    }
}

impl fmt::Debug for ClusterGroupWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterGroupWatch").field("here", &self.here).finish_non_exhaustive()
    }
}
