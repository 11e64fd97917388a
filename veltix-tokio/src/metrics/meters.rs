//! [`Meters`]: the counters of a side that no peer and no table has.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::{Buckets, Histogram, TypeNames};

/// A counter that any thread may raise. It counts connections and rare events, never messages.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A counter for each of some reasons.
#[derive(Debug)]
pub(crate) struct Counts<const N: usize>([Count; N]);

impl<const N: usize> Counts<N> {
    pub(crate) fn add(&self, at: usize) {
        if let Some(count) = self.0.get(at) {
            count.add();
        }
    }

    /// Returns each count with the label of its reason.
    pub(crate) fn with(&self, labels: [&'static str; N]) -> [(&'static str, u64); N] {
        std::array::from_fn(|at| (labels[at], self.0[at].get()))
    }
}

impl<const N: usize> Default for Counts<N> {
    fn default() -> Self {
        Self([const { Count(AtomicU64::new(0)) }; N])
    }
}

/// The number of reasons for which a connection ends, and for which a handshake fails.
pub(crate) const CLOSE_REASONS: usize = 21;
pub(crate) const HANDSHAKE_FAILURES: usize = 10;

/// The counters of a side that no peer and no table has.
#[derive(Debug)]
pub(crate) struct Meters {
    started: SystemTime,
    types: OnceLock<TypeNames>,
    /// Streams before their handshake.
    pub(crate) accepted: Count,
    /// Admitted peers: those of this crate, and others.
    pub(crate) opened: Counts<2>,
    pub(crate) closed: Counts<CLOSE_REASONS>,
    pub(crate) handshakes_failed: Counts<HANDSHAKE_FAILURES>,
    /// The ages of connections at their end.
    pub(crate) ages: Histogram,
    /// The round trips of pings.
    pub(crate) pings: Histogram,
    /// Handlers and tasks of the application that have panicked.
    pub(crate) panics: Count,
    pub(crate) slow_consumers: Count,
    pub(crate) rates_exceeded: Count,
    pub(crate) evictions: Count,
}

impl Meters {
    pub(crate) fn new() -> Self {
        Self {
            started: SystemTime::now(),
            types: OnceLock::new(),
            accepted: Count::default(),
            opened: Counts::default(),
            closed: Counts::default(),
            handshakes_failed: Counts::default(),
            ages: Histogram::new(Buckets::AGES),
            pings: Histogram::new(Buckets::DURATIONS),
            panics: Count::default(),
            slow_consumers: Count::default(),
            rates_exceeded: Count::default(),
            evictions: Count::default(),
        }
    }

    /// Returns the time at which the side was created.
    pub(crate) const fn started(&self) -> SystemTime {
        self.started
    }

    /// Sets the names of the message types, once.
    pub(crate) fn set_types(&self, types: TypeNames) {
        let _ = self.types.set(types);
    }

    pub(crate) fn types(&self) -> &TypeNames {
        self.types.get_or_init(TypeNames::default)
    }
}
