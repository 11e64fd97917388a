//! The unread changes of one watch.

use std::collections::VecDeque;

use crate::limits::{WATCH_QUEUE, WATCH_QUEUE_BYTES};

/// Limits the changes that a watch keeps. The limit is low in tests, so that they reach it.
const ITEMS: usize = if cfg!(test) { 4 } else { WATCH_QUEUE };

/// Limits the bytes of these changes.
pub(super) const BYTES: usize = if cfg!(test) { 512 } else { WATCH_QUEUE_BYTES };

/// Is the number of changes for which a watch keeps memory after it has reported all of them.
const IDLE_ROOM: usize = 16;

/// A queue of changes, each with its size. If one has no room, the queue forgets all of them: the
/// next report is then the state at the time of the report, which includes every change until then.
#[derive(Debug)]
pub(super) struct Queue<T> {
    changes: VecDeque<(T, usize)>,
    bytes: usize,
    reset: bool,
}

impl<T> Queue<T> {
    /// Creates the queue of a new watch, whose first report is the state.
    pub(super) const fn new() -> Self {
        Self { changes: VecDeque::new(), bytes: 0, reset: true }
    }

    /// Returns whether the next report is the state.
    pub(super) const fn is_reset(&self) -> bool {
        self.reset
    }

    /// Returns whether the next report is the state. From now on changes are kept.
    pub(super) fn take_reset(&mut self) -> bool {
        std::mem::take(&mut self.reset)
    }

    /// Adds a change of this size in bytes, and returns whether the reader has to be woken: it has
    /// read everything before.
    pub(super) fn push(&mut self, change: T, size: usize) -> bool {
        if self.reset {
            return false;
        }
        let wake = self.changes.is_empty();
        if self.changes.len() < ITEMS && self.bytes + size <= BYTES {
            self.changes.push_back((change, size));
            self.bytes += size;
        } else {
            *self = Self::new();
        }
        wake
    }

    /// Returns the oldest change.
    pub(super) fn pop(&mut self) -> Option<T> {
        let (change, size) = self.changes.pop_front()?;
        self.bytes -= size;
        if self.changes.is_empty() {
            // An idle watch should not keep the memory that a busy hour needed.
            self.changes.shrink_to(IDLE_ROOM);
        }
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_bounded_in_items_and_in_bytes() {
        for size in [1, BYTES / 3, BYTES + 1] {
            let fits = (BYTES / size).min(ITEMS);
            let mut queue = Queue::new();
            assert!(!queue.push(0, size), "the state is reported first");
            assert!(queue.take_reset());
            let woken = (0..=fits).filter(|&item| queue.push(item, size)).count();
            assert_eq!((woken, queue.is_reset(), queue.bytes), (1, true, 0), "{size}");
            assert_eq!(queue.pop(), None);
            assert!(queue.take_reset());
            (0..fits).for_each(|item| _ = queue.push(item, size));
            assert_eq!(std::iter::from_fn(|| queue.pop()).count(), fits);
            assert_eq!((queue.is_reset(), queue.bytes), (false, 0));
        }
    }
}
