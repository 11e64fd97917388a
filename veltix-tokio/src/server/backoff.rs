//! [`AcceptBackoff`]: the pause after a failed accept.

use std::io;
use std::mem;
use std::time::Duration;

use tokio::time::Instant;
use veltix_core::limits::{ACCEPT_BACKOFF_FIRST, ACCEPT_BACKOFF_MAX};

use crate::transport::PeerAddr;

/// The pause after a failed accept of one listener, for example when no file descriptor is free.
/// Without a pause the loop would use a whole core until a descriptor is free.
#[derive(Debug, Default)]
pub(super) struct AcceptBackoff {
    pause: Duration,
    logged: Option<Instant>,
}

impl AcceptBackoff {
    /// Returns whether the last accept failed.
    pub(super) const fn is_failing(&self) -> bool {
        !self.pause.is_zero()
    }

    /// Records an accepted connection. Returns whether the accept before it failed.
    pub(super) const fn reset(&mut self) -> bool {
        !mem::replace(&mut self.pause, Duration::ZERO).is_zero()
    }

    /// Records a failed accept. Returns the pause before the next one.
    pub(super) fn next(&mut self, addr: &PeerAddr, error: &io::Error) -> Duration {
        self.pause = (self.pause * 2).clamp(ACCEPT_BACKOFF_FIRST, ACCEPT_BACKOFF_MAX);
        let now = Instant::now();
        if self.logged.is_none_or(|logged| now.duration_since(logged) >= ACCEPT_BACKOFF_MAX) {
            self.logged = Some(now);
            tracing::warn!(
                %addr,
                %error,
                pause = ?self.pause,
                "a connection could not be accepted: check the limit of open files if this continues"
            );
        }
        self.pause
    }
}
