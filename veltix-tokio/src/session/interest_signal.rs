//! [`InterestSignal`]: tells a cluster that the tags with holders have changed.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Tells a cluster that the tags with holders have changed. It is set before the change returns to its caller,
/// so that the cluster tells the change before anything that the caller sends.
#[derive(Debug, Default)]
pub(crate) struct InterestSignal {
    is_set: AtomicBool,
    changed: Notify,
}

impl InterestSignal {
    pub(super) fn set(&self) {
        self.is_set.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Returns whether there is a change, and clears the signal.
    pub(crate) fn take(&self) -> bool {
        // Most calls only read.
        self.is_set.load(Ordering::Acquire) && self.is_set.swap(false, Ordering::AcqRel)
    }

    /// Waits until there is a change.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}
