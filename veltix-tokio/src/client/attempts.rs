//! [`Attempts`]: the attempts of a client to connect, in a row.

use std::io;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::{Instant, sleep};
use veltix_core::limits::EARLY_FRAME_RETRIES;
use veltix_core::text::printable;
use veltix_core::{Backoff, GoingAway, HandshakeError};

use super::config::Reconnect;
use super::dial::Dialer;
use crate::connection::ConnectionTask;
use crate::error::ConnectError;
use crate::log::log_or_debug;
use crate::sync::panic_text;
use crate::transport::Connector;

/// The attempts to connect in a row.
pub(super) struct Attempts {
    reconnect: Reconnect,
    pauses: Backoff,
    made: u32,
    /// The number of attempts without a pause, after a frame that overtook the handshake.
    at_once: u32,
}

impl Attempts {
    pub(super) fn new(reconnect: Reconnect) -> Self {
        Self { reconnect, pauses: reconnect.pauses(), made: 0, at_once: 0 }
    }

    /// Begins a new row, with the first pause.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.reconnect);
    }

    /// Begins a new row. The pauses still grow.
    pub(super) const fn count_anew(&mut self) {
        self.made = 0;
    }

    /// Returns the number of attempts that were made.
    pub(super) const fn made(&self) -> u32 {
        self.made
    }

    /// Counts an attempt that begins, and returns its number.
    pub(super) const fn begin(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    /// Returns whether a first connect that fails is tried again.
    pub(super) const fn is_initial(&self) -> bool {
        self.reconnect.is_initial()
    }

    /// Returns whether no attempt is left. `limit` replaces the number of the config.
    pub(super) fn are_used_up(&self, limit: Option<u32>) -> bool {
        let max = limit.or_else(|| self.reconnect.max_attempts());
        max.is_some_and(|max| self.made >= max)
    }

    /// Returns the pause before the next attempt. The spread that the server asked for applies to
    /// one attempt. It replaces a random pause and is added to a fixed one. Later attempts are not
    /// affected.
    pub(super) fn pause(&mut self, away: Option<GoingAway>) -> Duration {
        match away {
            Some(GoingAway { spread }) => {
                self.reconnect.least_pause().saturating_add(spread.mul_f64(fastrand::f64()))
            }
            None => self.pauses.next_delay(fastrand::f64()),
        }
    }

    /// Makes one attempt, or a few: a broadcast of a Python server that overtook the handshake is a
    /// coincidence, which predicts nothing about the next attempt.
    pub(super) async fn dial<C: Connector>(
        &mut self,
        dialer: &Dialer<C>,
    ) -> Result<ConnectionTask, ConnectError> {
        loop {
            // A connector of the application may panic. That ends the attempt, and not the client.
            let attempt = AssertUnwindSafe(dialer.dial()).catch_unwind().await;
            let result = attempt.unwrap_or_else(|panic| {
                let text = format!("the connector panicked: {}", panic_text(&*panic));
                let source = io::Error::other(text);
                Err(ConnectError::Unreachable { addr: dialer.connector.target(), source })
            });
            if let Err(ConnectError::Handshake { source, .. }) = &result
                && *source == HandshakeError::FrameBeforeHandshake
                && self.at_once < EARLY_FRAME_RETRIES
            {
                self.at_once += 1;
                continue;
            }
            self.at_once = 0;
            return result;
        }
    }

    /// Makes the first connection. The first failure is final, unless the config allows more
    /// attempts.
    pub(super) async fn first<C: Connector>(
        &mut self,
        dialer: &Dialer<C>,
    ) -> Result<ConnectionTask, ConnectError> {
        if !self.is_initial() {
            return dialer.dial().await;
        }
        loop {
            let error = match self.dial(dialer).await {
                Ok(task) => return Ok(task),
                Err(error) => error,
            };
            if !error.is_transient() || self.are_used_up(None) {
                return Err(error);
            }
            let attempt = self.begin();
            let pause = self.pause(None);
            let error = error.to_string();
            let error = printable(&error);
            let due = dialer.endpoint.services().logs().reconnects.decide(Instant::now());
            log_or_debug!(
                info, due, %error, attempt, ?pause,
                "connecting failed: connecting again after the pause"
            );
            sleep(pause).await;
        }
    }
}
