//! [`Control`]: the state that the handles of a client share with its task.

use tokio::sync::{Notify, watch};

use super::ClientStatus;
use crate::peer::Peer;
use crate::sync::Mutex;

/// The state that the handles of a client share with its task.
#[derive(Debug)]
pub(super) struct Control {
    requests: Mutex<Requests>,
    /// Notified after each request.
    requested: Notify,
    status: watch::Sender<ClientStatus>,
    /// The current connection, or the last one.
    peer: Mutex<Peer>,
}

/// The requests of the handles to the task.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Requests {
    pub(super) closed: bool,
    pub(super) retry_stopped: bool,
    /// The number of attempts that `retry` asked for. It replaces the number of the config.
    pub(super) attempts: Option<u32>,
}

impl Control {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            requests: Mutex::default(),
            requested: Notify::new(),
            status: watch::Sender::new(ClientStatus::Reconnecting { attempt: 0 }),
            peer: Mutex::new(peer),
        }
    }

    pub(super) fn peer(&self) -> Peer {
        self.peer.lock().clone()
    }

    pub(super) fn set_peer(&self, peer: Peer) {
        let last = std::mem::replace(&mut *self.peer.lock(), peer);
        drop(last);
    }

    pub(super) fn status(&self) -> watch::Receiver<ClientStatus> {
        self.status.subscribe()
    }

    pub(super) fn set_status(&self, status: ClientStatus) {
        self.status.send_replace(status);
    }

    pub(super) fn close(&self) {
        self.request(|requests| requests.closed = true);
        drop(self.peer().close());
    }

    pub(super) fn stop_retry(&self) {
        self.request(|requests| requests.retry_stopped = true);
    }

    pub(super) fn retry(&self, attempts: u32) {
        self.request(|requests| {
            requests.retry_stopped = false;
            requests.attempts = Some(attempts);
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
