//! [`Runtime`]: the Tokio runtime of one side, for calls from any thread.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::runtime::{EnterGuard, Handle};
use tokio::task;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// The runtime that drives the connections of one side. Handles may be used on any thread, and a
/// thread outside the runtime has neither its timers nor its clock.
#[derive(Debug, Default)]
pub(crate) struct Runtime(OnceLock<Handle>);

impl Runtime {
    /// Remembers the runtime of the calling task. It precedes the first connection of the side.
    /// Returns `false` without a runtime.
    #[must_use]
    pub(crate) fn remember(&self) -> bool {
        Handle::try_current().is_ok_and(|current| {
            self.0.get_or_init(|| current);
            true
        })
    }

    /// Returns whether the runtime is known: the side has begun to run.
    pub(crate) fn is_known(&self) -> bool {
        self.0.get().is_some()
    }

    /// Returns this runtime, or that of the caller before it is known.
    ///
    /// # Panics
    /// Panics if neither is known.
    pub(crate) fn handle(&self) -> Handle {
        self.0.get().cloned().unwrap_or_else(Handle::current)
    }

    /// Returns a timer of this runtime, also on a thread that is outside of it.
    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        // A side has no peer before its runtime is known, and only calls of peers need a timer.
        let _inside = self.0.get().map(Handle::enter);
        sleep(duration)
    }

    /// Returns a timer for this time, as [`sleep`](Self::sleep) does.
    pub(crate) fn sleep_until(&self, deadline: Instant) -> Sleep {
        let _inside = self.0.get().map(Handle::enter);
        sleep_until(deadline)
    }

    /// Enters this runtime on a thread that is outside of any, until the guard is dropped. Such a
    /// thread would read the clock of the system, while Tokio's clock may be paused and far ahead.
    #[inline]
    pub(crate) fn enter(&self) -> Option<EnterGuard<'_>> {
        // Most callers are tasks, and this costs them less than a look at their runtime.
        if task::try_id().is_some() || Handle::try_current().is_ok() {
            return None;
        }
        self.0.get().map(Handle::enter)
    }

    /// Returns the current time of this runtime, on any thread.
    pub(crate) fn now(&self) -> Instant {
        let _inside = self.enter();
        Instant::now()
    }
}
