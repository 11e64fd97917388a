//! What the output of `#[veltix::debug_handler]` calls: a function for each part of a handler,
//! whose only work is its bound.

use std::future::Future;

use veltix_core::TypedMessage;

use super::borrow::BorrowBody;
use super::extract::{FromContext, FromInput};
use super::reply::IntoReply;
use super::typed::{AnswerTo, Input, TellsRejection};

/// That an argument before the last is one.
pub const fn part<T: FromContext<S>, S>() {}

/// That the last argument is one, for what is handled.
pub const fn last<T: FromInput<S, I, Via>, S, I: Input, Via>() {}

/// That the last argument can be borrowed from a body.
pub const fn borrowed<B: BorrowBody + ?Sized>() {}

/// That a typed message can be handled at all.
pub const fn asked<M: TypedMessage<Error: TellsRejection>>() {}

/// That a value can be returned.
pub const fn output<R: IntoReply<I>, I>() {}

/// That a value can be returned by a handler of a typed message.
pub const fn answer<R: AnswerTo<M::Reply, M::Error>, M: TypedMessage>() {}

/// That the future of an async handler can go to any thread.
pub fn future<F: Future + Send + 'static>(_: F) {}

/// An argument, for code that is never run.
#[must_use]
pub fn made<T>() -> T {
    unreachable!("it is only compiled")
}
