//! [`IntoReply`]: what a handler may return.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use veltix_core::{Frame, Message, RequestId};

use super::extract::{Json, Text};
use super::outcome::Outcome;
use crate::close::Disconnected;
use crate::error::BoxError;

/// An answer to a message: a body, and a code unless it is the question's own.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    message: Message,
    /// The message's code means nothing: it is the question's.
    same_code: bool,
}

impl Reply {
    /// An answer with the code of the question.
    pub fn same(body: impl Into<Bytes>) -> Self {
        let message = Message::from_parts(0, RequestId::default(), body.into());
        Self { message, same_code: true }
    }

    pub(crate) const fn body(&self) -> &Bytes {
        self.message.body()
    }

    /// The answer to the message of this code and id.
    #[inline]
    pub(crate) fn into_frame(self, code: u16, id: RequestId) -> Frame {
        let code = if self.same_code { code } else { self.message.code() };
        Frame::of(self.message, code, id)
    }
}

impl From<Message> for Reply {
    fn from(message: Message) -> Self {
        Self { message, same_code: false }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("code", &(!self.same_code).then_some(self.message.code()))
            .field("body_len", &self.message.body().len())
            .finish()
    }
}

/// What a handler may return. `I` is what it handles, see [`Handler`](crate::Handler).
///
/// - nothing: no answer;
/// - [`Message`]: an answer of that code and body; a [`Reply`] likewise, or with the code of the
///   message it answers;
/// - [`Bytes`], `Vec<u8>`, `String`, `&'static str`, [`Text`], [`Json`]: an answer with the code
///   of the message it answers;
/// - `Option` of one of these: an answer, or none;
/// - `Result` of one of these: an error is told as an event and logged, and sends nothing, so
///   that a caller at the other end runs into its timeout.
///
/// What the handler of a typed message returns is said by [`AnswerTo`](super::typed::AnswerTo).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be what this handler returns",
    label = "not a reply",
    note = "a handler returns nothing, `Message`, `Text`, `Json<T>`, `Bytes`, `String`, or an `Option` or \
            `Result` of one of them; `on_connect` and `on_disconnect` return nothing or a `Result<(), E>`"
)]
pub trait IntoReply<I = Message> {
    /// The outcome of the handler.
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
        match serde_json::to_vec(&self.0) {
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

// One for every input would overlap with that for typed messages.
impl_into_reply_for_results!(Message, (), Disconnected);
