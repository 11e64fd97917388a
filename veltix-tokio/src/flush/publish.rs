//! The bytes that handlers put into the outboxes of other peers, each frame with its overhead.

use std::cell::Cell;
use std::ops::AddAssign;

thread_local! {
    /// The published bytes of the handlers that run on this thread.
    static PUBLISHED: Cell<Published> = const { Cell::new(Published::NOTHING) };
}

/// Counts of published bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Published {
    /// All published bytes, except those in `limited`.
    pub(crate) all: u64,
    /// The part of `all` that waits for slow readers.
    pub(crate) waiting: u64,
    /// Bytes under limits of single routes; neither `all` nor `waiting` contains them.
    pub(super) limited: u64,
}

impl Published {
    pub(super) const NOTHING: Self = Self { all: 0, waiting: 0, limited: 0 };

    /// Returns whether a part of the bytes is to be charged.
    pub(crate) const fn is_charged(self) -> bool {
        self.waiting | self.limited > 0
    }
}

/// The bytes that handlers on a thread have published.
#[derive(Debug, Default)]
pub(crate) struct PublishedApart {
    pub(super) published: Published,
    pub(super) limited: Vec<LimitedBytes>,
}

impl AddAssign for PublishedApart {
    fn add_assign(&mut self, other: Self) {
        self.published.all += other.published.all;
        self.published.waiting += other.published.waiting;
        self.published.limited += other.published.limited;
        // One entry for each route, however long the task does not take them.
        for part in other.limited {
            match self.limited.iter_mut().find(|own| own.limit == part.limit) {
                Some(own) => own.bytes += part.bytes,
                None => self.limited.push(part),
            }
        }
    }
}

impl PublishedApart {
    /// Returns whether a part of the bytes is to be charged.
    pub(crate) const fn is_charged(&self) -> bool {
        self.published.is_charged()
    }
}

/// The publish limit of one route's handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PublishLimit {
    /// The number of the route.
    pub(crate) route: u16,
    pub(crate) bytes_per_second: u64,
}

/// The bytes that were published under the limit of one route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LimitedBytes {
    pub(crate) limit: PublishLimit,
    pub(crate) bytes: u64,
}

/// Counts bytes that a broadcast has put into outboxes, and the part of them that waits there.
#[inline]
pub(crate) fn published(all: usize, waiting: usize) {
    let mut published = PUBLISHED.get();
    published.all += all as u64;
    published.waiting += waiting as u64;
    PUBLISHED.set(published);
}

/// Returns the counts of this thread.
#[inline]
pub(super) fn current() -> Published {
    PUBLISHED.get()
}

/// Replaces the counts of this thread, and returns the old ones.
pub(super) fn replace(published: Published) -> Published {
    PUBLISHED.replace(published)
}
