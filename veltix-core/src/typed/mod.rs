//! Typed messages: Rust types that know their message type and their body.
//!
//! `#[veltix::message]` implements these traits. The module `body` holds the encodings of bodies.

#[doc(hidden)]
pub mod body;
#[cfg(feature = "postcard")]
mod limited;

use std::convert::Infallible;
use std::marker::PhantomData;

use crate::error::BodyError;
use crate::frame_batch::MessageRef;
use crate::message::{Message, ToMessage};
use crate::types::MessageType;

/// A typed message is a type that a received message is read as: an enum with `#[veltix::message]`,
/// or the struct of one of its variants.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a typed message",
    label = "no message can be read as this",
    note = "put `#[veltix::message]` on an enum with a variant for it"
)]
pub trait Typed: ToMessage + Sized + Send + 'static {
    /// Reads a received message. Its body may have up to `limit` bytes, unless the type has its own
    /// limit.
    ///
    /// # Errors
    /// Returns a [`BodyError`] if the body is too large, if it does not fit the type, or if the
    /// message has a code that does not belong to the type.
    fn from_message_ref(message: MessageRef<'_>, limit: usize) -> Result<Self, BodyError>;

    /// Reads a message like [`from_message_ref`](Typed::from_message_ref).
    ///
    /// # Errors
    /// Returns the same errors.
    fn from_message(mut message: Message, limit: usize) -> Result<Self, BodyError> {
        Self::from_message_ref(message.by_ref(), limit)
    }
}

/// A typed message of exactly one message type defines its code, its body, and its reply.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not stand for one message type",
    label = "not a message of one type",
    note = "use the struct that `#[veltix::message]` creates for a variant"
)]
pub trait TypedMessage: Typed {
    /// Is the message type.
    const TYPE: MessageType;

    /// Is the type's own limit for its body in bytes (`#[message(max = …)]`). Without one, the limit
    /// is the `max_typed_body` of each side.
    const MAX: Option<usize> = None;

    /// Is the type of the reply: a message, or [`NoReply`].
    type Reply;

    /// Is the type of the error that is sent instead of a reply: [`Told`] of a message, or
    /// [`NoError`].
    type Error;
}

/// Is the [`TypedMessage::Reply`] of a message without a reply.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "it has no values")]
pub enum NoReply {}

/// Is the [`TypedMessage::Error`] of a message whose failure is not sent to the peer.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "it has no values")]
pub enum NoError {}

/// Is the [`TypedMessage::Error`] of a message with `error = E`.
#[derive(Debug)]
pub struct Told<E>(PhantomData<fn() -> E>);

/// A question is a message that can be sent as a request. It defines the type of its answer.
///
/// A [`Message`], and a typed message without `reply = …`, accepts any answer, as a [`Message`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "this cannot be sent as a request",
    note = "put `#[veltix::message]` on the enum, or build a `veltix::Message` with \
            `Message::from_text`, `Message::from_json` or `Message::new`"
)]
pub trait Ask: ToMessage {
    /// Is the type of the answer.
    type Reply;

    /// Is the type of the error that the other side may send instead of the answer, or
    /// [`Infallible`] if there is none.
    type Error;

    /// Lists the codes that an answer may have. An empty list allows all codes.
    const ANSWERS: &'static [u16];

    /// Reads an answer. Its body may have up to `limit` bytes, unless its type has its own limit.
    ///
    /// # Errors
    /// Returns an [`AnswerError`] if the answer is not the expected one.
    fn read(answer: Message, limit: usize) -> Result<Self::Reply, AnswerError<Self::Error>>;
}

/// Reports why an answer is not the expected one.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "the reader of an answer has to handle each of them")]
pub enum AnswerError<E> {
    /// The other side sent its error instead of the answer.
    Remote(E),
    /// The answer has a code that the request does not allow.
    Unexpected {
        /// Holds the code of the answer.
        code: u16,
        /// Holds the code of the expected reply.
        expected: u16,
    },
    /// The body of the answer cannot be read.
    Body(BodyError),
}

impl Ask for Message {
    type Reply = Self;
    type Error = Infallible;
    const ANSWERS: &'static [u16] = &[];

    fn read(answer: Message, _limit: usize) -> Result<Self, AnswerError<Infallible>> {
        Ok(answer)
    }
}

impl<T: Ask + ?Sized> Ask for &T {
    type Reply = T::Reply;
    type Error = T::Error;
    const ANSWERS: &'static [u16] = T::ANSWERS;

    fn read(answer: Message, limit: usize) -> Result<T::Reply, AnswerError<T::Error>> {
        T::read(answer, limit)
    }
}

/// Implements [`Ask::read`] for a message with `reply = T`.
///
/// # Errors
/// Returns an [`AnswerError`] if the answer is not a `T`.
#[doc(hidden)]
pub fn read_reply<T: TypedMessage>(
    answer: Message,
    limit: usize,
) -> Result<T, AnswerError<Infallible>> {
    if answer.code() != T::TYPE.code() {
        let (code, expected) = (answer.code(), T::TYPE.code());
        return Err(AnswerError::Unexpected { code, expected });
    }
    T::from_message(answer, limit).map_err(AnswerError::Body)
}

/// Implements [`Ask::read`] for a message with `reply = T, error = E`.
///
/// # Errors
/// Returns an [`AnswerError`] if the answer is not a `T`.
#[doc(hidden)]
pub fn read_reply_or_error<T: TypedMessage, E: TypedMessage>(
    answer: Message,
    limit: usize,
) -> Result<T, AnswerError<E>> {
    let (code, expected) = (answer.code(), T::TYPE.code());
    if code == expected {
        T::from_message(answer, limit).map_err(AnswerError::Body)
    } else if code == E::TYPE.code() {
        Err(E::from_message(answer, limit).map_or_else(AnswerError::Body, AnswerError::Remote))
    } else {
        Err(AnswerError::Unexpected { code, expected })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_body_is_checked_before_it_is_read() {
        let mut message = Message::from_text(MessageType::new(200, "say", ""), "hello");
        let message = message.by_ref();
        assert!(body::check(&message, 200, "say", 5).is_ok());
        let large = body::check(&message, 200, "say", 4);
        assert!(matches!(large, Err(BodyError::TooLarge { size: 5, limit: 4 })));
        let wrong = body::check(&message, 201, "roster", 5);
        assert!(matches!(wrong, Err(BodyError::WrongType { code: 200, expected: "roster" })));
    }

    #[test]
    fn no_body_is_an_object_without_fields() {
        let read = body::from_json_object::<BTreeMap<String, u8>>;
        assert_eq!(read(b"").unwrap(), BTreeMap::new());
        assert_eq!(read(br#"{"a": 1}"#).unwrap(), BTreeMap::from([("a".to_owned(), 1)]));
        assert!(matches!(read(b" "), Err(BodyError::Json(_))));
        assert!(matches!(body::from_json::<u8>(b""), Err(BodyError::Json(_))));
    }
}
