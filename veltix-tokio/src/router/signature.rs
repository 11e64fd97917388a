//! The parts of a handler that the compiler checks one by one, so that its message is about the part that
//! does not fit: [`Signature`], [`CallAs`] and [`Returned`]; and [`BlockingHandler`], which must be plain.

use std::future::{Future, Ready};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{self, Poll};

use pin_project_lite::pin_project;

use super::handler::{Called, Handler, marker};
use super::outcome::Outcome;
use super::reply::IntoReply;
use super::typed::Input;

/// A function with the arguments of `T`, whatever they are. It precedes [`Handler`](super::Handler) in the
/// bounds of the router, and tells the compiler which of the shapes of handlers it has to check.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a function of up to eight arguments",
    label = "not a function that can be a handler",
    note = "a handler is a function or a closure; what a closure captures is `Clone` in an async one, and is not \
            changed or given away in a plain one"
)]
pub trait Signature<T> {}

/// The way in which a handler of a kind is called.
pub trait CallAs<K, A> {
    /// The return value of the function.
    type Output;

    /// Calls the function: for each call a clone of an async one, so that its future may take or lend what
    /// the function captures.
    fn call_as(&self, arguments: A) -> Self::Output;
}

/// The return value of a handler of a kind: a future, or a reply.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be what this handler returns",
    label = "neither a reply nor a future of one that is `Send`",
    note = "for `Router::on` it is the `reply` that the message declares, or nothing without one; for `Router::route` \
            and `Router::fallback` nothing, `Message`, `Text`, `Json<T>`, `Bytes`, `String` or an `Option` of one of \
            them; for `on_connect` and `on_disconnect` nothing",
    note = "it may be a `Result` of that, whose error is the `error` that the message declares, or any error without one",
    note = "the future of an async handler is `Send`: it holds no `Rc`, no `RefCell` borrow and no lock guard across \
            an `.await`; `#[veltix::debug_handler]` on the function names such a value"
)]
pub trait Returned<K, I> {
    /// The future of an async handler.
    type Future: Future<Output = Outcome> + Send + 'static;

    /// True for a future.
    const IS_ASYNC: bool;

    /// Converts the value into the result of the call.
    fn into_called(self) -> Called<Self::Future>;
}

pin_project! {
    /// The future of a handler; its output becomes an [`Outcome`].
    #[derive(Debug)]
    pub struct Answering<F, I> {
        #[pin]
        future: F,
        input: PhantomData<fn(I)>,
    }
}

impl<F: Future<Output: IntoReply<I>>, I> Future for Answering<F, I> {
    type Output = Outcome;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Outcome> {
        self.project().future.poll(cx).map(IntoReply::into_outcome)
    }
}

#[diagnostic::do_not_recommend]
impl<F, I> Returned<marker::Async, I> for F
where
    F: Future<Output: IntoReply<I> + 'static> + Send + 'static,
    I: 'static,
{
    type Future = Answering<F, I>;
    const IS_ASYNC: bool = true;

    #[inline]
    fn into_called(self) -> Called<Self::Future> {
        Called::Future(Answering { future: self, input: PhantomData })
    }
}

#[diagnostic::do_not_recommend]
impl<R: IntoReply<I>, I> Returned<marker::Plain, I> for R {
    type Future = Ready<Outcome>;
    const IS_ASYNC: bool = false;

    #[inline]
    fn into_called(self) -> Called<Self::Future> {
        Called::Done(self.into_outcome())
    }
}

/// A plain handler for [`Router::on_blocking`](crate::Router::on_blocking) and
/// [`Router::route_blocking`](crate::Router::route_blocking).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot run on a thread for blocking handlers",
    label = "not a plain function that is a handler",
    note = "a blocking handler is a plain function: an async function or closure belongs to `Router::on` or \
            `Router::route`; inside a plain one, `tokio::runtime::Handle::current().block_on(..)` awaits a future",
    note = "its arguments and its return value are those of a plain handler for `Router::on`, with `Msg<T>` as the \
            last argument, or for `Router::route`",
    note = "`#[veltix::debug_handler]` on the function names an argument or a return value that does not fit"
)]
pub trait BlockingHandler<V, T, S, I: Input>: Handler<(marker::Plain, V, T), S, I> {}

#[diagnostic::do_not_recommend]
impl<H: Handler<(marker::Plain, V, T), S, I>, V, T, S, I: Input> BlockingHandler<V, T, S, I> for H {}
