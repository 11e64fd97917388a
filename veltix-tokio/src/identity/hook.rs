//! The authentication hook of an application, without its types.

use std::any::{Any, TypeId};
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;

use futures::FutureExt;

use super::{HandshakeInfo, Refuse};
use crate::sync::panic_text;

/// An identity that the hook has established, without its type.
pub(crate) struct Established {
    /// The type id of [`IdentityOf`], so that an attached value of the application never replaces
    /// it.
    pub(crate) kind: TypeId,
    pub(crate) identity: Arc<dyn Any + Send + Sync>,
}

/// The key of an identity among the values that are attached to a peer.
struct IdentityOf<I>(PhantomData<I>);

impl Established {
    /// Returns the key of an identity of this type.
    pub(crate) fn kind_of<I: 'static>() -> TypeId {
        TypeId::of::<IdentityOf<I>>()
    }
}

/// The reason why the hook refuses a peer.
#[derive(Debug)]
pub(crate) enum AuthenticateError {
    /// The application refuses the peer.
    Refused(Refuse),
    /// The hook panicked with this text.
    Panicked(String),
}

/// A future of the hook's decision about a peer.
pub(crate) type Verdict =
    Pin<Box<dyn Future<Output = Result<Established, AuthenticateError>> + Send>>;

/// The hook that [`Router::authenticate`](crate::Router::authenticate) sets.
pub(crate) trait Authenticate: Send + Sync {
    /// Starts the hook for a peer. A panic is a refusal.
    fn ask(&self, info: HandshakeInfo) -> Verdict;
}

/// A function of an application as [`Authenticate`].
pub(crate) struct Hook<F>(pub(crate) F);

impl<F, Fut, I> Authenticate for Hook<F>
where
    F: Fn(HandshakeInfo) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<I, Refuse>> + Send + 'static,
    I: Send + Sync + 'static,
{
    fn ask(&self, info: HandshakeInfo) -> Verdict {
        // The function itself may panic before there is a future.
        let asking = catch_unwind(AssertUnwindSafe(|| (self.0)(info)));
        let panicked =
            |panic: Box<dyn Any + Send>| AuthenticateError::Panicked(panic_text(&*panic));
        Box::pin(async move {
            match AssertUnwindSafe(asking.map_err(panicked)?).catch_unwind().await {
                Ok(Ok(identity)) => Ok(Established {
                    kind: Established::kind_of::<I>(),
                    identity: Arc::new(identity),
                }),
                Ok(Err(refuse)) => Err(AuthenticateError::Refused(refuse)),
                Err(panic) => Err(panicked(panic)),
            }
        })
    }
}
