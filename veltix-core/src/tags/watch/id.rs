//! [`WatchId`]: the number of a watch.

/// Identifies a watch of a [`TagStore`](crate::TagStore).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchId(pub(super) u64);
