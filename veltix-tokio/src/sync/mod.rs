//! The only mutex of this crate and the counters of the table of peers, in two builds: with the
//! types of the standard library, and with those of shuttle, which checks outbox and table under
//! many schedules (`--cfg shuttle`).

mod panics;
mod waiters;

#[cfg(not(shuttle))]
pub(crate) use std::sync::MutexGuard as Guard;
#[cfg(not(shuttle))]
pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize};
#[cfg(not(shuttle))]
use std::sync::{Mutex as Inner, PoisonError};

#[cfg(shuttle)]
use shuttle::sync::Mutex as Inner;
#[cfg(shuttle)]
pub(crate) use shuttle::sync::MutexGuard as Guard;
#[cfg(shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicU64, AtomicUsize};
#[cfg(shuttle)]
use std::sync::PoisonError;

pub(crate) use panics::{drop_caught, panic_text, text_of};
pub(crate) use waiters::{QueuePosition, Waiters, wake_all};

/// A mutex without poisoning. Each critical section keeps the guarded value consistent, and none
/// calls user code. A panic elsewhere must not bring down a whole server.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(Inner<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    pub(crate) fn lock(&self) -> Guard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
