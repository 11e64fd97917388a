//! How much memory the buffers and queues of a server's connections may hold together.
//!
//! Each connection has limits of its own, and all of them at once would be more than a machine has. So
//! what a connection holds for longer than a turn is counted here: begun frames (by the capacity of
//! their buffer), what waits for handlers, and what waits for a stream that is full. It is counted in
//! steps of some KiB, so that the many connections that hold little never come here.
//!
//! The body of a broadcast is in memory once, however many outboxes it waits in, and is [counted
//! once](share): readers who all are behind for a moment must not cost one another the connection. Only
//! short ones, and those for a few, count in each outbox, which is more than there is, never less. Whoever
//! has the longest queue is still the first to go, shared or not.
//!
//! Near the budget no frame gets more room, and who waits for it is not read. If that does not help
//! for a while, or what is queued goes over the budget, whoever holds the most is disconnected.

mod machine;
mod shared;

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;
use veltix_core::limits::{EVICTION_PAUSE, MEMORY_SLACK, MEMORY_STEP};

pub(crate) use machine::default_budget;
pub(crate) use shared::share;

use crate::planted::planted;
use crate::sync::Mutex;

/// The budget of one server.
#[derive(Debug)]
pub(crate) struct Memory {
    budget: usize,
    /// What of it is given to those who ask.
    room: usize,
    held: AtomicUsize,
    looks: Mutex<Looks>,
}

/// Looks for whom to evict.
#[derive(Debug, Default)]
struct Looks {
    last: Option<Instant>,
    /// Somebody looks again.
    again: bool,
}

/// Whether to look for whom to evict.
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

    /// Without a limit, as on a client.
    pub(crate) fn unlimited() -> Arc<Self> {
        Self::new(usize::MAX)
    }

    const fn is_limited(&self) -> bool {
        self.budget < usize::MAX
    }

    /// Whether there is so much that somebody has to go at once.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.held.load(Ordering::Relaxed) > self.budget
    }

    /// How much too much there would be if so much more were given.
    pub(crate) fn excess(&self, more: usize) -> usize {
        self.held.load(Ordering::Relaxed).saturating_add(more).saturating_sub(self.room)
    }

    /// Whether somebody may look for whom to evict: who was evicted last needs a moment to go. Over the
    /// budget the first who may not is told to look again after the pause, whatever is polled until then.
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

/// What one holder has of it. Only its holder changes it; others look. It is given back on drop.
#[derive(Debug)]
pub(crate) struct Holding {
    memory: Arc<Memory>,
    bytes: AtomicUsize,
}

impl Holding {
    pub(crate) const fn new(memory: Arc<Memory>) -> Self {
        Self { memory, bytes: AtomicUsize::new(0) }
    }

    /// What is counted of it.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts what is held now, whether there is room for it or not.
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
        } else if bytes < before && !planted!("room_not_given_back") {
            self.memory.held.fetch_sub(before - bytes, Ordering::Relaxed);
        }
    }

    /// Counts so much if there is room for what is more than before; says whether there is.
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

    /// Whether all holders together have so much that somebody has to go at once.
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
        assert_eq!(memory.room / MEMORY_STEP, 9, "not all of it is given");
        let (one, other) = (Holding::new(Arc::clone(&memory)), Holding::new(Arc::clone(&memory)));
        one.set(MEMORY_STEP - 1);
        assert_eq!(memory.excess(9 * MEMORY_STEP), 0, "little is not counted");
        one.set(4 * MEMORY_STEP + 1);
        assert!(other.try_set(5 * MEMORY_STEP));
        assert!(!memory.is_over() && memory.excess(MEMORY_STEP) > 0);
        assert!(!one.try_set(5 * MEMORY_STEP), "there is no room");
        assert_eq!(one.bytes(), 4 * MEMORY_STEP);
        assert!(one.try_set(MEMORY_STEP) && one.bytes() == 4 * MEMORY_STEP, "less is no question");
        one.set(5 * MEMORY_STEP);
        assert!(!memory.is_over() && memory.excess(0) > 0);
        one.set(6 * MEMORY_STEP);
        assert!(memory.is_over(), "what is there is counted all the same");
        drop(other);
        assert!(!memory.is_over() && memory.excess(0) == 0);
        one.set(0);
        assert_eq!(memory.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_moment_passes_between_two_evictions() {
        let (memory, now) = (Memory::new(0), Instant::now());
        assert_eq!(memory.may_evict(now), Look::Now);
        assert_eq!(memory.may_evict(now), Look::Not, "there is nothing too much");
        memory.held.store(1, Ordering::Relaxed);
        let later = now + EVICTION_PAUSE;
        assert_eq!(memory.may_evict(now), Look::At(later));
        assert_eq!(memory.may_evict(now), Look::Not, "one of them looks again");
        assert_eq!(memory.may_evict(later), Look::Now);
        assert_eq!(memory.may_evict(later), Look::At(later + EVICTION_PAUSE));
    }
}
