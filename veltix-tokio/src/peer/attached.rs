//! Values that an application attaches to a peer, its session say.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use super::Peer;
use crate::identity::Established;
use crate::sync::drop_caught;

type Value = Arc<dyn Any + Send + Sync>;

/// One value of each type. A search among a few is as fast as a map, and nothing is held for a
/// peer without any.
#[derive(Default)]
pub(super) struct Attached {
    values: Vec<(TypeId, Value)>,
    /// The connection is over: nothing is kept any more.
    over: bool,
}

impl Attached {
    fn find(&self, of: TypeId) -> Option<usize> {
        self.values.iter().position(|(type_id, _)| *type_id == of)
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Attached").field(&self.values.len()).finish()
    }
}

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
        let value: Value = Arc::new(value);
        let of = TypeId::of::<T>();
        let mut attached = self.0.attached.lock();
        if attached.over {
            // The value runs its owner's code when it goes, here and below: outside the lock.
            drop(attached);
            return None;
        }
        let old = match attached.find(of) {
            Some(at) => Some(std::mem::replace(&mut attached.values[at].1, value)),
            None => {
                attached.values.push((of, value));
                None
            }
        };
        drop(attached);
        old?.downcast().ok()
    }

    /// The attached value of this type.
    #[must_use]
    pub fn attached<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let attached = self.0.attached.lock();
        let value = attached.find(TypeId::of::<T>()).map(|at| Arc::clone(&attached.values[at].1));
        drop(attached);
        value?.downcast().ok()
    }

    /// Takes the attached value of this type off the peer.
    pub fn detach<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let mut attached = self.0.attached.lock();
        let value = attached.find(TypeId::of::<T>()).map(|at| attached.values.swap_remove(at).1);
        drop(attached);
        value?.downcast().ok()
    }

    /// Who the peer is, as [`Router::authenticate`](crate::Router::authenticate) has found out; `None`
    /// when nobody was asked, when it is of another type, on a client, and once the connection is over
    /// and `on_disconnect` has run. It stays the same as long as the connection lives: what changes is
    /// better [attached](Peer::attach).
    #[must_use]
    pub fn identity<I: Send + Sync + 'static>(&self) -> Option<Arc<I>> {
        let attached = self.0.attached.lock();
        let found = attached.find(Established::kind_of::<I>());
        let identity = found.map(|at| Arc::clone(&attached.values[at].1));
        drop(attached);
        identity?.downcast().ok()
    }

    /// Says who it is, once and before anybody else knows the peer.
    pub(crate) fn identify(&self, Established { kind, identity }: Established) {
        let mut attached = self.0.attached.lock();
        // Many peers have nothing else, so no more room is taken.
        attached.values.reserve_exact(1);
        attached.values.push((kind, identity));
    }

    /// Drops what is attached: a value that holds its own peer would keep it, and itself, for
    /// ever.
    pub(crate) fn detach_all(&self) {
        let values = {
            let mut attached = self.0.attached.lock();
            attached.over = true;
            std::mem::take(&mut attached.values)
        };
        for (_, value) in values {
            drop_caught(value);
        }
    }
}
