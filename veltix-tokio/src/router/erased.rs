//! Handlers behind one type, and the pooled futures in which they run.

use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{self, Poll};

use tokio_util::sync::ReusableBoxFuture;

use super::extract::Context;
use super::handler::{Called, Handler};
use super::outcome::{Failure, Outcome};
use super::typed::Input;
use crate::planted::planted;
use crate::sync::{Mutex, panic_text};

/// The number of pooled futures that a route keeps for its next calls. A call that is ready at its
/// first poll returns its future at once, so one per thread that drives connections is enough.
const POOLED_FUTURES: usize = 8;

/// The future of a running handler. It is boxed, so that it can move while it waits.
pub(crate) type PooledFuture = ReusableBoxFuture<'static, Outcome>;

/// The result of starting a handler.
pub(crate) enum Started {
    Done(Outcome),
    Running(PooledFuture),
}

/// A handler of any shape, with its state.
pub(crate) trait Erased<I: Input>: Send + Sync {
    /// Calls the handler, with a pooled future if there is one. A panic becomes an outcome.
    fn start(&self, cx: &Context<'_>, given: I::Given<'_>, pooled: Option<PooledFuture>)
    -> Started;

    /// Takes a pooled future that is kept for the handler.
    fn pooled(&self) -> Option<PooledFuture>;

    /// Returns a finished future to the pool.
    fn give_back(&self, future: PooledFuture);
}

pub(crate) struct Bound<H, T, S, I> {
    handler: H,
    state: S,
    boxes: Mutex<Vec<PooledFuture>>,
    shape: PhantomData<fn(T, I)>,
}

impl<H, T, S, I> Bound<H, T, S, I> {
    pub(crate) const fn new(handler: H, state: S) -> Self {
        Self { handler, state, boxes: Mutex::new(Vec::new()), shape: PhantomData }
    }
}

impl<H, T, S, I, R> Erased<R> for Bound<H, T, S, I>
where
    H: Handler<T, S, I>,
    S: Send + Sync,
    I: for<'a> Input<Given<'a> = R::Given<'a>>,
    R: Input,
{
    fn start(
        &self,
        cx: &Context<'_>,
        given: R::Given<'_>,
        pooled: Option<PooledFuture>,
    ) -> Started {
        let call = || self.handler.call(cx, &self.state, given);
        let called = catch_unwind(AssertUnwindSafe(call));
        let future = match called {
            Ok(Called::Done(outcome)) => return Started::Done(outcome),
            Ok(Called::Future(future)) => future,
            Err(panic) => return Started::Done(panicked(&*panic)),
        };
        Started::Running(match pooled {
            Some(mut pooled) => {
                pooled.set(future);
                pooled
            }
            None => PooledFuture::new(future),
        })
    }

    fn pooled(&self) -> Option<PooledFuture> {
        self.boxes.lock().pop()
    }

    fn give_back(&self, future: PooledFuture) {
        let mut boxes = self.boxes.lock();
        if boxes.len() < POOLED_FUTURES {
            boxes.push(future);
        }
    }
}

/// Polls a handler's future. A panic becomes an outcome.
#[inline]
pub(crate) fn poll_caught(future: &mut PooledFuture, cx: &mut task::Context<'_>) -> Poll<Outcome> {
    if planted!("panic_escapes") {
        return Pin::new(future).poll(cx);
    }
    match catch_unwind(AssertUnwindSafe(|| Pin::new(future).poll(cx))) {
        Ok(poll) => poll,
        Err(panic) => Poll::Ready(panicked(&*panic)),
    }
}

/// Returns the outcome of a panic.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Outcome {
    #[cfg(veltix_planted_bugs)]
    if planted!("flush_list_lost_on_panic") {
        crate::flush::forget_touched();
    }
    Failure::Panicked(panic_text(panic)).into()
}
