//! [`Unbound`]: a handler before it has its state.

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
