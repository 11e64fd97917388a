//! [`Inbound`]: the records of other nodes that wait for their delivery to the peers of this node.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use veltix_core::cluster::{NodeId, Record};
use veltix_core::limits::{CLUSTER_BATCH, CLUSTER_QUEUE_RECORDS};
use veltix_tokio::HeldBytes;

/// The queue between an engine and the delivery. Pushing never waits: without room the newest record is
/// refused and counts as missed.
pub(super) struct Inbound {
    max_bytes: usize,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    records: VecDeque<Incoming>,
    bytes: usize,
    held: HeldBytes,
}

/// A record of another node.
pub(super) struct Incoming {
    pub(super) origin: NodeId,
    pub(super) record: Record,
    /// The age of the record at its arrival.
    pub(super) age: Duration,
}

impl Inbound {
    pub(super) fn new(max_bytes: usize, held: HeldBytes) -> Self {
        let state = State { records: VecDeque::new(), bytes: 0, held };
        Self { max_bytes, state: Mutex::new(state), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a record, and returns whether there was room.
    #[must_use]
    pub(super) fn push(&self, incoming: Incoming) -> bool {
        let mut state = self.lock();
        let bytes = state.bytes.saturating_add(incoming.record.body.len());
        let is_full = state.records.len() >= CLUSTER_QUEUE_RECORDS || bytes > self.max_bytes;
        // One record always fits an empty queue, if the server has the memory.
        if (is_full && !state.records.is_empty()) || !state.held.try_set(bytes) {
            return false;
        }
        state.bytes = bytes;
        state.records.push_back(incoming);
        drop(state);
        self.changed.notify_one();
        true
    }

    /// Returns the bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Waits for records, and takes the first ones: about as many as a batch has.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub(super) async fn next(&self) -> Vec<Incoming> {
        loop {
            let changed = self.changed.notified();
            let taken = self.lock().take();
            if !taken.is_empty() {
                return taken;
            }
            changed.await;
        }
    }
}

impl State {
    fn take(&mut self) -> Vec<Incoming> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while bytes < CLUSTER_BATCH
            && let Some(incoming) = self.records.pop_front()
        {
            bytes += incoming.record.body.len();
            taken.push(incoming);
        }
        self.bytes -= bytes;
        self.held.set(self.bytes);
        taken
    }
}
