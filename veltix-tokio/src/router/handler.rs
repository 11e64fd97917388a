//! [`Handler`]: the functions that can handle a message; and [`Erased`]: a handler behind one type, with
//! the pooled futures in which it runs.

use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Duration;

use tokio_util::sync::ReusableBoxFuture;
use tower_layer::Layer;
use veltix_core::Message;

use super::extract::{Context, FromContext, FromInput};
use super::layer::{InboundService, MessageService};
use super::options::{Configured, RouteOptions};
use super::outcome::{Failure, Outcome};
use super::signature::{CallAs, Returned, Signature};
use super::typed::{Input, MessageInput};
use crate::flush;
use crate::sync::{Mutex, panic_text};

/// A function that can handle a message: async or plain, with up to eight extractors as arguments. The
/// extractor that takes the body comes last. The return value is the reply, see
/// [`IntoReply`](super::IntoReply).
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
/// `T` exists so that functions of different shapes can all implement the trait; the compiler infers
/// it. `I` is the input of the handler: a [`Message`], `()` in `on_connect`, a
/// [`Disconnected`](crate::Disconnected) in `on_disconnect`.
///
/// A plain function can borrow the body instead of taking it, as `&[u8]` or as `&str`. The body stays
/// in the read buffer, and the buffer is not shared. This is the cheapest way to receive a large number
/// of small messages.
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
/// Each call of an async closure works on a clone of it, so that its future may take or lend what it
/// captures: a shared value belongs in an `Arc`.
///
/// ```
/// # use std::sync::Arc;
/// # use std::sync::atomic::{AtomicU64, Ordering};
/// # use veltix::{MessageType, Router, Text};
/// # const SAY: MessageType = MessageType::new(200, "say", "");
/// let count = Arc::new(AtomicU64::new(0));
/// let router: Router = Router::new().route(SAY, async move |Text(text): Text| {
///     format!("{text}, as number {}", count.fetch_add(1, Ordering::Relaxed))
/// });
/// ```
///
/// An async function must not block its thread: all other tasks on the same thread would wait. Use
/// [`Router::route_blocking`](crate::Router::route_blocking) for blocking code.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "not a function of up to eight extractors",
    note = "a handler is a function or a closure, with up to eight arguments: `Hub`, `Peer`, `State<S>`, `Identity<I>`, \
            `Extension<T>`, `RequestId`, and a last one that may take the body: `Msg<T>`, `Message`, `Text`, `Json<T>`, \
            `Bytes`, in a plain function also `&[u8]` or `&str`",
    note = "put `#[veltix::debug_handler]` on a function to learn which part does not fit"
)]
pub trait Handler<T, S, I: Input = Message>: Signature<T> + Clone + Send + Sync + 'static {
    /// The future of an async handler.
    type Future: Future<Output = Outcome> + Send + 'static;

    /// True for an async function, whose call returns a future.
    const IS_ASYNC: bool;

    /// True if the handler takes a [`Hub`](crate::Hub), which only a server has.
    const NEEDS_HUB: bool;

    /// Extracts the arguments and calls the function.
    fn call(&self, cx: &Context<'_>, state: &S, given: I::Given<'_>) -> Called<Self::Future>;

    /// Returns the options of its route, as set by [`concurrent`](Handler::concurrent),
    /// [`timeout`](Handler::timeout), [`publish_limit`](Handler::publish_limit) and
    /// [`layer`](Handler::layer).
    fn options(&self) -> RouteOptions {
        RouteOptions::default()
    }

    /// Allows up to `calls` concurrent calls of this route for one peer. The calls start in order. They
    /// may continue and end in any order, and messages of other routes do not wait for them. While all
    /// `calls` run, the next message of this route waits, and later messages of the peer wait behind it. 0
    /// counts as 1. All blocking routes together use at most `max_workers − 1` threads for one peer. A call
    /// starts only while the messages of the peer's concurrent calls have less than 8 MiB
    /// ([`CONCURRENT_BYTES`](veltix_core::limits::CONCURRENT_BYTES)), or than the bytes of its inbox if
    /// those are more.
    fn concurrent(self, calls: usize) -> Configured<Self, T, S, I>
    where
        I: MessageInput,
    {
        Configured::new(self).concurrent(calls)
    }

    /// Limits the duration of each call of this route, including the wait for a thread. A call that
    /// takes longer is dropped, and the hub emits `HandlerFailed`. Blocking code continues and keeps
    /// its thread, but its reply is discarded. An `on_connect` that takes longer refuses the peer.
    fn timeout(self, limit: Duration) -> Configured<Self, T, S, I> {
        Configured::new(self).timeout(limit)
    }

    /// Limits the bytes per second that this route's handlers put into other peers' outboxes, for each
    /// peer whose messages they handle. A frame counts once for each target, with 256 bytes of overhead.
    /// Above the limit that peer is not read until it is within its limit again, so no message is lost
    /// and the handlers are not disturbed. 0 counts as 1. Up to one second's amount may come at once.
    ///
    /// Use it for routes whose messages go to many peers, such as chat: the messages of one peer should
    /// not fill the outboxes of all others. It replaces the server's
    /// [`publish_limit`](crate::ServerConfig::publish_limit), which counts only bytes that have to
    /// wait.
    ///
    /// Broadcasts, surveys and messages to single other peers count, also those of blocking handlers.
    /// Replies, calls and messages to the peer itself do not count. Neither do the messages of a task
    /// that a handler has spawned, since the library does not know for which peer it runs.
    fn publish_limit(self, bytes_per_second: u64) -> Configured<Self, T, S, I>
    where
        I: MessageInput,
    {
        Configured::new(self).publish_limit(bytes_per_second)
    }

    /// Puts a tower layer around this route: see [`Router::layer`](crate::Router::layer). The layer
    /// that is added last receives a message first. Every layer receives it before the route's timeout
    /// begins.
    fn layer<L>(self, layer: L) -> Configured<Self, T, S, I>
    where
        I: MessageInput,
        L: Layer<MessageService> + Send + Sync + 'static,
        L::Service: InboundService,
    {
        Configured::new(self).layer(layer)
    }
}

/// The result of calling a [`Handler`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Called<F> {
    /// The call has ended: a plain function, or a rejected argument.
    Done(Outcome),
    /// The call continues in this future.
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

    /// An argument that uses only the context.
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

macro_rules! extract {
    ($type:ident, $how:expr) => {
        match $how {
            Ok(value) => value,
            Err(rejection) => return Called::Done(Outcome::rejected(rejection)),
        }
    };
}

macro_rules! impl_handler {
    // A function without arguments does not determine the marker, so it is fixed.
    ([]) => { impl_handler!(@ [] [] [] marker::ViaContext); };
    ([$($part:ident),*] $last:ident) => { impl_handler!(@ [$($part),*] [$last] [Via] Via); };
    (@ [$($part:ident),*] [$($last:ident)?] [$($marker:ident)?] $via:ty) => {
        #[allow(non_snake_case, unused_variables, reason = "the arguments are named as their types")]
        impl<F, R, K, S, I, $($marker,)? $($part,)* $($last)?>
            Handler<(K, $via, ($($part,)* $($last,)?)), S, I> for F
        where
            F: FnOnce($($part,)* $($last)?) -> R + Clone + Send + Sync + 'static,
            F: CallAs<K, ($($part,)* $($last,)?), Output = R>,
            $($part: FromContext<S>,)*
            $($last: FromInput<S, I, $via>,)?
            R: Returned<K, I>,
            I: Input,
        {
            type Future = R::Future;
            const IS_ASYNC: bool = R::IS_ASYNC;
            const NEEDS_HUB: bool = false $(|| $part::NEEDS_HUB)* $(|| $last::NEEDS_HUB)?;

            #[inline]
            fn call(
                &self,
                cx: &Context<'_>,
                state: &S,
                given: I::Given<'_>,
            ) -> Called<Self::Future> {
                $(let $part = extract!($part, $part::from_context(cx, state));)*
                $(let $last = extract!($last, $last::from_input(cx, state, given));)?
                self.call_as(($($part,)* $($last,)?)).into_called()
            }
        }

        impl<F, R, K, $($marker,)? $($part,)* $($last)?>
            Signature<(K, $via, ($($part,)* $($last,)?))> for F
        where
            F: FnOnce($($part,)* $($last)?) -> R,
        {
        }

        #[allow(non_snake_case, reason = "the arguments are named as their types")]
        impl<F, R, $($part,)* $($last)?> CallAs<marker::Async, ($($part,)* $($last,)?)> for F
        where
            F: FnOnce($($part,)* $($last)?) -> R + Clone,
        {
            type Output = R;

            #[inline]
            fn call_as(&self, ($($part,)* $($last,)?): ($($part,)* $($last,)?)) -> R {
                self.clone()($($part,)* $($last)?)
            }
        }

        #[allow(non_snake_case, reason = "the arguments are named as their types")]
        impl<F, R, $($part,)* $($last)?> CallAs<marker::Plain, ($($part,)* $($last,)?)> for F
        where
            F: Fn($($part,)* $($last)?) -> R,
        {
            type Output = R;

            #[inline]
            fn call_as(&self, ($($part,)* $($last,)?): ($($part,)* $($last,)?)) -> R {
                self($($part,)* $($last)?)
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

/// The number of pooled futures that a route keeps for its next calls. A call that is ready at its
/// first poll returns its future at once, so one per thread that drives connections is enough.
const POOLED_FUTURES: usize = 8;

/// The future of a running handler. It is boxed, so that it can move while it waits.
pub(crate) type PooledFuture = ReusableBoxFuture<'static, Outcome>;

/// The result of starting a handler.
pub(crate) enum Started {
    Done(Outcome),
    Running(PooledFuture),
}

/// A handler of any shape, with its state.
pub(crate) trait Erased<I: Input>: Send + Sync {
    /// Calls the handler, with a pooled future if there is one. A panic becomes an outcome.
    fn start(&self, cx: &Context<'_>, given: I::Given<'_>, pooled: Option<PooledFuture>)
    -> Started;

    /// Takes a pooled future that is kept for the handler.
    fn pooled(&self) -> Option<PooledFuture>;

    /// Returns a finished future to the pool.
    fn give_back(&self, future: PooledFuture);
}

pub(crate) struct Bound<H, T, S, I> {
    handler: H,
    state: S,
    boxes: Mutex<Vec<PooledFuture>>,
    shape: PhantomData<fn(T, I)>,
}

impl<H, T, S, I> Bound<H, T, S, I> {
    pub(crate) const fn new(handler: H, state: S) -> Self {
        Self { handler, state, boxes: Mutex::new(Vec::new()), shape: PhantomData }
    }
}

impl<H, T, S, I, R> Erased<R> for Bound<H, T, S, I>
where
    H: Handler<T, S, I>,
    S: Send + Sync,
    I: for<'a> Input<Given<'a> = R::Given<'a>>,
    R: Input,
{
    fn start(
        &self,
        cx: &Context<'_>,
        given: R::Given<'_>,
        pooled: Option<PooledFuture>,
    ) -> Started {
        let call = || self.handler.call(cx, &self.state, given);
        let called = catch_unwind(AssertUnwindSafe(call));
        let future = match called {
            Ok(Called::Done(outcome)) => return Started::Done(outcome),
            Ok(Called::Future(future)) => future,
            Err(panic) => return Started::Done(panicked(&*panic)),
        };
        Started::Running(match pooled {
            Some(mut pooled) => {
                pooled.set(future);
                pooled
            }
            None => PooledFuture::new(future),
        })
    }

    fn pooled(&self) -> Option<PooledFuture> {
        self.boxes.lock().pop()
    }

    fn give_back(&self, future: PooledFuture) {
        let mut boxes = self.boxes.lock();
        if boxes.len() < POOLED_FUTURES {
            boxes.push(future);
        }
    }
}

/// Polls a handler's future. A panic becomes an outcome.
// Without this attribute the outcome of each async message is copied once more.
#[inline(always)]
pub(crate) fn poll_caught(future: &mut PooledFuture, cx: &mut task::Context<'_>) -> Poll<Outcome> {
    if fault!("panic_escapes") {
        return Pin::new(future).poll(cx);
    }
    // The result is written in place: this is the path of each async message.
    let mut poll = Poll::Pending;
    let outer = flush::enter_future();
    let caught = catch_unwind(AssertUnwindSafe(|| poll = Pin::new(future).poll(cx)));
    flush::leave_future(outer);
    if let Err(panic) = caught {
        poll = Poll::Ready(panicked(&*panic));
    }
    poll
}

/// Returns the outcome of a panic.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Outcome {
    #[cfg(veltix_planted_bugs)]
    if fault!("flush_list_lost_on_panic") {
        crate::flush::forget_touched();
    }
    Failure::Panicked(panic_text(panic)).into()
}
