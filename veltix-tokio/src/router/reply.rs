//! [`IntoReply`]: the possible return values of a handler.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use veltix_core::typed::body::to_any_json;
use veltix_core::{EncodeError, Message, RequestId, TypedMessage};

use super::extract::{Json, Text};
use super::outcome::Outcome;
use crate::close::Disconnected;
use crate::error::BoxError;

/// A reply to a message: a body, and a code unless it is the code of the request.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    message: Message,
    kind: Kind,
}

/// The properties of a reply beside its message. They are one byte, since each reply is moved several
/// times.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A body under the code of the request; the code in the message has no meaning.
    SameCode,
    Message,
    /// A typed message, which this side's `max_typed_body` limits.
    Typed,
    /// A typed message whose type has a limit of its own.
    TypedWithin,
    /// The error that the message of the request declares, limited as `Typed`.
    Error,
    /// The declared error, limited as `TypedWithin`.
    ErrorWithin,
}

impl Reply {
    /// Creates a reply with the code of the request.
    pub fn same(body: impl Into<Bytes>) -> Self {
        let message = Message::from_parts(0, RequestId::default(), body.into());
        Self { message, kind: Kind::SameCode }
    }

    /// Creates the reply that is this value.
    ///
    /// # Errors
    /// [`EncodeError`] if the value cannot be encoded within the limit of its type.
    #[inline]
    pub(crate) fn typed<T: TypedMessage>(value: &T) -> Result<Self, EncodeError> {
        // The value does not know the limit of its side, so the connection applies it.
        let message = value.to_message_within(usize::MAX)?;
        let kind = if T::MAX.is_none() { Kind::Typed } else { Kind::TypedWithin };
        Ok(Self { message, kind })
    }

    /// Creates the answer of a handler that returned this declared error.
    ///
    /// # Errors
    /// As for [`typed`](Self::typed).
    pub(crate) fn error<E: TypedMessage>(error: &E) -> Result<Self, EncodeError> {
        let kind = if E::MAX.is_none() { Kind::Error } else { Kind::ErrorWithin };
        Ok(Self { kind, ..Self::typed(error)? })
    }

    pub(crate) const fn is_error(&self) -> bool {
        matches!(self.kind, Kind::Error | Kind::ErrorWithin)
    }

    pub(crate) const fn body(&self) -> &Bytes {
        self.message.body()
    }

    /// Returns whether this side's `max_typed_body` limits the body.
    pub(crate) const fn is_typed(&self) -> bool {
        matches!(self.kind, Kind::Typed | Kind::Error)
    }

    /// Returns the message, and whether its code is that of the request instead of its own.
    #[inline]
    pub(crate) fn into_parts(self) -> (Message, bool) {
        (self.message, matches!(self.kind, Kind::SameCode))
    }
}

impl From<Message> for Reply {
    fn from(message: Message) -> Self {
        Self { message, kind: Kind::Message }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("code", &(self.kind != Kind::SameCode).then_some(self.message.code()))
            .field("body_len", &self.message.body().len())
            .finish()
    }
}

/// A possible return value of a handler. `I` is the handler's input, see [`Handler`](crate::Handler).
///
/// - nothing: no reply;
/// - [`Message`]: a reply of that code and body; a [`Reply`] likewise, or with the code of the message
///   to which it replies;
/// - [`Bytes`], `Vec<u8>`, `String`, `&'static str`, [`Text`], [`Json`]: a reply with the code of the
///   message to which it replies;
/// - `Option` of one of these: a reply, or none;
/// - `Result` of one of these: an error is emitted as an event and logged, and sends nothing, so that a
///   caller at the other end receives a timeout.
///
/// [`AnswerTo`](super::typed::AnswerTo) describes the return values of handlers of typed messages.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be what this handler returns",
    label = "not a reply",
    note = "a handler returns nothing, `Message`, `Text`, `Json<T>`, `Bytes`, `String`, or an `Option` or \
            `Result` of one of them; `on_connect` and `on_disconnect` return nothing or a `Result<(), E>`"
)]
pub trait IntoReply<I = Message> {
    /// Converts the value into the outcome of the handler.
    fn into_outcome(self) -> Outcome;
}

impl IntoReply<Message> for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Silent
    }
}

impl IntoReply<()> for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Silent
    }
}

impl IntoReply<Disconnected> for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Silent
    }
}

impl IntoReply for Message {
    fn into_outcome(self) -> Outcome {
        Outcome::Reply(self.into())
    }
}

impl IntoReply for Reply {
    fn into_outcome(self) -> Outcome {
        Outcome::Reply(self)
    }
}

impl IntoReply for Text {
    fn into_outcome(self) -> Outcome {
        Outcome::Reply(Reply::same(self.0))
    }
}

impl<T: Serialize> IntoReply for Json<T> {
    fn into_outcome(self) -> Outcome {
        match to_any_json(&self.0) {
            Ok(body) => Outcome::Reply(Reply::same(body)),
            Err(error) => Outcome::failed(error),
        }
    }
}

macro_rules! impl_into_reply {
    ($($body:ty),*) => {$(
        impl IntoReply for $body {
            fn into_outcome(self) -> Outcome {
                Outcome::Reply(Reply::same(self))
            }
        }
    )*};
}

impl_into_reply!(Bytes, Vec<u8>, String, &'static str);

impl<T: IntoReply> IntoReply for Option<T> {
    fn into_outcome(self) -> Outcome {
        self.map_or(Outcome::Silent, IntoReply::into_outcome)
    }
}

macro_rules! impl_into_reply_for_results {
    ($($input:ty),*) => {$(
        impl<T: IntoReply<$input>, E: Into<BoxError>> IntoReply<$input> for Result<T, E> {
            fn into_outcome(self) -> Outcome {
                match self {
                    Ok(reply) => reply.into_outcome(),
                    Err(error) => Outcome::failed(error),
                }
            }
        }
    )*};
}

// An implementation for every input would overlap with that for typed messages.
impl_into_reply_for_results!(Message, (), Disconnected);
