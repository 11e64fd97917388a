//! Typed messages: Rust types that know their message type and their body.
//!
//! `#[veltix::message]` implements these traits; `body` has the encodings that it chooses from.

use std::convert::Infallible;
use std::marker::PhantomData;

use crate::arrival::Arrival;
use crate::error::{BodyError, EncodeError};
use crate::message::{Message, ToMessage};
use crate::types::MessageType;

/// A type that a received message is read as: an enum with `#[veltix::message]`, or the struct of
/// one of its variants.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a typed message",
    label = "no message is read as this",
    note = "put `#[veltix::message]` on an enum with a variant for it"
)]
pub trait Typed: ToMessage + Sized + Send + 'static {
    /// Reads a message that has come. Its body may have `limit` bytes, unless the type has a limit
    /// of its own.
    ///
    /// # Errors
    /// [`BodyError`]: the body is too large or not what the type takes, or the message has a code
    /// that is none of the type's.
    fn from_arrival(arrival: Arrival<'_>, limit: usize) -> Result<Self, BodyError>;

    /// Reads a message, as [`from_arrival`](Typed::from_arrival).
    ///
    /// # Errors
    /// The same.
    fn from_message(mut message: Message, limit: usize) -> Result<Self, BodyError> {
        Self::from_arrival(message.arrival(), limit)
    }
}

/// A type that stands for one message type: its code, its body, and what answers it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not stand for one message type",
    label = "not a message of one type",
    note = "a variant of an enum with `#[veltix::message]` gives a struct of its name that does"
)]
pub trait TypedMessage: Typed {
    /// The message type.
    const TYPE: MessageType;

    /// What answers it: a message, or [`NoReply`].
    type Reply;

    /// What says why there is no answer: [`Told`] of a message, or [`NoError`].
    type Error;
}

/// The [`TypedMessage::Reply`] of a message that asks for none.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "it has no values")]
pub enum NoReply {}

/// The [`TypedMessage::Error`] of a message whose failure is told to nobody.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "it has no values")]
pub enum NoError {}

/// The [`TypedMessage::Error`] of a message with `error = E`.
#[derive(Debug)]
pub struct Told<E>(PhantomData<fn() -> E>);

/// A message that can be asked with, and what its answer is read as.
///
/// A [`Message`], and a typed one without `reply = …`, is answered by whatever comes, as a
/// [`Message`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "this cannot be asked",
    note = "put `#[veltix::message]` on the enum, or build a `veltix::Message` with \
            `Message::from_text`, `Message::from_json` or `Message::new`"
)]
pub trait Ask: ToMessage {
    /// The answer.
    type Reply;

    /// What the other side says instead of answering; [`Infallible`] when it can say nothing.
    type Error;

    /// The codes that an answer may have; none listed means any.
    const ANSWERS: &'static [u16];

    /// Reads an answer. Its body may have `limit` bytes, unless its type has a limit of its own.
    ///
    /// # Errors
    /// [`AnswerError`].
    fn read(answer: Message, limit: usize) -> Result<Self::Reply, AnswerError<Self::Error>>;
}

/// Why an answer is not the one that was asked for.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "whoever reads an answer has to deal with each of them")]
pub enum AnswerError<E> {
    /// The other side says why it does not answer.
    Remote(E),
    /// The answer has a code that was not asked for.
    Unexpected {
        /// Its code.
        code: u16,
        /// The code of the reply.
        expected: u16,
    },
    /// The answer's body cannot be read.
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

/// [`Ask::read`] for a message with `reply = T`.
///
/// # Errors
/// [`AnswerError`].
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

/// [`Ask::read`] for a message with `reply = T, error = E`.
///
/// # Errors
/// [`AnswerError`].
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

    use super::{Arrival, BodyError, EncodeError};

    /// Refuses a message of another code, and a body over its limit, before anything is parsed.
    ///
    /// # Errors
    /// [`BodyError::WrongType`], [`BodyError::TooLarge`].
    pub fn check(
        arrival: &Arrival<'_>,
        code: u16,
        name: &'static str,
        limit: usize,
    ) -> Result<(), BodyError> {
        check_code(arrival, code, name)?;
        let size = arrival.body().len();
        if size > limit { Err(BodyError::TooLarge { size, limit }) } else { Ok(()) }
    }

    /// Refuses a message of another code.
    ///
    /// # Errors
    /// [`BodyError::WrongType`].
    pub fn check_code(
        arrival: &Arrival<'_>,
        code: u16,
        name: &'static str,
    ) -> Result<(), BodyError> {
        if arrival.code() == code { Ok(()) } else { Err(wrong_code(arrival.code(), name)) }
    }

    /// That a code is none of the enum or message of this name.
    #[must_use]
    pub const fn wrong_code(code: u16, name: &'static str) -> BodyError {
        BodyError::WrongType { code, expected: name }
    }

    /// A value as JSON.
    ///
    /// # Errors
    /// [`EncodeError::Json`].
    pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, EncodeError> {
        Ok(serde_json::to_vec(value)?.into())
    }

    /// A value from JSON.
    ///
    /// # Errors
    /// [`BodyError::Json`].
    pub fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
        Ok(serde_json::from_slice(body)?)
    }

    /// A value with named fields from JSON. No body at all is an object without fields, so that
    /// a message that had none can be given some, with defaults.
    ///
    /// # Errors
    /// [`BodyError::Json`].
    pub fn from_json_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
        from_json(if body.is_empty() { b"{}" } else { body })
    }

    /// The body encoding of `#[message(postcard)]`.
    #[derive(Debug)]
    #[allow(clippy::exhaustive_enums, reason = "it has no values")]
    pub enum Postcard {}

    /// An encoding that a feature of the crate brings.
    #[diagnostic::on_unimplemented(
        message = "bodies in postcard need the feature `postcard` of the crate `veltix`",
        label = "the feature is not enabled",
        note = "enable it in Cargo.toml: `veltix = {{ version = \"…\", features = [\"postcard\"] }}`"
    )]
    pub trait Encoding {
        /// A value as a body.
        ///
        /// # Errors
        /// What the encoding reports.
        fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, EncodeError>;

        /// A value from a body.
        ///
        /// # Errors
        /// What the encoding reports.
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

    /// What `#[message(text)]` takes as its field.
    #[diagnostic::on_unimplemented(
        message = "the body of a `text` message is a `String`, not `{Self}`",
        label = "not a `String`",
        note = "leave `text` out for a body in JSON"
    )]
    pub trait TextBody: Sized {
        /// The text as a body.
        fn to_body(&self) -> Bytes;

        /// From a body.
        ///
        /// # Errors
        /// [`BodyError::Utf8`].
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

    /// What `#[message(raw)]` takes as its field.
    #[diagnostic::on_unimplemented(
        message = "the body of a `raw` message is `Bytes` or `Vec<u8>`, not `{Self}`",
        label = "neither `Bytes` nor `Vec<u8>`",
        note = "leave `raw` out for a body in JSON"
    )]
    pub trait RawBody: Sized {
        /// The bytes as a body.
        fn to_body(&self) -> Bytes;

        /// From a body.
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

    /// What serde reads and writes. It says so before the derives do, once and at the type.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` cannot travel in a body: serde does not know how to read and write it",
        label = "not both `Serialize` and `Deserialize`",
        note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to it (`cargo add serde --features \
                derive`), or say how it is written with `#[serde(with = \"…\")]`"
    )]
    pub trait Part {}

    #[diagnostic::do_not_recommend]
    impl<T: Serialize + DeserializeOwned> Part for T {}

    /// Holds that a type can travel in a body.
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
        let arrival = message.arrival();
        assert!(body::check(&arrival, 200, "say", 5).is_ok());
        let large = body::check(&arrival, 200, "say", 4);
        assert!(matches!(large, Err(BodyError::TooLarge { size: 5, limit: 4 })));
        let wrong = body::check(&arrival, 201, "roster", 5);
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
