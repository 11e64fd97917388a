//! [`Connecting`]: the future of [`Client::connect`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Client;
use crate::error::ConnectError;

/// A client that is connecting. Created by [`Client::connect`] and its siblings for other transports.
#[must_use = "nothing is connected before it is awaited"]
pub struct Connecting(Pin<Box<dyn Future<Output = Result<Client, ConnectError>> + Send>>);

impl Connecting {
    pub(super) fn new(
        connecting: impl Future<Output = Result<Client, ConnectError>> + Send + 'static,
    ) -> Self {
        Self(Box::pin(connecting))
    }
}

impl Future for Connecting {
    type Output = Result<Client, ConnectError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").finish_non_exhaustive()
    }
}
