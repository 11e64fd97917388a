//! Values that an application attaches to a peer, its session say.

use std::any::TypeId;
use std::sync::Arc;

use super::Peer;
use crate::identity::Established;

impl Peer {
    /// Attaches a value to this connection, one of each type: gives back the one that it replaces.
    /// Handlers take it as [`Extension<T>`](crate::Extension), `on_disconnect` included. With the
    /// end of the connection it is dropped, so a value may hold a `Peer`; one that is attached
    /// later is dropped at once.
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

    /// The attached value of this type.
    #[must_use]
    pub fn attached<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.attached().get(TypeId::of::<T>())?.downcast().ok()
    }

    /// Takes the attached value of this type off the peer.
    pub fn detach<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.attached().detach(TypeId::of::<T>())?.downcast().ok()
    }

    /// Who the peer is, as [`Router::authenticate`](crate::Router::authenticate) has found out; `None`
    /// when nobody was asked, when it is of another type, on a client, and once the connection is over
    /// and `on_disconnect` has run. It stays the same as long as the connection lives: what changes is
    /// better [attached](Peer::attach).
    #[must_use]
    pub fn identity<I: Send + Sync + 'static>(&self) -> Option<Arc<I>> {
        self.0.attached().get(Established::kind_of::<I>())?.downcast().ok()
    }

    /// Says who it is, once and before anybody else knows the peer.
    pub(crate) fn identify(&self, Established { kind, identity }: Established) {
        self.0.attached().attach_first(kind, identity);
    }
}
