//! Handlers of typed messages: their inputs, their replies and their errors.

use std::marker::PhantomData;

use veltix_core::{EncodeError, Message, MessageRef, NoError, NoReply, Told, TypedMessage};

use super::extract::Rejection;
use super::outcome::Outcome;
use super::reply::{IntoReply, Reply};
use crate::close::Disconnected;
use crate::error::BoxError;

/// The input of a handler of [`Router::on`](crate::Router::on): a message that is an `M`.
#[derive(Debug)]
pub struct Asked<M>(PhantomData<fn() -> M>);

/// The inputs of handlers: a [`Message`], an [`Asked`], `()` in `on_connect`, a [`Disconnected`] in
/// `on_disconnect`.
pub trait Input: Send + 'static {
    /// The value that a handler receives: for a message, a [`MessageRef`].
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

/// The `error = E` of a message with respect to rejected arguments: `E` is made from the [`Rejection`].
#[diagnostic::on_unimplemented(
    message = "the `error = …` of this message cannot be made from a `Rejection`: `{Self}`",
    label = "its `From<&Rejection>` is missing",
    note = "implement `From<&veltix::Rejection>` for the type that `error = …` names: a body that cannot be \
            read is answered with it"
)]
pub trait TellsRejection {
    /// Makes the answer to a rejected message, if the message declares an error.
    const TELL: Option<Tell>;
}

/// Makes the answer to the sender of a rejected message.
pub type Tell = fn(&Rejection) -> Result<Reply, EncodeError>;

impl TellsRejection for NoError {
    const TELL: Option<Tell> = None;
}

#[diagnostic::do_not_recommend]
impl<E: TypedMessage + for<'a> From<&'a Rejection>> TellsRejection for Told<E> {
    const TELL: Option<Tell> = Some(|rejection| Reply::typed(&E::from(rejection)));
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

/// A possible return value of the handler of a typed message. `Reply` is the reply that the message
/// declares, or [`NoReply`] if it declares none; `Error` is the same for errors.
///
/// - without `reply = …`: nothing, or a `Result<(), E>`;
/// - with `reply = T`: `T`, or a `Result<T, E>`;
/// - `E` is any type that converts into a boxed error; with `error = E` it is exactly that type.
#[diagnostic::on_unimplemented(
    message = "a handler of this message must answer with `{Reply}`, but returns `{Self}`",
    label = "not an answer",
    note = "return `{Reply}`, or a `Result` of it; where the message declares no reply (`NoReply`), return \
            nothing or a `Result<(), E>`",
    note = "the error of such a `Result` is an `Error`, or what the message declares as `error = …`"
)]
pub trait AnswerTo<Reply, Error> {
    /// Converts the value into the outcome of the handler.
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
        match Reply::typed(&self) {
            Ok(reply) => Outcome::Reply(reply),
            Err(error) => Outcome::failed(error),
        }
    }
}

impl<T: TypedMessage, Error, E: FailWith<Error>> AnswerTo<T, Error> for Result<T, E> {
    fn answer(self) -> Outcome {
        self.map_or_else(FailWith::fail, AnswerTo::<T, Error>::answer)
    }
}

/// A possible error of the handler of a typed message. `Error` is the type that the message declares
/// with `error = …`, or [`NoError`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of this handler",
    label = "not an error that can be sent to the peer",
    note = "without `error = …` on the message it is anything that goes into a boxed error; with it, it is \
            that very type"
)]
pub trait FailWith<Error> {
    /// Converts the error into the outcome of the handler.
    fn fail(self) -> Outcome;
}

impl<E: Into<BoxError>> FailWith<NoError> for E {
    fn fail(self) -> Outcome {
        Outcome::failed(self)
    }
}

/// A declared error is an answer, as the reply is: the asker receives it, and nobody else has to hear
/// of it.
impl<E: TypedMessage> FailWith<Told<E>> for E {
    fn fail(self) -> Outcome {
        match Reply::error(&self) {
            Ok(reply) => Outcome::Reply(reply),
            Err(source) => {
                Outcome::failed(UntoldError { error: "the declared error".to_owned(), source })
            }
        }
    }
}

/// A declared error that the peer does not receive, because it cannot be encoded.
#[derive(Debug, thiserror::Error)]
#[error("{error}, which cannot be sent to the peer")]
struct UntoldError {
    error: String,
    source: EncodeError,
}
