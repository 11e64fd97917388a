//! The live table: who is connected, with which tags, and whom a target means.

#[cfg(all(test, shuttle))]
mod shuttle;

use std::hash::{BuildHasherDefault, Hasher};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dashmap::DashMap;
use dashmap::mapref::one::RefMut;
use veltix_core::{PeerId, Target, TargetError};

use crate::peer::Peer;
use crate::session::{Services, TagTable};
use crate::sync::{AtomicU64, AtomicUsize, Mutex};

/// Every connection of a server, or the one of a client.
///
/// A peer is *entered* when its handshake is over, so that `on_connect` can tag it, and *admitted*
/// when that has returned `Ok`: only then is it listed, counted and reached.
#[derive(Debug)]
pub(crate) struct Peers {
    entered: DashMap<PeerId, Entry, BuildHasherDefault<IdHasher>>,
    /// How many of them are admitted.
    admitted: AtomicUsize,
    services: Arc<Services>,
    ids: AtomicU64,
    /// Grows after every change of who is admitted; tells whether a snapshot still holds.
    version: AtomicU64,
    /// All admitted peers as a slice, made when a broadcast wants it.
    snapshot: Mutex<Option<Snapshot>>,
}

#[derive(Debug)]
struct Entry {
    peer: Peer,
    is_admitted: bool,
}

/// Spreads ids over the bits of a hash. They are numbers that we count up and no peer chooses, so
/// nothing more is needed.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, id: u64) {
        // 2^64 divided by the golden ratio: neighbours are far apart in the bits above.
        self.0 = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Debug)]
struct Snapshot {
    version: u64,
    peers: Arc<[Peer]>,
}

impl Peers {
    pub(crate) fn new(services: Arc<Services>) -> Self {
        Self {
            entered: DashMap::default(),
            admitted: AtomicUsize::new(0),
            services,
            ids: AtomicU64::new(1),
            version: AtomicU64::new(0),
            snapshot: Mutex::new(None),
        }
    }

    /// An id that no connection has had.
    pub(crate) fn next_id(&self) -> PeerId {
        PeerId::new(self.ids.fetch_add(1, Ordering::Relaxed))
    }

    fn tags(&self) -> &TagTable {
        self.services.tags()
    }

    pub(crate) fn enter(&self, peer: &Peer) {
        self.tags().change(|tags| tags.join(peer.id()));
        self.entered.insert(peer.id(), Entry { peer: peer.clone(), is_admitted: false });
    }

    pub(crate) fn admit(&self, peer: &Peer) {
        let admit = |mut entry: RefMut<'_, _, Entry>| !mem::replace(&mut entry.is_admitted, true);
        if self.entered.get_mut(&peer.id()).is_some_and(admit) {
            self.admitted.fetch_add(1, Ordering::Relaxed);
        }
        self.tags().change(|tags| tags.admit(peer.id()));
        // After the insertion: a snapshot that missed it has an older version.
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The peer is not listed, counted or reached any more. Its tags can still be read, so that
    /// `on_disconnect` can say goodbye in the right room.
    pub(crate) fn leave(&self, peer: &Peer) {
        let was_admitted =
            self.entered.remove(&peer.id()).is_some_and(|(_, entry)| entry.is_admitted);
        self.tags().change(|tags| tags.retire(peer.id()));
        if was_admitted {
            self.admitted.fetch_sub(1, Ordering::Relaxed);
            self.version.fetch_add(1, Ordering::Release);
            // A snapshot that nobody asks for again must not keep those who left.
            let stale = self.snapshot.lock().take();
            drop(stale);
        }
    }

    /// Nobody will ask for the peer's tags any more.
    pub(crate) fn forget(&self, peer: &Peer) {
        self.tags().change(|tags| tags.leave(peer.id()));
    }

    pub(crate) fn get(&self, id: PeerId) -> Option<Peer> {
        let entry = self.entered.get(&id)?;
        entry.is_admitted.then(|| entry.peer.clone())
    }

    pub(crate) fn len(&self) -> usize {
        self.admitted.load(Ordering::Relaxed)
    }

    /// All admitted peers.
    pub(crate) fn all(&self) -> Arc<[Peer]> {
        let version = self.version.load(Ordering::Acquire);
        if let Some(snapshot) = &*self.snapshot.lock()
            && snapshot.version == version
        {
            return Arc::clone(&snapshot.peers);
        }
        let admitted = self.entered.iter().filter(|entry| entry.is_admitted);
        let mut peers: Vec<_> = admitted.map(|entry| (*entry.key(), entry.peer.clone())).collect();
        // In the order in which they came, which is how the system's memory for their sockets lies: a
        // broadcast to thousands walks along it, and not to and fro.
        peers.sort_unstable_by_key(|(id, _)| *id);
        let peers: Arc<[Peer]> = peers.into_iter().map(|(_, peer)| peer).collect();
        let snapshot = Snapshot { version, peers: Arc::clone(&peers) };
        let stale = {
            let mut kept = self.snapshot.lock();
            // One that is outdated already would only keep who has left meanwhile.
            if self.version.load(Ordering::Acquire) == version {
                kept.replace(snapshot)
            } else {
                Some(snapshot)
            }
        };
        drop(stale);
        peers
    }

    /// The admitted peers that a target means, found through the index.
    pub(crate) fn matching(&self, target: &Target) -> Result<Arc<[Peer]>, TargetError> {
        if target.is_all() {
            return Ok(self.all());
        }
        let ids = self.tags().read(|tags| tags.select(target))?;
        Ok(ids.into_iter().filter_map(|id| self.get(id)).collect())
    }

    pub(crate) fn count(&self, target: &Target) -> Result<usize, TargetError> {
        if target.is_all() { Ok(self.len()) } else { self.tags().read(|tags| tags.count(target)) }
    }

    /// Whose connections hold memory that is counted, and how much.
    pub(crate) fn holders(&self) -> Vec<(usize, Peer)> {
        let held = self.entered().into_iter().map(|peer| (peer.session().held(), peer));
        held.filter(|(held, _)| *held > 0).collect()
    }

    /// Wakes the task of every connection, admitted or not.
    pub(crate) fn wake_all(&self) {
        self.entered().iter().for_each(|peer| peer.session().outbox().wake_owner());
    }

    /// Every connection, admitted or not.
    pub(crate) fn entered(&self) -> Vec<Peer> {
        self.entered.iter().map(|entry| entry.peer.clone()).collect()
    }
}
