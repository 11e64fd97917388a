//! The table of connected peers: it lists peers and finds those that a target matches.

#[cfg(all(test, shuttle))]
mod shuttle;

use std::hash::{BuildHasherDefault, Hasher};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::one::RefMut;
use tokio::time::Instant;
use veltix_core::{PeerId, Target, TargetError};

use crate::peer::{Peer, PeerStats};
use crate::session::{Services, TagTable};
use crate::sync::{AtomicU64, AtomicUsize, Mutex};

/// All connections of a server, or the one connection of a client.
///
/// A peer is *entered* after its handshake, so that `on_connect` can tag it. It is *admitted* after
/// `on_connect` has returned `Ok`. Only admitted peers are listed, counted and reached.
#[derive(Debug)]
pub(crate) struct Peers {
    entered: DashMap<PeerId, Entry, BuildHasherDefault<IdHasher>>,
    /// The number of admitted peers.
    admitted: AtomicUsize,
    services: Arc<Services>,
    ids: AtomicU64,
    /// Increases after every change of the admitted peers. It shows whether a snapshot is still
    /// valid.
    version: AtomicU64,
    /// All admitted peers as a slice, created when a broadcast needs it.
    snapshot: Mutex<Option<Snapshot>>,
    /// The sums of the peers that have left. Its lock is held while a peer leaves and while the sums of all are
    /// read: otherwise a peer could count in both places, or in none, and a counter would fall.
    gone: Mutex<Gone>,
}

/// The sums of the peers that have left.
#[derive(Clone, Copy, Debug, Default)]
struct Gone {
    stats: PeerStats,
    sent_bytes: u64,
}

/// The sums of all peers, also of those that have left.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) stats: PeerStats,
    pub(crate) sent_bytes: u64,
    pub(crate) queued_bytes: usize,
    /// The number of peers whose stream is full.
    pub(crate) blocked: usize,
    /// The longest time for which a peer takes no bytes now.
    pub(crate) stalled: Duration,
}

#[derive(Debug)]
struct Entry {
    peer: Peer,
    is_admitted: bool,
}

/// Spreads ids over the bits of a hash. The ids are numbers that this side counts up and that no
/// peer can choose, so a stronger hash is not needed.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, id: u64) {
        // 2^64 divided by the golden ratio: neighbouring ids differ widely in the upper bits.
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
            gone: Mutex::default(),
        }
    }

    /// Returns an id that no connection has had.
    pub(crate) fn next_id(&self) -> PeerId {
        PeerId::new(self.ids.fetch_add(1, Ordering::Relaxed))
    }

    fn tags(&self) -> &TagTable {
        self.services.tags()
    }

    pub(crate) fn enter(&self, peer: &Peer) {
        self.tags().change(|tags| tags.enter(peer.id()));
        self.entered.insert(peer.id(), Entry { peer: peer.clone(), is_admitted: false });
    }

    pub(crate) fn admit(&self, peer: &Peer) {
        let admit = |mut entry: RefMut<'_, _, Entry>| !mem::replace(&mut entry.is_admitted, true);
        if self.entered.get_mut(&peer.id()).is_some_and(admit) {
            self.admitted.fetch_add(1, Ordering::Relaxed);
        }
        self.tags().change(|tags| tags.admit(peer.id()));
        // This follows the insertion: a snapshot without the peer has an older version.
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Removes the peer, which is not listed, counted or reached any more. Its tags stay readable,
    /// so that `on_disconnect` can send a goodbye to the right room. Returns its last counts.
    pub(crate) fn leave(&self, peer: &Peer) -> PeerStats {
        let (was_admitted, stats) = {
            let mut gone = self.gone.lock();
            let removed = self.entered.remove(&peer.id());
            let stats = peer.stats();
            if removed.is_some() {
                gone.stats.add(&stats);
                gone.sent_bytes += peer.session().outbox().written();
            }
            (removed.is_some_and(|(_, entry)| entry.is_admitted), stats)
        };
        self.tags().change(|tags| tags.retire(peer.id()));
        if was_admitted {
            self.admitted.fetch_sub(1, Ordering::Relaxed);
            self.version.fetch_add(1, Ordering::Release);
            // A snapshot that is never requested again must not keep peers that have left.
            let stale = self.snapshot.lock().take();
            drop(stale);
        }
        stats
    }

    /// Returns the sums of all peers, also of those that have left.
    pub(crate) fn totals(&self) -> Totals {
        let now = Instant::now();
        let gone = self.gone.lock();
        let Gone { stats, sent_bytes } = *gone;
        let mut totals = Totals { stats, sent_bytes, ..Totals::default() };
        for peer in self.entered() {
            let view = peer.session().outbox().peek();
            let received = peer.session().receipts().received();
            totals.stats.add(&PeerStats { sent: view.sent, received });
            totals.sent_bytes += view.written_bytes;
            totals.queued_bytes += view.queued_bytes;
            totals.blocked += usize::from(view.is_blocked);
            let stalled = view.stalled_since.map(|since| now.saturating_duration_since(since));
            totals.stalled = totals.stalled.max(stalled.unwrap_or_default());
        }
        totals
    }

    /// Removes the peer's tags. They are not read any more.
    pub(crate) fn forget(&self, peer: &Peer) {
        self.tags().change(|tags| tags.forget(peer.id()));
    }

    pub(crate) fn get(&self, id: PeerId) -> Option<Peer> {
        let entry = self.entered.get(&id)?;
        entry.is_admitted.then(|| entry.peer.clone())
    }

    pub(crate) fn len(&self) -> usize {
        self.admitted.load(Ordering::Relaxed)
    }

    /// Returns all admitted peers.
    pub(crate) fn all(&self) -> Arc<[Peer]> {
        let version = self.version.load(Ordering::Acquire);
        if let Some(snapshot) = &*self.snapshot.lock()
            && snapshot.version == version
        {
            return Arc::clone(&snapshot.peers);
        }
        let admitted = self.entered.iter().filter(|entry| entry.is_admitted);
        let mut peers: Vec<_> = admitted.map(|entry| (*entry.key(), entry.peer.clone())).collect();
        // Sorted by the order in which the peers connected. The system's memory for their sockets
        // has the same order, so a broadcast to thousands of peers walks along it in one direction.
        peers.sort_unstable_by_key(|(id, _)| *id);
        let peers: Arc<[Peer]> = peers.into_iter().map(|(_, peer)| peer).collect();
        let snapshot = Snapshot { version, peers: Arc::clone(&peers) };
        let stale = {
            let mut kept = self.snapshot.lock();
            // An outdated snapshot would only keep peers that have left in between.
            if self.version.load(Ordering::Acquire) == version {
                kept.replace(snapshot)
            } else {
                Some(snapshot)
            }
        };
        drop(stale);
        peers
    }

    /// Returns the admitted peers that a target matches, found through the index.
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

    /// Returns the peers whose connections hold counted memory, each with its bytes.
    pub(crate) fn holders(&self) -> Vec<(usize, Peer)> {
        let held = self.entered().into_iter().map(|peer| (peer.session().held(), peer));
        held.filter(|(held, _)| *held > 0).collect()
    }

    /// Wakes the task of every connection, admitted or not.
    pub(crate) fn wake_all(&self) {
        self.entered().iter().for_each(|peer| peer.session().outbox().wake_owner());
    }

    /// Returns the peers of all connections, admitted or not.
    pub(crate) fn entered(&self) -> Vec<Peer> {
        self.entered.iter().map(|entry| entry.peer.clone()).collect()
    }
}
