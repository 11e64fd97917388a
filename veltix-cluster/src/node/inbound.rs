//! [`Inbound`]: what the engine has received, until the receiver takes it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use veltix_core::cluster::NodeId;
use veltix_core::limits::{CLUSTER_QUEUE_BYTES, CLUSTER_QUEUE_RECORDS};

/// The queue between an engine and the receiver. Pushing never waits: without room the newest batch is
/// dropped and counted, and the receiver notices that it is missing.
#[derive(Default)]
pub(super) struct Inbound {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    items: VecDeque<Incoming>,
    bytes: usize,
    dropped: u64,
}

/// Something that the engine has received.
pub(super) enum Incoming {
    Batch(Bytes),
    /// The batch to this node that began with this number has reached nobody.
    Unreachable(NodeId, u64),
}

impl Inbound {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, batch: Bytes) {
        let length = batch.len();
        self.push_item(Incoming::Batch(batch), length);
    }

    pub(super) fn push_unreachable(&self, node: NodeId, sequence: u64) {
        self.push_item(Incoming::Unreachable(node, sequence), size_of::<Incoming>());
    }

    fn push_item(&self, arrival: Incoming, cost: usize) {
        let mut state = self.lock();
        let is_full = state.items.len() >= CLUSTER_QUEUE_RECORDS
            || state.bytes.saturating_add(cost) > CLUSTER_QUEUE_BYTES;
        if is_full && !state.items.is_empty() {
            state.dropped += 1;
            return;
        }
        state.bytes += cost;
        state.items.push_back(arrival);
        drop(state);
        self.changed.notify_one();
    }

    /// Waits for the next arrival.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub(super) async fn next(&self) -> Incoming {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.lock();
                if let Some(arrival) = state.items.pop_front() {
                    state.bytes -= match &arrival {
                        Incoming::Batch(batch) => batch.len(),
                        Incoming::Unreachable(..) => size_of::<Incoming>(),
                    };
                    return arrival;
                }
            }
            changed.await;
        }
    }
}
