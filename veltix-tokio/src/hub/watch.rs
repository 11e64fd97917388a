//! [`Watch`]: who enters and who leaves what a target means, as a stream.

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

/// What a [`Watch`] tells. Whoever does to a list what each event says has, at each moment, the
/// peers that the target meant a moment ago, and once the watch has nothing to tell, now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// These peers, and no others, are inside. Each watch begins with it, and begins again with
    /// it when its reader was so slow that changes had to be given up.
    Reset(Vec<Peer>),
    /// This peer is inside now. It was not before.
    Entered(Peer),
    /// This peer is not inside any more. It was before.
    Left(PeerId),
}

/// A stream of who enters and who leaves what a target means: by connecting and disconnecting,
/// and by every change of a tag. Made by [`Hub::watch`](crate::Hub::watch).
///
/// It never lies: it keeps up to 1 024 changes, and a reader that is further behind is told who is
/// inside, by another [`Reset`](WatchEvent::Reset), instead of what was lost. It ends when the
/// server has ended and its last peer has left.
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
#[must_use = "a watch tells nothing unless it is read"]
pub struct Watch {
    endpoint: Arc<Endpoint>,
    id: WatchId,
    waker: Arc<AtomicWaker>,
    /// Peers that are inside as far as the store has told, and were never told of here: they had
    /// left the table when it was their turn, so there was no handle to tell. That they leave is
    /// not told either.
    untold: BTreeSet<PeerId>,
    over: bool,
}

impl Watch {
    pub(crate) fn new(endpoint: Arc<Endpoint>, target: &Target) -> Result<Self, TargetError> {
        let (id, waker) = endpoint.services().tags().watch(target)?;
        Ok(Self { endpoint, id, waker, untold: BTreeSet::new(), over: false })
    }

    /// The next event; `None` when the server has ended and its last peer has left.
    ///
    /// # Cancel safety
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The next event that there is, if any.
    fn take_next(&mut self) -> Poll<Option<WatchEvent>> {
        let peers = self.endpoint.peers();
        loop {
            match self.endpoint.services().tags().next_change(self.id) {
                WatchStep::Reset(ids) => {
                    self.untold.clear();
                    let mut inside = Vec::with_capacity(ids.len());
                    for id in ids {
                        match peers.get(id) {
                            Some(peer) => inside.push(peer),
                            None => {
                                self.untold.insert(id);
                            }
                        }
                    }
                    return Poll::Ready(Some(WatchEvent::Reset(inside)));
                }
                WatchStep::Entered(id) => match peers.get(id) {
                    Some(peer) => return Poll::Ready(Some(WatchEvent::Entered(peer))),
                    None => {
                        self.untold.insert(id);
                    }
                },
                WatchStep::Left(id) if self.untold.remove(&id) => {}
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
        if self.over {
            return Poll::Ready(None);
        }
        // Among peers that never stop coming and going, a reader still lets others run.
        let budget = ready!(coop::poll_proceed(cx));
        // Before the look: a change that comes after it finds the waker.
        self.waker.register(cx.waker());
        let event = ready!(self.take_next());
        budget.made_progress();
        self.over = event.is_none();
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
