//! [`Router`]: the assignment of messages to handlers.

mod authenticator;
mod borrow;
pub mod check;
mod declared;
mod extract;
mod handler;
mod layer;
mod life;
mod messages;
mod options;
mod outcome;
mod reply;
mod routes;
mod signature;
mod state;
mod typed;
mod wrap;

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

use tower_layer::Layer;
use veltix_core::{CodeClass, Message, MessageType, TypedMessage};

use crate::close::Disconnected;

pub use authenticator::Authenticator;
use authenticator::UnboundHook;
pub use borrow::BorrowBody;
pub(crate) use declared::DeclaredTypes;
pub use extract::{
    Context, Extension, FromContext, FromInput, FromMessage, FromRef, Json, Msg, Rejection, State,
    Text,
};
pub(crate) use handler::Erased;
pub use handler::{Called, Handler, marker};
pub(crate) use handler::{PooledFuture, Started, poll_caught};
use layer::RouteLayer;
pub use layer::{Inbound, InboundService, MessageService};
pub use messages::MessageStream;
pub(crate) use messages::Messages;
pub use options::{Configured, RouteOptions};
pub use outcome::{Failure, Outcome};
pub use reply::{IntoReply, Reply};
pub(crate) use routes::{RouteId, Routes};
pub use signature::{BlockingHandler, CallAs, Returned, Signature};
use state::Unbound;
pub use state::{Served, StateFor};
pub use typed::{AnswerTo, Asked, FailWith, Input, MessageInput, Tell, TellsRejection};

/// The routes of an application, and its handlers for connecting and disconnecting peers.
///
/// The same router serves a [`Server`](crate::Server) and a [`Client`](crate::Client): the other end is a
/// [`Peer`](crate::Peer) on both. `S` is the application's state, set by [`with_state`](Router::with_state)
/// and taken by handlers as [`State<S>`].
pub struct Router<S = ()> {
    routes: Vec<Route<S>>,
    fallback: Option<Unbound<S, Message>>,
    /// The stream that the fallback feeds, if it feeds one.
    messages: Option<Messages>,
    types: Option<DeclaredTypes>,
    authenticate: Option<UnboundHook<S>>,
    on_connect: Option<Unbound<S, ()>>,
    on_disconnect: Option<Unbound<S, Disconnected>>,
}

struct Route<S> {
    message_type: MessageType,
    handler: Unbound<S, Message>,
    blocking: bool,
    /// Makes the answer to a rejected message, if the message declares an error.
    tell: Option<Tell>,
    added_at: &'static Location<'static>,
}

impl<S: Clone + Send + Sync + 'static> Router<S> {
    /// Creates a router without routes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            routes: Vec::new(),
            fallback: None,
            messages: None,
            types: None,
            authenticate: None,
            on_connect: None,
            on_disconnect: None,
        }
    }

    /// Assigns the messages of a type to a handler: an async or plain function of extractors, whose return
    /// value is the reply. See [`Handler`].
    ///
    /// # Panics
    /// Panics if the type's code has a route already; the panic names both places.
    #[must_use]
    #[track_caller]
    pub fn route<H, T>(self, message_type: impl Into<MessageType>, handler: H) -> Self
    where
        H: Signature<T> + Handler<T, S>,
        T: 'static,
    {
        self.add(
            message_type.into(),
            Unbound::<_, Message>::new::<_, _, Message>(handler),
            false,
            None,
        )
    }

    /// Assigns the messages of a typed message to a handler that ends with [`Msg`]: that argument
    /// determines the type. The handler must return the message's declared reply.
    ///
    /// Example: `Router::new().on(|Msg(say): Msg<Say>| println!("{}", say.text))`.
    ///
    /// # Panics
    /// Panics as [`Router::route`] does.
    #[must_use]
    #[track_caller]
    pub fn on<M, H, T>(self, handler: H) -> Self
    where
        M: TypedMessage<Error: TellsRejection>,
        H: Signature<T> + Handler<T, S, Asked<M>>,
        T: 'static,
    {
        self.add(
            M::TYPE,
            Unbound::<_, Message>::new::<_, _, Asked<M>>(handler),
            false,
            M::Error::TELL,
        )
    }

    /// Adds a route like [`Router::on`], for a plain function that may block its thread: see
    /// [`Router::route_blocking`].
    ///
    /// # Panics
    /// Panics as [`Router::route`] does.
    #[must_use]
    #[track_caller]
    pub fn on_blocking<M, H, V, T>(self, handler: H) -> Self
    where
        M: TypedMessage<Error: TellsRejection>,
        H: BlockingHandler<V, T, S, Asked<M>>,
        V: 'static,
        T: 'static,
    {
        self.add(
            M::TYPE,
            Unbound::<_, Message>::new::<_, _, Asked<M>>(handler),
            true,
            M::Error::TELL,
        )
    }

    /// Assigns the messages of a type to a plain function that may block its thread: it runs on a pool of
    /// `max_workers` threads. Messages of one connection stay in order.
    ///
    /// # Panics
    /// Panics as [`Router::route`] does.
    #[must_use]
    #[track_caller]
    pub fn route_blocking<H, V, T>(self, message_type: impl Into<MessageType>, handler: H) -> Self
    where
        H: BlockingHandler<V, T, S, Message>,
        V: 'static,
        T: 'static,
    {
        self.add(
            message_type.into(),
            Unbound::<_, Message>::new::<_, _, Message>(handler),
            true,
            None,
        )
    }

    #[track_caller]
    fn add(
        mut self,
        message_type: MessageType,
        handler: Unbound<S, Message>,
        blocking: bool,
        tell: Option<Tell>,
    ) -> Self {
        assert!(
            message_type.class() != CodeClass::System,
            "messages of {message_type:?} never reach a handler: give your type a code from 200 up"
        );
        let added_at = Location::caller();
        self.push(Route { message_type, handler, blocking, tell, added_at });
        self
    }

    #[track_caller]
    fn push(&mut self, route: Route<S>) {
        let taken = self.routes.iter().find(|other| other.message_type == route.message_type);
        if let Some(taken) = taken {
            panic!(
                "message code {} has a route already, added at {}: give each type one handler",
                route.message_type.code(),
                taken.added_at
            );
        }
        self.routes.push(route);
    }

    /// Adds the contents of another router, so that each part of an application can have a router.
    ///
    /// # Panics
    /// Panics if both have a route for the same code, declare a type of the same code, or both have a
    /// fallback, an `authenticate`, an `on_connect` or an `on_disconnect`.
    #[must_use]
    #[track_caller]
    pub fn merge(mut self, other: Self) -> Self {
        // Not in a closure: the panic would report the closure's location.
        for route in other.routes {
            self.push(route);
        }
        merge_one(&mut self.fallback, other.fallback, "fallback");
        self.messages = self.messages.or(other.messages);
        self.types = match (self.types, other.types) {
            (Some(ours), Some(theirs)) => Some(ours.merge(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        merge_one(&mut self.authenticate, other.authenticate, "authenticate");
        merge_one(&mut self.on_connect, other.on_connect, "on_connect");
        merge_one(&mut self.on_disconnect, other.on_disconnect, "on_disconnect");
        self
    }

    /// Puts a [`tower` layer](https://docs.rs/tower-layer) around every route that was added so far, the
    /// fallback included. The layer that is added last receives a message first. For a layer around a
    /// single route see [`Handler::layer`].
    ///
    /// Each route gets a service of its own from the layer, so state that the routes share, for example a
    /// count, belongs in the layer: tower's `GlobalConcurrencyLimitLayer` limits all of them together,
    /// its `ConcurrencyLimitLayer` limits each route.
    ///
    /// The service receives [`Inbound`] messages and returns the reply. The connection waits for the
    /// service's readiness before each call; the wait is a part of the call. For a layer's own error the
    /// hub emits [`HandlerFailed`](crate::Event::HandlerFailed).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::task::{Context, Poll};
    ///
    /// use tower_layer::layer_fn;
    /// use tower_service::Service;
    /// use veltix::layer::{Inbound, MessageService};
    /// use veltix::{Router, Text};
    ///
    /// /// Counts the messages that go through it.
    /// #[derive(Clone)]
    /// struct Counted {
    ///     inner: MessageService,
    ///     count: Arc<AtomicU64>,
    /// }
    ///
    /// impl Service<Inbound> for Counted {
    ///     type Response = <MessageService as Service<Inbound>>::Response;
    ///     type Error = <MessageService as Service<Inbound>>::Error;
    ///     type Future = <MessageService as Service<Inbound>>::Future;
    ///
    ///     fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
    ///         self.inner.poll_ready(cx)
    ///     }
    ///
    ///     fn call(&mut self, inbound: Inbound) -> Self::Future {
    ///         self.count.fetch_add(1, Ordering::Relaxed);
    ///         self.inner.call(inbound)
    ///     }
    /// }
    ///
    /// let count = Arc::new(AtomicU64::new(0));
    /// let counted = move |inner| Counted { inner, count: Arc::clone(&count) };
    /// let router: Router =
    ///     Router::new().fallback(|Text(text): Text| text).layer(layer_fn(counted));
    /// ```
    #[must_use]
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<MessageService> + Send + Sync + 'static,
        L::Service: InboundService,
    {
        let layer: Arc<dyn RouteLayer> = Arc::new(layer);
        let handlers = self.routes.iter_mut().map(|route| &mut route.handler);
        for handler in handlers.chain(&mut self.fallback) {
            handler.options.layers.push(Arc::clone(&layer));
        }
        self
    }

    /// Assigns the messages that no route takes to a handler. With a fallback every code from 200 up is
    /// known; without one such messages are counted and dropped. A second fallback replaces the first; the
    /// same holds for `authenticate`, `on_connect` and `on_disconnect`.
    #[must_use]
    pub fn fallback<H, T>(mut self, handler: H) -> Self
    where
        H: Signature<T> + Handler<T, S>,
        T: 'static,
    {
        self.fallback = Some(Unbound::<_, Message>::new::<_, _, Message>(handler));
        self.messages = None;
        self
    }

    /// Authenticates a peer on a server while its handshake is pending: before it is a peer, and before any
    /// other peer can learn of it. The return value is the peer's identity, of any type of the application.
    /// Handlers take it as [`Identity<I>`](crate::Identity); [`Peer::identity`](crate::Peer::identity)
    /// returns it. An error, a panic, or no result by the handshake's
    /// [deadline](crate::ServerConfig::handshake_timeout), by default 5 s, refuses the peer, and the hub
    /// emits [`HandshakeFailed`](crate::Event::HandshakeFailed): see [`Refuse`](crate::Refuse) for the
    /// reason that the peer receives.
    ///
    /// The function is also called for peers without a [token](crate::ClientConfig::token), for example
    /// Python peers. It takes the state as a handler does, and the info by value, so that its future owns
    /// its data: see [`Authenticator`]. It may run for as many peers at once as there are [pending
    /// handshakes](crate::ServerConfig::max_pending_handshakes). Its future is dropped when the handshake
    /// is aborted.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use std::sync::Arc;
    ///
    /// use veltix::{HandshakeInfo, Refuse, Router, State};
    ///
    /// struct User(String);
    ///
    /// type Users = Arc<HashMap<&'static str, &'static str>>;
    ///
    /// async fn authenticate(State(users): State<Users>, info: HandshakeInfo) -> Result<User, Refuse> {
    ///     let token = info.require_token()?;
    ///     let name = users.get(token.expose()).ok_or_else(|| Refuse::new("the token is wrong"))?;
    ///     Ok(User((*name).to_owned()))
    /// }
    ///
    /// let users = HashMap::from([("swordfish", "ann"), ("marlin", "bob")]);
    /// let router: Router = Router::new().authenticate(authenticate).with_state(Arc::new(users));
    /// ```
    #[must_use]
    pub fn authenticate<T>(mut self, hook: impl Authenticator<T, S>) -> Self {
        self.authenticate = Some(UnboundHook::new(hook));
        self
    }

    /// Sets the state of the handlers. It is the `S` of their [`State<S>`], or a state of which that is a
    /// part, by [`FromRef`]. A trait object is given with its type, as in
    /// `.with_state(Arc::new(db) as Arc<dyn Db>)`.
    #[must_use]
    pub fn with_state<S2>(self, state: impl StateFor<S>) -> Router<S2> {
        let state = state.into_state();
        let routes = self.routes.into_iter().map(|route| Route {
            message_type: route.message_type,
            handler: route.handler.with_state(&state),
            blocking: route.blocking,
            tell: route.tell,
            added_at: route.added_at,
        });
        Router {
            routes: routes.collect(),
            fallback: self.fallback.map(|handler| handler.with_state(&state)),
            messages: self.messages,
            types: self.types,
            authenticate: self.authenticate.map(|hook| hook.with_state(&state)),
            on_connect: self.on_connect.map(|handler| handler.with_state(&state)),
            on_disconnect: self.on_disconnect.map(|handler| handler.with_state(&state)),
        }
    }
}

#[track_caller]
fn merge_one<T>(ours: &mut Option<T>, theirs: Option<T>, what: &str) {
    assert!(
        ours.is_none() || theirs.is_none(),
        "both routers have set `{what}`: keep it in one of them, or call one from the other"
    );
    if theirs.is_some() {
        *ours = theirs;
    }
}

impl<S: Clone + Send + Sync + 'static> Default for Router<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types = self.routes.iter().map(|route| route.message_type);
        f.debug_struct("Router")
            .field("routes", &types.collect::<Vec<_>>())
            .field("fallback", &self.fallback.is_some())
            .field("state", &PhantomData::<S>)
            .finish_non_exhaustive()
    }
}
