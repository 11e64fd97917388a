//! [`Authenticator`]: the functions that can authenticate a peer.

use std::future::Future;

use super::extract::{FromRef, State};
use crate::identity::{Authenticate, HandshakeInfo, Hook, Refuse};

/// A function that can authenticate a peer, for [`Router::authenticate`](crate::Router::authenticate):
/// an async function of a [`HandshakeInfo`], with up to four [`State<T>`](State) before it, that returns
/// the identity or a [`Refuse`]. Do not implement it.
///
/// ```
/// use veltix::{HandshakeInfo, Refuse, Router, State};
///
/// #[derive(Clone)]
/// struct Tokens;
///
/// async fn authenticate(State(tokens): State<Tokens>, info: HandshakeInfo) -> Result<(), Refuse> {
///     let token = info.require_token()?;
///     // Look the token up.
///     # let _ = (tokens, token);
///     Ok(())
/// }
///
/// let router: Router = Router::new().authenticate(authenticate).with_state(Tokens);
/// ```
///
/// `T` exists so that functions of different shapes can all implement the trait; the compiler infers
/// it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot authenticate peers",
    label = "not a function for `authenticate`",
    note = "it is an async function `(HandshakeInfo) -> Result<I, Refuse>`, with up to four `State<T>` before the \
            `HandshakeInfo`; there is no `Peer` yet",
    note = "the state of this router is `{S}`: each `T` is this type, or a part of it by `FromRef`",
    note = "what it holds across an `.await` is `Send`, and so is the identity; a closure names the type of its \
            argument: `async |info: HandshakeInfo|`"
)]
pub trait Authenticator<T, S>: Send + Sync + 'static {
    /// The identity that the function returns.
    type Identity: Send + Sync + 'static;

    /// The future of a call.
    type Future: Future<Output = Result<Self::Identity, Refuse>> + Send + 'static;

    /// Takes the arguments from the state and calls the function.
    fn call(&self, state: &S, info: HandshakeInfo) -> Self::Future;
}

macro_rules! authenticator {
    ($($part:ident)*) => {
        #[diagnostic::do_not_recommend]
        impl<Func, Fut, I, S, $($part),*> Authenticator<($(State<$part>,)* HandshakeInfo,), S> for Func
        where
            Func: Fn($(State<$part>,)* HandshakeInfo) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<I, Refuse>> + Send + 'static,
            I: Send + Sync + 'static,
            $($part: FromRef<S>,)*
        {
            type Identity = I;
            type Future = Fut;

            fn call(&self, _state: &S, info: HandshakeInfo) -> Fut {
                self($(State($part::from_ref(_state)),)* info)
            }
        }
    };
}

authenticator!();
authenticator!(A);
authenticator!(A B);
authenticator!(A B C);
authenticator!(A B C D);

/// An authenticator that is not bound to its state yet.
pub(super) struct UnboundHook<S>(Box<dyn FnOnce(S) -> Box<dyn Authenticate> + Send>);

impl<S: Clone + Send + Sync + 'static> UnboundHook<S> {
    pub(super) fn new<T>(hook: impl Authenticator<T, S>) -> Self {
        Self(Box::new(move |state| {
            Box::new(Hook(move |info: HandshakeInfo| hook.call(&state, info)))
        }))
    }

    /// Binds the state, for a router whose state is known.
    pub(super) fn with_state<S2>(self, state: &S) -> UnboundHook<S2> {
        let state = state.clone();
        UnboundHook(Box::new(|_| (self.0)(state)))
    }
}

impl UnboundHook<()> {
    pub(super) fn bind(self) -> Box<dyn Authenticate> {
        (self.0)(())
    }
}
