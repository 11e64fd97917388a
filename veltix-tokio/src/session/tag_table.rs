//! [`TagTable`]: the tags of all peers of one side, and the watches on them.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use futures::task::AtomicWaker;
use tokio::runtime::{EnterGuard, Handle};
use tokio::time::Instant;
use veltix_core::{TagLimits, TagStore, TargetError, WatchId};

use crate::sync::{AtomicU64, Mutex};

/// The tag store behind its lock.
#[derive(Debug)]
pub(crate) struct TagTable {
    store: Mutex<TagStore>,
    /// Increases with every change of the tags and peers in `store`.
    version: AtomicU64,
    /// The wakers of the readers of all watches.
    watchers: Mutex<BTreeMap<WatchId, Arc<AtomicWaker>>>,
    /// The runtime of the connections, for the clock and the timers of threads outside of it.
    runtime: OnceLock<Handle>,
}

impl TagTable {
    pub(crate) fn new(limits: TagLimits) -> Self {
        Self {
            store: Mutex::new(TagStore::new(limits)),
            version: AtomicU64::new(0),
            watchers: Mutex::default(),
            runtime: OnceLock::new(),
        }
    }

    /// Reads all tags. The lock is held for one call of the store, and never while another lock is
    /// taken or the caller's code runs.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&TagStore) -> R) -> R {
        read(&self.store.lock())
    }

    /// Changes the tags, under the same rule.
    ///
    /// Watches keep their changes inside the store, in the order in which they happened. So the
    /// order in which two threads wake a reader does not matter: the reader takes the next change
    /// under the lock under which each change was made.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut TagStore) -> R) -> R {
        let (result, woken) = {
            let mut store = self.store.lock();
            if store.needs_time() {
                // Read under the lock, so that the times are in the order of the changes.
                store.set_time(self.now().into_std());
            }
            let result = change(&mut store);
            self.version.fetch_add(1, Ordering::Release);
            (result, store.take_woken())
        };
        for watch in woken {
            let watcher = self.watchers.lock().get(&watch).map(Arc::clone);
            // A waker is the application's code, so no lock is held here.
            watcher.inspect(|watcher| watcher.wake());
        }
        result
    }

    /// Returns the version. While it stays the same, every target matches the same peers.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Begins a watch; returns it with the waker of its reader.
    pub(crate) fn watch(
        &self,
        begin: impl FnOnce(&mut TagStore) -> Result<WatchId, TargetError>,
    ) -> Result<(WatchId, Arc<AtomicWaker>), TargetError> {
        let watch = self.read_watch(begin)?;
        let waker = Arc::new(AtomicWaker::new());
        self.watchers.lock().insert(watch, Arc::clone(&waker));
        Ok((watch, waker))
    }

    /// Takes a step of a watch, which changes no tag.
    pub(crate) fn read_watch<R>(&self, read: impl FnOnce(&mut TagStore) -> R) -> R {
        read(&mut self.store.lock())
    }

    pub(crate) fn unwatch(&self, watch: WatchId) {
        let ended = self.read_watch(|store| store.unwatch(watch));
        let watcher = self.watchers.lock().remove(&watch);
        drop((ended, watcher));
    }

    /// Ends all watches: the server has ended, and no peer is left.
    pub(crate) fn end_watches(&self) {
        self.change(TagStore::end_watches);
    }

    /// Remembers the runtime of the first connection.
    pub(crate) fn note_runtime(&self) {
        if self.runtime.get().is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            // Another connection of the same runtime may have been faster.
            let _ = self.runtime.set(runtime);
        }
    }

    /// Enters the runtime of the connections, once there has been one. A timer that begins meanwhile
    /// belongs to it.
    pub(crate) fn enter_runtime(&self) -> Option<EnterGuard<'_>> {
        self.runtime.get().map(Handle::enter)
    }

    /// Returns the time of the runtime of the connections. Its clock may be paused, which a thread
    /// outside of it would not notice.
    pub(crate) fn now(&self) -> Instant {
        let _runtime = self.enter_runtime();
        Instant::now()
    }
}
