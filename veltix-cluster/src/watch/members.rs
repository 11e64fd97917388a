//! [`ClusterWatch`]: the peers of all nodes that a target matches, as a stream.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::Stream;
use tokio::task::coop;
use veltix_core::PeerId;
use veltix_core::cluster::NodeId;
use veltix_tokio::{Watch, WatchEvent as LocalEvent};

use super::Beginning;
use crate::gathered::Missing;
use crate::member::Member;
use crate::node::{FeedEvent, FeedReader};

/// An event of a [`ClusterWatch`]. A reader that applies each event to a list always has the peers that the
/// target matched a moment ago.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// These peers, and no others, match the target. Each watch begins with this event. It is sent again if
    /// the reader was so slow that changes had to be discarded.
    Reset(Vec<Member>),
    /// This peer matches the target now. It did not match before.
    Entered(Member),
    /// This peer does not match the target any more, or its node has left. It matched before, and its tags
    /// are the last ones of that time.
    Left(Member),
}

/// A stream of the peers of all nodes that begin and cease to match a target. Created by
/// [`ClusterWatchBuilder::start`](super::ClusterWatchBuilder::start).
///
/// The first event waits for the other nodes, for at most 2 s. [`missing`](Self::missing) returns the nodes
/// that have not told their peers: these are entered once they have. A watch keeps up to 1 024 changes of other
/// nodes and 1 MiB, as one of this node does. The stream ends with that of this node.
#[must_use = "a watch does nothing unless it is read"]
pub struct ClusterWatch {
    me: NodeId,
    here: Watch,
    /// The peers of this node, as far as they were told.
    members: BTreeMap<PeerId, veltix_core::Member>,
    elsewhere: Option<FeedReader<veltix_core::Member>>,
    beginning: Beginning,
    ended: bool,
}

impl ClusterWatch {
    pub(super) fn new(
        me: NodeId,
        here: Watch,
        elsewhere: Option<FeedReader<veltix_core::Member>>,
    ) -> Self {
        let (members, beginning) = (BTreeMap::new(), Beginning::default());
        Self { me, here, members, elsewhere, beginning, ended: false }
    }

    /// Returns the nodes whose peers are not known, or not known to be current, each with the reason.
    #[must_use]
    pub fn missing(&self) -> Vec<(NodeId, Missing)> {
        self.elsewhere.as_ref().map(FeedReader::missing).unwrap_or_default()
    }

    /// Returns the next event, or `None` once the server drains and its last peer has left.
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Takes the next event of this node.
    fn poll_here(&mut self, cx: &mut Context<'_>) -> Poll<Option<LocalEvent>> {
        let event = ready!(Pin::new(&mut self.here).poll_next(cx));
        match &event {
            Some(LocalEvent::Reset(members)) => {
                self.members = members.iter().map(|it| (it.peer, it.clone())).collect();
            }
            Some(LocalEvent::Entered(member)) => {
                self.members.insert(member.peer, member.clone());
            }
            Some(LocalEvent::Left(member)) => _ = self.members.remove(&member.peer),
            _ => self.ended = true,
        }
        Poll::Ready(event)
    }

    /// Returns the list of all peers, those of the other nodes being these.
    fn reset(&self, elsewhere: Vec<(NodeId, Vec<veltix_core::Member>)>) -> WatchEvent {
        let here = self.members.values().map(|member| Member::of(self.me, member.clone()));
        let elsewhere = elsewhere.into_iter().flat_map(|(node, members)| {
            members.into_iter().map(move |member| Member::of(node, member))
        });
        WatchEvent::Reset(here.chain(elsewhere).collect())
    }
}

impl Stream for ClusterWatch {
    type Item = WatchEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        let this = &mut *self;
        if this.ended || !this.beginning.has_ended(this.elsewhere.as_ref(), cx) {
            return if this.ended { Poll::Ready(None) } else { Poll::Pending };
        }
        let budget = ready!(coop::poll_proceed(cx));
        let event = match this.elsewhere.as_ref().and_then(|reader| reader.next(cx)) {
            Some(FeedEvent::Reset(elsewhere)) => {
                // The list has what this node has told until now.
                while !this.ended && this.poll_here(cx).is_ready() {}
                Some(this.reset(elsewhere))
            }
            Some(FeedEvent::Entered(node, member)) => {
                Some(WatchEvent::Entered(Member::of(node, member)))
            }
            Some(FeedEvent::Left(node, member)) => Some(WatchEvent::Left(Member::of(node, member))),
            None => match ready!(this.poll_here(cx)) {
                Some(LocalEvent::Reset(_)) => {
                    let elsewhere = this.elsewhere.as_ref().map(FeedReader::reset);
                    let Some(FeedEvent::Reset(elsewhere)) = elsewhere else {
                        budget.made_progress();
                        return Poll::Ready(Some(this.reset(Vec::new())));
                    };
                    Some(this.reset(elsewhere))
                }
                Some(LocalEvent::Entered(member)) => {
                    Some(WatchEvent::Entered(Member::of(this.me, member)))
                }
                Some(LocalEvent::Left(member)) => {
                    Some(WatchEvent::Left(Member::of(this.me, member)))
                }
                _ => None,
            },
        };
        budget.made_progress();
        Poll::Ready(event)
    }
}

impl fmt::Debug for ClusterWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterWatch").field("here", &self.here).finish_non_exhaustive()
    }
}
