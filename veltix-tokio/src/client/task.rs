//! The task of a client, which runs one connection after the other.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use veltix_core::limits::{EARLY_FRAME_RETRIES, RECONNECT_RESET};
use veltix_core::text::printable;
use veltix_core::{Backoff, GoingAway, HandshakeError};

use super::ClientStatus;
use super::config::Reconnect;
use super::control::Control;
use super::dial::Dialer;
use super::messages::Messages;
use crate::close::CloseReason;
use crate::config::SocketCore;
use crate::connection::ConnectionTask;
use crate::error::ConnectError;
use crate::hub::Event;
use crate::log::log_or_debug;
use crate::transport::Connector;
use crate::workers::on_thread;

/// The task of a client. It runs until the client ends, whether the client is connected or not.
pub(super) struct ClientTask<C> {
    pub(super) dialer: Dialer<C>,
    pub(super) control: Arc<Control>,
    pub(super) attempts: Attempts,
    pub(super) messages: Option<Messages>,
}

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

    fn reset(&mut self) {
        *self = Self::new(self.reconnect);
    }

    /// Returns the pause before the next attempt. The spread that the server asked for applies to
    /// one attempt. It replaces a random pause and is added to a fixed one. Later attempts are not
    /// affected.
    fn pause(&mut self, away: Option<GoingAway>) -> Duration {
        match away {
            Some(GoingAway { spread }) => {
                self.reconnect.least_pause().saturating_add(spread.mul_f64(fastrand::f64()))
            }
            None => self.pauses.next_delay(fastrand::f64()),
        }
    }

    /// Makes one attempt, or a few: a broadcast of a Python server that overtook the handshake is a
    /// coincidence, which predicts nothing about the next attempt.
    async fn dial<C: Connector>(
        &mut self,
        dialer: &Dialer<C>,
    ) -> Result<ConnectionTask, ConnectError> {
        loop {
            let result = dialer.dial().await;
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
        if !self.reconnect.is_initial() {
            return dialer.dial().await;
        }
        loop {
            let error = match self.dial(dialer).await {
                Ok(task) => return Ok(task),
                Err(error) => error,
            };
            let max = self.reconnect.max_attempts();
            let used_up = max.is_some_and(|max| self.made >= max);
            if !error.is_transient() || used_up {
                return Err(error);
            }
            self.made += 1;
            let pause = self.pauses.next_delay(fastrand::f64());
            let error = error.to_string();
            let error = printable(&error);
            let due = dialer.endpoint.services().logs().reconnects.decide(Instant::now());
            log_or_debug!(
                info, due, %error, attempt = self.made, ?pause,
                "connecting failed: connecting again after the pause"
            );
            sleep(pause).await;
        }
    }
}

impl<C: Connector> ClientTask<C> {
    /// Runs the first connection and all later ones. `admitted` is sent when `on_connect` of the
    /// first connection has returned `Ok`, and dropped if it fails.
    pub(super) async fn run(mut self, first: ConnectionTask, admitted: oneshot::Sender<()>) {
        let mut next = Some((first, Some(admitted)));
        loop {
            let lost = match next.take() {
                Some((task, admitted)) => self.connected(task, admitted).await,
                None => "not connected".to_owned(),
            };
            if self.control.requests().closed {
                break;
            }
            match self.reconnect(lost).await {
                Some(task) => next = Some((task, None)),
                None => break,
            }
        }
    }

    /// Runs a connection to its end, and returns the reason why it ended.
    async fn connected(
        &mut self,
        mut task: ConnectionTask,
        first: Option<oneshot::Sender<()>>,
    ) -> String {
        let peer = task.peer().clone();
        self.control.set_peer(peer.clone());
        if let Some(messages) = &self.messages {
            messages.begin();
        }
        if self.control.requests().closed {
            // The close was requested while this connection was made, and has closed only the
            // connection before.
            peer.session().end(CloseReason::Closed);
        }
        let since = Instant::now();
        let connected = peer.clone();
        let control = Arc::clone(&self.control);
        let endpoint = Arc::clone(&self.dialer.endpoint);
        task.on_admit(move || {
            control.set_status(ClientStatus::Connected);
            match first {
                // The caller of `connect` may have dropped its future.
                Some(first) => drop(first.send(())),
                None => {
                    let event = || Event::Reconnected { peer: connected.clone() };
                    endpoint.events().emit(event);
                }
            }
        });
        match self.dialer.endpoint.limits().socket_core {
            SocketCore::Async => task.run().await,
            SocketCore::Threading => on_thread(task.run()).await,
        }
        if since.elapsed() >= RECONNECT_RESET {
            self.attempts.reset();
        } else if *self.control.status().borrow() == ClientStatus::Connected {
            // The attempts in a row have led to a connection. The pauses still grow until a
            // connection has lasted for a while: a server that closes every connection must not be
            // flooded with attempts.
            self.attempts.made = 0;
        }
        let outcome = peer.closed().await;
        if matches!(outcome.reason, CloseReason::Refused(_) | CloseReason::ConnectTimeout) {
            // This side's `on_connect` refused the server, and would refuse it the next time as
            // well.
            self.control.stop_retry();
        }
        outcome.reason.to_string()
    }

    /// Tries until there is a connection, and waits for `retry` while no attempt is allowed.
    /// Returns `None` if the client is closed.
    async fn reconnect(&mut self, mut lost: String) -> Option<ConnectionTask> {
        // A request that was made during the connection interrupts no attempt.
        if self.control.requested().now_or_never().is_some() {
            self.attempts.made = 0;
        }
        loop {
            let requests = self.control.requests();
            if requests.closed {
                return None;
            }
            let max = requests.attempts.or_else(|| self.attempts.reconnect.max_attempts());
            if requests.retry_stopped || max.is_some_and(|max| self.attempts.made >= max) {
                self.give_up(lost.clone());
                self.control.requested().await;
                if !self.control.requests().retry_stopped {
                    self.attempts.reset();
                }
                continue;
            }
            match self.attempt().await {
                Some(Ok(task)) => return Some(task),
                Some(Err(error)) => {
                    lost = error.to_string();
                    if error.ends_reconnecting() {
                        // Another attempt would change neither the version nor the server's
                        // decision.
                        self.control.stop_retry();
                    }
                }
                // A request interrupted the attempt: `retry` sets the number of attempts from now
                // on.
                None if !self.control.requests().retry_stopped => self.attempts.reset(),
                None => {}
            }
        }
    }

    /// Waits for one pause and makes one attempt. Returns `None` if a request interrupts it.
    async fn attempt(&mut self) -> Option<Result<ConnectionTask, ConnectError>> {
        self.attempts.made += 1;
        let attempt = self.attempts.made;
        let away = self.dialer.endpoint.away().lock().take();
        let delay = self.attempts.pause(away);
        self.control.set_status(ClientStatus::Reconnecting { attempt });
        self.dialer.endpoint.events().emit(|| Event::Reconnecting { attempt, delay });
        let due = self.dialer.endpoint.services().logs().reconnects.decide(Instant::now());
        log_or_debug!(info, due, attempt, ?delay, "reconnecting");
        tokio::select! {
            // A request that arrives together with the end of the pause still interrupts.
            biased;
            () = self.control.requested() => return None,
            () = sleep(delay) => {}
        }
        tokio::select! {
            biased;
            () = self.control.requested() => None,
            result = self.attempts.dial(&self.dialer) => Some(result),
        }
    }

    /// Reports that the client makes no further attempts.
    fn give_up(&self, lost: String) {
        if matches!(*self.control.status().borrow(), ClientStatus::Lost { .. }) {
            return;
        }
        let attempts = self.attempts.made;
        tracing::info!(
            attempts,
            reason = %printable(&lost),
            "gave up reconnecting: call `Client::retry` for more attempts"
        );
        self.dialer.endpoint.events().emit(|| Event::GaveUp { attempts });
        if let Some(messages) = &self.messages {
            messages.end();
        }
        self.control.set_status(ClientStatus::Lost { reason: lost });
    }
}

impl<C> Drop for ClientTask<C> {
    /// Notifies all waiters, even if the task ends with the runtime.
    fn drop(&mut self) {
        self.dialer.endpoint.drain().finish(true);
        if let Some(messages) = &self.messages {
            messages.end();
        }
        self.control.set_status(ClientStatus::Closed);
        self.dialer.endpoint.events().end();
    }
}
