//! Wrappers of a handler for the options of its route: a thread of its own, a timeout, a publish limit.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::timeout;
use veltix_core::{Message, MessageRef};

use super::extract::Context;
use super::handler::{Erased, PooledFuture, Started};
use super::outcome::Outcome;
use super::typed::Input;
use crate::flush::{self, PublishLimit, ThreadScope};
use crate::hub::Hub;

/// A plain handler that runs on a thread of the pool.
pub(super) struct Blocking {
    handler: Arc<dyn Erased<Message>>,
    hub: Option<Hub>,
}

impl Blocking {
    pub(super) fn new(handler: Box<dyn Erased<Message>>, hub: Option<&Hub>) -> Self {
        Self { handler: Arc::from(handler), hub: hub.cloned() }
    }
}

impl Erased<Message> for Blocking {
    fn start(
        &self,
        cx: &Context<'_>,
        message: MessageRef<'_>,
        _pooled: Option<PooledFuture>,
    ) -> Started {
        let mut message = message.into_message();
        let (peer, hub) = (cx.peer().clone(), self.hub.clone());
        let handler = Arc::clone(&self.handler);
        let span = tracing::Span::current();
        Started::Running(PooledFuture::new(async move {
            // The job keeps its permit until it ends, even when its caller does not wait any more. So
            // however many calls of one peer time out, other peers still get a thread.
            let Ok(turn) = Arc::clone(peer.session().threads()).acquire_owned().await else {
                return Outcome::failed(NoThread);
            };
            let (done, outcome) = oneshot::channel();
            let services = Arc::clone(peer.session().services());
            services.workers().run(move || {
                let _turn = turn;
                if done.is_closed() {
                    // Cancelled while it waited for a thread. The message is already counted.
                    return;
                }
                let _entered = span.enter();
                let context = Context::new(&peer, hub.as_ref(), message.code(), message.id());
                let scope = ThreadScope::enter(peer.session());
                if let Started::Done(outcome) = handler.start(&context, message.by_ref(), None) {
                    // The waiting task may have been cancelled.
                    let _ = done.send((outcome, scope.take_published()));
                }
            });
            // A job catches the panic of its handler, so the channel closes only if the job never ran.
            let Ok((outcome, published)) = outcome.await else { return Outcome::failed(NoThread) };
            flush::published_apart(published);
            outcome
        }))
    }

    fn pooled(&self) -> Option<PooledFuture> {
        None
    }

    fn give_back(&self, _future: PooledFuture) {}
}

/// The error of a blocking handler that was not run.
#[derive(Debug, Error)]
#[error(
    "no thread for blocking handlers could be started: raise the limit of threads, or use an async handler"
)]
struct NoThread;

/// A handler with a time limit.
pub(super) struct Timed<R: Input> {
    pub(super) handler: Box<dyn Erased<R>>,
    pub(super) limit: Duration,
}

impl<R: Input> Erased<R> for Timed<R> {
    fn start(
        &self,
        cx: &Context<'_>,
        given: R::Given<'_>,
        pooled: Option<PooledFuture>,
    ) -> Started {
        let limit = self.limit;
        match self.handler.start(cx, given, pooled) {
            Started::Running(future) => Started::Running(PooledFuture::new(async move {
                let late = |_| Outcome::failed(HandlerTimeout { limit });
                timeout(limit, future).await.unwrap_or_else(late)
            })),
            done => done,
        }
    }

    fn pooled(&self) -> Option<PooledFuture> {
        None
    }

    fn give_back(&self, _future: PooledFuture) {}
}

/// A handler whose published bytes are counted separately, for the limit of its route.
pub(super) struct Publishing {
    pub(super) handler: Box<dyn Erased<Message>>,
    pub(super) limit: PublishLimit,
}

impl Erased<Message> for Publishing {
    fn start(
        &self,
        cx: &Context<'_>,
        message: MessageRef<'_>,
        pooled: Option<PooledFuture>,
    ) -> Started {
        let limit = self.limit;
        match flush::limited(limit, || self.handler.start(cx, message, pooled)) {
            Started::Running(mut future) => {
                Started::Running(PooledFuture::new(poll_fn(move |cx| {
                    flush::limited(limit, || Pin::new(&mut future).poll(cx))
                })))
            }
            done => done,
        }
    }

    fn pooled(&self) -> Option<PooledFuture> {
        None
    }

    fn give_back(&self, _future: PooledFuture) {}
}

/// The error of a handler that took longer than its route's [`timeout`](crate::Handler::timeout).
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the handler did not return within {limit:?}: raise its `timeout`")]
struct HandlerTimeout {
    limit: Duration,
}
