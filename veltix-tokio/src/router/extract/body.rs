//! Extractors that take the body.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use veltix_core::{BodyError, Message, MessageRef, Typed, TypedMessage};

use super::super::typed::Asked;
use super::{Context, FromInput, FromMessage, Rejection};
use crate::router::marker;

/// A typed message: a body that is read as a type of `#[veltix::message]`.
///
/// `Msg<Say>` takes the messages of one variant, `Msg<Chat>` the messages of the whole enum. A body
/// larger than `max_typed_body`, or larger than the type's own `max`, is rejected before it is parsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is taken apart in arguments")]
pub struct Msg<T>(pub T);

impl<T: Typed> Msg<T> {
    fn of(cx: &Context<'_>, message: MessageRef<'_>) -> Result<Self, Rejection> {
        Ok(Self(T::from_message_ref(message, max_typed_body(cx))?))
    }
}

impl<S, T: Typed> FromMessage<S> for Msg<T> {
    fn from_message(
        cx: &Context<'_>,
        _state: &S,
        message: MessageRef<'_>,
    ) -> Result<Self, Rejection> {
        Self::of(cx, message)
    }
}

impl<S, T: TypedMessage> FromInput<S, Asked<T>, marker::ViaTyped> for Msg<T> {
    const NEEDS_HUB: bool = false;

    fn from_input(
        cx: &Context<'_>,
        _state: &S,
        message: MessageRef<'_>,
    ) -> Result<Self, Rejection> {
        Self::of(cx, message)
    }
}

impl<S, T: TypedMessage> FromInput<S, Asked<T>, marker::ViaTyped> for Option<Msg<T>> {
    const NEEDS_HUB: bool = false;

    fn from_input(
        cx: &Context<'_>,
        _state: &S,
        message: MessageRef<'_>,
    ) -> Result<Self, Rejection> {
        Ok(Msg::of(cx, message).ok())
    }
}

impl<S, T: TypedMessage> FromInput<S, Asked<T>, marker::ViaTyped> for Result<Msg<T>, Rejection> {
    const NEEDS_HUB: bool = false;

    fn from_input(
        cx: &Context<'_>,
        _state: &S,
        message: MessageRef<'_>,
    ) -> Result<Self, Rejection> {
        Ok(Msg::of(cx, message))
    }
}

/// A body as UTF-8 text, of at most `max_typed_body` bytes. As a return value: a reply of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is taken apart in arguments")]
pub struct Text(pub String);

impl<S> FromMessage<S> for Text {
    fn from_message(
        cx: &Context<'_>,
        _state: &S,
        message: MessageRef<'_>,
    ) -> Result<Self, Rejection> {
        check_size(cx, &message)?;
        Ok(Self(message.text()?.to_owned()))
    }
}

/// A body as JSON, of at most `max_typed_body` bytes. As a return value: a reply of JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is taken apart in arguments")]
pub struct Json<T>(pub T);

impl<S, T: DeserializeOwned> FromMessage<S> for Json<T> {
    fn from_message(
        cx: &Context<'_>,
        _state: &S,
        message: MessageRef<'_>,
    ) -> Result<Self, Rejection> {
        check_size(cx, &message)?;
        Ok(Self(message.json()?))
    }
}

impl<S> FromMessage<S> for Message {
    fn from_message(
        _cx: &Context<'_>,
        _state: &S,
        message: MessageRef<'_>,
    ) -> Result<Self, Rejection> {
        Ok(message.into_message())
    }
}

impl<S> FromMessage<S> for Bytes {
    fn from_message(
        _cx: &Context<'_>,
        _state: &S,
        message: MessageRef<'_>,
    ) -> Result<Self, Rejection> {
        Ok(message.into_body())
    }
}

impl<S, T: FromMessage<S>> FromMessage<S> for Option<T> {
    fn from_message(
        cx: &Context<'_>,
        state: &S,
        message: MessageRef<'_>,
    ) -> Result<Self, Rejection> {
        Ok(T::from_message(cx, state, message).ok())
    }
}

impl<S, T: FromMessage<S>> FromMessage<S> for Result<T, Rejection> {
    fn from_message(
        cx: &Context<'_>,
        state: &S,
        message: MessageRef<'_>,
    ) -> Result<Self, Rejection> {
        Ok(T::from_message(cx, state, message))
    }
}

fn max_typed_body(cx: &Context<'_>) -> usize {
    cx.peer.session().limits().max_typed_body
}

/// Checks the size of the body before it is parsed, since a parser may need a multiple of it.
pub(in super::super) fn check_size(
    cx: &Context<'_>,
    message: &MessageRef<'_>,
) -> Result<(), Rejection> {
    let (size, limit) = (message.body().len(), max_typed_body(cx));
    if size > limit { Err(BodyError::TooLarge { size, limit }.into()) } else { Ok(()) }
}
