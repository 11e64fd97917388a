//! The state of a router: [`StateFor`] its handlers, and [`Served`] once it has one. Each of the two traits is
//! implemented once, for the message of the compiler.

use super::Router;

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
