//! [`Outbound`]: the records that wait for the publisher.

mod batching;
mod hold;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};
use veltix_core::cluster::{NodeId, Record, RecordKind};
use veltix_core::limits::{
    CLUSTER_MEMBERS, CLUSTER_QUEUE_RECORDS, CLUSTER_RESERVE_BYTES, CLUSTER_RESERVE_RECORDS,
};
use veltix_tokio::{ClusterShutdown, HeldBytes};

pub(super) use batching::Format;
use hold::Hold;
use streams::{Streams, Sums};

use super::stats::SentRecords;
use crate::backplane::Destination;
use crate::config::ClusterConfig;
use crate::error::PublishError;

/// The queue between the senders of a node and its publisher. Pushing never waits.
pub(super) struct Outbound {
    ttl: Duration,
    max_bytes: usize,
    state: Mutex<State>,
    changed: Notify,
    /// True while the queue waits for other nodes, so that a received batch costs no lock otherwise.
    holds: AtomicBool,
    /// Tells the task that waits for room of records that were taken.
    taken: Notify,
    ended: watch::Sender<bool>,
}

struct State {
    queue: VecDeque<Waiting>,
    /// The bytes of the waiting records.
    bytes: usize,
    held: HeldBytes,
    streams: Streams,
    /// The time since which the broker is away.
    offline_since: Option<Instant>,
    /// The wait for nodes that connect again later.
    hold: Option<Hold>,
    /// The nodes that are to hear that this one is there, before the records that wait.
    knocks: VecDeque<Destination>,
    closed: bool,
    /// The sums of all streams when the server began to drain.
    drained_from: Option<Sums>,
}

/// A record with its number.
struct Waiting {
    to: Destination,
    sequence: u64,
    all_before: u64,
    record: Record,
    since: Instant,
    /// The bytes that were taken in parts.
    taken: usize,
}

/// The reason for which a record is not queued.
#[derive(Clone, Copy, Debug)]
enum Refused {
    Offline,
    Full,
    Memory,
}

/// The result of queueing a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pushed {
    /// The number of the record in its stream.
    pub(super) sequence: u64,
    /// False if the record was refused.
    pub(super) queued: bool,
    /// True if the queue is more than half full.
    pub(super) waits: bool,
}

/// A batch for the engine.
pub(super) struct Outgoing {
    pub(super) to: Destination,
    pub(super) bytes: Bytes,
    pub(super) records: u64,
}

impl Outbound {
    /// Creates an empty queue, whose engine has not started.
    pub(super) fn new(config: &ClusterConfig, held: HeldBytes, now: Instant) -> Self {
        let state = State {
            queue: VecDeque::new(),
            bytes: 0,
            held,
            streams: Streams::default(),
            offline_since: Some(now),
            hold: None,
            knocks: VecDeque::new(),
            closed: false,
            drained_from: None,
        };
        let ended = watch::Sender::new(false);
        Self {
            ttl: config.message_ttl,
            max_bytes: config.queue_bytes,
            state: Mutex::new(state),
            changed: Notify::new(),
            holds: AtomicBool::new(false),
            taken: Notify::new(),
            ended,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a record, unless there is no room or the broker is away for too long. A refused record has a
    /// number as well, so that the others notice that it is missing.
    pub(super) fn push(&self, to: Destination, record: Record, now: Instant) -> Pushed {
        let mut state = self.lock();
        let all_before = state.streams.last_to_all();
        let sequence = state.streams.offer(to);
        let is_away = |since: Instant| now.duration_since(since) >= self.ttl;
        let bytes = state.bytes.saturating_add(record.body.len());
        // Without room for messages there is still some for the words of the node itself: otherwise the others
        // would take it for gone, or not hear its farewell.
        let is_of_node = record.kind.is_of_node();
        let (more_records, more_bytes) =
            if is_of_node { (CLUSTER_RESERVE_RECORDS, CLUSTER_RESERVE_BYTES) } else { (0, 0) };
        let is_last = record.kind == RecordKind::Bye;
        let is_full = state.queue.len() >= CLUSTER_QUEUE_RECORDS + more_records
            || bytes > self.max_bytes.saturating_add(more_bytes);
        let refused = if state.closed || state.offline_since.is_some_and(is_away) {
            Some(Refused::Offline)
        } else if is_full && !state.queue.is_empty() && !is_last {
            // One record always fits an empty queue, and the farewell any.
            Some(Refused::Full)
        } else if !state.held.try_set(bytes) && !is_of_node {
            Some(Refused::Memory)
        } else {
            None
        };
        if let Some(refused) = refused {
            state.streams.refuse(to, refused);
            if fault!("numbered_when_queued") {
                state.streams.take_number_back(to);
            }
            return Pushed { sequence, queued: false, waits: false };
        }
        // A heartbeat behind the farewell would make this node a member again.
        state.closed |= is_last;
        state.bytes = bytes;
        state.held.set(bytes);
        state.streams.accept(to);
        let taken = 0;
        let waiting = Waiting { to, sequence, all_before, record, since: now, taken };
        if fault!("direct_overtakes_all") && to != Destination::All {
            let of_all = |it: &&Waiting| it.to == Destination::All && it.taken == 0;
            let at = state.queue.len() - state.queue.iter().rev().take_while(of_all).count();
            state.queue.insert(at, waiting);
        } else {
            state.queue.push_back(waiting);
        }
        let waits = state.queue.len() > CLUSTER_QUEUE_RECORDS / 2 || bytes > self.max_bytes / 2;
        drop(state);
        self.changed.notify_one();
        Pushed { sequence, queued: true, waits }
    }

    /// Waits until at least three quarters of the queue are free, or the queue is closed. One task at a time may
    /// wait.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn room(&self) {
        loop {
            let taken = self.taken.notified();
            {
                let state = self.lock();
                let has_records = state.queue.len() > CLUSTER_QUEUE_RECORDS / 4;
                if state.closed || !(has_records || state.bytes > self.max_bytes / 4) {
                    return;
                }
            }
            taken.await;
        }
    }

    /// Returns the last numbers of the streams.
    pub(super) fn last(&self) -> (u64, Vec<(NodeId, u64)>) {
        let state = self.lock();
        (state.streams.last_to_all(), state.streams.last_direct())
    }

    /// Records that the direct batch to this node that began with `first` has reached nobody. Returns its
    /// last number.
    pub(super) fn undelivered(&self, to: NodeId, first: u64) -> u64 {
        self.lock().streams.undelivered(to, first)
    }

    /// Returns the counts of the stream to all nodes, those of the direct streams, and the waiting bytes.
    pub(super) fn counts(&self) -> (SentRecords, Vec<(NodeId, SentRecords)>, usize) {
        let state = self.lock();
        let (all, direct) = state.streams.all_counts();
        (all, direct, state.bytes)
    }

    /// Records that the broker is there. The records wait until each of these nodes was heard, for a limited
    /// time. Returns the time for which the broker was away before this.
    pub(super) fn set_online(
        &self,
        others: impl IntoIterator<Item = NodeId>,
        now: Instant,
    ) -> Option<Duration> {
        let mut state = self.lock();
        let since = state.offline_since.take();
        if since.is_some() {
            let hold = Hold::begin(others, now);
            self.holds.store(hold.is_some(), Ordering::Relaxed);
            // The others answer: a node that was there before would not be heard for a while.
            state.knocks = hold.iter().map(|_| Destination::All).collect();
            state.hold = hold;
        }
        drop(state);
        self.changed.notify_one();
        since.map(|since| now.duration_since(since))
    }

    /// Records that the broker is away. Returns the time for which it was away before this.
    pub(super) fn set_offline(&self, now: Instant) -> Option<Duration> {
        let mut state = self.lock();
        let since = state.offline_since;
        state.offline_since = Some(since.unwrap_or(now));
        state.hold = None;
        self.holds.store(false, Ordering::Relaxed);
        drop(state);
        self.changed.notify_one();
        since.map(|since| now.duration_since(since))
    }

    /// Ends the wait for a node, which was heard or has left.
    pub(super) fn release(&self, node: NodeId) {
        if !self.holds.load(Ordering::Relaxed) {
            return;
        }
        if let Some(hold) = &mut self.lock().hold {
            hold.release(node);
        }
        self.changed.notify_one();
    }

    /// Lets a node hear that this one is there, before the records that wait.
    pub(super) fn knock(&self, node: NodeId) {
        let mut state = self.lock();
        let to = Destination::Node(node);
        if state.knocks.len() < CLUSTER_MEMBERS && !state.knocks.contains(&to) {
            state.knocks.push_back(to);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Counts the outcome of a batch.
    pub(super) fn published(&self, batch: (Destination, u64), outcome: Result<(), PublishError>) {
        let (to, records) = batch;
        if records == 0 {
            return;
        }
        self.lock().streams.leave(to, records, |counts| match outcome {
            Ok(()) => &mut counts.published,
            Err(PublishError::Offline) => &mut counts.offline,
            Err(PublishError::TooLarge { .. }) => &mut counts.too_large,
        });
    }

    /// Begins the counts of the report of the shutdown.
    pub(super) fn begin_drain(&self) {
        let mut state = self.lock();
        let sums = state.streams.sums();
        state.drained_from.get_or_insert(sums);
    }

    /// Returns the report of the shutdown. Records that wait are lost.
    pub(super) fn report(&self) -> ClusterShutdown {
        let state = self.lock();
        let now = state.streams.sums();
        let then = state.drained_from.unwrap_or(now);
        let accepted = now.accepted - then.accepted;
        let flushed = now.published - then.published;
        ClusterShutdown::of(then.queued, accepted, flushed, then.queued + accepted - flushed)
    }

    /// Lets the publisher end after the records that wait.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
        self.taken.notify_one();
    }

    /// Drops the records that wait, since the publisher ends at once.
    pub(super) fn abort(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.give_up();
        drop(state);
        self.taken.notify_one();
    }

    /// Waits for the end of the publisher.
    pub(super) async fn ended(&self) {
        // The sender lives as long as this value.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    pub(super) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Waits for the end of the queue, and drops the records in it: no engine has started.
    pub(super) async fn give_up_at_end(&self) {
        loop {
            let changed = self.changed.notified();
            let is_closed = {
                let mut state = self.lock();
                if state.closed {
                    state.give_up();
                }
                state.closed
            };
            if is_closed {
                return;
            }
            changed.await;
        }
    }

    /// Waits for the next batch, or for the end of the queue.
    ///
    /// # Cancel safety
    /// No record is lost if the future is dropped.
    pub(super) async fn next(&self, format: impl Fn() -> Format) -> Option<Outgoing> {
        loop {
            let changed = self.changed.notified();
            // Not under the lock: the format depends on the members, under whose lock a record may be pushed.
            let format = format();
            let due = {
                let mut state = self.lock();
                let now = Instant::now();
                state.expire(self.ttl, now);
                if state.hold.as_ref().is_some_and(|hold| state.closed || hold.is_over(now)) {
                    state.hold = None;
                    self.holds.store(false, Ordering::Relaxed);
                }
                self.taken.notify_one();
                if state.offline_since.is_none()
                    && let Some(batch) = state.take_next(&format)
                {
                    return Some(batch);
                }
                if state.closed {
                    state.give_up();
                    return None;
                }
                let expires = state.queue.front().map(|oldest| oldest.since + self.ttl);
                expires.into_iter().chain(state.hold.as_ref().map(Hold::until)).min()
            };
            match due {
                Some(due) => _ = timeout_at(due, changed).await,
                None => changed.await,
            }
        }
    }
}

impl State {
    /// Drops the records that have waited for too long.
    fn expire(&mut self, ttl: Duration, now: Instant) {
        while let Some(oldest) = self.queue.front()
            && now.duration_since(oldest.since) >= ttl
        {
            self.drop_first(|counts| &mut counts.expired);
        }
    }

    /// Drops the records that wait for a broker which is away at the end of the node.
    fn give_up(&mut self) {
        while !self.queue.is_empty() {
            self.drop_first(|counts| &mut counts.offline);
        }
    }

    fn drop_first(&mut self, count: impl FnOnce(&mut SentRecords) -> &mut u64) {
        if let Some(to) = self.queue.front().map(|waiting| waiting.to) {
            self.pop();
            self.streams.leave(to, 1, count);
        }
    }

    /// Takes the first record. It counts as queued until its outcome is known.
    fn pop(&mut self) {
        if let Some(waiting) = self.queue.pop_front() {
            self.bytes -= waiting.record.body.len();
            self.held.set(self.bytes);
        }
    }
}
