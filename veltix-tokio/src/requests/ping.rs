//! [`Ping`]: the round-trip time.

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

/// A ping: resolves to the round-trip time. Made by [`Peer::ping`].
///
/// # Errors
/// [`RequestError`], as a [`Request`](crate::Request): that the peer did not answer in time, or is
/// gone.
///
/// # Cancel safety
/// As that of [`Request`](crate::Request).
#[derive(Debug)]
#[must_use = "a ping is sent when it is awaited"]
pub struct Ping {
    call: Call,
    sent_at: Option<Instant>,
}

impl Peer {
    /// Asks the peer whether it is there; resolves to the round-trip time, within 5 s unless
    /// [`timeout`](Ping::timeout) says otherwise. Errors and cancel safety: see [`Ping`].
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

    /// How long the answer may take, from the first poll on. Default: 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = timeout;
        self
    }
}

impl Future for Ping {
    type Output = Result<Duration, RequestError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let sent_at = *self.sent_at.get_or_insert_with(Instant::now);
        let answer = ready!(Pin::new(&mut self.call).poll(cx));
        Poll::Ready(answer.map(|_| sent_at.elapsed()))
    }
}
