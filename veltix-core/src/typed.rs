//! Typed messages: Rust types that know their message type and their body.
//!
//! `#[veltix::message]` implements these traits. The module `body` holds the encodings of bodies.

use std::convert::Infallible;
use std::marker::PhantomData;

use crate::error::{BodyError, EncodeError};
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

/// The encodings of bodies.
#[doc(hidden)]
pub mod body {
    use bytes::Bytes;
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::{BodyError, EncodeError, MessageRef};

    /// Refuses a message with another code, and a body over its limit, before the body is parsed.
    ///
    /// # Errors
    /// Returns [`BodyError::WrongType`] or [`BodyError::TooLarge`].
    pub fn check(
        message: &MessageRef<'_>,
        code: u16,
        name: &'static str,
        limit: usize,
    ) -> Result<(), BodyError> {
        check_code(message, code, name)?;
        let size = message.body().len();
        if size > limit { Err(BodyError::TooLarge { size, limit }) } else { Ok(()) }
    }

    /// Refuses a message with another code.
    ///
    /// # Errors
    /// Returns [`BodyError::WrongType`].
    pub fn check_code(
        message: &MessageRef<'_>,
        code: u16,
        name: &'static str,
    ) -> Result<(), BodyError> {
        if message.code() == code { Ok(()) } else { Err(wrong_code(message.code(), name)) }
    }

    /// Creates the error for a code that does not belong to the enum or message of this name.
    #[must_use]
    pub const fn wrong_code(code: u16, name: &'static str) -> BodyError {
        BodyError::WrongType { code, expected: name }
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    /// Returns [`EncodeError::Json`] if the value cannot be written.
    pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, EncodeError> {
        Ok(serde_json::to_vec(value)?.into())
    }

    /// Reads a value from JSON.
    ///
    /// # Errors
    /// Returns [`BodyError::Json`] if the body cannot be read.
    pub fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
        Ok(serde_json::from_slice(body)?)
    }

    /// Reads a value with named fields from JSON. An empty body counts as an object without fields,
    /// so that fields with defaults can be added to a message that had no body.
    ///
    /// # Errors
    /// Returns [`BodyError::Json`] if the body cannot be read.
    pub fn from_json_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
        from_json(if body.is_empty() { b"{}" } else { body })
    }

    /// Is the body encoding of `#[message(postcard)]`.
    #[derive(Debug)]
    #[allow(clippy::exhaustive_enums, reason = "it has no values")]
    pub enum Postcard {}

    /// An encoding writes values as bodies, and reads them back. A feature of the crate adds it.
    #[diagnostic::on_unimplemented(
        message = "bodies in postcard need the feature `postcard` of the crate `veltix`",
        label = "the feature is not enabled",
        note = "enable it in Cargo.toml: `veltix = {{ version = \"…\", features = [\"postcard\"] }}`"
    )]
    pub trait Encoding {
        /// Writes a value as a body.
        ///
        /// # Errors
        /// Returns the error of the encoding.
        fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, EncodeError>;

        /// Reads a value from a body.
        ///
        /// # Errors
        /// Returns the error of the encoding.
        fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError>;
    }

    #[cfg(feature = "postcard")]
    impl Encoding for Postcard {
        fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, EncodeError> {
            Ok(postcard::to_allocvec(value)?.into())
        }

        fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
            Ok(postcard::from_bytes(body)?)
        }
    }

    /// A text body is a field type that `#[message(text)]` accepts.
    #[diagnostic::on_unimplemented(
        message = "the body of a `text` message is a `String`, not `{Self}`",
        label = "not a `String`",
        note = "remove `text` for a body in JSON"
    )]
    pub trait TextBody: Sized {
        /// Returns the text as a body.
        fn to_body(&self) -> Bytes;

        /// Reads the text from a body.
        ///
        /// # Errors
        /// Returns [`BodyError::Utf8`] if the body is not UTF-8.
        fn of_body(body: &[u8]) -> Result<Self, BodyError>;
    }

    impl TextBody for String {
        fn to_body(&self) -> Bytes {
            Bytes::copy_from_slice(self.as_bytes())
        }

        fn of_body(body: &[u8]) -> Result<Self, BodyError> {
            Ok(std::str::from_utf8(body)?.to_owned())
        }
    }

    /// A raw body is a field type that `#[message(raw)]` accepts.
    #[diagnostic::on_unimplemented(
        message = "the body of a `raw` message is `Bytes` or `Vec<u8>`, not `{Self}`",
        label = "neither `Bytes` nor `Vec<u8>`",
        note = "remove `raw` for a body in JSON"
    )]
    pub trait RawBody: Sized {
        /// Returns the bytes as a body.
        fn to_body(&self) -> Bytes;

        /// Takes the bytes from a body.
        fn of_body(body: Bytes) -> Self;
    }

    impl RawBody for Bytes {
        fn to_body(&self) -> Bytes {
            self.clone()
        }

        fn of_body(body: Bytes) -> Self {
            body
        }
    }

    impl RawBody for Vec<u8> {
        fn to_body(&self) -> Bytes {
            Bytes::copy_from_slice(self)
        }

        fn of_body(body: Bytes) -> Self {
            body.into()
        }
    }

    /// A part is a type that serde can read and write. The check reports the problem once and at
    /// the type, before the derives of serde report it.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot travel in a body: serde does not know how to read and write it",
        label = "not both `Serialize` and `Deserialize`",
        note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to it (`cargo add serde \
                --features derive`), or define its form with `#[serde(with = \"…\")]`"
    )]
    pub trait Part {}

    #[diagnostic::do_not_recommend]
    impl<T: Serialize + DeserializeOwned> Part for T {}

    /// Compiles only if the type can be read and written by serde.
    pub const fn check_part<T: Part>() {}
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
