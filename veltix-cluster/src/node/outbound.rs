//! [`Outbound`]: the records that wait for the publisher.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};
use veltix_core::cluster::{BatchHead, BatchWriter, NodeId, Part, Record};
use veltix_core::limits::{
    CLUSTER_BATCH, CLUSTER_HEADROOM, CLUSTER_PART, CLUSTER_QUEUE_BYTES, CLUSTER_QUEUE_RECORDS,
    CLUSTER_RECENT_BATCHES,
};

use crate::backplane::Destination;

/// The queue between the senders of a node and its publisher. Pushing never waits.
pub(super) struct Outbound {
    ttl: Duration,
    state: Mutex<State>,
    changed: Notify,
    ended: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Waiting>,
    /// The bytes of the waiting records.
    bytes: usize,
    /// The last number of each stream. A refused record has a number as well, so that the others notice
    /// that it is missing.
    all: u64,
    direct: BTreeMap<NodeId, u64>,
    /// The time since which the broker is away.
    offline_since: Option<Instant>,
    closed: bool,
    counts: OutCounts,
    /// The last direct batches: the node, and the first and the last number.
    batches: VecDeque<(NodeId, u64, u64)>,
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

/// The counts of the records that this node has offered to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OutCounts {
    pub(super) offered: u64,
    pub(super) published: u64,
    /// Refused, since the broker is away for longer than the time to live.
    pub(super) offline: u64,
    /// Refused, since the queue was full.
    pub(super) full: u64,
    /// Waited for longer than the time to live.
    pub(super) expired: u64,
    /// Larger than the engine takes.
    pub(super) too_large: u64,
}

/// The result of queueing a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pushed {
    /// The number of the record in its stream.
    pub(super) sequence: u64,
    /// False if the record was refused.
    pub(super) queued: bool,
}

/// A batch for the engine.
pub(super) struct Outgoing {
    pub(super) to: Destination,
    pub(super) bytes: Bytes,
    pub(super) records: u64,
}

impl Outbound {
    /// Creates an empty queue, whose engine has not started.
    pub(super) fn new(ttl: Duration, now: Instant) -> Self {
        let state = State { offline_since: Some(now), ..State::default() };
        let ended = watch::Sender::new(false);
        Self { ttl, state: Mutex::new(state), changed: Notify::new(), ended }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a record, unless there is no room or the broker is away for too long.
    pub(super) fn push(&self, to: Destination, record: Record, now: Instant) -> Pushed {
        let mut state = self.lock();
        let all_before = state.all;
        let sequence = state.next(to);
        state.counts.offered += 1;
        let is_away = |since: Instant| now.duration_since(since) >= self.ttl;
        if state.closed || state.offline_since.is_some_and(is_away) {
            state.counts.offline += 1;
            return Pushed { sequence, queued: false };
        }
        let cost = record.body.len();
        let is_full = state.queue.len() >= CLUSTER_QUEUE_RECORDS
            || state.bytes.saturating_add(cost) > CLUSTER_QUEUE_BYTES;
        // One record always fits an empty queue.
        if is_full && !state.queue.is_empty() {
            state.counts.full += 1;
            return Pushed { sequence, queued: false };
        }
        state.bytes += cost;
        let taken = 0;
        state.queue.push_back(Waiting { to, sequence, all_before, record, since: now, taken });
        drop(state);
        self.changed.notify_one();
        Pushed { sequence, queued: true }
    }

    /// Returns the last numbers of the streams.
    pub(super) fn streams(&self) -> (u64, Vec<(NodeId, u64)>) {
        let state = self.lock();
        (state.all, state.direct.iter().map(|(node, last)| (*node, *last)).collect())
    }

    /// Returns the last number of the direct batch to this node that began with `first`.
    pub(super) fn end_of_batch(&self, to: NodeId, first: u64) -> u64 {
        let state = self.lock();
        let batch =
            state.batches.iter().rev().find(|(node, begin, _)| (*node, *begin) == (to, first));
        batch.map_or(first, |(_, _, last)| *last)
    }

    /// Returns the counts, and the number of records that wait: `offered = published + refused or dropped +
    /// queued`.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (OutCounts, u64) {
        let state = self.lock();
        (state.counts, state.queue.len() as u64)
    }

    /// Records whether the broker is there. Returns the time for which it was away before this.
    pub(super) fn set_online(&self, online: bool, now: Instant) -> Option<Duration> {
        let mut state = self.lock();
        let since = state.offline_since;
        state.offline_since = if online { None } else { Some(since.unwrap_or(now)) };
        drop(state);
        self.changed.notify_one();
        since.map(|since| now.duration_since(since))
    }

    /// Counts the outcome of a batch.
    pub(super) fn count(&self, add: impl FnOnce(&mut OutCounts)) {
        add(&mut self.lock().counts);
    }

    /// Lets the publisher end after the records that wait.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits for the end of the publisher.
    pub(super) async fn ended(&self) {
        // The sender lives as long as this value.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    pub(super) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Waits for the next batch of at most `limit` bytes, or for the end of the queue.
    ///
    /// # Cancel safety
    /// No record is lost if the future is dropped.
    pub(super) async fn next(
        &self,
        me: NodeId,
        limit: usize,
        clock: impl Fn() -> u32,
    ) -> Option<Outgoing> {
        loop {
            let changed = self.changed.notified();
            let expires = {
                let mut state = self.lock();
                state.expire(self.ttl, Instant::now());
                if state.offline_since.is_none()
                    && let Some(batch) = state.take_batch(me, limit, clock())
                {
                    return Some(batch);
                }
                if state.closed {
                    state.give_up();
                    return None;
                }
                state.queue.front().map(|oldest| oldest.since + self.ttl)
            };
            match expires {
                Some(expires) => _ = timeout_at(expires, changed).await,
                None => changed.await,
            }
        }
    }
}

impl State {
    fn next(&mut self, to: Destination) -> u64 {
        let last = match to {
            Destination::All => &mut self.all,
            Destination::Node(node) => self.direct.entry(node).or_default(),
        };
        *last += 1;
        *last
    }

    /// Drops the records that have waited for too long.
    fn expire(&mut self, ttl: Duration, now: Instant) {
        while let Some(oldest) = self.queue.front()
            && now.duration_since(oldest.since) >= ttl
        {
            self.counts.expired += 1;
            self.pop();
        }
    }

    /// Drops the records that wait for a broker which is away at the end of the node.
    fn give_up(&mut self) {
        self.counts.offline += self.queue.len() as u64;
        (self.queue, self.bytes) = (VecDeque::new(), 0);
    }

    /// Takes records for one destination with successive numbers, or a part of a large one.
    fn take_batch(&mut self, me: NodeId, limit: usize, clock: u32) -> Option<Outgoing> {
        let first = self.queue.front()?;
        let (to, all_before) = (first.to, first.all_before);
        let head = BatchHead {
            origin: me,
            to: match to {
                Destination::All => None,
                Destination::Node(node) => Some(node),
            },
            first: first.sequence,
            all_before,
            clock,
        };
        let largest = CLUSTER_PART.min(limit.saturating_sub(CLUSTER_HEADROOM));
        if first.record.body.len() > largest {
            return self.take_part(&head, largest);
        }
        let (mut writer, mut next, mut records) = (BatchWriter::new(&head), first.sequence, 0);
        while let Some(waiting) = self.queue.front()
            && waiting.to == to
            && waiting.sequence == next
            && (to == Destination::All || waiting.all_before == all_before)
            && waiting.record.body.len() <= largest
            && (records == 0 || writer.len() + waiting.record.body.len() <= CLUSTER_BATCH)
            && writer.add(&waiting.record)
        {
            self.pop();
            (next, records) = (next + 1, records + 1);
        }
        if let Destination::Node(node) = to {
            if self.batches.len() >= CLUSTER_RECENT_BATCHES {
                self.batches.pop_front();
            }
            self.batches.push_back((node, head.first, next - 1));
        }
        Some(Outgoing { to, bytes: writer.finish(), records })
    }

    /// Takes the next part of the first record.
    fn take_part(&mut self, head: &BatchHead, largest: usize) -> Option<Outgoing> {
        let first = self.queue.front_mut()?;
        let to = first.to;
        let mut writer = BatchWriter::new(head);
        let part = Part::of(&first.record, first.taken, largest);
        let Some(part) = part.filter(|part| writer.add(&part.encode())) else {
            // No node reads a record of 4 GiB.
            self.counts.too_large += 1;
            self.pop();
            return None;
        };
        first.taken += part.bytes.len();
        if part.is_last() {
            self.pop();
        }
        Some(Outgoing { to, bytes: writer.finish(), records: part.is_last().into() })
    }

    fn pop(&mut self) {
        if let Some(waiting) = self.queue.pop_front() {
            self.bytes -= waiting.record.body.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use veltix_core::cluster::{Batch, RecordKind};

    use super::*;

    const ME: NodeId = NodeId::new(1).unwrap();
    const OTHER: Destination = Destination::Node(NodeId::new(2).unwrap());

    fn record(length: usize) -> Record {
        Record { kind: RecordKind::Frame, body: vec![7; length].into() }
    }

    fn online() -> Outbound {
        let queue = Outbound::new(Duration::from_secs(5), Instant::now());
        queue.set_online(true, Instant::now());
        queue
    }

    /// Takes a batch that is there: its destination, and its first number and the number of its records.
    async fn next(queue: &Outbound) -> (Destination, u64, usize) {
        let batch = queue.next(ME, 1 << 20, || 0).await.expect("it is open");
        let read = Batch::read(batch.bytes).unwrap();
        (batch.to, read.head().first, read.count())
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_for_one_destination_and_keeps_the_order() {
        let (queue, now) = (online(), Instant::now());
        for to in [Destination::All, Destination::All, OTHER, OTHER, Destination::All] {
            assert!(queue.push(to, record(10), now).queued);
        }
        assert_eq!(next(&queue).await, (Destination::All, 1, 2));
        assert_eq!(next(&queue).await, (OTHER, 1, 2));
        assert_eq!(next(&queue).await, (Destination::All, 3, 1));
        for _ in 0..3 {
            assert!(queue.push(OTHER, record(CLUSTER_BATCH / 2), now).queued);
        }
        assert_eq!(next(&queue).await.2, 1, "64 KiB in a batch");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_record_has_a_number_and_a_count() {
        let (queue, now) = (online(), Instant::now());
        assert!(queue.push(OTHER, record(CLUSTER_QUEUE_BYTES + 1), now).queued, "one always fits");
        assert!(!queue.push(OTHER, record(1), now).queued);
        let mut parts = 1;
        while queue.counts().1 > 0 {
            assert_eq!(next(&queue).await, (OTHER, 1, 1));
            parts += 1;
        }
        assert_eq!(parts, 1 + (CLUSTER_QUEUE_BYTES + 1).div_ceil(CLUSTER_PART));
        assert!(queue.push(OTHER, record(1), now).queued);
        assert_eq!(next(&queue).await, (OTHER, 3, 1), "2 is missing");
        let (counts, waiting) = queue.counts();
        assert_eq!((counts.offered, counts.full, waiting), (3, 1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn records_wait_for_the_broker_for_their_time_to_live() {
        let queue = online();
        queue.set_online(false, Instant::now());
        assert!(queue.push(OTHER, record(1), Instant::now()).queued);
        assert!(timeout_at(Instant::now() + Duration::from_secs(4), next(&queue)).await.is_err());
        assert_eq!(queue.counts().1, 1);
        assert!(timeout_at(Instant::now() + Duration::from_secs(2), next(&queue)).await.is_err());
        let (counts, waiting) = queue.counts();
        assert_eq!((counts.expired, waiting), (1, 0));
        assert!(!queue.push(OTHER, record(1), Instant::now()).queued, "it is away for too long");
        queue.set_online(true, Instant::now());
        assert!(queue.push(OTHER, record(1), Instant::now()).queued);
        assert_eq!(next(&queue).await, (OTHER, 3, 1));
        queue.set_online(false, Instant::now());
        assert!(queue.push(OTHER, record(1), Instant::now()).queued);
        queue.close();
        assert!(queue.next(ME, 1 << 20, || 0).await.is_none());
        let (counts, waiting) = queue.counts();
        let lost = counts.offline + counts.full + counts.expired;
        assert_eq!((counts.offered, counts.offline, waiting), (4, 2, 0));
        // One was taken by the caller of this test, who publishes nothing.
        assert_eq!(counts.offered, lost + 1);
    }
}
