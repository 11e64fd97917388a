//! [`Watch`]: the peers that a target matches, as a stream.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::Stream;
use tokio::task::coop;
use veltix_core::{Member, Target, TargetError, WatchStep};

use super::Reader;
use crate::hub::Endpoint;

/// An event of a [`Watch`]. A reader that applies each event to a list always has the peers that
/// the target matched a moment ago. After the last available event, the list has the peers that the
/// target matches now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// These peers, and no others, match the target. Each watch begins with this event. It is sent
    /// again if the reader was so slow that changes had to be discarded.
    Reset(Vec<Member>),
    /// This peer matches the target now. It did not match before.
    Entered(Member),
    /// This peer does not match the target any more. It matched before, and its tags are the last
    /// ones of that time.
    Left(Member),
}

/// A stream of the peers that begin and cease to match a target, by connecting, by disconnecting
/// and by every change of a tag. Created by
/// [`WatchBuilder::start`](crate::WatchBuilder::start).
///
/// A watch keeps up to 1 024 changes and 1 MiB. A reader that falls further behind receives another
/// [`Reset`](WatchEvent::Reset) with the current members instead of the missed changes. The stream
/// ends when the server has ended and its last peer has left.
///
/// ```
/// # use veltix::{Hub, tag};
/// use veltix::presence::WatchEvent;
///
/// # async fn f(hub: Hub) -> Result<(), veltix::TargetError> {
/// let mut lobby = hub.watch(tag("room").is("lobby")).with_tags(["name"]).start()?;
/// while let Some(event) = lobby.next().await {
///     match event {
///         WatchEvent::Reset(members) => println!("{} are here", members.len()),
///         WatchEvent::Entered(member) => println!("{:?} came in", member.tag("name")),
///         WatchEvent::Left(member) => println!("{:?} went", member.tag("name")),
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// ```
#[must_use = "a watch does nothing unless it is read"]
pub struct Watch {
    reader: Reader,
    ended: bool,
}

impl Watch {
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        target: &Target,
        names: &[String],
    ) -> Result<Self, TargetError> {
        let reader = Reader::new(endpoint, |tags| tags.watch(|store| store.watch(target, names)))?;
        Ok(Self { reader, ended: false })
    }

    /// Returns the next event, or `None` once the server drains and its last peer has left.
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Watch {
    type Item = WatchEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // Among peers that connect and disconnect all the time, a reader still lets other tasks
        // run.
        let budget = ready!(coop::poll_proceed(cx));
        self.reader.register(cx);
        let id = self.reader.id;
        let event = match self.reader.tags().read_watch(|store| store.next_change(id)) {
            WatchStep::Reset(members) => Some(WatchEvent::Reset(members)),
            WatchStep::Entered(member) => Some(WatchEvent::Entered(member)),
            WatchStep::Left(member) => Some(WatchEvent::Left(member)),
            WatchStep::Idle => return Poll::Pending,
            WatchStep::Ended => None,
        };
        budget.made_progress();
        self.ended = event.is_none();
        Poll::Ready(event)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("id", &self.reader.id).finish_non_exhaustive()
    }
}
