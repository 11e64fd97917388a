//! The state of a router: handlers without theirs are [`Unbound`], [`StateFor`] is what they need, and
//! [`Served`] is a router that has one. Each of the two traits is implemented once, for the message of the
//! compiler.

use super::Router;
use super::handler::{Bound, Erased, Handler};
use super::options::RouteOptions;
use super::typed::Input;

/// A handler that is not bound to its state yet. `R` is the input that the connection receives for it.
pub(super) struct Unbound<S, R: Input> {
    pub(super) bind: Box<dyn FnOnce(S) -> Box<dyn Erased<R>> + Send>,
    pub(super) needs_hub: bool,
    pub(super) is_async: bool,
    pub(super) options: RouteOptions,
}

impl<S: Clone + Send + Sync + 'static, R: Input> Unbound<S, R> {
    /// Creates it. `I` is the handler's view of the input.
    pub(super) fn new<H, T, I>(handler: H) -> Self
    where
        H: Handler<T, S, I>,
        T: 'static,
        I: for<'a> Input<Given<'a> = R::Given<'a>>,
    {
        let options = handler.options();
        let bind = |state| Box::new(Bound::new(handler, state)) as Box<dyn Erased<R>>;
        Self { bind: Box::new(bind), needs_hub: H::NEEDS_HUB, is_async: H::IS_ASYNC, options }
    }

    /// Binds the state, for a router whose state is known.
    pub(super) fn with_state<S2>(self, state: &S) -> Unbound<S2, R> {
        let Self { bind, needs_hub, is_async, options } = self;
        let state = state.clone();
        Unbound { bind: Box::new(|_| bind(state)), needs_hub, is_async, options }
    }
}

/// A state that the handlers of a router can use. `S` is the state that they take.
#[diagnostic::on_unimplemented(
    message = "the router's handlers take `State<{S}>`, and `{Self}` is no such state",
    label = "not the state of the handlers",
    note = "implement `FromRef<{Self}>` for `{S}`, so that `{S}` is a part of `{Self}`, or give `with_state` a \
            `{S}`; a trait object needs its type, as in `Arc::new(db) as Arc<dyn Db>`"
)]
pub trait StateFor<S> {
    /// Returns the state itself.
    fn into_state(self) -> S;
}

impl<S> StateFor<Self> for S {
    fn into_state(self) -> Self {
        self
    }
}

/// A router that can be served: one without a state, or that has its state.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no state yet, so it cannot be served",
    label = "its handlers take `State<…>`, which the router must have",
    note = "give the router its state: `.with_state(state)` before it is served"
)]
pub trait Served: Send {
    /// Returns the router itself.
    fn into_router(self) -> Router;
}

impl Served for Router {
    fn into_router(self) -> Router {
        self
    }
}

impl Router<()> {
    /// Returns the name of the first handler that needs a server.
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

    pub(crate) const fn has_authenticate(&self) -> bool {
        self.authenticate.is_some()
    }

    pub(crate) const fn has_on_connect(&self) -> bool {
        self.on_connect.is_some()
    }

    #[cfg(feature = "testing")]
    pub(crate) const fn has_fallback(&self) -> bool {
        self.fallback.is_some()
    }
}
