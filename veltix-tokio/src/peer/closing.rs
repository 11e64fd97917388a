//! [`Closing`], the wait for a connection's end.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Peer;
use crate::close::Disconnected;
use crate::sync::Place;

/// The end of a connection: resolves to how it ended. Made by [`Peer::close`] and
/// [`Peer::closed`].
#[derive(Debug)]
pub struct Closing {
    pub(super) peer: Peer,
    pub(super) place: Place,
}

impl Future for Closing {
    type Output = Disconnected;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Disconnected> {
        let Self { peer, place } = self.get_mut();
        let mut end = peer.0.end.lock();
        if let Some(outcome) = &end.outcome {
            return Poll::Ready(Disconnected::clone(outcome));
        }
        end.waiting.wait(place, cx.waker());
        Poll::Pending
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        if self.place.is_taken() {
            let waker = self.peer.0.end.lock().waiting.leave(&self.place);
            drop(waker);
        }
    }
}
