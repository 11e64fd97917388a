//! The functions that the output of `#[veltix::debug_handler]` calls: one for each part of a handler.
//! Their only purpose is their trait bound.

use std::future::Future;

use veltix_core::TypedMessage;

use super::borrow::BorrowBody;
use super::extract::{FromContext, FromInput};
use super::reply::IntoReply;
use super::typed::{AnswerTo, Input, TellsRejection};

/// Checks that an argument before the last is an extractor.
pub const fn part<T: FromContext<S>, S>() {}

/// Checks that the last argument is an extractor for the handler's input.
pub const fn last<T: FromInput<S, I, Via>, S, I: Input, Via>() {}

/// Checks that the last argument can be borrowed from a body.
pub const fn borrowed<B: BorrowBody + ?Sized>() {}

/// Checks that a typed message can be handled.
pub const fn asked<M: TypedMessage<Error: TellsRejection>>() {}

/// Checks that a value can be returned.
pub const fn output<R: IntoReply<I>, I>() {}

/// Checks that a value can be returned by a handler of a typed message.
pub const fn answer<R: AnswerTo<M::Reply, M::Error>, M: TypedMessage>() {}

/// Checks that the future of an async handler can be sent to any thread.
pub fn future<F: Future + Send + 'static>(_: F) {}

/// Returns an argument for code that is only compiled and never run.
#[must_use]
pub fn made<T>() -> T {
    unreachable!("this function is only compiled, never called")
}
