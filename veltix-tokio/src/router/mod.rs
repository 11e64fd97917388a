//! [`Router`]: which handler takes which message.

mod erased;
mod extract;
mod handler;
mod reply;

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;

use veltix_core::{CodeClass, Message, MessageType, Registry};

use crate::close::Disconnected;

pub use erased::Outcome;
pub(crate) use erased::{Bound, Erased, Recycled, Started, poll_caught, text_of};
pub use extract::{Context, FromContext, FromInput, FromMessage, Json, Rejection, State, Text};

pub use handler::{Called, Handler, marker};
pub use reply::{IntoReply, Reply};

/// The routes of an application, and what happens when peers come and go.
///
/// The same router serves a [`Server`](crate::Server) and a [`Client`](crate::Client): the other
/// end is a [`Peer`](crate::Peer) on both. `S` is the application's state, given by
/// [`with_state`](Router::with_state) and taken by handlers as [`State<S>`].
pub struct Router<S = ()> {
    routes: Vec<Route<S>>,
    fallback: Option<Unbound<S, Message>>,
    on_connect: Option<Unbound<S, ()>>,
    on_disconnect: Option<Unbound<S, Disconnected>>,
}

struct Route<S> {
    message_type: MessageType,
    handler: Unbound<S, Message>,
    blocking: bool,
    added_at: &'static Location<'static>,
}

/// A handler that waits for its state.
struct Unbound<S, I> {
    bind: Box<dyn FnOnce(S) -> Box<dyn Erased<I>> + Send>,
    needs_hub: bool,
}

impl<S: Clone + Send + Sync + 'static, I: Send + 'static> Unbound<S, I> {
    fn new<H, T>(handler: H) -> Self
    where
        H: Handler<T, S, I>,
        T: 'static,
    {
        let bind = |state| Box::new(Bound::new(handler, state)) as Box<dyn Erased<I>>;
        Self { bind: Box::new(bind), needs_hub: H::NEEDS_HUB }
    }

    /// The same, for a router whose state is given already.
    fn with_state<S2>(self, state: &S) -> Unbound<S2, I> {
        let state = state.clone();
        let bind = |_| (self.bind)(state);
        Unbound { bind: Box::new(bind), needs_hub: self.needs_hub }
    }
}

impl<S: Clone + Send + Sync + 'static> Router<S> {
    /// A router without routes.
    #[must_use]
    pub fn new() -> Self {
        Self { routes: Vec::new(), fallback: None, on_connect: None, on_disconnect: None }
    }

    /// Gives the messages of a type to a handler: an async or plain function of extractors, whose
    /// return value is the reply. See [`Handler`].
    ///
    /// # Panics
    /// When the type's code has a route already; the panic names both places.
    #[must_use]
    #[track_caller]
    pub fn route<H, T>(self, message_type: impl Into<MessageType>, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.add(message_type.into(), Unbound::new(handler), false)
    }

    /// Gives the messages of a type to a plain function that may block its thread: it runs on a
    /// pool of `max_workers` threads. Messages of one connection stay in order.
    ///
    /// # Panics
    /// As [`Router::route`].
    #[must_use]
    #[track_caller]
    pub fn route_blocking<H, V, T>(self, message_type: impl Into<MessageType>, handler: H) -> Self
    where
        H: Handler<(marker::Plain, V, T), S>,
        V: 'static,
        T: 'static,
    {
        self.add(message_type.into(), Unbound::new(handler), true)
    }

    #[track_caller]
    fn add(
        mut self,
        message_type: MessageType,
        handler: Unbound<S, Message>,
        blocking: bool,
    ) -> Self {
        assert!(
            message_type.class() != CodeClass::System,
            "messages of {message_type:?} are the protocol's own and never reach a handler"
        );
        let taken = self.routes.iter().find(|route| route.message_type == message_type);
        if let Some(taken) = taken {
            panic!(
                "message code {} has a route already, added at {}: give each type one handler",
                message_type.code(),
                taken.added_at
            );
        }
        let added_at = Location::caller();
        self.routes.push(Route { message_type, handler, blocking, added_at });
        self
    }

    /// Gives the messages that no route takes to a handler. With it every code from 200 up is
    /// known; without it they are counted and dropped.
    #[must_use]
    pub fn fallback<H, T>(mut self, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.fallback = Some(Unbound::new(handler));
        self
    }

    /// Called when a peer's handshake is over, before its first message is handled. The handler
    /// may send, request and tag; the peer is listed once it has returned `Ok`, and refused if it
    /// returns an error or takes longer than 10 s.
    #[must_use]
    pub fn on_connect<H, T>(mut self, handler: H) -> Self
    where
        H: Handler<T, S, ()>,
        T: 'static,
    {
        self.on_connect = Some(Unbound::new(handler));
        self
    }

    /// Called once for each peer that `on_connect` let in, after its last message was handled.
    /// [`Disconnected`] as the last argument says how it ended.
    #[must_use]
    pub fn on_disconnect<H, T>(mut self, handler: H) -> Self
    where
        H: Handler<T, S, Disconnected>,
        T: 'static,
    {
        self.on_disconnect = Some(Unbound::new(handler));
        self
    }

    /// Gives the handlers their state.
    #[must_use]
    pub fn with_state<S2>(self, state: S) -> Router<S2> {
        let routes = self.routes.into_iter().map(|route| Route {
            message_type: route.message_type,
            handler: route.handler.with_state(&state),
            blocking: route.blocking,
            added_at: route.added_at,
        });
        Router {
            routes: routes.collect(),
            fallback: self.fallback.map(|handler| handler.with_state(&state)),
            on_connect: self.on_connect.map(|handler| handler.with_state(&state)),
            on_disconnect: self.on_disconnect.map(|handler| handler.with_state(&state)),
        }
    }
}

impl Router<()> {
    /// The first handler that needs a server, by name.
    pub(crate) fn hub_needed_by(&self) -> Option<String> {
        let by_route = self.routes.iter().find(|route| route.handler.needs_hub);
        let others = [
            (self.fallback.as_ref().is_some_and(|handler| handler.needs_hub), "the fallback"),
            (self.on_connect.as_ref().is_some_and(|handler| handler.needs_hub), "on_connect"),
            (self.on_disconnect.as_ref().is_some_and(|handler| handler.needs_hub), "on_disconnect"),
        ];
        by_route.map(|route| format!("route {:?}", route.message_type)).or_else(|| {
            others.iter().find(|(needs_hub, _)| *needs_hub).map(|(_, name)| (*name).to_owned())
        })
    }

    pub(crate) const fn has_fallback(&self) -> bool {
        self.fallback.is_some()
    }

    pub(crate) fn build(self) -> Routes {
        let mut registry = Registry::new();
        let mut by_code = Vec::new();
        let mut handlers = Vec::new();
        for route in self.routes {
            let code = usize::from(route.message_type.code());
            if by_code.len() <= code {
                by_code.resize(code + 1, NO_ROUTE);
            }
            // Codes have 16 bits and each has one route, so the indices fit.
            by_code[code] = handlers.len() as u16;
            let added = registry.register(route.message_type);
            debug_assert!(added.is_ok(), "`add` refused doubles");
            let handler = (route.handler.bind)(());
            handlers.push(BoundRoute { handler, blocking: route.blocking });
        }
        let fallback = self.fallback.map(|fallback| {
            handlers.push(BoundRoute { handler: (fallback.bind)(()), blocking: false });
            RouteId((handlers.len() - 1) as u16)
        });
        Routes {
            by_code,
            handlers,
            fallback,
            on_connect: self.on_connect.map(|handler| (handler.bind)(())),
            on_disconnect: self.on_disconnect.map(|handler| (handler.bind)(())),
            registry,
        }
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

/// No route, in the table of routes by code.
const NO_ROUTE: u16 = u16::MAX;

/// Which route a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RouteId(u16);

/// A router that is ready to serve: handlers are found by index.
pub(crate) struct Routes {
    by_code: Vec<u16>,
    handlers: Vec<BoundRoute>,
    fallback: Option<RouteId>,
    on_connect: Option<Box<dyn Erased<()>>>,
    on_disconnect: Option<Box<dyn Erased<Disconnected>>>,
    registry: Registry,
}

pub(crate) struct BoundRoute {
    pub(crate) handler: Box<dyn Erased<Message>>,
    pub(crate) blocking: bool,
}

impl Routes {
    /// The route for a code: its own, or the fallback.
    pub(crate) fn find(&self, code: u16) -> Option<RouteId> {
        match self.by_code.get(usize::from(code)) {
            Some(&index) if index != NO_ROUTE => Some(RouteId(index)),
            _ => self.fallback,
        }
    }

    pub(crate) fn route(&self, id: RouteId) -> &BoundRoute {
        &self.handlers[usize::from(id.0)]
    }

    pub(crate) fn on_connect(&self) -> Option<&dyn Erased<()>> {
        self.on_connect.as_deref()
    }

    pub(crate) fn on_disconnect(&self) -> Option<&dyn Erased<Disconnected>> {
        self.on_disconnect.as_deref()
    }

    /// The name of a code's type, for logs.
    pub(crate) fn name(&self, code: u16) -> &'static str {
        self.registry.find(code).map_or("unknown", MessageType::name)
    }
}
