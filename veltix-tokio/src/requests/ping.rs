//! [`Ping`]: a measurement of the round-trip time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use veltix_core::{Message, PING, PONG};

use super::call::Call;
use crate::error::RequestError;
use crate::peer::Peer;
use crate::session::Expected;

/// A ping, which resolves to the round-trip time. Created by [`Peer::ping`].
///
/// # Errors
/// [`RequestError`], as for a [`Request`](crate::Request): the peer did not answer before the
/// timeout, or the connection has ended.
///
/// # Cancel safety
/// That of [`Request`](crate::Request).
#[derive(Debug)]
#[must_use = "a ping is sent when it is awaited"]
pub struct Ping {
    call: Call,
    sent_at: Option<Instant>,
}

impl Peer {
    /// Pings the peer and resolves to the round-trip time. The timeout is 5 s unless
    /// [`timeout`](Ping::timeout) sets another. Errors and cancel safety are described at [`Ping`].
    pub fn ping(&self) -> Ping {
        Ping::new(self.clone())
    }
}

impl Ping {
    fn new(peer: Peer) -> Self {
        let mut call = Call::new(peer, &Message::empty(PING));
        call.expected = Expected::One(PONG.code());
        Self { call, sent_at: None }
    }

    /// Sets the timeout for the answer, counted from the first poll. Default: 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = timeout;
        self
    }
}

impl Future for Ping {
    type Output = Result<Duration, RequestError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let now = |call: &Call| call.session().services().runtime().now();
        let sent_at = *this.sent_at.get_or_insert_with(|| now(&this.call));
        let answer = ready!(Pin::new(&mut this.call).poll(cx));
        Poll::Ready(answer.map(|_| {
            let took = now(&this.call) - sent_at;
            this.call.session().services().meters().pings.observe_for(took, 1);
            took
        }))
    }
}
