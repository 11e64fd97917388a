//! [`TagTable`]: the tags of all peers of one side, and the watches on them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::task::AtomicWaker;
use veltix_core::{TagLimits, TagStore, TargetError, WatchId};

use super::runtime::Runtime;
use crate::sync::{AtomicU64, Mutex};

/// The tag store behind its lock.
#[derive(Debug)]
pub(crate) struct TagTable {
    store: Mutex<TagStore>,
    /// Increases with every change of the tags and peers in `store`.
    version: AtomicU64,
    /// The wakers of the readers of all watches.
    watchers: Mutex<BTreeMap<WatchId, Arc<AtomicWaker>>>,
    /// The clock of the side, for changes by threads outside of its runtime.
    runtime: Arc<Runtime>,
    /// The signal of a server that has joined a cluster.
    #[cfg(feature = "cluster")]
    interest: std::sync::OnceLock<Arc<super::InterestSignal>>,
}

impl TagTable {
    pub(crate) fn new(limits: TagLimits, runtime: Arc<Runtime>) -> Self {
        Self {
            store: Mutex::new(TagStore::new(limits)),
            version: AtomicU64::new(0),
            watchers: Mutex::default(),
            runtime,
            #[cfg(feature = "cluster")]
            interest: std::sync::OnceLock::new(),
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
                store.set_time(self.runtime.now().into_std());
            }
            let result = change(&mut store);
            self.version.fetch_add(1, Ordering::Release);
            #[cfg(feature = "cluster")]
            if store.take_interest_wake()
                && let Some(signal) = self.interest.get()
            {
                signal.set();
            }
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

    /// Begins to track the tags with holders, for a cluster.
    #[cfg(feature = "cluster")]
    pub(crate) fn track_interest(&self) -> Arc<super::InterestSignal> {
        let signal = Arc::clone(self.interest.get_or_init(Arc::default));
        self.read_watch(TagStore::track_interest);
        signal.set();
        signal
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
}
