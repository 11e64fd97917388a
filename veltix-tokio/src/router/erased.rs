//! Handlers behind one type, and the boxes that their futures run in.

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

/// Boxes that a route keeps for its next calls. A call that is ready at its first poll gives its
/// box back at once, so one per thread that drives connections is enough.
const POOLED_FUTURES: usize = 8;

/// A handler's future on its way: already boxed, so that it can move while it waits.
pub(crate) type PooledFuture = ReusableBoxFuture<'static, Outcome>;

/// What starting a handler gave.
pub(crate) enum Started {
    Done(Outcome),
    Running(PooledFuture),
}

/// A handler of any shape, with its state.
pub(crate) trait Erased<I: Input>: Send + Sync {
    /// Calls the handler, with a box for its future if there is one. A panic is an outcome.
    fn start(&self, cx: &Context<'_>, given: I::Given<'_>, pooled: Option<PooledFuture>)
    -> Started;

    /// A box that is kept for the handler's future.
    fn pooled(&self) -> Option<PooledFuture>;

    /// Takes back the box of a future that is over.
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

/// Polls a handler's future; a panic is an outcome.
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

/// The outcome of a panic.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Outcome {
    #[cfg(veltix_planted_bugs)]
    if planted!("flush_list_lost_on_panic") {
        crate::flush::forget_touched();
    }
    Failure::Panicked(panic_text(panic)).into()
}
