//! Extractors: the possible arguments of a handler.

mod body;
mod context;

use std::time::Duration;

use thiserror::Error;
use veltix_core::{BodyError, Message, MessageRef, RequestId};

use super::handler::marker;
use super::typed::Input;
use crate::close::Disconnected;
use crate::error::BoxError;
use crate::hub::Hub;
use crate::peer::Peer;

pub(super) use body::check_size;
pub use body::{Json, Msg, Text};
pub use context::{Extension, FromRef, State};

/// The properties of the current message besides its body.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    peer: &'a Peer,
    hub: Option<&'a Hub>,
    code: u16,
    id: RequestId,
}

impl<'a> Context<'a> {
    pub(crate) const fn new(
        peer: &'a Peer,
        hub: Option<&'a Hub>,
        code: u16,
        id: RequestId,
    ) -> Self {
        Self { peer, hub, code, id }
    }

    /// Returns the sender.
    #[must_use]
    pub const fn peer(&self) -> &'a Peer {
        self.peer
    }

    /// Returns the code of the message's type; 0 outside messages.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// Returns the message's request id; 0 outside messages.
    #[must_use]
    pub const fn id(&self) -> RequestId {
        self.id
    }
}

/// An argument that does not need the body. Implement it for extractors of your own.
///
/// ```
/// use veltix::Rejection;
/// use veltix::handler::{Context, FromContext};
///
/// /// The name of an administrator.
/// struct Admin(String);
///
/// impl<S> FromContext<S> for Admin {
///     fn from_context(cx: &Context<'_>, _state: &S) -> Result<Self, Rejection> {
///         match cx.peer().get_tag("admin") {
///             Ok(Some(name)) => Ok(Self(name.to_string())),
///             _ => Err(Rejection::other("only for admins")),
///         }
///     }
/// }
///
/// async fn ban(Admin(name): Admin) {
///     println!("{name} bans");
/// }
/// # veltix::Router::<()>::new().fallback(ban);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument here",
    label = "not an extractor, or one that takes the body and so must come last",
    note = "arguments before the last are `Hub`, `Peer`, `State<S>`, `RequestId`, `Extension<T>`, `Identity<I>`, \
            or an `Option` or `Result<_, Rejection>` of one of them"
)]
pub trait FromContext<S>: Sized {
    /// True if the argument works only on a server, as [`Hub`](crate::Hub) does. A client rejects such
    /// a handler when it connects, with an error that names the route. An `Option` or a `Result` of
    /// such an argument works on both sides.
    const NEEDS_HUB: bool = false;

    /// Makes the argument.
    ///
    /// # Errors
    /// Returns a [`Rejection`], which is emitted as an event and logged. The connection continues.
    fn from_context(cx: &Context<'_>, state: &S) -> Result<Self, Rejection>;
}

/// The last argument, if it takes the message's body. Implement it for extractors of your own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made from a message",
    label = "not an extractor",
    note = "the last argument may be `Message`, `Msg<T>`, `Text`, `Json<T>`, `Bytes`, or an `Option` or \
            `Result<_, Rejection>` of one of them",
    note = "`Msg<T>` takes a type of `#[veltix::message]`, `Json<T>` one that is `serde::Deserialize`"
)]
pub trait FromMessage<S>: Sized {
    /// True if the argument works only on a server, as [`FromContext::NEEDS_HUB`].
    const NEEDS_HUB: bool = false;

    /// Makes the argument. The message is still in the read buffer: read its body there, or take the
    /// message by [`MessageRef::into_message`].
    ///
    /// # Errors
    /// Returns a [`Rejection`], which is emitted as an event and logged. The connection continues.
    fn from_message(
        cx: &Context<'_>,
        state: &S,
        message: MessageRef<'_>,
    ) -> Result<Self, Rejection>;
}

/// The last argument: [`FromMessage`], [`FromContext`], or the input itself. Do not implement it: it
/// follows from those two. The compiler infers `Via`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the last argument here",
    label = "not an extractor for this handler",
    note = "a message's handler ends with `Message`, `Msg<T>`, `Text`, `Json<T>`, `Bytes` or an argument that \
            does not need the body; one of `Router::on` ends with `Msg<T>`; `on_connect` takes no body; \
            `on_disconnect` may end with `Disconnected`",
    note = "`State<S>` takes the router's state, or a part of it with `FromRef`"
)]
pub trait FromInput<S, I: Input, Via>: Sized {
    /// True if the argument works only on a server, as [`FromContext::NEEDS_HUB`].
    const NEEDS_HUB: bool;

    /// Makes the argument.
    ///
    /// # Errors
    /// Returns a [`Rejection`].
    fn from_input(cx: &Context<'_>, state: &S, given: I::Given<'_>) -> Result<Self, Rejection>;
}

#[diagnostic::do_not_recommend]
impl<S, I: Input, T: FromContext<S>> FromInput<S, I, marker::ViaContext> for T {
    const NEEDS_HUB: bool = T::NEEDS_HUB;

    fn from_input(cx: &Context<'_>, state: &S, _given: I::Given<'_>) -> Result<Self, Rejection> {
        T::from_context(cx, state)
    }
}

#[diagnostic::do_not_recommend]
impl<S, T: FromMessage<S>> FromInput<S, Message, marker::ViaMessage> for T {
    const NEEDS_HUB: bool = T::NEEDS_HUB;

    fn from_input(cx: &Context<'_>, state: &S, message: MessageRef<'_>) -> Result<Self, Rejection> {
        T::from_message(cx, state, message)
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

impl<S> FromInput<S, Self, marker::ViaInput> for Disconnected {
    const NEEDS_HUB: bool = false;

    fn from_input(_cx: &Context<'_>, _state: &S, input: Self) -> Result<Self, Rejection> {
        Ok(input)
    }
}

/// The reason for which an argument could not be made from a message. The handler was not called. The
/// connection continues.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The body does not fit the type of the argument.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// No value of this type is attached to the peer.
    #[error(
        "nothing of type `{name}` is attached to the peer: attach it in `on_connect`, or take an `Option`"
    )]
    NotAttached {
        /// The type's name.
        name: &'static str,
    },
    /// The peer has no identity of this type.
    #[error(
        "the peer has no identity of type `{name}`: let `Router::authenticate` give one, or take an `Option`"
    )]
    NoIdentity {
        /// The type's name.
        name: &'static str,
    },
    /// The peer has shown no certificate, or its connection has no TLS.
    #[error("the peer has shown no certificate: let the server ask for one, or take an `Option`")]
    NoCertificate,
    /// A handler on a client takes a [`Hub`](crate::Hub).
    #[error("a client has no `Hub`: use `Peer` for the other end of the connection")]
    NoHub,
    /// A handler on a server takes a [`ClientHandle`](crate::ClientHandle).
    #[error(
        "a server has no client: use `Hub` for the server, or take an `Option` of `ClientHandle`"
    )]
    NoClient,
    /// The peer sends too fast. A layer or an extractor that limits rates returns it, and so does a
    /// [`peer_rate`](crate::ServerConfig::peer_rate) that [tells its peers](veltix_core::Rate::tell_peers).
    /// The sender receives the error that its message declares; a message that asks nothing is not
    /// answered.
    #[error("the peer sends too fast: wait for {retry_after:?} before the next call")]
    TooFast {
        /// The time after which the peer may try again.
        retry_after: Duration,
    },
    /// The error of an application's own extractor.
    #[error(transparent)]
    Other(BoxError),
}

impl Rejection {
    /// Creates a rejection of an application's own extractor.
    pub fn other(error: impl Into<BoxError>) -> Self {
        Self::Other(error.into())
    }
}
