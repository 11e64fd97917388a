//! Tower layers around the handling of messages.
//!
//! A layered route is a stack of services: the innermost is the handler, as a [`MessageService`]; then
//! follow the layers of the route, then the layers of the router. A router without layers uses no
//! service at all.

use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use futures::FutureExt;
use tower_layer::Layer;
use tower_service::Service;
use veltix_core::{Message, MessageRef};

use super::extract::{Context, Rejection};
use super::handler::{Erased, PooledFuture, Started, panicked, poll_caught};
use super::outcome::{Failure, Outcome};
use super::reply::Reply;
use crate::error::BoxError;
use crate::flush;
use crate::hub::Hub;
use crate::peer::Peer;

/// A message on its way to its handler, as layers receive it.
#[derive(Clone, Debug)]
pub struct Inbound {
    peer: Peer,
    message: Message,
}

impl Inbound {
    /// Returns the sender.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Returns the message.
    #[must_use]
    pub const fn message(&self) -> &Message {
        &self.message
    }

    /// Returns the message for changes; the handler receives the changed message. The reply goes to the
    /// original message, with its id, and the original code determines the route.
    pub const fn message_mut(&mut self) -> &mut Message {
        &mut self.message
    }
}

/// The service that layers wrap. It takes an [`Inbound`] and returns the reply, if there is one. The
/// result of a layer must be such a service again.
///
/// Its error is the handler's error (a rejected argument and a panic included), or an error of a layer.
/// For a layer's own error the hub emits `HandlerFailed`. A layer that returns a [`Rejection`] as its error
/// rejects the message: the sender receives the error that its message declares. The connection continues
/// in each case.
pub struct MessageService(Box<dyn CloneService>);

type Answered = Pin<Box<dyn Future<Output = Result<Option<Reply>, BoxError>> + Send>>;

/// The requirements of [`Router::layer`](crate::Router::layer) for the service of a layer. They follow
/// from tower's `Service`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot handle messages",
    label = "not a service of this shape",
    note = "a layer's service is a `Service<Inbound, Response = Option<Reply>>` whose error goes into a boxed \
            error, and it is `Clone + Send + Sync + 'static`, its future `Send + 'static`"
)]
pub trait InboundService: Clone + Send + Sync + 'static {
    /// Returns the service behind one type.
    fn boxed(self) -> MessageService;
}

#[diagnostic::do_not_recommend]
impl<T> InboundService for T
where
    T: Service<Inbound, Response = Option<Reply>, Error: Into<BoxError>, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static,
{
    fn boxed(self) -> MessageService {
        MessageService(Box::new(self))
    }
}

/// A service behind one type, with a way to clone it.
trait CloneService: Send + Sync {
    fn clone_box(&self) -> Box<dyn CloneService>;

    fn poll_free(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), BoxError>>;

    fn handle(&mut self, inbound: Inbound) -> Answered;
}

impl<T> CloneService for T
where
    T: Service<Inbound, Response = Option<Reply>, Error: Into<BoxError>, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static,
{
    fn clone_box(&self) -> Box<dyn CloneService> {
        Box::new(self.clone())
    }

    fn poll_free(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), BoxError>> {
        self.poll_ready(cx).map_err(Into::into)
    }

    fn handle(&mut self, inbound: Inbound) -> Answered {
        Box::pin(self.call(inbound).map(|result| result.map_err(Into::into)))
    }
}

impl Service<Inbound> for MessageService {
    type Response = Option<Reply>;
    type Error = BoxError;
    type Future = Answered;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_free(cx)
    }

    fn call(&mut self, inbound: Inbound) -> Answered {
        self.0.handle(inbound)
    }
}

impl Clone for MessageService {
    fn clone(&self) -> Self {
        Self(self.0.clone_box())
    }
}

impl fmt::Debug for MessageService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageService").finish_non_exhaustive()
    }
}

/// A layer behind one type.
pub(super) trait RouteLayer: Send + Sync {
    fn wrap(&self, inner: MessageService) -> MessageService;
}

impl<L> RouteLayer for L
where
    L: Layer<MessageService> + Send + Sync,
    L::Service: InboundService,
{
    fn wrap(&self, inner: MessageService) -> MessageService {
        self.layer(inner).boxed()
    }
}

/// A handler inside layers.
pub(super) struct Layered(MessageService);

impl Layered {
    /// Creates the stack. The innermost layer comes first.
    pub(super) fn new<'a>(
        handler: Box<dyn Erased<Message>>,
        hub: Option<&Hub>,
        layers: impl IntoIterator<Item = &'a Arc<dyn RouteLayer>>,
    ) -> Self {
        let innermost = Arc::new(Innermost { handler, hub: hub.cloned() });
        let innermost = MessageService(Box::new(HandlerService(innermost)));
        Self(layers.into_iter().fold(innermost, |inner, layer| layer.wrap(inner)))
    }
}

impl Erased<Message> for Layered {
    fn start(
        &self,
        cx: &Context<'_>,
        message: MessageRef<'_>,
        _pooled: Option<PooledFuture>,
    ) -> Started {
        let mut service = match catch_unwind(AssertUnwindSafe(|| self.0.clone())) {
            Ok(service) => service,
            Err(panic) => return Started::Done(panicked(&*panic)),
        };
        let inbound = Inbound { peer: cx.peer().clone(), message: message.into_message() };
        Started::Running(PooledFuture::new(async move {
            let called = async {
                poll_fn(|cx| service.poll_ready(cx)).await?;
                service.call(inbound).await
            };
            match called.await {
                Ok(reply) => reply.map_or(Outcome::Silent, Outcome::Reply),
                Err(error) => outcome_of(error),
            }
        }))
    }

    fn pooled(&self) -> Option<PooledFuture> {
        None
    }

    fn give_back(&self, _future: PooledFuture) {}
}

/// The innermost service: the handler.
#[derive(Clone)]
struct HandlerService(Arc<Innermost>);

struct Innermost {
    handler: Box<dyn Erased<Message>>,
    hub: Option<Hub>,
}

impl Service<Inbound> for HandlerService {
    type Response = Option<Reply>;
    type Error = HandlerError;
    type Future = Pin<Box<dyn Future<Output = Result<Option<Reply>, HandlerError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut task::Context<'_>) -> Poll<Result<(), HandlerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, Inbound { peer, mut message }: Inbound) -> Self::Future {
        let Innermost { handler, hub } = &*self.0;
        let cx = Context::new(&peer, hub.as_ref(), message.code(), message.id());
        // The layers are a future, but a plain handler inside them cannot wait.
        let outer = flush::enter_plain();
        let started = handler.start(&cx, message.by_ref(), None);
        flush::leave_future(outer);
        match started {
            Started::Done(outcome) => Box::pin(ready(answer(outcome))),
            Started::Running(mut future) => {
                // A panic becomes an outcome here, so that every layer receives it as an error.
                Box::pin(poll_fn(move |cx| poll_caught(&mut future, cx)).map(answer))
            }
        }
    }
}

/// Returns the outcome of an error that has passed all layers: that of the handler, or that of a layer. A
/// layer may also reject the message, as an extractor does.
fn outcome_of(error: BoxError) -> Outcome {
    match error.downcast::<HandlerError>() {
        Ok(own) => own.0.into(),
        Err(error) => match error.downcast::<Rejection>() {
            Ok(rejection) => Outcome::rejected(*rejection),
            Err(error) => Outcome::failed(error),
        },
    }
}

fn answer(outcome: Outcome) -> Result<Option<Reply>, HandlerError> {
    match outcome {
        Outcome::Silent => Ok(None),
        Outcome::Reply(reply) => Ok(Some(reply)),
        Outcome::Failure(failure) => Err(HandlerError(*failure)),
    }
}

/// The failure of a handler on its way out through the layers.
struct HandlerError(Failure);

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Failure::Rejected(rejection) => rejection.fmt(f),
            Failure::Failed(error) => error.fmt(f),
            Failure::Panicked(text) => write!(f, "the handler panicked: {text}"),
            Failure::Unclaimed => {
                f.write_str("no handler takes the message: add a route or a fallback for its code")
            }
            Failure::Unread => f.write_str("the stream of messages is full and not read: read it"),
        }
    }
}

impl StdError for HandlerError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Failure::Rejected(rejection) => rejection.source(),
            Failure::Failed(error) => error.source(),
            Failure::Panicked(_) | Failure::Unclaimed | Failure::Unread => None,
        }
    }
}
