//! [`Routes`]: a router that is ready to serve.

use veltix_core::{Message, MessageType, Registry};

use super::Router;
use super::authenticator::UnboundHook;
use super::declared::DeclaredTypes;
use super::handler::Erased;
use super::layer::Layered;
use super::state::Unbound;
use super::typed::{Input, Tell};
use super::wrap::{Blocking, Publishing, Timed};
use crate::close::Disconnected;
use crate::flush::PublishLimit;
use crate::hub::Hub;
use crate::identity::Authenticate;

/// The entry of a code without a route in the table of routes by code.
const NO_ROUTE: u16 = u16::MAX;

/// The route of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RouteId(u16);

/// A router that is ready to serve: handlers are found by index.
pub(crate) struct Routes {
    by_code: Vec<u16>,
    handlers: Vec<BoundRoute>,
    fallback: Option<RouteId>,
    types: Option<DeclaredTypes>,
    authenticate: Option<Box<dyn Authenticate>>,
    on_connect: Option<Box<dyn Erased<()>>>,
    on_disconnect: Option<Box<dyn Erased<Disconnected>>>,
    /// The hub by which handlers reach other peers. A client has none.
    hub: Option<Hub>,
    registry: Registry,
}

/// A route that is ready to serve.
pub(crate) struct BoundRoute {
    pub(crate) handler: Box<dyn Erased<Message>>,
    /// The maximum number of concurrent calls for one peer. `None` for serial handlers.
    pub(crate) concurrent: Option<usize>,
    /// True if the handler is a plain function without wrappers: a call has ended when it returns.
    pub(crate) is_plain: bool,
    /// True if the handler has futures, for which pooled futures are kept.
    pub(crate) is_async: bool,
    /// True if the handler runs on the pool of threads.
    pub(crate) blocking: bool,
    /// Makes the answer to a rejected message, if the message declares an error.
    pub(crate) tell: Option<Tell>,
}

impl BoundRoute {
    fn new(
        route: RouteId,
        handler: Unbound<(), Message>,
        blocking: bool,
        tell: Option<Tell>,
        hub: Option<&Hub>,
    ) -> Self {
        let Unbound { options, is_async, .. } = handler;
        let wrapped = blocking
            || options.timeout.is_some()
            || options.publish_limit.is_some()
            || !options.layers.is_empty();
        let is_plain = !(is_async || wrapped);
        let mut erased = (handler.bind)(());
        if blocking {
            erased = Box::new(Blocking::new(erased, hub));
        }
        if let Some(limit) = options.timeout {
            erased = Box::new(Timed { handler: erased, limit });
        }
        if !options.layers.is_empty() {
            erased = Box::new(Layered::new(erased, hub, &options.layers));
        }
        if let Some(bytes_per_second) = options.publish_limit {
            // Bytes that layers publish count too.
            let limit = PublishLimit { route: route.0, bytes_per_second };
            erased = Box::new(Publishing { handler: erased, limit });
        }
        Self { handler: erased, concurrent: options.concurrent, is_plain, is_async, blocking, tell }
    }
}

/// Returns a handler of an input that is no message, with its time limit if it has one.
fn timed<R: Input>(handler: Unbound<(), R>) -> Box<dyn Erased<R>> {
    let erased = (handler.bind)(());
    match handler.options.timeout {
        Some(limit) => Box::new(Timed { handler: erased, limit }),
        None => erased,
    }
}

impl Routes {
    /// Prepares the router for the connections of a server with this hub, or of a client.
    pub(crate) fn new(router: Router, hub: Option<Hub>) -> Self {
        let mut registry = Registry::new();
        let mut by_code = Vec::new();
        let mut handlers = Vec::new();
        for route in router.routes {
            let code = usize::from(route.message_type.code());
            if by_code.len() <= code {
                by_code.resize(code + 1, NO_ROUTE);
            }
            // Codes have 16 bits and each has one route, so the indices fit.
            by_code[code] = handlers.len() as u16;
            let added = registry.register(route.message_type);
            debug_assert!(added.is_ok(), "`Router::push` refused doubles");
            let id = RouteId(handlers.len() as u16);
            handlers.push(BoundRoute::new(
                id,
                route.handler,
                route.blocking,
                route.tell,
                hub.as_ref(),
            ));
        }
        let fallback = router.fallback.map(|fallback| {
            let id = RouteId(handlers.len() as u16);
            handlers.push(BoundRoute::new(id, fallback, false, None, hub.as_ref()));
            id
        });
        Self {
            by_code,
            handlers,
            fallback,
            types: router.types,
            authenticate: router.authenticate.map(UnboundHook::bind),
            on_connect: router.on_connect.map(timed),
            on_disconnect: router.on_disconnect.map(timed),
            hub,
            registry,
        }
    }

    /// Returns the route of a code: its own, or the fallback.
    pub(crate) fn find(&self, code: u16) -> Option<RouteId> {
        match self.by_code.get(usize::from(code)) {
            Some(&index) if index != NO_ROUTE => Some(RouteId(index)),
            _ => self.fallback,
        }
    }

    /// Returns the function that makes the answer to a rejected message of this code, if there is one.
    pub(crate) fn tell(&self, code: u16) -> Option<Tell> {
        self.route(self.find(code)?).tell
    }

    pub(crate) fn route(&self, id: RouteId) -> &BoundRoute {
        &self.handlers[usize::from(id.0)]
    }

    /// Returns the hub of the server, `None` on a client.
    pub(crate) const fn hub(&self) -> Option<&Hub> {
        self.hub.as_ref()
    }

    pub(crate) const fn types(&self) -> Option<&DeclaredTypes> {
        self.types.as_ref()
    }

    pub(crate) fn authenticate(&self) -> Option<&dyn Authenticate> {
        self.authenticate.as_deref()
    }

    pub(crate) fn on_connect(&self) -> Option<&dyn Erased<()>> {
        self.on_connect.as_deref()
    }

    pub(crate) fn on_disconnect(&self) -> Option<&dyn Erased<Disconnected>> {
        self.on_disconnect.as_deref()
    }

    /// Returns the types of the routes, by code.
    pub(crate) fn message_types(&self) -> impl Iterator<Item = MessageType> {
        self.registry.iter()
    }

    /// Returns the name of a code's type, for logs.
    pub(crate) fn name(&self, code: u16) -> &'static str {
        self.registry.find(code).map_or("unknown", MessageType::name)
    }
}
