//! [`Receiving`]: brings the records of other nodes into their order, and passes each on once.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use veltix_core::cluster::{
    Assembly, Batch, BatchHead, Freshness, InStream, NodeId, Part, Received, Record, RecordKind,
    WireError,
};
use veltix_core::limits::{CLUSTER_ASSEMBLY, CLUSTER_MEMBERS};
use veltix_tokio::HeldBytes;

use super::Node;
use super::inbound::Incoming;
use super::stats::ReceivedRecords;

/// The streams of the other nodes to this one.
pub(super) struct Receiving {
    streams: BTreeMap<NodeId, Streams>,
    held: HeldBytes,
    pub(super) unreadable: u64,
    pub(super) unknown: u64,
}

/// The two streams of an origin to this node.
#[derive(Default)]
pub(super) struct Streams {
    all: Stream,
    direct: Stream,
    freshness: Freshness,
    pub(super) stale: u64,
    pub(super) lag: Duration,
    /// The arrival of the last batch.
    heard: Option<Instant>,
}

/// A stream that arrives.
#[derive(Default)]
struct Stream {
    numbers: InStream,
    parts: Assembly,
}

impl Stream {
    /// Drops the record that is arriving if its rest is lost, and returns whether it was dropped.
    fn drop_lost_parts(&mut self) -> bool {
        self.numbers.last().is_some_and(|last| self.parts.drop_up_to(last))
    }

    const fn counts(&self) -> ReceivedRecords {
        ReceivedRecords { received: self.numbers.received(), missed: self.numbers.missed() }
    }
}

impl Streams {
    /// Returns the counts of the records for all nodes, and of those for this node alone.
    pub(super) const fn counts(&self) -> (ReceivedRecords, ReceivedRecords) {
        (self.all.counts(), self.direct.counts())
    }

    fn stream(&mut self, head: &BatchHead) -> &mut Stream {
        if head.to.is_none() { &mut self.all } else { &mut self.direct }
    }

    /// Returns the bytes of records that are arriving in parts.
    fn held(&self) -> usize {
        self.all.parts.len() + self.direct.parts.len()
    }
}

impl Receiving {
    pub(super) const fn new(held: HeldBytes) -> Self {
        Self { streams: BTreeMap::new(), held, unreadable: 0, unknown: 0 }
    }

    /// Returns the streams of each origin.
    pub(super) fn streams(&self) -> impl Iterator<Item = (NodeId, &Streams)> {
        self.streams.iter().map(|(node, streams)| (*node, streams))
    }

    /// Receives a batch. A record that cannot be read costs no other one.
    pub(super) fn receive(&mut self, node: &Node, bytes: Bytes) {
        let batch = match Batch::read(bytes) {
            Ok(batch) => batch,
            Err(error) => return self.note_unreadable(node, None, error),
        };
        let head = *batch.head();
        if head.origin == node.me || head.to.is_some_and(|to| to != node.me) {
            return;
        }
        self.make_room(node, head.origin);
        let now = Instant::now();
        let event = node.members().hear(head.origin, now.into_std());
        event.into_iter().for_each(|event| node.on_member(event));
        node.outbound.release(head.origin);
        if batch.is_knock() && head.to.is_none() && node.members().get(head.origin).is_some() {
            node.outbound.knock(head.origin);
        }
        let streams = self.streams.entry(head.origin).or_default();
        let age = streams.freshness.age(node.clock(), head.clock);
        (streams.lag, streams.heard) = (age, Some(now));
        let mut next = head.first;
        for record in batch {
            let received = record
                .and_then(|record| self.next(node, &head, &mut next, record))
                .and_then(|record| record.map_or(Ok(()), |it| self.take(node, &head, it, age)));
            if let Err(error) = received {
                self.note_unreadable(node, Some(head.origin), error);
            }
        }
    }

    fn note_unreadable(&mut self, node: &Node, origin: Option<NodeId>, error: WireError) {
        self.unreadable += 1;
        node.reports.unreadable(origin, error);
    }

    /// Forgets the streams of nodes that have left, before those of a new one are added. A publisher that
    /// invents origins fills no memory.
    fn make_room(&mut self, node: &Node, origin: NodeId) {
        if self.streams.len() >= 2 * CLUSTER_MEMBERS && !self.streams.contains_key(&origin) {
            let members = node.members();
            self.streams.retain(|node, _| members.get(*node).is_some());
            self.count_held();
        }
    }

    /// Returns the record in its whole if it is the next one of its stream. `next` is the number of the
    /// record, or of the one of which it is a part.
    fn next(
        &mut self,
        node: &Node,
        head: &BatchHead,
        next: &mut u64,
        record: Record,
    ) -> Result<Option<Record>, WireError> {
        let number = *next;
        *next = number.saturating_add(1);
        let (record, ends) = self.assemble(head, number, record)?;
        *next = number.saturating_add(ends.into());
        // A record whose parts are not complete is noticed by the number of the next one.
        let Some(record) = record else { return Ok(None) };
        let stream = self.streams.entry(head.origin).or_default().stream(head);
        let received = stream.numbers.receive(number);
        if stream.drop_lost_parts() {
            self.count_held();
        }
        if matches!(received, Received::After { .. }) {
            match head.to {
                Some(_) => node.watch_lags(head.origin),
                None => node.interests.lost(head.origin),
            }
        }
        let is_new = received != Received::Duplicate || fault!("duplicates_delivered");
        Ok(is_new.then_some(record))
    }

    /// Adds a part to its record. Returns the record if it is complete, and whether the next record has the
    /// next number.
    fn assemble(
        &mut self,
        head: &BatchHead,
        number: u64,
        record: Record,
    ) -> Result<(Option<Record>, bool), WireError> {
        if record.kind != RecordKind::Part {
            return Ok((Some(record), true));
        }
        let part = Part::decode(record.body)?;
        let ends = part.is_last();
        let held: usize = self.streams.values().map(Streams::held).sum();
        let stream = self.streams.entry(head.origin).or_default().stream(head);
        if stream.numbers.last().is_some_and(|last| number <= last) {
            return Ok((None, ends));
        }
        let before = stream.parts.len();
        let limit = CLUSTER_ASSEMBLY.saturating_sub(held - before);
        // Without room in the budget the record is dropped, as over the limit of its own.
        let fits = self.held.try_set(held + part.bytes.len());
        let limit = if fits { limit } else { 0 };
        let record = stream.parts.add(number, &part, limit)?;
        self.held.set(held - before + stream.parts.len());
        Ok((record, ends))
    }

    /// Passes a record on. Records for the peers of this node wait for their delivery, in order. The others
    /// are of this node itself and count at once.
    fn take(
        &mut self,
        node: &Node,
        head: &BatchHead,
        record: Record,
        age: Duration,
    ) -> Result<(), WireError> {
        let origin = head.origin;
        match record.kind {
            RecordKind::Frame
            | RecordKind::Ask
            | RecordKind::Call
            | RecordKind::Cancel
            | RecordKind::Watch
            | RecordKind::Unwatch => {
                let streams = self.streams.entry(origin).or_default();
                if record.kind == RecordKind::Frame && age > node.config.message_ttl {
                    streams.stale += 1;
                } else if !node.inbound.push(Incoming { origin, record, age }) {
                    streams.stream(head).numbers.lose();
                }
            }
            RecordKind::Hello | RecordKind::Heartbeat => {
                let status = node.on_status(origin, record.body)?;
                let streams = self.streams.entry(origin).or_default();
                if streams.all.numbers.catch_up(status.all) > 0 {
                    node.interests.lost(origin);
                }
                if let Some(last) = status.direct_to(node.me)
                    && streams.direct.numbers.catch_up(last) > 0
                {
                    node.watch_lags(origin);
                }
                if streams.all.drop_lost_parts() | streams.direct.drop_lost_parts() {
                    self.count_held();
                }
                // It tells whether a change was among the missing records.
                node.interests.hear(origin, status.interest);
                node.ask_for_interest();
            }
            RecordKind::Bye => {
                let event = node.members().bye(origin);
                event.into_iter().for_each(|event| node.on_member(event));
                // The numbers stay: an engine may repeat batches of the node behind its farewell.
                self.forget_parts(origin);
            }
            RecordKind::Part | RecordKind::Unknown(_) => self.unknown += 1,
            _ => node.on_control(origin, record)?,
        }
        Ok(())
    }

    /// Drops the parts of a node that has left.
    pub(super) fn forget_parts(&mut self, node: NodeId) {
        if let Some(streams) = self.streams.get_mut(&node) {
            streams.all.parts = Assembly::default();
            streams.direct.parts = Assembly::default();
            self.count_held();
        }
    }

    /// Drops the parts of nodes that were silent for this time. Such a node may be no member, of which nobody
    /// notices the end.
    pub(super) fn forget_silent_parts(&mut self, silence: Duration) {
        let now = Instant::now();
        let is_silent = |it: &Streams| it.heard.is_none_or(|heard| now - heard >= silence);
        let silent = self.streams.iter().filter(|(_, it)| it.held() > 0 && is_silent(it));
        let silent: Vec<_> = silent.map(|(node, _)| *node).collect();
        silent.into_iter().for_each(|node| self.forget_parts(node));
    }

    fn count_held(&self) {
        self.held.set(self.streams.values().map(Streams::held).sum());
    }
}
