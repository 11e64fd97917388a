//! [`GroupWatch`]: the groups of peers that a target matches, as a stream.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::Stream;
use tokio::task::coop;
use tokio::time::{Instant, Sleep};
use veltix_core::{Group, GroupStep, Target, TargetError};

use super::Reader;
use crate::config::bounded;
use crate::hub::Endpoint;

/// An event of a [`GroupWatch`]. A reader that applies each event to a list always has the groups of
/// a moment ago.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupEvent {
    /// There are these groups, and no others. Each watch begins with this event. It is sent again if
    /// the reader was so slow that changes had to be discarded. A group in its grace is still there.
    Reset(Vec<Group>),
    /// The first connection of this group matches the target.
    Joined(Group),
    /// No connection of this group matches the target any more, for as long as the
    /// [grace](GroupWatchBuilder::grace).
    Left(Group),
}

/// A watch of groups that has not started. Created by
/// [`WatchBuilder::by`](crate::WatchBuilder::by).
#[must_use = "a watch does nothing until `start`"]
pub struct GroupWatchBuilder {
    endpoint: Arc<Endpoint>,
    target: Target,
    by: String,
    grace: Duration,
}

impl GroupWatchBuilder {
    pub(super) const fn new(endpoint: Arc<Endpoint>, target: Target, by: String) -> Self {
        Self { endpoint, target, by, grace: Duration::ZERO }
    }

    /// Sets the time for which a group without connections is still reported as present. If a
    /// connection comes back by then, nothing is reported, so that a reconnect is no event. Default:
    /// zero. A watch holds up to 65 536 groups in their grace, and 8 MiB of their keys. Above these
    /// limits, the oldest grace ends early.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = bounded(grace);
        self
    }

    /// Starts the watch.
    ///
    /// # Errors
    /// [`TargetError`] if the target exceeds a limit. A target written by hand never does.
    pub fn start(self) -> Result<GroupWatch, TargetError> {
        let Self { endpoint, target, by, grace } = self;
        let now = endpoint.services().runtime().now().into_std();
        let reader = Reader::new(endpoint, |tags| {
            tags.watch(|store| store.watch_groups(&target, &by, grace, now))
        })?;
        Ok(GroupWatch { reader, timer: None, ended: false })
    }
}

impl fmt::Debug for GroupWatchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupWatchBuilder")
            .field("target", &self.target)
            .field("by", &self.by)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}

/// A stream of the groups of peers that a target matches: a group joins with its first connection,
/// and leaves with its last one. Created by [`GroupWatchBuilder::start`].
///
/// A watch keeps up to 1 024 changes and 1 MiB. A reader that falls further behind receives another
/// [`Reset`](GroupEvent::Reset) with the current groups instead of the missed changes. The stream
/// ends when the server has ended and its last peer has left, without waiting for a grace.
///
/// ```
/// # use std::time::Duration;
/// # use veltix::{Hub, tag};
/// use veltix::presence::GroupEvent;
///
/// # async fn f(hub: Hub) -> Result<(), veltix::TargetError> {
/// let lobby = hub.watch(tag("room").is("lobby"));
/// let mut users = lobby.by("user").grace(Duration::from_secs(10)).start()?;
/// while let Some(event) = users.next().await {
///     match event {
///         GroupEvent::Reset(groups) => println!("{} users are here", groups.len()),
///         GroupEvent::Joined(group) => println!("{} is online", group.key),
///         GroupEvent::Left(group) => println!("{} is offline", group.key),
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// ```
#[must_use = "a watch does nothing unless it is read"]
pub struct GroupWatch {
    reader: Reader,
    /// Is set while a group is in its grace.
    timer: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl GroupWatch {
    /// Returns the next event, or `None` once the server drains and its last peer has left.
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<GroupEvent> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Waits for the end of the next grace.
    fn poll_timer(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.as_ref().is_none_or(|timer| timer.deadline() != deadline) {
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(deadline),
                // A reader may be polled outside of the runtime.
                None => self.timer = Some(Box::pin(self.reader.runtime().sleep_until(deadline))),
            }
        }
        self.timer.as_mut().map_or(Poll::Pending, |timer| timer.as_mut().poll(cx))
    }
}

impl Stream for GroupWatch {
    type Item = GroupEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<GroupEvent>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let budget = ready!(coop::poll_proceed(cx));
        self.reader.register(cx);
        let id = self.reader.id;
        let event = loop {
            let now = self.reader.runtime().now().into_std();
            match self.reader.tags().read_watch(|store| store.next_group(id, now)) {
                GroupStep::Reset(groups) => break Some(GroupEvent::Reset(groups)),
                GroupStep::Joined(group) => break Some(GroupEvent::Joined(group)),
                GroupStep::Left(group) => break Some(GroupEvent::Left(group)),
                GroupStep::Idle(Some(deadline)) => {
                    ready!(self.poll_timer(Instant::from_std(deadline), cx));
                }
                GroupStep::Idle(None) => {
                    self.timer = None;
                    return Poll::Pending;
                }
                GroupStep::Ended => break None,
            }
        };
        budget.made_progress();
        self.ended = event.is_none();
        Poll::Ready(event)
    }
}

impl fmt::Debug for GroupWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupWatch").field("id", &self.reader.id).finish_non_exhaustive()
    }
}
