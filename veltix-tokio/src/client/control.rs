//! [`Control`]: the state that the handles of a client share with its task.

use tokio::sync::{Notify, oneshot, watch};

use super::ClientStatus;
use crate::error::ConnectError;
use crate::peer::Peer;
use crate::sync::Mutex;

/// The result of `connect`, which is known when the first connection is admitted or given up.
pub(super) type FirstResult = oneshot::Sender<Result<(), ConnectError>>;

/// The state that the handles of a client share with its task.
#[derive(Debug)]
pub(super) struct Control {
    requests: Mutex<Requests>,
    /// Notified after each request.
    requested: Notify,
    status: watch::Sender<ClientStatus>,
    /// The current connection, or the last one.
    peer: Mutex<Peer>,
    /// Taken when the first connection is admitted, or given up.
    first: Mutex<Option<FirstResult>>,
}

/// The requests of the handles to the task.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Requests {
    pub(super) closed: bool,
    pub(super) retry_stopped: bool,
    /// The number of attempts that `retry` asked for. It replaces the number of the config.
    pub(super) attempts: Option<u32>,
    /// `retry` was called after the end of the current connection had begun: that end does not stop
    /// the attempts.
    pub(super) retry_after_end: bool,
}

impl Control {
    pub(super) fn new(peer: Peer, first: FirstResult) -> Self {
        Self {
            requests: Mutex::default(),
            requested: Notify::new(),
            status: watch::Sender::new(ClientStatus::Reconnecting { attempt: 0 }),
            peer: Mutex::new(peer),
            first: Mutex::new(Some(first)),
        }
    }

    pub(super) fn peer(&self) -> Peer {
        self.peer.lock().clone()
    }

    /// Begins a connection.
    pub(super) fn begin(&self, peer: Peer) {
        self.requests.lock().retry_after_end = false;
        let last = std::mem::replace(&mut *self.peer.lock(), peer);
        drop(last);
    }

    pub(super) fn status(&self) -> watch::Receiver<ClientStatus> {
        self.status.subscribe()
    }

    pub(super) fn set_status(&self, status: ClientStatus) {
        self.status.send_replace(status);
    }

    /// Returns whether no connection was admitted or given up yet.
    pub(super) fn is_first(&self) -> bool {
        self.first.lock().is_some()
    }

    /// Returns the sender of the result of `connect`, once.
    pub(super) fn take_first(&self) -> Option<FirstResult> {
        self.first.lock().take()
    }

    pub(super) fn close(&self) {
        let peer = self.peer();
        // A program that drops its client and ends gives the connection's task no other turn, so the
        // frames that the stream accepts now are written here.
        peer.session().outbox().flush();
        self.request(|requests| requests.closed = true);
        drop(peer.close());
    }

    pub(super) fn stop_retry(&self) {
        self.request(|requests| requests.retry_stopped = true);
    }

    pub(super) fn retry(&self, attempts: u32) {
        let after_end = self.peer().is_closed();
        self.request(|requests| {
            requests.retry_stopped = false;
            requests.attempts = Some(attempts);
            requests.retry_after_end |= after_end;
        });
    }

    fn request(&self, change: impl FnOnce(&mut Requests)) {
        change(&mut self.requests.lock());
        // Only the task waits here. If it does not wait yet, `Notify` keeps the notification.
        self.requested.notify_one();
    }

    pub(super) fn requests(&self) -> Requests {
        *self.requests.lock()
    }

    /// Stops the attempts on behalf of the task, after a decision that is final. A `retry` that was
    /// called after the end had begun is the later wish, and wins.
    pub(super) fn stop_for_good(&self) {
        let mut requests = self.requests.lock();
        requests.retry_stopped |= !requests.retry_after_end;
    }

    /// Waits until a handle has made a request since the last wait.
    pub(super) async fn requested(&self) {
        self.requested.notified().await;
    }

    /// Waits until the client is closed for good.
    pub(super) async fn closed(&self) {
        // `self` owns the sender, so the wait ends only with the value.
        let _ = self.status().wait_for(|status| *status == ClientStatus::Closed).await;
    }
}
