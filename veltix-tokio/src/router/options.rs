//! The options with which a route runs its handler: [`Configured`], made by methods of [`Handler`].

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tower_layer::Layer;

use super::extract::Context;
use super::handler::{Called, Handler};
use super::layer::{MessageService, RouteLayer};
use super::signature::Signature;
use super::typed::Input;

/// The options with which a route runs its handler.
#[derive(Clone, Default)]
pub struct RouteOptions {
    /// The maximum number of concurrent calls of this route for one peer. `None` for a serial handler.
    pub(super) concurrent: Option<usize>,
    pub(super) timeout: Option<Duration>,
    /// The limit of bytes per second that its handlers put into other peers' outboxes, for each peer.
    pub(super) publish_limit: Option<u64>,
    /// The layers, the innermost first.
    pub(super) layers: Vec<Arc<dyn RouteLayer>>,
}

impl fmt::Debug for RouteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteOptions")
            .field("concurrent", &self.concurrent)
            .field("timeout", &self.timeout)
            .field("publish_limit", &self.publish_limit)
            .field("layers", &self.layers.len())
            .finish()
    }
}

/// A handler with options for its route. It is made by [`Handler::concurrent`], [`Handler::timeout`],
/// [`Handler::publish_limit`] and [`Handler::layer`].
pub struct Configured<H, T, S, I> {
    handler: H,
    options: RouteOptions,
    shape: PhantomData<fn(T, S, I)>,
}

impl<H: Handler<T, S, I>, T, S, I: Input> Configured<H, T, S, I> {
    pub(super) fn new(handler: H) -> Self {
        let options = handler.options();
        Self { handler, options, shape: PhantomData }
    }

    pub(super) fn concurrent(mut self, calls: usize) -> Self {
        self.options.concurrent = Some(calls.max(1));
        self
    }

    pub(super) const fn timeout(mut self, limit: Duration) -> Self {
        self.options.timeout = Some(limit);
        self
    }

    pub(super) const fn publish_limit(mut self, bytes_per_second: u64) -> Self {
        self.options.publish_limit = Some(bytes_per_second);
        self
    }

    pub(super) fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<MessageService> + Send + Sync + 'static,
        L::Service: super::layer::InboundService,
    {
        self.options.layers.push(Arc::new(layer));
        self
    }
}

impl<H, T, S, I> Signature<T> for Configured<H, T, S, I> {}

#[diagnostic::do_not_recommend]
impl<H, T, S, I> Handler<T, S, I> for Configured<H, T, S, I>
where
    H: Handler<T, S, I>,
    T: 'static,
    S: 'static,
    I: Input,
{
    type Future = H::Future;
    const IS_ASYNC: bool = H::IS_ASYNC;
    const NEEDS_HUB: bool = H::NEEDS_HUB;

    fn call(&self, cx: &Context<'_>, state: &S, given: I::Given<'_>) -> Called<Self::Future> {
        self.handler.call(cx, state, given)
    }

    fn options(&self) -> RouteOptions {
        self.options.clone()
    }
}

impl<H: Clone, T, S, I> Clone for Configured<H, T, S, I> {
    fn clone(&self) -> Self {
        let (handler, options) = (self.handler.clone(), self.options.clone());
        Self { handler, options, shape: PhantomData }
    }
}

impl<H, T, S, I> fmt::Debug for Configured<H, T, S, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configured").field("options", &self.options).finish_non_exhaustive()
    }
}
