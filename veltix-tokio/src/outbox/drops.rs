//! Counters of dropped frames by message type and reason.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The reason for which an accepted frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// The peer did not read fast enough and was disconnected for it.
    SlowConsumer,
    /// The connection ended first.
    Disconnected,
    /// The overflow policy chose the frame.
    Policy,
    /// A newer value of the same key superseded the frame.
    Superseded,
    /// The deadline of a shutdown passed first.
    Shutdown,
    /// The frame was larger than the peer accepts.
    TooLarge,
}

impl DropReason {
    pub(super) const ALL: [Self; 6] = [
        Self::SlowConsumer,
        Self::Disconnected,
        Self::Policy,
        Self::Superseded,
        Self::Shutdown,
        Self::TooLarge,
    ];
}

/// The numbers of dropped frames of one message type, by reason: see [`Sent`](crate::Sent).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// The code of the type.
    pub code: u16,
    /// Frames dropped because the peer did not read fast enough and was disconnected for it.
    pub slow_consumer: u64,
    /// Frames dropped because the connection ended first.
    pub disconnected: u64,
    /// Frames dropped by a policy in favour of other frames.
    pub policy: u64,
    /// Frames that were superseded by a newer value of their key.
    pub superseded: u64,
    /// Frames dropped because the deadline of a shutdown passed first.
    pub shutdown: u64,
    /// Frames of broadcasts that were larger than the peer's `max_message_size`.
    pub too_large: u64,
}

impl Dropped {
    pub(super) fn none_of(code: u16) -> Self {
        Self { code, ..Self::default() }
    }

    /// Returns the sums of both, without a code.
    pub(crate) const fn plus(self, other: &Self) -> Self {
        Self {
            code: 0,
            slow_consumer: self.slow_consumer + other.slow_consumer,
            disconnected: self.disconnected + other.disconnected,
            policy: self.policy + other.policy,
            superseded: self.superseded + other.superseded,
            shutdown: self.shutdown + other.shutdown,
            too_large: self.too_large + other.too_large,
        }
    }

    /// Returns the number of dropped frames for all reasons.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.slow_consumer
            + self.disconnected
            + self.policy
            + self.superseded
            + self.shutdown
            + self.too_large
    }

    pub(super) const fn of(&mut self, reason: DropReason) -> &mut u64 {
        match reason {
            DropReason::SlowConsumer => &mut self.slow_consumer,
            DropReason::Disconnected => &mut self.disconnected,
            DropReason::Policy => &mut self.policy,
            DropReason::Superseded => &mut self.superseded,
            DropReason::Shutdown => &mut self.shutdown,
            DropReason::TooLarge => &mut self.too_large,
        }
    }
}

/// The number of codes in one page.
const PAGE: usize = 256;

/// The counters of [`PAGE`] codes.
type Page = [[AtomicU64; DropReason::ALL.len()]; PAGE];

/// The dropped frames of all connections of a side, for the lifetime of the side.
///
/// The outboxes count them under their own locks, so the counters need no lock. A page of counters
/// is allocated when the first frame of one of its codes is dropped: most sides drop frames of a
/// few types at most.
pub(crate) struct Drops([OnceLock<Box<Page>>; 1 + u16::MAX as usize / PAGE]);

impl Drops {
    pub(super) fn add(&self, reason: DropReason, code: u16) {
        let code = usize::from(code);
        let page = self.0[code / PAGE].get_or_init(|| {
            Box::new([const { [const { AtomicU64::new(0) }; DropReason::ALL.len()] }; PAGE])
        });
        page[code % PAGE][reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the counts of the types of which frames were dropped, ordered by code.
    pub(crate) fn snapshot(&self) -> Vec<Dropped> {
        let mut types = Vec::new();
        for (number, page) in self.0.iter().enumerate() {
            let Some(page) = page.get() else { continue };
            for (at, counters) in page.iter().enumerate() {
                let mut dropped = Dropped::none_of((number * PAGE + at) as u16);
                for reason in DropReason::ALL {
                    *dropped.of(reason) = counters[reason as usize].load(Ordering::Relaxed);
                }
                if dropped.total() > 0 {
                    types.push(dropped);
                }
            }
        }
        types
    }
}

/// A period in which frames were dropped; it lasts until the outbox is empty again. Its size is
/// proportional to the number of message types that were dropped.
#[derive(Debug, Default)]
pub(super) struct Episode {
    dropped: BTreeMap<u16, Dropped>,
    pub(super) over: bool,
}

impl Episode {
    /// Counts a frame that is dropped for other frames.
    pub(super) fn count(&mut self, reason: DropReason, code: u16) {
        self.over = false;
        *self.dropped.entry(code).or_insert_with(|| Dropped::none_of(code)).of(reason) += 1;
    }

    pub(super) fn into_dropped(self) -> Vec<Dropped> {
        self.dropped.into_values().collect()
    }
}

impl Default for Drops {
    fn default() -> Self {
        Self([const { OnceLock::new() }; 1 + u16::MAX as usize / PAGE])
    }
}

impl fmt::Debug for Drops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.snapshot()).finish()
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_counter_for_each_reason() {
        let drops = Drops::default();
        assert!(drops.snapshot().is_empty());
        for code in (0..=u16::MAX).rev() {
            for (reason, times) in DropReason::ALL.into_iter().zip(1..) {
                (0..times).for_each(|_| drops.add(reason, code));
            }
        }
        let snapshot = drops.snapshot();
        assert_eq!(snapshot.len(), 1 + usize::from(u16::MAX));
        for (dropped, code) in snapshot.iter().zip(0..=u16::MAX) {
            let expected = Dropped {
                code,
                slow_consumer: 1,
                disconnected: 2,
                policy: 3,
                superseded: 4,
                shutdown: 5,
                too_large: 6,
            };
            assert_eq!((*dropped, dropped.total()), (expected, 21));
        }
    }
}
