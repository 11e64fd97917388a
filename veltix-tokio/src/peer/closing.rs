//! [`Closing`]: the wait for the end of a connection.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Peer;
use crate::close::{CloseReason, Disconnected};
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
    /// cancelled there.
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

impl Future for Closing {
    type Output = Disconnected;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Disconnected> {
        let Self { peer, position } = self.get_mut();
        peer.0.end_state().poll(position, cx.waker())
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.peer.0.end_state().leave_queue(&self.position);
    }
}
