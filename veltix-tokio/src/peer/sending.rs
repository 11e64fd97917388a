//! [`Sending`]: a message that waits for room in an outbox.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::Sleep;
use veltix_core::limits::SEND_GRACE;
use veltix_core::{Frame, ToMessage};

use super::Peer;
use crate::error::SendError;
use crate::flush;
use crate::outbox::Push;
use crate::sync::QueuePosition;

/// A message that is being queued in a peer's outbox. Created by [`Peer::send`].
#[derive(Debug)]
#[must_use = "a message is sent when it is awaited"]
pub struct Sending {
    /// Taken while it is pushed. `None` after completion.
    step: Option<Result<(Peer, Frame), SendError>>,
    position: QueuePosition,
    /// Ends the wait for room. A peer that accepts a byte now and then is not stalled, but it must
    /// not block a handler for ever.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Sending {
    fn new(step: Result<(Peer, Frame), SendError>) -> Self {
        Self { step: Some(step), position: QueuePosition::default(), patience: None }
    }
}

impl Peer {
    /// Sends a message. If the peer's outbox is full, the future waits for room. The wait ends when
    /// the peer reads, when the connection ends, or one second after the write stall (a server's
    /// default is 10 s; a client has none).
    ///
    /// `Ok` means that the outbox has the message. The message is encoded now, and queued when the
    /// future is polled.
    ///
    /// # Errors
    /// [`SendError::Closed`] if the connection has ended, [`SendError::Full`] if there was no room
    /// until the limit above, [`SendError::InPlainHandler`] if a plain handler would have to wait, and
    /// [`SendError::Encode`].
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, the message was not accepted. A message is sent
    /// as a whole or not at all.
    pub fn send(&self, message: &(impl ToMessage + ?Sized)) -> Sending {
        Sending::new(self.plain_frame(message).map(|frame| (self.clone(), frame)))
    }

    /// Sends a message if the peer's outbox has room now.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::Closed`] and [`SendError::Encode`]: the message was not
    /// accepted.
    pub fn try_send(&self, message: &(impl ToMessage + ?Sized)) -> Result<(), SendError> {
        let frame = self.plain_frame(message)?;
        let length = frame.len();
        match self.0.outbox().push(frame) {
            Push::Queued(queued) => {
                flush::schedule_published(&self.0, queued, length);
                Ok(())
            }
            Push::Full(_) => Err(SendError::Full),
            Push::Closed => Err(SendError::Closed),
        }
    }

    fn plain_frame(&self, message: &(impl ToMessage + ?Sized)) -> Result<Frame, SendError> {
        let message = self.0.encode(message)?;
        if fault!("plain_id_of_a_call") {
            return Ok(message.with_id(veltix_core::RequestId::new(1)).into());
        }
        Ok(message.with_id(self.0.ids().plain()).into())
    }
}

impl Future for Sending {
    type Output = Result<(), SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(step) = this.step.take() else { return Poll::Ready(Err(SendError::Closed)) };
        let (peer, frame) = step?;
        let waiting = (&mut this.position, cx.waker());
        let length = frame.len();
        match peer.0.outbox().push_or_wait(frame, Some(waiting)) {
            Push::Queued(queued) => {
                flush::schedule_published(&peer.0, queued, length);
                Poll::Ready(Ok(()))
            }
            Push::Full(_) if flush::is_in_plain_handler() => {
                Poll::Ready(Err(SendError::InPlainHandler))
            }
            Push::Full(frame) => {
                let stall = peer.0.limits().write_stall;
                if this.patience.is_none() {
                    let runtime = peer.0.services().runtime();
                    this.patience = stall.map(|stall| Box::pin(runtime.sleep(stall + SEND_GRACE)));
                }
                let late = this.patience.as_mut().is_some_and(|it| it.as_mut().poll(cx).is_ready());
                this.step = Some(Ok((peer, frame)));
                if late { Poll::Ready(Err(SendError::Full)) } else { Poll::Pending }
            }
            Push::Closed => Poll::Ready(Err(SendError::Closed)),
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(Ok((peer, _))) = &self.step {
            peer.0.outbox().leave_queue(&self.position);
        }
    }
}
