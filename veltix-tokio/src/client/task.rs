//! The task of a client, which runs one connection after the other.

use std::fmt;
use std::sync::{Arc, OnceLock};

use futures::FutureExt;
use tokio::time::{Instant, sleep};
use veltix_core::limits::RECONNECT_RESET;
use veltix_core::text::printable;

use super::ClientStatus;
use super::attempts::Attempts;
use super::dial::Dialer;
use super::handle::Shared;
use crate::close::CloseReason;
use crate::connection::ConnectionTask;
use crate::error::ConnectError;
use crate::hub::Event;
use crate::log::log_or_debug;
use crate::peer::Peer;
use crate::router::Messages;
use crate::transport::Connector;

/// The task of a client. It runs until the client ends, whether the client is connected or not.
pub(super) struct ClientTask<C> {
    pub(super) dialer: Dialer<C>,
    pub(super) shared: Arc<Shared>,
    pub(super) attempts: Attempts,
    pub(super) messages: Option<Messages>,
}

/// The reason why there is no connection.
enum Lost {
    /// The last connection ended for this reason.
    Ended(CloseReason),
    /// The last attempt failed.
    Failed(ConnectError),
}

impl Lost {
    /// Returns whether another attempt would meet the same decision.
    fn is_final(&self) -> bool {
        match self {
            Self::Ended(reason) => reason.ends_reconnecting(),
            Self::Failed(error) => error.ends_reconnecting(),
        }
    }

    /// Returns the error of a `connect` that has come to this.
    fn into_error(self, addr: String) -> ConnectError {
        match self {
            Self::Failed(error) => error,
            Self::Ended(reason) => {
                let is_final = reason.ends_reconnecting();
                ConnectError::GivenUp { addr, reason: reason.to_string(), is_final }
            }
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(reason) => reason.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<C: Connector> ClientTask<C> {
    /// Runs the first connection and all later ones.
    pub(super) async fn run(mut self, first: ConnectionTask) {
        let mut task = first;
        loop {
            let reason = self.connected(task).await;
            match self.reconnect(Lost::Ended(reason)).await {
                Some(next) => task = next,
                None => break,
            }
        }
    }

    /// Runs a connection to its end, and returns the reason why it ended.
    async fn connected(&mut self, mut task: ConnectionTask) -> CloseReason {
        let peer = task.peer().clone();
        let control = self.shared.control();
        control.begin(peer.clone());
        if let Some(messages) = &self.messages {
            messages.begin();
        }
        if control.requests().closed {
            // The close was requested while this connection was made, and has closed only the
            // connection before.
            peer.session().end(CloseReason::Closed);
        }
        let admitted_at = Arc::new(OnceLock::new());
        task.on_admit({
            let (admitted_at, shared) = (Arc::clone(&admitted_at), Arc::clone(&self.shared));
            let peer = peer.clone();
            move || {
                // The task calls it once.
                let _ = admitted_at.set(Instant::now());
                admit(&shared, &peer);
            }
        });
        task.run().await;
        match admitted_at.get() {
            Some(since) if since.elapsed() >= RECONNECT_RESET => self.attempts.reset(),
            // The attempts in a row have led to a connection. The pauses still grow until a
            // connection has lasted for a while: a server that closes every connection must not be
            // flooded with attempts.
            Some(_) => self.attempts.count_anew(),
            // Without admission the attempt has failed, even if that took its time.
            None => {}
        }
        peer.closed().await.reason
    }

    /// Tries until there is a connection, and waits for `retry` while no attempt is allowed.
    /// Returns `None` if the client is closed.
    async fn reconnect(&mut self, lost: Lost) -> Option<ConnectionTask> {
        let shared = Arc::clone(&self.shared);
        let control = shared.control();
        // A request that was made during the connection interrupts no attempt.
        if control.requested().now_or_never().is_some() {
            self.attempts.count_anew();
        }
        let mut reason = lost.to_string();
        if lost.is_final() {
            control.stop_for_good();
        }
        let mut lost = Some(lost);
        loop {
            let requests = control.requests();
            if requests.closed {
                return None;
            }
            let is_first_failure = control.is_first() && !self.attempts.is_initial();
            if is_first_failure
                || requests.retry_stopped
                || self.attempts.are_used_up(requests.attempts)
            {
                self.give_up(&reason, lost.take());
                control.requested().await;
                if !control.requests().retry_stopped {
                    self.attempts.reset();
                }
                continue;
            }
            match self.attempt().await {
                Some(Ok(task)) => return Some(task),
                Some(Err(error)) => {
                    let failed = Lost::Failed(error);
                    reason = failed.to_string();
                    if failed.is_final() {
                        control.stop_for_good();
                    }
                    lost = Some(failed);
                }
                // A request interrupted the attempt: `retry` sets the number of attempts from now
                // on.
                None if !control.requests().retry_stopped => self.attempts.reset(),
                None => {}
            }
        }
    }

    /// Waits for one pause and makes one attempt. Returns `None` if a request interrupts it.
    async fn attempt(&mut self) -> Option<Result<ConnectionTask, ConnectError>> {
        let control = self.shared.control();
        let attempt = self.attempts.begin();
        let away = self.dialer.endpoint.away().lock().take();
        let delay = self.attempts.pause(away);
        control.set_status(ClientStatus::Reconnecting { attempt });
        self.dialer.endpoint.events().emit(|| Event::Reconnecting { attempt, delay });
        let due = self.dialer.endpoint.services().logs().reconnects.decide(Instant::now());
        log_or_debug!(info, due, attempt, ?delay, "reconnecting");
        tokio::select! {
            // A request that arrives together with the end of the pause still interrupts.
            biased;
            () = control.requested() => return None,
            () = sleep(delay) => {}
        }
        tokio::select! {
            biased;
            () = control.requested() => None,
            result = self.attempts.dial(&self.dialer) => Some(result),
        }
    }

    /// Reports that the client makes no further attempts. `lost` is absent if that was reported.
    fn give_up(&self, reason: &str, lost: Option<Lost>) {
        let control = self.shared.control();
        if matches!(*control.status().borrow(), ClientStatus::Lost { .. }) {
            return;
        }
        let attempts = self.attempts.made();
        tracing::info!(
            attempts,
            reason = %printable(reason),
            "gave up reconnecting: call `Client::retry` for more attempts"
        );
        self.dialer.endpoint.events().emit(|| Event::GaveUp { attempts });
        if let Some(messages) = &self.messages {
            messages.end();
        }
        control.set_status(ClientStatus::Lost { reason: reason.to_owned() });
        if let Some(first) = control.take_first()
            && let Some(lost) = lost
        {
            // The caller of `connect` may have dropped its future.
            drop(first.send(Err(lost.into_error(self.dialer.connector.target()))));
        }
    }
}

/// Reports a connection whose `on_connect` has returned `Ok`.
fn admit(shared: &Shared, peer: &Peer) {
    // Before the status, so that no later message of the application overtakes them.
    shared.restored().send(peer);
    shared.control().set_status(ClientStatus::Connected);
    match shared.control().take_first() {
        // The caller of `connect` may have dropped its future.
        Some(first) => drop(first.send(Ok(()))),
        None => shared.endpoint().events().emit(|| Event::Reconnected { peer: peer.clone() }),
    }
}

impl<C> Drop for ClientTask<C> {
    /// Notifies all waiters, even if the task ends with the runtime.
    fn drop(&mut self) {
        self.dialer.endpoint.drain().finish(true, 0);
        if let Some(messages) = &self.messages {
            messages.end();
        }
        self.shared.control().set_status(ClientStatus::Closed);
        drop(self.shared.control().take_first());
        self.dialer.endpoint.events().close();
    }
}
