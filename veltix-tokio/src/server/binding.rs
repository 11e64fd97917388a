//! [`Binding`]: the future of [`Server::bind`].

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Server;
use crate::error::BindError;

/// A server that is being bound. Created by [`Server::bind`].
#[must_use = "nothing is bound before it is awaited"]
pub struct Binding(Pin<Box<dyn Future<Output = Result<Server, BindError>> + Send>>);

impl Binding {
    pub(super) fn new(
        binding: impl Future<Output = Result<Server, BindError>> + Send + 'static,
    ) -> Self {
        Self(Box::pin(binding))
    }
}

impl Future for Binding {
    type Output = Result<Server, BindError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding").finish_non_exhaustive()
    }
}
