//! Handlers behind one type, and the boxes that their futures run in.

use std::any::Any;
use std::error::Error as StdError;
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
use crate::sync::Mutex;

/// Boxes that a route keeps for its next calls. A call that is ready at its first poll gives its
/// box back at once, so one per thread that drives connections is enough.
const KEPT_BOXES: usize = 8;

/// Causes of an error that are told at most: an error may name itself as its cause.
const MAX_CAUSES: usize = 16;

/// A handler's future on its way: already boxed, so that it can move while it waits.
pub(crate) type Recycled = ReusableBoxFuture<'static, Outcome>;

/// What starting a handler gave.
pub(crate) enum Started {
    Done(Outcome),
    Running(Recycled),
}

/// A handler of any shape, with its state.
pub(crate) trait Erased<I: Input>: Send + Sync {
    /// Calls the handler, with a box for its future if there is one. A panic is an outcome.
    fn start(&self, cx: &Context<'_>, given: I::Given<'_>, spare: Option<Recycled>) -> Started;

    /// A box that is kept for the handler's future.
    fn spare(&self) -> Option<Recycled>;

    /// Takes back the box of a future that is over.
    fn recycle(&self, future: Recycled);
}

pub(crate) struct Bound<H, T, S, I> {
    handler: H,
    state: S,
    boxes: Mutex<Vec<Recycled>>,
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
    fn start(&self, cx: &Context<'_>, given: R::Given<'_>, spare: Option<Recycled>) -> Started {
        let call = || self.handler.call(cx, &self.state, given);
        let called = catch_unwind(AssertUnwindSafe(call));
        let future = match called {
            Ok(Called::Done(outcome)) => return Started::Done(outcome),
            Ok(Called::Future(future)) => future,
            Err(panic) => return Started::Done(panicked(&*panic)),
        };
        Started::Running(match spare {
            Some(mut spare) => {
                spare.set(future);
                spare
            }
            None => Recycled::new(future),
        })
    }

    fn spare(&self) -> Option<Recycled> {
        self.boxes.lock().pop()
    }

    fn recycle(&self, future: Recycled) {
        let mut boxes = self.boxes.lock();
        if boxes.len() < KEPT_BOXES {
            boxes.push(future);
        }
    }
}

/// Polls a handler's future; a panic is an outcome.
#[inline]
pub(crate) fn poll_caught(future: &mut Recycled, cx: &mut task::Context<'_>) -> Poll<Outcome> {
    if planted!("panic_escapes") {
        return Pin::new(future).poll(cx);
    }
    match catch_unwind(AssertUnwindSafe(|| Pin::new(future).poll(cx))) {
        Ok(poll) => poll,
        Err(panic) => Poll::Ready(panicked(&*panic)),
    }
}

/// Drops what belongs to the application: its destructors may panic, and must not take the
/// connection's task with them.
pub(crate) fn drop_caught<T>(value: T) {
    if catch_unwind(AssertUnwindSafe(|| drop(value))).is_err() {
        tracing::error!("a destructor of the application panicked");
    }
}

/// The text of an error of the application's and those of its causes, any of which may panic like
/// its handler. Many errors end with the text of their cause; that is not said twice.
pub(crate) fn text_of(error: &(dyn StdError + 'static)) -> String {
    let text = || {
        let mut text = error.to_string();
        for cause in
            std::iter::successors(error.source(), |error| (*error).source()).take(MAX_CAUSES)
        {
            let cause = cause.to_string();
            if !text.ends_with(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        text
    };
    catch_unwind(AssertUnwindSafe(text)).unwrap_or_else(|_| "an error whose text panics".to_owned())
}

/// The text of a panic, if it has one.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "a panic without a text".to_owned(),
    }
}

/// The outcome of a panic.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Outcome {
    #[cfg(veltix_planted_bugs)]
    if planted!("flush_list_lost_on_panic") {
        crate::batch::forget_touched();
    }
    Failure::Panicked(panic_text(panic)).into()
}
