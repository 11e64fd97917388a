//! Extractors that do not need the body.

use std::any::type_name;
#[cfg(feature = "__tls")]
use std::sync::Arc;

use veltix_core::RequestId;

use super::{Context, FromContext, Rejection};
use crate::hub::Hub;
use crate::identity::Identity;
use crate::peer::Peer;
#[cfg(feature = "__tls")]
use crate::tls::PeerCertificates;

impl<S> FromContext<S> for Peer {
    fn from_context(cx: &Context<'_>, _state: &S) -> Result<Self, Rejection> {
        Ok(cx.peer.clone())
    }
}

impl<S> FromContext<S> for Hub {
    const NEEDS_HUB: bool = true;

    fn from_context(cx: &Context<'_>, _state: &S) -> Result<Self, Rejection> {
        cx.hub.cloned().ok_or(Rejection::NoHub)
    }
}

impl<S> FromContext<S> for RequestId {
    fn from_context(cx: &Context<'_>, _state: &S) -> Result<Self, Rejection> {
        Ok(cx.id)
    }
}

impl<S, I: Send + Sync + 'static> FromContext<S> for Identity<I> {
    fn from_context(cx: &Context<'_>, _state: &S) -> Result<Self, Rejection> {
        let identity = cx.peer().identity::<I>();
        identity.map(Self).ok_or(Rejection::NoIdentity { name: type_name::<I>() })
    }
}

#[cfg(feature = "__tls")]
impl<S> FromContext<S> for PeerCertificates {
    fn from_context(cx: &Context<'_>, _state: &S) -> Result<Self, Rejection> {
        match cx.peer().tls() {
            Some(tls) if !tls.certificates().is_empty() => {
                Ok(Self(Arc::clone(tls.shared_certificates())))
            }
            _ => Err(Rejection::NoCertificate),
        }
    }
}

/// The application's state, or a part of it: a clone of the value that
/// [`Router::with_state`](crate::Router::with_state) received, taken by [`FromRef`].
///
/// ```
/// # use veltix::{Router, State};
/// #[derive(Clone)]
/// struct Db;
///
/// async fn count(State(db): State<Db>) {}
///
/// // Only a router that has its state can be served.
/// let router: Router = Router::new().fallback(count).with_state(Db);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is taken apart in arguments")]
pub struct State<S>(pub S);

impl<S, T: FromRef<S>> FromContext<S> for State<T> {
    fn from_context(_cx: &Context<'_>, state: &S) -> Result<Self, Rejection> {
        Ok(Self(T::from_ref(state)))
    }
}

/// A part of a state. Implement it so that handlers can take the part alone.
///
/// ```
/// use veltix::State;
/// use veltix::handler::FromRef;
///
/// #[derive(Clone)]
/// struct Db;
///
/// #[derive(Clone)]
/// struct App {
///     db: Db,
/// }
///
/// impl FromRef<App> for Db {
///     fn from_ref(app: &App) -> Self {
///         app.db.clone()
///     }
/// }
///
/// async fn store(State(db): State<Db>) {}
/// # veltix::Router::new().fallback(store).with_state::<()>(App { db: Db });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a part of the state `{S}`",
    label = "not in the router's state",
    note = "give the router this very type with `.with_state(..)`, or implement `FromRef<{S}>` for it"
)]
pub trait FromRef<S> {
    /// Returns a clone of the part.
    fn from_ref(state: &S) -> Self;
}

impl<S: Clone> FromRef<Self> for S {
    fn from_ref(state: &Self) -> Self {
        state.clone()
    }
}

/// A clone of a value that was attached to the peer, for example its session: see [`Peer::attach`].
///
/// If no value of this type is attached, the message is rejected. As an `Option` the argument is `None`
/// in that case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is taken apart in arguments")]
pub struct Extension<T>(pub T);

impl<S, T: Clone + Send + Sync + 'static> FromContext<S> for Extension<T> {
    fn from_context(cx: &Context<'_>, _state: &S) -> Result<Self, Rejection> {
        match cx.peer.attached::<T>() {
            Some(value) => Ok(Self(T::clone(&value))),
            None => Err(Rejection::NotAttached { name: type_name::<T>() }),
        }
    }
}

impl<S, T: FromContext<S>> FromContext<S> for Option<T> {
    fn from_context(cx: &Context<'_>, state: &S) -> Result<Self, Rejection> {
        Ok(T::from_context(cx, state).ok())
    }
}

impl<S, T: FromContext<S>> FromContext<S> for Result<T, Rejection> {
    fn from_context(cx: &Context<'_>, state: &S) -> Result<Self, Rejection> {
        Ok(T::from_context(cx, state))
    }
}
