//! Values that an application attaches to a peer, for example its user session.

use std::any::TypeId;
use std::sync::Arc;

use super::Peer;
use crate::identity::Established;

impl Peer {
    /// Attaches a value to this connection, at most one of each type, and returns the value that it
    /// replaces. Handlers receive it as [`Extension<T>`](crate::Extension), `on_disconnect`
    /// included. At the end of the connection the value is dropped, so it may hold a `Peer`. A
    /// value that is attached after the end is dropped at once.
    ///
    /// ```
    /// # use veltix::{Extension, Peer, Router, Text};
    /// #[derive(Clone)]
    /// struct Session {
    ///     user: String,
    /// }
    ///
    /// async fn login(peer: Peer, Text(user): Text) {
    ///     peer.attach(Session { user });
    /// }
    ///
    /// async fn whoami(Extension(session): Extension<Session>) -> String {
    ///     session.user
    /// }
    /// ```
    pub fn attach<T: Send + Sync + 'static>(&self, value: T) -> Option<Arc<T>> {
        let old = self.0.attached().attach(TypeId::of::<T>(), Arc::new(value));
        old?.downcast().ok()
    }

    /// Returns the attached value of this type.
    #[must_use]
    pub fn attached<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.attached().get(TypeId::of::<T>())?.downcast().ok()
    }

    /// Removes the attached value of this type and returns it.
    pub fn detach<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.attached().detach(TypeId::of::<T>())?.downcast().ok()
    }

    /// Returns the identity of the peer, as [`Router::authenticate`](crate::Router::authenticate)
    /// has established it. It is `None` without such a hook, for another type, on a client, and
    /// after the connection has ended and `on_disconnect` has run. The identity does not change
    /// during the connection. Store changing values with [`Peer::attach`].
    #[must_use]
    pub fn identity<I: Send + Sync + 'static>(&self) -> Option<Arc<I>> {
        self.0.attached().get(Established::kind_of::<I>())?.downcast().ok()
    }

    /// Sets the identity, once and before any other code has the peer.
    pub(crate) fn identify(&self, Established { kind, identity }: Established) {
        self.0.attached().attach_first(kind, identity);
    }
}
