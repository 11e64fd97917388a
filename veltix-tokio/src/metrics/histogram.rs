//! [`Histogram`]: counts values in buckets, from any thread.

use std::array;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::buckets::Buckets;
use super::distribution::Distribution;

/// The number of parts of a histogram. Threads share them in turn, so that two workers seldom write to one cache
/// line.
const SHARDS: usize = 8;

/// Counts values in buckets. Each counter only grows.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: Buckets,
    /// Allocated at the first value: many types of messages never have one.
    shards: [OnceLock<Box<Shard>>; SHARDS],
}

/// The counts of some threads.
#[derive(Debug)]
#[repr(align(64))]
struct Shard {
    sum: AtomicU64,
    counts: Box<[AtomicU64]>,
}

impl Histogram {
    pub(crate) const fn new(buckets: Buckets) -> Self {
        Self { buckets, shards: [const { OnceLock::new() }; SHARDS] }
    }

    /// Counts a value for this number of values: of 128 handlers one is timed, with the weight 128.
    pub(crate) fn observe(&self, value: u64, weight: u64) {
        let shard = self.shards[shard_of_thread()].get_or_init(|| {
            let counts = (0..self.buckets.count()).map(|_| AtomicU64::new(0)).collect();
            Box::new(Shard { sum: AtomicU64::new(0), counts })
        });
        shard.counts[self.buckets.find(value)].fetch_add(weight, Ordering::Relaxed);
        shard.sum.fetch_add(value.saturating_mul(weight), Ordering::Relaxed);
    }

    /// Counts a duration for this number of durations.
    pub(crate) fn observe_for(&self, duration: Duration, weight: u64) {
        self.observe(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), weight);
    }

    /// Returns the counts until now.
    pub(crate) fn read(&self) -> Distribution {
        let mut read = Distribution::empty(self.buckets);
        for shard in self.shards.iter().filter_map(OnceLock::get) {
            let mut counts = shard.counts.iter().map(|count| count.load(Ordering::Relaxed));
            read.add(
                array::from_fn(|_| counts.next().unwrap_or_default()),
                shard.sum.load(Ordering::Relaxed),
            );
        }
        read
    }
}

/// Returns the number of the shard of this thread.
fn shard_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    SHARD.with(|shard| *shard)
}
