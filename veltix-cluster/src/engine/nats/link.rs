//! [`Link`]: the state that the callbacks of the NATS client share with the tasks of the engine.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::{ConnectErrorKind, Event, ReconnectToServer, Server, ServerError};
use tokio::sync::watch;
use veltix_core::limits::{
    CLUSTER_RECONNECT_LATER, CLUSTER_RECONNECT_OTHER, CLUSTER_RECONNECT_SPREAD,
};
use veltix_core::text::printable;

/// The state that the callbacks of the NATS client share with the tasks of the engine.
pub(super) struct Link {
    /// Is false during the first attempt, which does not wait.
    spreads: AtomicBool,
    /// Is true after the end of the engine.
    is_closed: AtomicBool,
    /// Is true if an attempt was made since the last confirmed connection.
    has_tried: AtomicBool,
    /// Is true if a server has refused the login in the last attempt.
    is_refused: AtomicBool,
    /// The number of the server that is tried next.
    turn: AtomicUsize,
    /// The server's text about a permission that is missing on the present connection.
    denied: watch::Sender<Option<Arc<str>>>,
    /// The reason why there is no connection, as far as it is known.
    failure: Mutex<Option<Arc<str>>>,
    /// The number of the last question that was answered at the address of this node.
    answered: AtomicU64,
    /// Is true if a question was answered at the subject of all nodes.
    is_answered_to_all: AtomicBool,
}

impl Link {
    /// Creates the state of a connection whose first attempt waits for a random time, or does not.
    fn new(spreads: bool) -> Self {
        Self {
            spreads: AtomicBool::new(spreads),
            is_closed: AtomicBool::new(false),
            has_tried: AtomicBool::new(false),
            is_refused: AtomicBool::new(false),
            turn: AtomicUsize::new(fastrand::usize(..1024)),
            denied: watch::Sender::new(None),
            failure: Mutex::new(None),
            answered: AtomicU64::new(0),
            is_answered_to_all: AtomicBool::new(false),
        }
    }

    fn failure_lock(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event of the client.
    pub(super) fn heard(&self, event: &Event) {
        let Event::ServerError(error) = event else { return };
        let text = match error {
            ServerError::AuthorizationViolation => "Authorization Violation",
            ServerError::SlowConsumer(_) => return,
            ServerError::Other(text) => text.as_str(),
        };
        let reason: Arc<str> = printable(text).to_string().into();
        *self.failure_lock() = Some(Arc::clone(&reason));
        if text.to_ascii_lowercase().starts_with("permissions violation") {
            self.denied.send_replace(Some(reason));
        }
    }

    /// Returns the server to which the client connects next. The client calls it before each attempt.
    ///
    /// Servers take turns: the number of failed attempts, by which the client would choose, is kept for a server
    /// that has been back for hours.
    pub(super) fn choose(&self, servers: &[Server]) -> Option<ReconnectToServer> {
        if !self.spreads.load(Ordering::Relaxed) {
            // The first attempt tries all servers in turn.
            return None;
        }
        // The refusals of the former connection say nothing of the next one.
        self.denied.send_replace(None);
        let failed = servers.iter().filter(|server| server.last_error.is_some());
        let failed = failed.max_by_key(|server| server.failed_attempts);
        if let (true, Some(failed)) = (self.has_tried.swap(true, Ordering::Relaxed), failed) {
            let error = failed.last_error.as_deref().unwrap_or_default();
            let refusals =
                [ConnectErrorKind::AuthorizationViolation, ConnectErrorKind::Authentication];
            let is_refused = refusals.iter().any(|kind| error.starts_with(&kind.to_string()));
            self.is_refused.store(is_refused, Ordering::Relaxed);
            *self.failure_lock() = Some(printable(error).to_string().into());
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let server = servers.get(turn % servers.len().max(1))?;
        // The delay is the one of `delay`, since the client knows the number of the attempt.
        Some(ReconnectToServer { addr: server.addr.clone(), delay: None })
    }

    /// Returns the delay before this attempt, which is random from the first one on. The client asks for it
    /// before the first attempt too. Its own delay would be zero there, so that all nodes would come at once.
    pub(super) fn delay(&self, attempt: usize, servers: usize) -> Duration {
        if !self.spreads.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let is_refused = self.is_refused.load(Ordering::Relaxed);
        let most = match attempt {
            0 | 1 => CLUSTER_RECONNECT_SPREAD,
            // The servers of a list share their logins, so a refused one would only be refused again.
            _ if attempt <= servers && !is_refused => CLUSTER_RECONNECT_OTHER,
            _ => CLUSTER_RECONNECT_LATER,
        };
        random_below(most)
    }

    /// Takes the end of the first attempt: from here on attempts wait.
    pub(super) fn connected(&self) {
        self.spreads.store(true, Ordering::Relaxed);
    }

    /// Tells whether the engine has ended. The client's task does not end while it connects again, even if the
    /// client is dropped; from here on it makes no further attempt.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Returns the server's text about a missing permission.
    pub(super) fn denied(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.denied.subscribe()
    }

    /// Returns the reason why there is no connection.
    pub(super) fn failure(&self) -> Option<Arc<str>> {
        self.failure_lock().clone()
    }

    /// Takes the answer to a question, at the address of this node.
    pub(super) fn answered(&self, question: u64) {
        self.answered.fetch_max(question, Ordering::Relaxed);
    }

    /// Takes the answer to a question, at the subject of all nodes.
    pub(super) fn answered_to_all(&self) {
        self.is_answered_to_all.store(true, Ordering::Relaxed);
    }

    /// Prepares the first question after an answer.
    pub(super) fn asks(&self) {
        self.is_answered_to_all.store(false, Ordering::Relaxed);
    }

    /// Tells whether this question was answered at the address of this node.
    pub(super) fn is_answered_to_me(&self, question: u64) -> bool {
        self.answered.load(Ordering::Relaxed) >= question
    }

    /// Tells whether this question or a later one was answered at both subjects.
    pub(super) fn is_answered(&self, question: u64) -> bool {
        self.answered.load(Ordering::Relaxed) >= question
            && self.is_answered_to_all.load(Ordering::Relaxed)
    }

    /// Takes the confirmation of a connection.
    pub(super) fn confirmed(&self) {
        self.has_tried.store(false, Ordering::Relaxed);
        self.is_refused.store(false, Ordering::Relaxed);
        *self.failure_lock() = None;
    }
}

/// Closes a [`Link`] with the connection that owns it.
pub(super) struct LinkGuard(Arc<Link>);

impl LinkGuard {
    pub(super) fn new(spreads: bool) -> Self {
        Self(Arc::new(Link::new(spreads)))
    }

    pub(super) const fn link(&self) -> &Arc<Link> {
        &self.0
    }
}

impl Drop for LinkGuard {
    fn drop(&mut self) {
        self.0.is_closed.store(true, Ordering::Relaxed);
    }
}

/// Returns a random time below this one.
pub(super) fn random_below(most: Duration) -> Duration {
    most.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Event {
        Event::ServerError(ServerError::Other(text.to_owned()))
    }

    #[test]
    fn the_first_connection_is_made_at_once_and_each_later_one_after_a_random_time() {
        let link = Link::new(false);
        assert!((0..9).all(|attempt| link.delay(attempt, 1).is_zero()));
        link.connected();
        for (attempt, servers, most) in [
            (1, 1, CLUSTER_RECONNECT_SPREAD),
            (2, 1, CLUSTER_RECONNECT_LATER),
            (1, 3, CLUSTER_RECONNECT_SPREAD),
            (3, 3, CLUSTER_RECONNECT_OTHER),
            (4, 3, CLUSTER_RECONNECT_LATER),
        ] {
            let delays: Vec<_> = (0..1_000).map(|_| link.delay(attempt, servers)).collect();
            let mean = delays.iter().sum::<Duration>() / 1_000;
            assert!(delays.iter().all(|delay| *delay < most), "{attempt} of {servers}");
            assert!(mean > most.mul_f64(0.4) && mean < most.mul_f64(0.6), "{mean:?} of {most:?}");
        }
    }

    #[test]
    fn the_text_of_a_server_is_made_printable() {
        let link = Link::new(false);
        link.heard(&refusal("Permissions Violation for Publish to \x1b[2Jx\n"));
        let denied = link.denied().borrow().clone().expect("it was denied");
        assert!(denied.starts_with("Permissions Violation"), "{denied}");
        assert!(!denied.contains(['\x1b', '\n']), "{denied}");
        link.heard(&refusal("Stale Connection"));
        assert_eq!(link.failure().as_deref(), Some("Stale Connection"));
        link.confirmed();
        assert_eq!(link.failure(), None);
    }
}
