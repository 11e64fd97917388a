//! [`Holders`]: the connections that hold a key, for example those of one user.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::sync::watch;
use veltix_core::PeerId;

use super::{Services, Session};
use crate::sync::{AtomicU64, Mutex};

/// A key that one connection at a time holds: a text that was made from an identity of this type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HolderKey {
    pub(crate) of: TypeId,
    pub(crate) text: Box<str>,
}

/// The connections that hold each key: the newest one, and older ones that have not ended yet. Most
/// servers have none.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    by_key: Mutex<HashMap<HolderKey, Vec<Holder>>>,
    next: AtomicU64,
}

/// A connection that holds a key.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    /// The number of the entry. A connection that takes the key again has another one.
    number: u64,
    id: PeerId,
    session: Weak<Session>,
    ended: watch::Receiver<()>,
}

impl Holder {
    /// Returns the connection, unless nobody has it any more.
    pub(crate) fn session(&self) -> Option<Arc<Session>> {
        self.session.upgrade()
    }

    /// Waits until the connection has ended, its `on_disconnect` included.
    pub(crate) async fn ended(&mut self) {
        // The sender is dropped, and sends nothing.
        let _ = self.ended.changed().await;
    }
}

/// The entry of one connection. It is kept until the connection has ended.
pub(crate) struct Hold {
    services: Weak<Services>,
    key: HolderKey,
    number: u64,
    _ended: watch::Sender<()>,
}

impl Holders {
    /// Lets a connection hold a key. Returns its entry, and the connections that held the key before and
    /// have not ended. Returns `None` if a newer connection has taken the key from this one: that closes
    /// this one, and must not be closed by it in turn.
    pub(crate) fn take(
        &self,
        key: HolderKey,
        session: &Arc<Session>,
    ) -> Option<(Hold, Vec<Holder>)> {
        let (sender, ended) = watch::channel(());
        let (id, number) = (session.id(), self.next.fetch_add(1, Ordering::Relaxed));
        let holder = Holder { number, id, session: Arc::downgrade(session), ended };
        let mut earlier = {
            let mut holders = self.by_key.lock();
            let holders = holders.entry(key.clone()).or_default();
            let is_own = |holder: &Holder| holder.id == id;
            if holders.iter().any(is_own) && !holders.last().is_some_and(is_own) {
                return None;
            }
            let earlier = holders.clone();
            holders.push(holder);
            earlier
        };
        earlier.retain(|other| other.id != id);
        let services = Arc::downgrade(session.services());
        Some((Hold { services, key, number, _ended: sender }, earlier))
    }

    fn release(&self, key: &HolderKey, number: u64) {
        let mut holders = self.by_key.lock();
        if let Some(of_key) = holders.get_mut(key) {
            of_key.retain(|holder| holder.number != number);
            if of_key.is_empty() {
                holders.remove(key);
            }
        }
        if holders.is_empty() {
            *holders = HashMap::new();
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(services) = self.services.upgrade() {
            services.holders().release(&self.key, self.number);
        }
    }
}
