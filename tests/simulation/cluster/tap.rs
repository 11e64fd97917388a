//! The batches between the nodes, as the broker sees them: the counts of each stream by rules that share
//! nothing with the library's, and the messages that have arrived.

use std::collections::BTreeMap;

use bytes::Bytes;
use veltix_cluster::{Destination, NodeId};
use veltix_core::cluster::{Batch, FrameRecord, NodeStatus, Part, RecordKind};

use super::super::body::Body;

/// Everything that the broker has seen.
#[derive(Default)]
pub(super) struct Taps {
    /// The records that each node has published to each destination.
    published: BTreeMap<(NodeId, Option<NodeId>), u64>,
    /// The streams from the first node to the second one.
    streams: BTreeMap<(NodeId, NodeId), Streams>,
    /// The times at which the nodes have started.
    started: BTreeMap<NodeId, u64>,
    pub(super) frames: Vec<ArrivedFrame>,
}

/// The streams of an origin to a node.
#[derive(Default)]
pub(super) struct Streams {
    pub(super) all: Stream,
    pub(super) direct: Stream,
    /// The arrival of each batch, and its age by the clock of its origin, in milliseconds.
    ages: Vec<(u64, u64)>,
}

/// A stream, as far as its records have arrived at a node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stream {
    /// The number before the first one that counts.
    pub(super) base: Option<u64>,
    pub(super) last: u64,
    pub(super) received: u64,
    /// The record that arrives in parts, and the length of what has arrived.
    parts: Option<(u64, u32)>,
}

/// A whole message that has arrived at a node for the first time.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArrivedFrame {
    pub(super) origin: NodeId,
    pub(super) node: NodeId,
    pub(super) number: u64,
    pub(super) at: u64,
    /// The time of its batch by the clock of its origin.
    pub(super) clock: u64,
}

impl Stream {
    /// Counts a record, and returns whether it is new.
    fn receive(&mut self, number: u64) -> bool {
        if number <= self.last && self.base.is_some() {
            return false;
        }
        self.base.get_or_insert(number - 1);
        self.received += 1;
        self.last = number;
        true
    }

    /// Learns the last number that the origin has given.
    fn learn(&mut self, last: u64) {
        self.base.get_or_insert(last);
        self.last = self.last.max(last);
    }

    /// Returns whether this part completes its record.
    fn completes(&mut self, number: u64, part: &Part) -> bool {
        if self.base.is_some() && number <= self.last {
            return false;
        }
        let expected = self.parts.filter(|(of, _)| *of == number).map_or(0, |(_, length)| length);
        let length = part.bytes.len() as u32;
        if part.offset + length <= expected {
            return false;
        }
        self.parts = match part.offset {
            0 => Some((number, length)),
            offset if offset == expected => Some((number, offset + length)),
            _ => None,
        };
        self.parts == Some((number, part.total))
    }
}

impl Taps {
    pub(super) fn started(&mut self, node: NodeId, now: u64) {
        self.started.insert(node, now);
    }

    pub(super) fn published(&mut self, from: NodeId, to: Destination, bytes: &Bytes) {
        let Ok(batch) = Batch::read(bytes.clone()) else { return };
        let to = to.node();
        let ends = |record: &veltix_core::cluster::Record| {
            record.kind != RecordKind::Part
                || Part::decode(record.body.clone()).is_ok_and(|part| part.is_last())
        };
        let records = batch.flatten().filter(ends).count();
        *self.published.entry((from, to)).or_default() += records as u64;
    }

    pub(super) fn arrived(&mut self, from: NodeId, to: NodeId, bytes: &Bytes, now: u64) {
        let Ok(batch) = Batch::read(bytes.clone()) else { return };
        let head = *batch.head();
        let clock = self.started.get(&from).copied().unwrap_or_default() + u64::from(head.clock);
        let streams = self.streams.entry((from, to)).or_default();
        streams.ages.push((now, now.saturating_sub(clock)));
        let mut number = head.first;
        for record in batch.flatten() {
            let stream = if head.to.is_none() { &mut streams.all } else { &mut streams.direct };
            if record.kind == RecordKind::Part {
                let Ok(part) = Part::decode(record.body) else { continue };
                if stream.completes(number, &part) {
                    stream.receive(number);
                }
                number += u64::from(part.is_last());
                continue;
            }
            let is_new = stream.receive(number);
            number += 1;
            if !is_new {
                continue;
            }
            match record.kind {
                RecordKind::Hello | RecordKind::Heartbeat => {
                    let Ok(status) = NodeStatus::decode(record.body) else { continue };
                    streams.all.learn(status.all);
                    if let Some(last) = status.direct_to(to) {
                        streams.direct.learn(last);
                    }
                }
                RecordKind::Frame => {
                    let Ok(frame) = FrameRecord::decode(record.body) else { continue };
                    let Some(body) = Body::read(frame.message.body()) else { continue };
                    let (origin, node, number) = (from, to, body.number);
                    self.frames.push(ArrivedFrame { origin, node, number, at: now, clock });
                }
                _ => {}
            }
        }
    }

    /// Returns the number of records that a node has published to one other, or to all.
    pub(super) fn published_to(&self, from: NodeId, to: Option<NodeId>) -> u64 {
        self.published.get(&(from, to)).copied().unwrap_or_default()
    }

    pub(super) fn streams(&self, from: NodeId, to: NodeId) -> Option<&Streams> {
        self.streams.get(&(from, to))
    }

    /// Returns the age of the freshest batch that arrived in the half minute before. A node takes it for a
    /// new one, since it does not know the clock of the other.
    pub(super) fn freshest(&self, from: NodeId, to: NodeId, until: u64) -> u64 {
        let recent = until.saturating_sub(30_000)..=until;
        let ages = self.streams(from, to).into_iter().flat_map(|streams| &streams.ages);
        let ages = ages.filter(|(at, _)| recent.contains(at)).map(|(_, age)| *age);
        ages.min().unwrap_or_default()
    }
}
