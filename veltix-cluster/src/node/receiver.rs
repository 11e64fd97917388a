//! [`ReceiverTask`]: takes what other nodes say to this node's state and to its peers.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use veltix_core::Frame;
use veltix_core::cluster::{
    AnswerContent, Assembly, Batch, BatchHead, FrameRecord, Freshness, InStream, NodeAnswer,
    NodeAsk, NodeId, NodeStatus, Part, Question, Received, Record, RecordKind, WireError,
};
use veltix_core::limits::{CLUSTER_ASSEMBLY, CLUSTER_MEMBERS};
use veltix_tokio::{Foreign, Hub};

use super::Node;
use super::inbound::Incoming;
use crate::backplane::Destination;
use crate::events::ClusterEvent;

pub(super) struct ReceiverTask {
    node: Arc<Node>,
    hub: Hub,
    streams: BTreeMap<NodeId, Streams>,
}

/// The two streams of an origin to this node.
#[derive(Default)]
struct Streams {
    all: Stream,
    direct: Stream,
    freshness: Freshness,
}

/// A stream that arrives.
#[derive(Default)]
struct Stream {
    numbers: InStream,
    parts: Assembly,
}

impl Streams {
    /// Returns the bytes of records that are arriving in parts.
    fn held(&self) -> usize {
        self.all.parts.len() + self.direct.parts.len()
    }
}

impl ReceiverTask {
    pub(super) const fn new(node: Arc<Node>, hub: Hub) -> Self {
        Self { node, hub, streams: BTreeMap::new() }
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.node.inbound.next().await {
                Incoming::Batch(bytes) => {
                    let messages = self.read(bytes);
                    self.hub.deliver(messages).await;
                }
                Incoming::Unreachable(node, first) => {
                    let last = self.node.outbound.end_of_batch(node, first);
                    self.node.asks.gone(node, |number| (first..=last).contains(&number));
                    let event = self.node.members().unreachable(node, Instant::now().into_std());
                    event.into_iter().for_each(|event| self.node.on_member(event));
                }
            }
        }
    }

    /// Reads a batch. Returns the messages for this node's peers. A record that cannot be read costs no
    /// other one.
    fn read(&mut self, bytes: Bytes) -> Vec<Foreign> {
        let mut messages = Vec::new();
        let batch = match Batch::read(bytes) {
            Ok(batch) => batch,
            Err(error) => {
                self.report_unreadable(None, error);
                return messages;
            }
        };
        let head = *batch.head();
        if head.origin == self.node.me || head.to.is_some_and(|to| to != self.node.me) {
            return messages;
        }
        self.make_room(head.origin);
        let now = Instant::now().into_std();
        let event = self.node.members().hear(head.origin, now);
        event.into_iter().for_each(|event| self.node.on_member(event));
        let streams = self.streams.entry(head.origin).or_default();
        let age = streams.freshness.age(self.node.clock(), head.clock);
        let is_stale = age > self.node.config.message_ttl;
        let mut next = head.first;
        for record in batch {
            match record.and_then(|record| self.receive(&head, &mut next, record)) {
                Ok(foreign) => messages.extend(foreign),
                Err(error) => self.report_unreadable(Some(head.origin), error),
            }
        }
        if is_stale && !messages.is_empty() {
            let (node, dropped) = (head.origin, messages.len() as u64);
            self.node.events.emit(ClusterEvent::Stale { node, dropped });
            messages.clear();
        }
        messages
    }

    /// Receives a record, whose number is `next` or that of the record of which it is a part.
    fn receive(
        &mut self,
        head: &BatchHead,
        next: &mut u64,
        record: Record,
    ) -> Result<Option<Foreign>, WireError> {
        let number = *next;
        *next += 1;
        let (record, ends) = self.assemble(head, number, record)?;
        *next = number + u64::from(ends);
        // A record whose parts are not complete is noticed by the number of the next one.
        let Some(record) = record else { return Ok(None) };
        match self.stream(head).numbers.receive(number) {
            Received::Duplicate => return Ok(None),
            Received::After { missed } => self.report_missed(head.origin, missed),
            Received::Next => {}
        }
        self.take(head.origin, record)
    }

    /// Forgets the streams of nodes that have left, before those of a new one are added.
    fn make_room(&mut self, origin: NodeId) {
        if self.streams.len() >= 2 * CLUSTER_MEMBERS && !self.streams.contains_key(&origin) {
            let members = self.node.members();
            self.streams.retain(|node, _| members.get(*node).is_some());
        }
    }

    fn report_unreadable(&self, node: Option<NodeId>, error: WireError) {
        let me = self.node.me;
        let node = node.map(tracing::field::display);
        tracing::warn!(%me, node, %error, "a record of another node could not be read");
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
        let stream = self.stream(head);
        if stream.numbers.last().is_some_and(|last| number <= last) {
            return Ok((None, ends));
        }
        let limit = CLUSTER_ASSEMBLY.saturating_sub(held - stream.parts.len());
        Ok((stream.parts.add(number, &part, limit)?, ends))
    }

    /// Returns the stream of a batch.
    fn stream(&mut self, head: &BatchHead) -> &mut Stream {
        let streams = self.streams.entry(head.origin).or_default();
        if head.to.is_none() { &mut streams.all } else { &mut streams.direct }
    }

    fn report_missed(&self, node: NodeId, missed: u64) {
        self.node.events.emit(ClusterEvent::Gap { node, missed });
    }

    fn take(&mut self, origin: NodeId, record: Record) -> Result<Option<Foreign>, WireError> {
        let now = Instant::now().into_std();
        match record.kind {
            RecordKind::Frame => {
                let FrameRecord { class, target, except, message } =
                    FrameRecord::decode(record.body)?;
                let mut frame = Frame::from(message);
                frame.set_class(class);
                let is_here = |node| node == self.node.me;
                let except =
                    except.iter().filter(|it| is_here(it.node)).map(|it| it.peer).collect();
                return Ok(Some(Foreign { target, except, frame }));
            }
            RecordKind::Hello | RecordKind::Heartbeat => {
                let status = NodeStatus::decode(record.body)?;
                let (all, direct) = (status.all, status.direct_to(self.node.me));
                let events = self.node.members().learn(origin, status, now);
                events.into_iter().for_each(|event| self.node.on_member(event));
                let Streams { all: to_all, direct: to_me, .. } =
                    self.streams.entry(origin).or_default();
                let missed = to_all.numbers.catch_up(all)
                    + direct.map_or(0, |last| to_me.numbers.catch_up(last));
                if missed > 0 {
                    self.report_missed(origin, missed);
                }
            }
            RecordKind::Ask => {
                let NodeAsk { id, question, .. } = NodeAsk::decode(record.body)?;
                let content = answer(&self.hub, question);
                self.node.tell(Destination::Node(origin), NodeAnswer { id, content }.encode());
            }
            RecordKind::Answer => {
                self.node.asks.answer(origin, NodeAnswer::decode(record.body)?);
            }
            RecordKind::Bye => {
                let event = self.node.members().bye(origin);
                event.into_iter().for_each(|event| self.node.on_member(event));
                self.streams.remove(&origin);
            }
            _ => {}
        }
        Ok(None)
    }
}

/// Returns the answer of this node.
fn answer(hub: &Hub, question: Question) -> AnswerContent {
    match question {
        Question::Count(target) => match hub.count(&target) {
            Ok(count) => AnswerContent::Count(count as u64),
            Err(error) => AnswerContent::Refused(error.to_string().into()),
        },
        Question::List { target, tags, limit } => {
            match hub.members(&target, &tags, limit as usize) {
                Ok((members, truncated)) => AnswerContent::Members { members, truncated },
                Err(error) => AnswerContent::Refused(error.to_string().into()),
            }
        }
        _ => AnswerContent::Unsupported,
    }
}
