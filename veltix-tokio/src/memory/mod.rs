//! The memory that the buffers and queues of a server's connections may hold together.
//!
//! Each connection has limits of its own, but the sum of all limits would exceed the memory of a
//! machine. So memory that a connection holds for longer than a turn is counted here: begun frames
//! (by the capacity of their buffer), messages that wait for handlers, and frames that wait for a
//! full stream. It is counted in steps of some KiB, so that the many connections that hold little
//! never change the counter.
//!
//! The body of a broadcast is in memory once, independent of the number of outboxes that hold it,
//! and is [counted once](share). Otherwise readers that are all behind for a moment would cost one
//! another the connection. Only short bodies, and those for a few peers, count in each outbox. This
//! count is higher than the real memory, never lower. The peer with the longest queue is still the
//! first to be evicted, whether its frames are shared or not.
//!
//! Near the budget no frame gets more memory, and a connection that is in a memory wait is not
//! read. If this does not help for a while, or if the queues exceed the budget, the peer that holds
//! the most is disconnected.

mod machine;
mod shared;

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;
use veltix_core::limits::{EVICTION_PAUSE, MEMORY_SLACK, MEMORY_STEP};

pub(crate) use machine::default_budget;
pub(crate) use shared::share;

use crate::sync::Mutex;

/// The memory budget of one server.
#[derive(Debug)]
pub(crate) struct Memory {
    budget: usize,
    /// The part of the budget that is given on request.
    room: usize,
    held: AtomicUsize,
    looks: Mutex<Looks>,
}

/// The state of the searches for peers to evict.
#[derive(Debug, Default)]
struct Looks {
    last: Option<Instant>,
    /// A connection will search again after the pause.
    again: bool,
}

/// The permission to search for peers to evict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Now,
    At(Instant),
    Not,
}

impl Memory {
    pub(crate) fn new(budget: usize) -> Arc<Self> {
        Arc::new(Self {
            budget,
            room: budget - budget / MEMORY_SLACK,
            held: AtomicUsize::new(0),
            looks: Mutex::default(),
        })
    }

    /// Creates a budget without a limit, as on a client.
    pub(crate) fn unlimited() -> Arc<Self> {
        Self::new(usize::MAX)
    }

    const fn is_limited(&self) -> bool {
        self.budget < usize::MAX
    }

    /// Returns whether the budget is exceeded, so that a peer has to be evicted at once.
    #[inline]
    /// Returns the counted bytes of all connections.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    pub(crate) const fn budget(&self) -> usize {
        self.budget
    }

    pub(crate) fn is_over(&self) -> bool {
        self.held.load(Ordering::Relaxed) > self.budget
    }

    /// Returns the number of bytes by which `more` further bytes would exceed the part that is
    /// given on request.
    pub(crate) fn excess(&self, more: usize) -> usize {
        self.held.load(Ordering::Relaxed).saturating_add(more).saturating_sub(self.room)
    }

    /// Returns whether the caller may search for peers to evict: the peer that was evicted last
    /// needs a moment to leave. Over the budget, the first refused caller is to search again after
    /// the pause, independent of other polls in the meantime.
    pub(crate) fn may_evict(&self, now: Instant) -> Look {
        let mut looks = self.looks.lock();
        let due = looks.last.map_or(now, |last| last + EVICTION_PAUSE);
        if now >= due {
            *looks = Looks { last: Some(now), again: false };
            Look::Now
        } else if self.is_over() && !mem::replace(&mut looks.again, true) {
            Look::At(due)
        } else {
            Look::Not
        }
    }

    fn try_take(&self, bytes: usize) -> bool {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.room;
        if !fits {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
        }
        fits
    }
}

/// The bytes of one holder. Only the holder changes them, and other tasks read them. A drop
/// releases them.
#[derive(Debug)]
pub(crate) struct Holding {
    memory: Arc<Memory>,
    bytes: AtomicUsize,
}

impl Holding {
    pub(crate) const fn new(memory: Arc<Memory>) -> Self {
        Self { memory, bytes: AtomicUsize::new(0) }
    }

    /// Returns the counted bytes.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts the bytes that are held now, even if they exceed the budget.
    #[inline]
    pub(crate) fn set(&self, bytes: usize) {
        if bytes >= MEMORY_STEP || self.bytes() > 0 {
            self.change(bytes / MEMORY_STEP * MEMORY_STEP);
        }
    }

    #[cold]
    fn change(&self, bytes: usize) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        if bytes > before {
            self.memory.held.fetch_add(bytes - before, Ordering::Relaxed);
        } else if bytes < before && !fault!("room_not_given_back") {
            self.memory.held.fetch_sub(before - bytes, Ordering::Relaxed);
        }
    }

    /// Counts `bytes` if the increase fits, and returns whether it does.
    pub(crate) fn try_set(&self, bytes: usize) -> bool {
        let before = self.bytes();
        if bytes > before {
            if !self.memory.try_take(bytes - before) {
                return false;
            }
            self.bytes.store(bytes, Ordering::Relaxed);
        }
        true
    }

    /// Returns whether all holders together exceed the budget, so that a peer has to be evicted at
    /// once.
    pub(crate) fn is_over(&self) -> bool {
        self.memory.is_over()
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted_in_steps_and_given_back() {
        let memory = Memory::new(10 * MEMORY_STEP);
        assert_eq!(memory.room / MEMORY_STEP, 9, "a part is kept back");
        let (one, other) = (Holding::new(Arc::clone(&memory)), Holding::new(Arc::clone(&memory)));
        one.set(MEMORY_STEP - 1);
        assert_eq!(memory.excess(9 * MEMORY_STEP), 0, "small amounts are not counted");
        one.set(4 * MEMORY_STEP + 1);
        assert!(other.try_set(5 * MEMORY_STEP));
        assert!(!memory.is_over() && memory.excess(MEMORY_STEP) > 0);
        assert!(!one.try_set(5 * MEMORY_STEP), "there is no room");
        assert_eq!(one.bytes(), 4 * MEMORY_STEP);
        assert!(one.try_set(MEMORY_STEP) && one.bytes() == 4 * MEMORY_STEP, "less always fits");
        one.set(5 * MEMORY_STEP);
        assert!(!memory.is_over() && memory.excess(0) > 0);
        one.set(6 * MEMORY_STEP);
        assert!(memory.is_over(), "memory in use is counted even without room");
        drop(other);
        assert!(!memory.is_over() && memory.excess(0) == 0);
        one.set(0);
        assert_eq!(memory.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_moment_passes_between_two_evictions() {
        let (memory, now) = (Memory::new(0), Instant::now());
        assert_eq!(memory.may_evict(now), Look::Now);
        assert_eq!(memory.may_evict(now), Look::Not, "the budget is not exceeded");
        memory.held.store(1, Ordering::Relaxed);
        let later = now + EVICTION_PAUSE;
        assert_eq!(memory.may_evict(now), Look::At(later));
        assert_eq!(memory.may_evict(now), Look::Not, "one caller searches again");
        assert_eq!(memory.may_evict(later), Look::Now);
        assert_eq!(memory.may_evict(later), Look::At(later + EVICTION_PAUSE));
    }
}
