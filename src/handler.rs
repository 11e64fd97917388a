//! Traits and types for authors of extractors and replies.
//!
//! An extractor is an argument of a handler. It implements [`FromContext`] if it needs the peer and
//! the state, or [`FromMessage`] if it reads the body.
//!
//! ```
//! use veltix::handler::{Context, FromContext, FromMessage, MessageRef};
//! use veltix::{MessageType, Peer, Rejection, Router};
//!
//! /// The name of an administrator. Other peers are rejected.
//! struct Admin(String);
//!
//! impl<S> FromContext<S> for Admin {
//!     fn from_context(cx: &Context<'_>, _: &S) -> Result<Self, Rejection> {
//!         match cx.peer().get_tag("admin") {
//!             Ok(Some(name)) => Ok(Self(name.to_string())),
//!             _ => Err(Rejection::other("not an admin")),
//!         }
//!     }
//! }
//!
//! /// A body of two fields that a colon separates.
//! struct Pair(String, String);
//!
//! impl<S> FromMessage<S> for Pair {
//!     fn from_message(_: &Context<'_>, _: &S, message: MessageRef<'_>) -> Result<Self, Rejection> {
//!         match message.text()?.split_once(':') {
//!             Some((key, value)) => Ok(Self(key.into(), value.into())),
//!             None => Err(Rejection::other("expected `key:value`")),
//!         }
//!     }
//! }
//!
//! const SET: MessageType = MessageType::new(200, "set", "");
//!
//! let router: Router = Router::new().route(SET, |Admin(name): Admin, Pair(key, value): Pair| {
//!     println!("{name} sets {key} to {value}");
//! });
//! ```
//!
//! | item | purpose |
//! |---|---|
//! | [`Handler`] | a function that handles a message; its methods set options of the route |
//! | [`Authenticator`] | a function that authenticates a peer |
//! | [`Configured`] | a handler with options, the result of these methods |
//! | [`Context`] | the peer and the hub, as an extractor sees them |
//! | [`FromContext`], [`FromMessage`] | extractors without and with the body |
//! | [`FromInput`] | the last argument of a handler; it follows from the two traits above |
//! | [`FromRef`] | a part of the state, for [`State`](crate::State) |
//! | [`IntoReply`] | the return value of a handler |
//! | [`MessageRef`] | a received message in the read buffer |
//!
//! [Handlers](crate::_guide::handlers) and [replies](crate::_guide::replies) are explained in the guide.

pub use veltix_core::MessageRef;
pub use veltix_tokio::{
    Authenticator, Configured, Context, FromContext, FromInput, FromMessage, FromRef, Handler,
    IntoReply,
};
