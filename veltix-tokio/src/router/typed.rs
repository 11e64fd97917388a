//! Handlers of typed messages: what they take, what they must answer, and how they fail.

use std::fmt;
use std::marker::PhantomData;

use veltix_core::{Message, MessageRef, NoError, NoReply, Told, TypedMessage};

use super::extract::Rejection;
use super::outcome::{Failure, Outcome};
use super::reply::{IntoReply, Reply};
use crate::close::Disconnected;
use crate::error::BoxError;

/// What a handler of [`Router::on`](crate::Router::on) handles: a message that is an `M`.
#[derive(Debug)]
pub struct Asked<M>(PhantomData<fn() -> M>);

/// What handlers handle: a [`Message`], an [`Asked`], nothing in `on_connect`, a [`Disconnected`]
/// in `on_disconnect`.
pub trait Input: Send + 'static {
    /// What they are given: of a message, an [`MessageRef`].
    type Given<'a>;
}

impl Input for () {
    type Given<'a> = ();
}

impl Input for Message {
    type Given<'a> = MessageRef<'a>;
}

impl Input for Disconnected {
    type Given<'a> = Self;
}

impl<M: 'static> Input for Asked<M> {
    type Given<'a> = MessageRef<'a>;
}

/// The inputs that are messages.
pub trait MessageInput: for<'a> Input<Given<'a> = MessageRef<'a>> {}

impl<I: for<'a> Input<Given<'a> = MessageRef<'a>>> MessageInput for I {}

/// What becomes of an input of which an argument could not be made.
pub trait Reject: Input {
    /// The outcome.
    fn reject(rejection: Rejection) -> Outcome;
}

impl Reject for () {
    fn reject(rejection: Rejection) -> Outcome {
        Outcome::rejected(rejection)
    }
}

impl Reject for Message {
    fn reject(rejection: Rejection) -> Outcome {
        Outcome::rejected(rejection)
    }
}

impl Reject for Disconnected {
    fn reject(rejection: Rejection) -> Outcome {
        Outcome::rejected(rejection)
    }
}

impl<M: TypedMessage<Error: TellsRejection>> Reject for Asked<M> {
    fn reject(rejection: Rejection) -> Outcome {
        let told = M::Error::tell(&rejection);
        Failure::Rejected(rejection, told).into()
    }
}

/// The `error = E` of a message, as far as rejected arguments go: `E` is made from the
/// [`Rejection`].
#[diagnostic::on_unimplemented(
    message = "the `error = …` of this message cannot be made from a `Rejection`: `{Self}`",
    label = "its `From<&Rejection>` is missing",
    note = "implement `From<&veltix::Rejection>` for the type that `error = …` names: a body that cannot be \
            read is answered with it"
)]
pub trait TellsRejection {
    /// The answer to who sent what was rejected.
    fn tell(rejection: &Rejection) -> Option<Reply>;
}

impl TellsRejection for NoError {
    fn tell(_rejection: &Rejection) -> Option<Reply> {
        None
    }
}

#[diagnostic::do_not_recommend]
impl<E: TypedMessage + for<'a> From<&'a Rejection>> TellsRejection for Told<E> {
    fn tell(rejection: &Rejection) -> Option<Reply> {
        Some(E::from(rejection).to_message().ok()?.into())
    }
}

impl<M, R> IntoReply<Asked<M>> for R
where
    M: TypedMessage,
    R: AnswerTo<M::Reply, M::Error>,
{
    fn into_outcome(self) -> Outcome {
        self.answer()
    }
}

/// What the handler of a typed message may return: `Reply` is what the message declares as its
/// reply, [`NoReply`] when it declares none, and `Error` the same for errors.
///
/// - without `reply = …`: nothing, or a `Result<(), E>`;
/// - with `reply = T`: `T`, or a `Result<T, E>`;
/// - `E` is anything that goes into a boxed error, or with `error = E` that very type.
#[diagnostic::on_unimplemented(
    message = "a handler of this message must answer with `{Reply}`, but returns `{Self}`",
    label = "not an answer",
    note = "return `{Reply}`, or a `Result` of it; where the message declares no reply (`NoReply`), return \
            nothing or a `Result<(), E>`",
    note = "the error of such a `Result` is an `Error`, or what the message declares as `error = …`"
)]
pub trait AnswerTo<Reply, Error> {
    /// The outcome of the handler.
    fn answer(self) -> Outcome;
}

impl<Error> AnswerTo<NoReply, Error> for () {
    fn answer(self) -> Outcome {
        Outcome::Silent
    }
}

impl<Error, E: FailWith<Error>> AnswerTo<NoReply, Error> for Result<(), E> {
    fn answer(self) -> Outcome {
        self.map_or_else(FailWith::fail, |()| Outcome::Silent)
    }
}

impl<T: TypedMessage, Error> AnswerTo<T, Error> for T {
    fn answer(self) -> Outcome {
        match self.to_message() {
            Ok(message) => Outcome::Reply(message.into()),
            Err(error) => Outcome::failed(error),
        }
    }
}

impl<T: TypedMessage, Error, E: FailWith<Error>> AnswerTo<T, Error> for Result<T, E> {
    fn answer(self) -> Outcome {
        self.map_or_else(FailWith::fail, AnswerTo::<T, Error>::answer)
    }
}

/// The error that the handler of a typed message may return. `Error` is what the message declares
/// with `error = …`, or [`NoError`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of this handler",
    label = "not an error that can be told",
    note = "without `error = …` on the message it is anything that goes into a boxed error; with it, it is \
            that very type"
)]
pub trait FailWith<Error> {
    /// The outcome of the handler.
    fn fail(self) -> Outcome;
}

impl<E: Into<BoxError>> FailWith<NoError> for E {
    fn fail(self) -> Outcome {
        Outcome::failed(self)
    }
}

impl<E: TypedMessage + fmt::Debug> FailWith<Told<E>> for E {
    fn fail(self) -> Outcome {
        let error = ToldError(format!("{self:?}")).into();
        match self.to_message() {
            Ok(message) => Failure::Failed(error, Some(message.into())).into(),
            Err(error) => Outcome::failed(error),
        }
    }
}

/// An error that the sink is told, for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct ToldError(String);
