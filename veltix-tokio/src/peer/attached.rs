//! Values that an application attaches to a peer, its session say.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use super::Peer;

type Value = Arc<dyn Any + Send + Sync>;

/// One value of each type. A search among a few is as fast as a map, and nothing is held for a
/// peer without any.
#[derive(Default)]
pub(super) struct Attached(Vec<(TypeId, Value)>);

impl Attached {
    fn find(&self, of: TypeId) -> Option<usize> {
        self.0.iter().position(|(type_id, _)| *type_id == of)
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Attached").field(&self.0.len()).finish()
    }
}

impl Peer {
    /// Attaches a value to this connection, one of each type: gives back the one that it replaces.
    /// Handlers take it as [`Extension<T>`](crate::Extension). It goes with the connection, or
    /// rather with its last handle.
    ///
    /// ```
    /// # use veltix_tokio::{Extension, Peer, Router, Text};
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
        let old = match attached.find(of) {
            Some(at) => Some(std::mem::replace(&mut attached.0[at].1, value)),
            None => {
                attached.0.push((of, value));
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
        let value = attached.find(TypeId::of::<T>()).map(|at| Arc::clone(&attached.0[at].1));
        drop(attached);
        value?.downcast().ok()
    }

    /// Takes the attached value of this type off the peer.
    pub fn detach<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let mut attached = self.0.attached.lock();
        let value = attached.find(TypeId::of::<T>()).map(|at| attached.0.swap_remove(at).1);
        drop(attached);
        value?.downcast().ok()
    }
}
