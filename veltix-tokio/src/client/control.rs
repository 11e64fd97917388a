//! What the handles of a client and its task share.

use tokio::sync::{Notify, watch};

use super::ClientStatus;
use crate::peer::Peer;
use crate::sync::Mutex;

/// See the module.
#[derive(Debug)]
pub(super) struct Control {
    wishes: Mutex<Wishes>,
    /// Told when a wish is made.
    wished: Notify,
    status: watch::Sender<ClientStatus>,
    /// The current connection, or the last.
    peer: Mutex<Peer>,
}

/// What the handles want.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wishes {
    pub(super) closed: bool,
    pub(super) retry_stopped: bool,
    /// Attempts that `retry` asked for, in place of the config's.
    pub(super) attempts: Option<u32>,
}

impl Control {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            wishes: Mutex::default(),
            wished: Notify::new(),
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
        self.wish(|wishes| wishes.closed = true);
        drop(self.peer().close());
    }

    pub(super) fn stop_retry(&self) {
        self.wish(|wishes| wishes.retry_stopped = true);
    }

    pub(super) fn retry(&self, attempts: u32) {
        self.wish(|wishes| {
            wishes.retry_stopped = false;
            wishes.attempts = Some(attempts);
        });
    }

    fn wish(&self, change: impl FnOnce(&mut Wishes)) {
        change(&mut self.wishes.lock());
        // The task is the only one who waits; a wish that it does not wait for yet is kept.
        self.wished.notify_one();
    }

    pub(super) fn wishes(&self) -> Wishes {
        *self.wishes.lock()
    }

    /// Waits until a wish was made since the last wait.
    pub(super) async fn wished(&self) {
        self.wished.notified().await;
    }

    /// Waits until the client is closed for good.
    pub(super) async fn closed(&self) {
        // The sender is our own, so the wait ends only with the value.
        let _ = self.status().wait_for(|status| *status == ClientStatus::Closed).await;
    }
}
