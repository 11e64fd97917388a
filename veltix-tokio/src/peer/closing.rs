//! [`Closing`] and [`Leaving`]: the waits for the end of a connection, and for its beginning.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Peer, PeerStats};
use crate::close::{CloseReason, Disconnected};
use crate::flush;
use crate::sync::QueuePosition;

/// The end of a connection, which resolves to how the connection ended. Created by [`Peer::close`]
/// and [`Peer::closed`].
#[derive(Debug)]
pub struct Closing {
    peer: Peer,
    position: QueuePosition,
}

impl Peer {
    /// Closes the connection: cancels its handlers, writes what is queued (for at most 1 s), and
    /// ends. It takes effect at once. The future need not be awaited; it returns the final
    /// result of the connection. If a handler of this same connection awaits it, that handler is
    /// cancelled there. In a plain handler, which cannot wait, the future is ready at once with the
    /// counters so far.
    ///
    /// On a client, this side has decided that the connection ends: the client does not reconnect and
    /// is [`Lost`](crate::ClientStatus::Lost). [`Client::retry`](crate::Client::retry) after this call
    /// makes it a reconnect.
    ///
    /// # Cancel safety
    /// Dropping the future only ends the waiting.
    pub fn close(&self) -> Closing {
        self.0.cancel(CloseReason::Closed);
        self.closed()
    }

    /// Waits until the connection has ended, without closing it.
    ///
    /// # Cancel safety
    /// Cancel safe.
    #[must_use]
    pub fn closed(&self) -> Closing {
        Closing { peer: self.clone(), position: QueuePosition::default() }
    }
}

/// The beginning of the end of a connection. Created by [`Peer::closing`].
#[must_use = "nothing is awaited before it is polled"]
pub struct Leaving {
    peer: Peer,
    position: QueuePosition,
    draining: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Peer {
    /// Waits until the connection is about to end: the peer leaves, this side closes the connection, or
    /// the server begins to drain. It is ready at once if the end has begun.
    ///
    /// A handler that runs for long selects on it and returns. The drain then does not wait for the
    /// handler, and a peer that has left keeps no handler busy. Its route is
    /// [`concurrent`](crate::Handler::concurrent), since other messages of the peer wait for the
    /// handler otherwise.
    ///
    /// ```
    /// # use veltix::{Message, MessageType, Peer, SendError};
    /// # const TICK: MessageType = MessageType::new(200, "tick", "");
    /// async fn stream(peer: Peer) -> Result<(), SendError> {
    ///     let mut ticks = tokio::time::interval(std::time::Duration::from_secs(1));
    ///     loop {
    ///         tokio::select! {
    ///             _ = ticks.tick() => peer.send(&Message::empty(TICK)).await?,
    ///             () = peer.closing() => return Ok(()),
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// A connection notices that its peer has left as long as it reads. It does not read while the
    /// inbox is full of messages that wait behind the handler; then the next failed write, or the
    /// heartbeat, shows the end.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub fn closing(&self) -> Leaving {
        let services = Arc::clone(self.0.services());
        let draining = Box::pin(async move { services.drain().begun().await });
        Leaving { peer: self.clone(), position: QueuePosition::default(), draining }
    }
}

impl Future for Leaving {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { peer, position, draining } = self.get_mut();
        if peer.0.end_state().poll_asked(position, cx.waker()).is_ready() {
            return Poll::Ready(());
        }
        draining.as_mut().poll(cx)
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.peer.0.end_state().leave_queue(&self.position);
    }
}

impl fmt::Debug for Leaving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaving").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Future for Closing {
    type Output = Disconnected;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Disconnected> {
        let Self { peer, position } = self.get_mut();
        let outcome = peer.0.end_state().poll(position, cx.waker());
        match peer.0.end_state().asked() {
            Some(reason) if outcome.is_pending() && flush::is_in_plain_handler() => {
                let PeerStats { sent, received } = peer.stats();
                let undelivered = sent.dropped() + sent.queued;
                Poll::Ready(Disconnected { reason, undelivered, sent, received })
            }
            _ => outcome,
        }
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.peer.0.end_state().leave_queue(&self.position);
    }
}
