//! The kinds of handlers, one for each method of the router: each has a message of the compiler of
//! its own. Every function that fits is one, by its [`Handler`].

use veltix_core::Message;

use super::handler::{Handler, marker};
use super::typed::{Asked, Input};
use crate::close::Disconnected;

/// A handler for [`Router::on`](crate::Router::on).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot handle a typed message",
    label = "not a handler for `Router::on`",
    note = "its last argument is `Msg<T>`; those before it are `Hub`, `Peer`, `State<S>` (the router's state, or a part by `FromRef`), `Identity<I>`, \
            `Extension<T>`, `RequestId`, extractors of your own, or an `Option` or `Result` of one of them",
    note = "it returns the `reply` that the message declares, or nothing without one, or a `Result` of that, \
            whose error is the declared `error`, with its `From<&Rejection>`, or any error if there is none",
    note = "`#[veltix::debug_handler]` on the function names the part that does not fit, also a future that is \
            not `Send`"
)]
pub trait TypedHandler<T, S, M: 'static>: Handler<T, S, Asked<M>> {}

#[diagnostic::do_not_recommend]
impl<H: Handler<T, S, Asked<M>>, T, S, M: 'static> TypedHandler<T, S, M> for H {}

/// A handler for [`Router::route`](crate::Router::route) and
/// [`Router::fallback`](crate::Router::fallback).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot handle a message",
    label = "not a handler for `Router::route` or `Router::fallback`",
    note = "its last argument may take the body: `Message`, `Msg<T>`, `Text`, `Json<T>`, `Bytes`, in a plain \
            function also `&[u8]` or `&str`; those before it are `Hub`, `Peer`, `State<S>` (the router's state, or a part by `FromRef`), `Identity<I>`, \
            `Extension<T>`, `RequestId`, extractors of your own, or an `Option` or `Result` of one of them",
    note = "it returns nothing, `Message`, `Text`, `Json<T>`, `Bytes`, `String`, an `Option` of one of them, or a \
            `Result` whose error is an `Error`",
    note = "`#[veltix::debug_handler]` on the function names the part that does not fit, also a future that is \
            not `Send`"
)]
pub trait MessageHandler<T, S>: Handler<T, S, Message> {}

#[diagnostic::do_not_recommend]
impl<H: Handler<T, S, Message>, T, S> MessageHandler<T, S> for H {}

/// A plain handler for [`Router::on_blocking`](crate::Router::on_blocking) and
/// [`Router::route_blocking`](crate::Router::route_blocking).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot run on a thread for blocking handlers",
    label = "not a plain function that is a handler",
    note = "a blocking handler is a plain function: an async function or closure belongs to `Router::on` or \
            `Router::route`; inside a plain one, `tokio::runtime::Handle::current().block_on(..)` awaits a future",
    note = "its arguments and its return value are those of a plain handler for `Router::on`, with `Msg<T>` as the \
            last argument, or for `Router::route`",
    note = "`#[veltix::debug_handler]` on the function names an argument or a return value that does not fit"
)]
pub trait BlockingHandler<V, T, S, I: Input>: Handler<(marker::Plain, V, T), S, I> {}

#[diagnostic::do_not_recommend]
impl<H: Handler<(marker::Plain, V, T), S, I>, V, T, S, I: Input> BlockingHandler<V, T, S, I> for H {}

/// A handler for [`Router::on_connect`](crate::Router::on_connect).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot handle a peer that connects",
    label = "not a handler for `Router::on_connect`",
    note = "its arguments are `Hub`, `Peer`, `State<S>`, `Identity<I>`, `Extension<T>`, extractors of your own \
            without a body, or an `Option` or `Result` of one of them",
    note = "it returns nothing, or a `Result<(), E>` whose error refuses the peer",
    note = "`#[veltix::debug_handler(on_connect)]` on the function names the part that does not fit, also a future \
            that is not `Send`"
)]
pub trait ConnectHandler<T, S>: Handler<T, S, ()> {}

#[diagnostic::do_not_recommend]
impl<H: Handler<T, S, ()>, T, S> ConnectHandler<T, S> for H {}

/// A handler for [`Router::on_disconnect`](crate::Router::on_disconnect).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot handle a peer that disconnects",
    label = "not a handler for `Router::on_disconnect`",
    note = "its last argument may be `Disconnected`; the others are `Hub`, `Peer`, `State<S>` (the router's state, or a part by `FromRef`), `Identity<I>`, \
            `Extension<T>`, extractors of your own without a body, or an `Option` or `Result` of one of them",
    note = "it returns nothing, or a `Result<(), E>`",
    note = "`#[veltix::debug_handler(on_disconnect)]` on the function names the part that does not fit, also a \
            future that is not `Send`"
)]
pub trait DisconnectHandler<T, S>: Handler<T, S, Disconnected> {}

#[diagnostic::do_not_recommend]
impl<H: Handler<T, S, Disconnected>, T, S> DisconnectHandler<T, S> for H {}
