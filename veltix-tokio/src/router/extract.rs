//! Extractors: what a handler's arguments can be.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use thiserror::Error;
use veltix_core::{BodyError, Message, RequestId};

use super::handler::marker;
use crate::close::Disconnected;
use crate::endpoint::Role;
use crate::error::BoxError;
use crate::hub::Hub;
use crate::peer::Peer;

/// What is known about the message at hand beside its body.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    peer: &'a Peer,
    code: u16,
    id: RequestId,
}

impl<'a> Context<'a> {
    pub(crate) const fn new(peer: &'a Peer, code: u16, id: RequestId) -> Self {
        Self { peer, code, id }
    }

    /// Who sent it.
    #[must_use]
    pub const fn peer(&self) -> &'a Peer {
        self.peer
    }

    /// The code of its type; 0 outside messages.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// Its request id; 0 outside messages.
    #[must_use]
    pub const fn id(&self) -> RequestId {
        self.id
    }
}

/// An argument that does not need the body. Implement it for your own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument here",
    label = "not an extractor, or one that takes the body and so must come last",
    note = "arguments before the last are `Hub`, `Peer`, `State<S>` or `RequestId`"
)]
pub trait FromContext<S>: Sized {
    /// Whether it only works on a server, as [`Hub`] does. A client refuses such a handler when
    /// it connects, with an error that names the route.
    const NEEDS_HUB: bool = false;

    /// Makes the argument.
    ///
    /// # Errors
    /// A [`Rejection`], which is told as an event and logged; the connection goes on.
    fn from_context(cx: &Context<'_>, state: &S) -> Result<Self, Rejection>;
}

/// The last argument when it takes the message's body. Implement it for your own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made from a message",
    label = "not an extractor",
    note = "the last argument may be `Message`, `Text`, `Json<T>` or `Bytes`"
)]
pub trait FromMessage<S>: Sized {
    /// As [`FromContext::NEEDS_HUB`].
    const NEEDS_HUB: bool = false;

    /// Makes the argument.
    ///
    /// # Errors
    /// A [`Rejection`], which is told as an event and logged; the connection goes on.
    fn from_message(cx: &Context<'_>, state: &S, message: Message) -> Result<Self, Rejection>;
}

/// The last argument: [`FromMessage`], [`FromContext`], or the input itself. Not for
/// implementing: it follows from those two. `Via` is left to the compiler.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the last argument here",
    label = "not an extractor for this handler",
    note = "a message's handler ends with `Message`, `Text`, `Json<T>`, `Bytes` or an argument that does not \
            need the body; `on_connect` takes only the latter; `on_disconnect` may end with `Disconnected`"
)]
pub trait FromInput<S, I, Via>: Sized {
    /// As [`FromContext::NEEDS_HUB`].
    const NEEDS_HUB: bool;

    /// Makes the argument.
    ///
    /// # Errors
    /// A [`Rejection`].
    fn from_input(cx: &Context<'_>, state: &S, input: I) -> Result<Self, Rejection>;
}

#[diagnostic::do_not_recommend]
impl<S, I, T: FromContext<S>> FromInput<S, I, marker::ViaContext> for T {
    const NEEDS_HUB: bool = T::NEEDS_HUB;

    fn from_input(cx: &Context<'_>, state: &S, _input: I) -> Result<Self, Rejection> {
        T::from_context(cx, state)
    }
}

#[diagnostic::do_not_recommend]
impl<S, T: FromMessage<S>> FromInput<S, Message, marker::ViaMessage> for T {
    const NEEDS_HUB: bool = T::NEEDS_HUB;

    fn from_input(cx: &Context<'_>, state: &S, message: Message) -> Result<Self, Rejection> {
        T::from_message(cx, state, message)
    }
}

impl<S> FromInput<S, Self, marker::ViaInput> for Disconnected {
    const NEEDS_HUB: bool = false;

    fn from_input(_cx: &Context<'_>, _state: &S, input: Self) -> Result<Self, Rejection> {
        Ok(input)
    }
}

/// Why an argument could not be made of a message. The handler was not called; the connection
/// goes on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The body is not what the argument takes.
    #[error("{0}")]
    Body(#[from] BodyError),
    /// A [`Hub`] was asked for on a client.
    #[error("a client has no `Hub`: use `Peer` for the other end of the connection")]
    NoHub,
    /// The words of an application's own extractor.
    #[error("{0}")]
    Other(BoxError),
}

impl Rejection {
    /// A rejection of an application's own extractor.
    pub fn other(error: impl Into<BoxError>) -> Self {
        Self::Other(error.into())
    }
}

impl<S> FromContext<S> for Peer {
    fn from_context(cx: &Context<'_>, _state: &S) -> Result<Self, Rejection> {
        Ok(cx.peer.clone())
    }
}

impl<S> FromContext<S> for Hub {
    const NEEDS_HUB: bool = true;

    fn from_context(cx: &Context<'_>, _state: &S) -> Result<Self, Rejection> {
        let endpoint = cx.peer.endpoint();
        match endpoint.role() {
            Role::Server => Ok(Self::new(std::sync::Arc::clone(endpoint))),
            Role::Client => Err(Rejection::NoHub),
        }
    }
}

impl<S> FromContext<S> for RequestId {
    fn from_context(cx: &Context<'_>, _state: &S) -> Result<Self, Rejection> {
        Ok(cx.id)
    }
}

/// The application's state, a clone of what [`Router::with_state`](crate::Router::with_state) got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is taken apart in arguments")]
pub struct State<S>(pub S);

impl<S: Clone> FromContext<S> for State<S> {
    fn from_context(_cx: &Context<'_>, state: &S) -> Result<Self, Rejection> {
        Ok(Self(state.clone()))
    }
}

/// A body as UTF-8 text, at most `max_typed_body` bytes. As a return value: a reply of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is taken apart in arguments")]
pub struct Text(pub String);

impl<S> FromMessage<S> for Text {
    fn from_message(cx: &Context<'_>, _state: &S, message: Message) -> Result<Self, Rejection> {
        check_size(cx, &message)?;
        Ok(Self(message.text()?.to_owned()))
    }
}

/// A body as JSON, at most `max_typed_body` bytes. As a return value: a reply of JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is taken apart in arguments")]
pub struct Json<T>(pub T);

impl<S, T: DeserializeOwned> FromMessage<S> for Json<T> {
    fn from_message(cx: &Context<'_>, _state: &S, message: Message) -> Result<Self, Rejection> {
        check_size(cx, &message)?;
        Ok(Self(message.json()?))
    }
}

impl<S> FromMessage<S> for Message {
    fn from_message(_cx: &Context<'_>, _state: &S, message: Message) -> Result<Self, Rejection> {
        Ok(message)
    }
}

impl<S> FromMessage<S> for Bytes {
    fn from_message(_cx: &Context<'_>, _state: &S, message: Message) -> Result<Self, Rejection> {
        Ok(message.into_body())
    }
}

/// A parser multiplies what it is given, so the size is judged before any parsing.
fn check_size(cx: &Context<'_>, message: &Message) -> Result<(), Rejection> {
    let (size, limit) = (message.body().len(), cx.peer.endpoint().limits().max_typed_body);
    if size > limit { Err(BodyError::TooLarge { size, limit }.into()) } else { Ok(()) }
}
