//! [`Watch`]: the changes of the peers that a target matches, as a stream.

use std::collections::BTreeSet;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::Stream;
use futures::task::AtomicWaker;
use tokio::task::coop;
use veltix_core::{PeerId, Target, TargetError, WatchId, WatchStep};

use super::Endpoint;
use crate::peer::Peer;

/// An event of a [`Watch`]. A reader that applies each event to a list always has the peers that
/// the target matched a moment ago. After the last available event, the list has the peers that the
/// target matches now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// These peers, and no others, match the target. Each watch begins with this event. It is sent
    /// again if the reader was so slow that changes had to be discarded.
    Reset(Vec<Peer>),
    /// This peer matches the target now. It did not match before.
    Entered(Peer),
    /// This peer does not match the target any more. It matched before.
    Left(PeerId),
}

/// A stream of the peers that begin and cease to match a target, by connecting, by disconnecting
/// and by every change of a tag. Created by [`Hub::watch`](crate::Hub::watch).
///
/// A watch keeps up to 1 024 changes. A reader that falls further behind receives another
/// [`Reset`](WatchEvent::Reset) with the current members instead of the missed changes. The stream
/// ends when the server has ended and its last peer has left.
///
/// ```
/// # use veltix::{Hub, WatchEvent, tag};
/// # async fn f(hub: Hub) -> Result<(), veltix::TargetError> {
/// let mut lobby = hub.watch(tag("room").is("lobby"))?;
/// while let Some(event) = lobby.next().await {
///     match event {
///         WatchEvent::Reset(peers) => println!("{} are here", peers.len()),
///         WatchEvent::Entered(peer) => println!("{peer} came in"),
///         WatchEvent::Left(id) => println!("#{id} went"),
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// ```
#[must_use = "a watch does nothing unless it is read"]
pub struct Watch {
    endpoint: Arc<Endpoint>,
    id: WatchId,
    waker: Arc<AtomicWaker>,
    /// Peers that match according to the store, but were never reported here. They had left the
    /// table before their event was read, so there was no handle to report. Their leaving is not
    /// reported either.
    unreported: BTreeSet<PeerId>,
    ended: bool,
}

impl Watch {
    pub(crate) fn new(endpoint: Arc<Endpoint>, target: &Target) -> Result<Self, TargetError> {
        let (id, waker) = endpoint.services().tags().watch(target)?;
        Ok(Self { endpoint, id, waker, unreported: BTreeSet::new(), ended: false })
    }

    /// Returns the next event, or `None` when the server has ended and its last peer has left.
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Returns the next available event, if any.
    fn take_next(&mut self) -> Poll<Option<WatchEvent>> {
        let peers = self.endpoint.peers();
        loop {
            match self.endpoint.services().tags().next_change(self.id) {
                WatchStep::Reset(ids) => {
                    self.unreported.clear();
                    let mut inside = Vec::with_capacity(ids.len());
                    for id in ids {
                        match peers.get(id) {
                            Some(peer) => inside.push(peer),
                            None => {
                                self.unreported.insert(id);
                            }
                        }
                    }
                    return Poll::Ready(Some(WatchEvent::Reset(inside)));
                }
                WatchStep::Entered(id) => match peers.get(id) {
                    Some(peer) => return Poll::Ready(Some(WatchEvent::Entered(peer))),
                    None => {
                        self.unreported.insert(id);
                    }
                },
                WatchStep::Left(id) if self.unreported.remove(&id) => {}
                WatchStep::Left(id) => return Poll::Ready(Some(WatchEvent::Left(id))),
                WatchStep::Idle => return Poll::Pending,
                WatchStep::Ended => return Poll::Ready(None),
            }
        }
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
        // Registered before the change is read: a later change finds the waker.
        self.waker.register(cx.waker());
        let event = ready!(self.take_next());
        budget.made_progress();
        self.ended = event.is_none();
        Poll::Ready(event)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.endpoint.services().tags().unwatch(self.id);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("id", &self.id).finish_non_exhaustive()
    }
}
