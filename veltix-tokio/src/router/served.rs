//! The states of a router: [`StateFor`] the handlers that take parts of it, and [`Served`] once it
//! has one. Both are implemented for one type each; their purpose is a message of the compiler.

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
