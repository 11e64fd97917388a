//! The groups that have lost their last connection and are in their grace.

use std::collections::BTreeMap;
use std::time::Instant;

use super::super::stored::StoredValue;
use crate::limits::{WATCH_GRACE, WATCH_GRACE_BYTES};

/// Limits the groups in their grace. The limit is low in tests, so that they reach it.
pub(super) const ITEMS: usize = if cfg!(test) { 8 } else { WATCH_GRACE };

/// Groups by the time at which their grace ends.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    /// Each group has a number of its own, which keeps groups with the same time in order.
    by_deadline: BTreeMap<(Instant, u64), StoredValue>,
    by_key: BTreeMap<StoredValue, (Instant, u64)>,
    next: u64,
    /// Counts the bytes of the keys.
    bytes: usize,
}

impl Leaving {
    pub(super) fn insert(&mut self, key: StoredValue, deadline: Instant) {
        self.next += 1;
        self.bytes += key.size();
        self.by_deadline.insert((deadline, self.next), key.clone());
        self.by_key.insert(key, (deadline, self.next));
    }

    /// Removes a group that has come back, and returns whether it was in its grace.
    pub(super) fn cancel(&mut self, key: &StoredValue) -> bool {
        let Some(place) = self.by_key.remove(key) else { return false };
        self.by_deadline.remove(&place);
        self.bytes -= key.size();
        true
    }

    /// Returns the end of the next grace.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.by_deadline.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// Removes the next group whose grace has ended, which includes the oldest groups if there are
    /// too many.
    pub(super) fn pop(&mut self, now: Instant) -> Option<StoredValue> {
        let is_over = self.by_key.len() > ITEMS || self.bytes > WATCH_GRACE_BYTES;
        if !is_over && self.deadline()? > now {
            return None;
        }
        self.pop_first()
    }

    /// Removes the next group, whether its grace has ended or not.
    pub(super) fn pop_first(&mut self) -> Option<StoredValue> {
        let (_, key) = self.by_deadline.pop_first()?;
        self.by_key.remove(&key);
        self.bytes -= key.size();
        Some(key)
    }

    /// Returns the groups in the order of their keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &StoredValue> {
        self.by_key.keys()
    }
}
