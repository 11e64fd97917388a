//! What stands around a handler when its route asks for it: a thread of its own, a deadline.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::oneshot;
use tokio::time::timeout;
use veltix_core::Message;

use super::erased::{Erased, Outcome, Recycled, Started};
use super::extract::Context;
use crate::batch;

/// Runs a plain handler on a thread of the pool.
pub(super) struct Blocking(pub(super) Arc<dyn Erased<Message>>);

impl Erased<Message> for Blocking {
    fn start(&self, cx: &Context<'_>, message: Message, _spare: Option<Recycled>) -> Started {
        let (done, outcome) = oneshot::channel();
        let (peer, handler) = (cx.peer().clone(), Arc::clone(&self.0));
        let span = tracing::Span::current();
        cx.peer().endpoint().workers().run(move || {
            if done.is_closed() {
                // Cancelled while it waited for a thread; the message is counted as discarded.
                return;
            }
            let _entered = span.enter();
            let context = Context::new(&peer, message.code(), message.id());
            if let Started::Done(outcome) =
                batch::blocking(&peer, || handler.start(&context, message, None))
            {
                // Whoever waited may have been cancelled.
                let _ = done.send(outcome);
            }
        });
        Started::Running(Recycled::new(async move {
            // A job catches its handler's panic, so it goes without a word only unrun.
            outcome.await.unwrap_or_else(|_| Outcome::Failed(NoThread.into(), None))
        }))
    }

    fn spare(&self) -> Option<Recycled> {
        None
    }

    fn recycle(&self, _future: Recycled) {}
}

/// A blocking handler was not run.
#[derive(Debug, Error)]
#[error(
    "no thread for blocking handlers could be started: raise the limit of threads, or use an async handler"
)]
struct NoThread;

/// Gives a handler so long.
pub(super) struct Timed {
    pub(super) handler: Arc<dyn Erased<Message>>,
    pub(super) limit: Duration,
}

impl Erased<Message> for Timed {
    fn start(&self, cx: &Context<'_>, message: Message, spare: Option<Recycled>) -> Started {
        let limit = self.limit;
        match self.handler.start(cx, message, spare) {
            Started::Done(outcome) => Started::Done(outcome),
            Started::Running(future) => Started::Running(Recycled::new(async move {
                let late = |_| Outcome::Failed(HandlerTimeout { limit }.into(), None);
                timeout(limit, future).await.unwrap_or_else(late)
            })),
        }
    }

    fn spare(&self) -> Option<Recycled> {
        None
    }

    fn recycle(&self, _future: Recycled) {}
}

/// A handler took longer than its route's [`timeout`](crate::Handler::timeout).
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the handler did not return within {limit:?}")]
struct HandlerTimeout {
    limit: Duration,
}
