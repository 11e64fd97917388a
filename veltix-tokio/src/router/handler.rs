//! [`Handler`]: which functions can handle a message.

use std::future::{Future, Ready};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower_layer::Layer;
use veltix_core::Message;

use super::extract::{Context, FromContext, FromInput};
use super::layer::{InboundService, MessageService};
use super::options::{Configured, RouteOptions};
use super::outcome::Outcome;
use super::reply::IntoReply;
use super::typed::{Input, MessageInput, Reject};

/// A function that can handle a message: async or plain, of up to eight extractors, the one that
/// takes the body last. What it returns is the reply, see [`IntoReply`].
///
/// ```
/// # use std::convert::Infallible as AppError;
/// # use veltix::{Hub, Json, Peer, State};
/// # #[derive(Clone)] struct Db;
/// # #[derive(serde::Deserialize)] struct Say;
/// async fn say(
///     hub: Hub,
///     peer: Peer,
///     State(db): State<Db>,
///     Json(say): Json<Say>,
/// ) -> Result<(), AppError> {
///     // Store it, pass it on.
///     Ok(())
/// }
/// # veltix::Router::new().fallback(say).with_state::<()>(Db);
/// ```
///
/// `T` is there so that functions of different shapes can all implement the trait; leave it to the
/// compiler. `I` is what is handled: a [`Message`], nothing in `on_connect`, a
/// [`Disconnected`](crate::Disconnected) in `on_disconnect`.
///
/// A plain function can borrow the body instead of taking it, as `&[u8]` or as `&str`: it stays where
/// it was read, and no buffer is shared with anybody. That is the cheapest way to take in a flood of
/// small messages.
///
/// ```
/// # use veltix::{MessageType, Peer, Router};
/// # const SAMPLE: MessageType = MessageType::new(204, "sample", "");
/// # const SAY: MessageType = MessageType::new(200, "say", "");
/// # fn store(_: &[u8]) {}
/// # let router: Router =
/// Router::new()
///     .route(SAMPLE, |sample: &[u8]| store(sample))
///     .route(SAY, |peer: Peer, text: &str| println!("{peer}: {text}"));
/// ```
///
/// An async function must not block its thread: all that this thread drives would wait. Blocking
/// code goes to [`Router::route_blocking`](crate::Router::route_blocking).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot handle this",
    label = "not a handler",
    note = "a handler is a function of up to eight extractors (`Hub`, `Peer`, `State<S>`, `RequestId`, \
            `Extension<T>`), of which only the last may take the body (`Message`, `Msg<T>`, `Text`, `Json<T>`, \
            `Bytes`, in a plain function `&[u8]` and `&str`); `on_connect` takes no body",
    note = "it returns nothing, a reply (`Message`, `Text`, `Json<T>`, `Bytes`, `String`; for `Router::on` what \
            the message declares), or a `Result` of one of them whose error is an `Error`",
    note = "what an async one holds across an `.await` is `Send`; a blocking handler is a plain function",
    note = "put `#[veltix::debug_handler]` on the function to learn which part does not fit"
)]
pub trait Handler<T, S, I: Input = Message>: Clone + Send + Sync + 'static {
    /// What an async handler returns.
    type Future: Future<Output = Outcome> + Send + 'static;

    /// Whether it is an async function, so that calling it gives a future.
    const IS_ASYNC: bool;

    /// Whether it takes a [`Hub`](crate::Hub), which only a server has.
    const NEEDS_HUB: bool;

    /// Extracts the arguments and calls the function.
    fn call(&self, cx: &Context<'_>, state: &S, given: I::Given<'_>) -> Called<Self::Future>;

    /// How its route runs it: what [`concurrent`](Handler::concurrent), [`timeout`](Handler::timeout),
    /// [`publish_limit`](Handler::publish_limit) and [`layer`](Handler::layer) have set.
    fn options(&self) -> RouteOptions {
        RouteOptions::default()
    }

    /// Lets up to so many calls of this route run at once for one peer. They start in order; how
    /// they go on and end is in no order any more, and messages of other routes do not wait for
    /// them. 0 counts as 1. All blocking routes together take `max_workers − 1` threads for one
    /// peer at most.
    fn concurrent(self, calls: usize) -> Configured<Self, T, S, I>
    where
        I: MessageInput,
    {
        Configured::new(self).concurrent(calls)
    }

    /// Gives each call of this route so long, waiting for a thread included. One that takes longer
    /// is dropped and told as `HandlerFailed`; blocking code goes on, and keeps its thread, but its
    /// reply is discarded. An `on_connect` that takes longer refuses the peer.
    fn timeout(self, limit: Duration) -> Configured<Self, T, S, I> {
        Configured::new(self).timeout(limit)
    }

    /// Limits what this route's handlers put into other peers' outboxes, for each peer whose messages
    /// they handle: bytes times targets, a second, where each frame counts 256 beside its own. Over it
    /// that peer is not read until it is within its limit again, so nothing is lost and the handlers
    /// are not disturbed. 0 counts as 1; up to a second's worth may come at once.
    ///
    /// For routes whose messages go to many, as chat does: one peer's lines should not be what all the
    /// others' outboxes are filled with. It is in place of the server's
    /// [`publish_limit`](crate::ServerConfig::publish_limit), which counts only what has to wait.
    ///
    /// Broadcasts, surveys and messages to single other peers count, of blocking handlers too.
    /// Replies, calls, and what is sent to the peer itself do not; nor does what a task sends that a
    /// handler has spawned, since nobody knows for whom.
    fn publish_limit(self, bytes_per_second: u64) -> Configured<Self, T, S, I>
    where
        I: MessageInput,
    {
        Configured::new(self).publish_limit(bytes_per_second)
    }

    /// Puts a tower layer around this route: see [`Router::layer`](crate::Router::layer). The
    /// layer that is added last sees a message first, and any of them sees it before the route's
    /// timeout begins.
    fn layer<L>(self, layer: L) -> Configured<Self, T, S, I>
    where
        I: MessageInput,
        L: Layer<MessageService> + Send + Sync + 'static,
        L::Service: InboundService,
    {
        Configured::new(self).layer(layer)
    }
}

/// What calling a [`Handler`] gave.
#[derive(Debug)]
#[non_exhaustive]
pub enum Called<F> {
    /// It is done: a plain function, or a rejected argument.
    Done(Outcome),
    /// It goes on in this future.
    Future(F),
}

/// The shapes of handlers, see `T` of [`Handler`].
pub mod marker {
    use std::marker::PhantomData;

    /// An async function.
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum Async {}

    /// A plain function.
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum Plain {}

    /// An argument that looks at the context only.
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum ViaContext {}

    /// An argument that takes the body.
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum ViaMessage {}

    /// An argument that is a typed message.
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum ViaTyped {}

    /// An argument that is the input itself.
    #[derive(Debug)]
    #[non_exhaustive]
    pub enum ViaInput {}

    /// An argument that is borrowed from the body.
    #[derive(Debug)]
    pub struct ViaBorrow<B: ?Sized>(PhantomData<B>);

    /// The arguments before one that is borrowed.
    #[derive(Debug)]
    pub struct Before<T>(PhantomData<T>);
}

pin_project! {
    /// A handler's future, with its output made an [`Outcome`].
    #[derive(Debug)]
    pub struct Answering<F, I> {
        #[pin]
        future: F,
        input: PhantomData<fn(I)>,
    }
}

impl<F: Future<Output: IntoReply<I>>, I> Future for Answering<F, I> {
    type Output = Outcome;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Outcome> {
        self.project().future.poll(cx).map(IntoReply::into_outcome)
    }
}

macro_rules! extract {
    ($type:ident, $how:expr) => {
        match $how {
            Ok(value) => value,
            Err(rejection) => return Called::Done(I::reject(rejection)),
        }
    };
}

macro_rules! impl_handler {
    // A function without arguments has nothing that would decide the marker, so it is fixed.
    ([]) => { impl_handler!(@ [] [] [] marker::ViaContext); };
    ([$($part:ident),*] $last:ident) => { impl_handler!(@ [$($part),*] [$last] [Via] Via); };
    (@ [$($part:ident),*] [$($last:ident)?] [$($marker:ident)?] $via:ty) => {
        #[diagnostic::do_not_recommend]
        #[allow(non_snake_case, unused_variables, reason = "the arguments are named as their types")]
        impl<F, Fut, R, S, I, $($marker,)? $($part,)* $($last)?>
            Handler<(marker::Async, $via, ($($part,)* $($last,)?)), S, I> for F
        where
            F: Fn($($part,)* $($last)?) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = R> + Send + 'static,
            R: IntoReply<I> + 'static,
            I: Reject,
            $($part: FromContext<S>,)*
            $($last: FromInput<S, I, $via>,)?
        {
            type Future = Answering<Fut, I>;
            const IS_ASYNC: bool = true;
            const NEEDS_HUB: bool = false $(|| $part::NEEDS_HUB)* $(|| $last::NEEDS_HUB)?;

            fn call(
                &self,
                cx: &Context<'_>,
                state: &S,
                given: I::Given<'_>,
            ) -> Called<Self::Future> {
                $(let $part = extract!($part, $part::from_context(cx, state));)*
                $(let $last = extract!($last, $last::from_input(cx, state, given));)?
                let future = self($($part,)* $($last)?);
                Called::Future(Answering { future, input: PhantomData })
            }
        }

        #[diagnostic::do_not_recommend]
        #[allow(non_snake_case, unused_variables, reason = "the arguments are named as their types")]
        impl<F, R, S, I, $($marker,)? $($part,)* $($last)?>
            Handler<(marker::Plain, $via, ($($part,)* $($last,)?)), S, I> for F
        where
            F: Fn($($part,)* $($last)?) -> R + Clone + Send + Sync + 'static,
            R: IntoReply<I>,
            I: Reject,
            $($part: FromContext<S>,)*
            $($last: FromInput<S, I, $via>,)?
        {
            type Future = Ready<Outcome>;
            const IS_ASYNC: bool = false;
            const NEEDS_HUB: bool = false $(|| $part::NEEDS_HUB)* $(|| $last::NEEDS_HUB)?;

            fn call(
                &self,
                cx: &Context<'_>,
                state: &S,
                given: I::Given<'_>,
            ) -> Called<Self::Future> {
                $(let $part = extract!($part, $part::from_context(cx, state));)*
                $(let $last = extract!($last, $last::from_input(cx, state, given));)?
                Called::Done(self($($part,)* $($last)?).into_outcome())
            }
        }
    };
}

impl_handler!([]);
impl_handler!([] T1);
impl_handler!([T1] T2);
impl_handler!([T1, T2] T3);
impl_handler!([T1, T2, T3] T4);
impl_handler!([T1, T2, T3, T4] T5);
impl_handler!([T1, T2, T3, T4, T5] T6);
impl_handler!([T1, T2, T3, T4, T5, T6] T7);
impl_handler!([T1, T2, T3, T4, T5, T6, T7] T8);
