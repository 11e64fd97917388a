//! Target `cluster_node`: batches of other nodes, valid and damaged, for a running node.

use std::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{advance, timeout};
use veltix::transport::{MemoryConnector, memory};
use veltix::{
    Client, ClientConfig, Hub, Message, MessageType, PeerId, Router, Server, ServerConfig, Tag,
};
use veltix_cluster::{
    Backplane, Cluster, ClusterInbox, Destination, NodeId, PublishError, StartError,
};
use veltix_core::cluster::{
    AnswerContent, BatchHead, BatchWriter, Cancel, Change, FrameRecord, NodeAnswer, NodeAsk,
    NodeCall, NodeStatus, Part, PeerOutcome, PeerReply, Question, Record, RecordKind, Roster,
};
use veltix_core::limits::{CLUSTER_MEMBERS, CLUSTER_WIRE};
use veltix_core::{Frame, Target, all, peers, tag};

const SAY: MessageType = MessageType::new(300, "say", "");

/// The last message: nothing before it may keep it from its peer.
const LAST: &str = "the last message";

/// The largest number of batches.
const BATCHES: usize = 24;

/// Gives a node batches that the bytes select. Nothing may panic, the tables of the node stay within their
/// limits, and a message behind all of them reaches a client.
pub fn cluster_node(data: &[u8]) {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let (node, inbox) = Node::start().await;
        let _client = node.client().await;
        // The bytes end before all choices are made: the end is checked all the same.
        let _ = node.give(&inbox, &mut Unstructured::new(data)).await;
        node.check(&inbox).await;
    });
}

/// An engine that publishes nothing, and lends its inbox.
struct Lent(UnboundedSender<(NodeId, ClusterInbox)>);

impl Backplane for Lent {
    async fn start(
        &mut self,
        me: NodeId,
        inbox: ClusterInbox,
    ) -> std::result::Result<(), StartError> {
        inbox.state(veltix_cluster::EngineState::Connected);
        let _ = self.0.send((me, inbox));
        Ok(())
    }

    async fn publish(&mut self, _: Destination, _: Bytes) -> std::result::Result<(), PublishError> {
        Ok(())
    }

    fn max_batch(&self) -> usize {
        1 << 20
    }

    async fn close(&mut self) {}
}

struct Node {
    me: NodeId,
    hub: Hub,
    connector: MemoryConnector,
}

impl Node {
    async fn start() -> (Self, ClusterInbox) {
        let (lend, mut lent) = unbounded_channel();
        let (listener, connector) = memory(64 * 1024);
        let server = Server::with_listener(listener, ServerConfig::default(), Router::new());
        let server = server.expect("the config works").cluster(Cluster::over(Lent(lend)));
        let hub = server.hub();
        tokio::spawn(server.run());
        let (me, inbox) = lent.recv().await.expect("the engine is started");
        (Self { me, hub, connector }, inbox)
    }

    async fn client(&self) -> (Client, UnboundedReceiver<Message>) {
        let (tell, heard) = unbounded_channel();
        let router = Router::new().route(SAY, move |message: Message| drop(tell.send(message)));
        let client = Client::connect_with(self.connector.clone(), ClientConfig::default(), router);
        let client = client.await.expect("the server listens");
        client.ping().await.expect("the server lists it");
        (client, heard)
    }

    async fn give(&self, inbox: &ClusterInbox, choices: &mut Unstructured<'_>) -> Result<()> {
        for _ in 0..choices.int_in_range(0..=BATCHES)? {
            match choices.arbitrary::<u8>()? % 8 {
                0 => inbox.received(Bytes::copy_from_slice(choices.arbitrary()?)),
                1 => advance(Duration::from_millis(choices.arbitrary::<u16>()?.into())).await,
                2 => inbox.unreachable(origin(choices)?, choices.arbitrary::<u8>()?.into()),
                _ => {
                    let mut batch = batch(self.me, choices)?.to_vec();
                    if choices.ratio(1, 4)? {
                        let bit = choices.choose_index(8 * batch.len())?;
                        batch[bit / 8] ^= 1 << (bit % 8);
                    }
                    inbox.received(batch.into());
                }
            }
            if choices.ratio(1, 3)? {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    async fn check(&self, inbox: &ClusterInbox) {
        let cluster = Cluster::of(&self.hub);
        let stats = cluster.stats();
        assert!(cluster.others().len() < CLUSTER_MEMBERS);
        assert!(stats.nodes.len() <= 6 * CLUSTER_MEMBERS);
        assert!(stats.waiting_bytes <= 1 << 20 && stats.queued_bytes <= 1 << 20);
        // The batches may have closed the first client.
        let (_client, mut heard) = self.client().await;
        let origin = NodeId::of_random(u64::MAX);
        let head = BatchHead { version: 1, origin, to: None, first: 1, all_before: 0, clock: 0 };
        let mut writer = BatchWriter::new(&head);
        let frame = Frame::from(Message::from_text(SAY, LAST));
        let record = FrameRecord::encode(origin, &all(), &[], &frame).expect("it is small");
        assert!(writer.add(&record));
        inbox.received(writer.finish());
        let arrives = timeout(Duration::from_secs(60), async {
            while heard.recv().await.expect("the client is connected").body() != LAST.as_bytes() {}
        });
        arrives.await.expect("the message arrives");
    }
}

/// Chooses one of few nodes.
fn origin(choices: &mut Unstructured<'_>) -> Result<NodeId> {
    Ok(NodeId::of_random(u64::from(choices.arbitrary::<u8>()? % 4) + 1))
}

fn batch(me: NodeId, choices: &mut Unstructured<'_>) -> Result<Bytes> {
    let number = |choices: &mut Unstructured<'_>| -> Result<u64> {
        if choices.ratio(1, 16)? {
            choices.arbitrary()
        } else {
            Ok(choices.arbitrary::<u8>()?.into())
        }
    };
    let head = BatchHead {
        version: 1,
        origin: origin(choices)?,
        to: if choices.arbitrary()? { None } else { Some(me) },
        first: number(choices)?,
        all_before: number(choices)?,
        clock: number(choices)? as u32,
    };
    let mut writer = BatchWriter::new(&head);
    for _ in 0..choices.int_in_range(0..=6)? {
        let _ = writer.add(&record(head.origin, choices)?);
    }
    Ok(writer.finish())
}

fn target(choices: &mut Unstructured<'_>) -> Result<Target> {
    Ok(match choices.arbitrary::<u8>()? % 4 {
        0 => all(),
        1 => !tag("room").is(choices.arbitrary::<&str>()?),
        2 => peers([PeerId::new(choices.arbitrary::<u8>()?.into())]),
        _ => tag(choices.arbitrary::<&str>()?).at_least(choices.arbitrary::<i64>()?) | all(),
    })
}

/// Chooses a record. Half of them are as a node would send them.
fn record(origin: NodeId, choices: &mut Unstructured<'_>) -> Result<Record> {
    let id = u64::from(choices.arbitrary::<u8>()? % 4);
    let timeout = Duration::from_millis(choices.arbitrary::<u16>()?.into());
    let text = |choices: &mut Unstructured<'_>| -> Result<std::sync::Arc<str>> {
        Ok(choices.arbitrary::<&str>()?.into())
    };
    Ok(match choices.arbitrary::<u8>()? % 16 {
        0 => {
            let frame = Frame::from(Message::from_text(SAY, choices.arbitrary::<&str>()?));
            FrameRecord::encode(origin, &target(choices)?, &[], &frame).expect("it is small")
        }
        1 => {
            let status = NodeStatus {
                name: text(choices)?,
                wire: if choices.ratio(1, 8)? { 2..=choices.arbitrary()? } else { CLUSTER_WIRE },
                capabilities: choices.arbitrary()?,
                types: 0,
                peers: choices.arbitrary()?,
                interest: choices.arbitrary()?,
                all: choices.arbitrary::<u8>()?.into(),
                direct: vec![(origin, choices.arbitrary()?)],
            };
            Record { kind: RecordKind::Heartbeat, body: status.encode() }
        }
        2 => {
            let target = target(choices)?;
            let question = match choices.arbitrary::<u8>()? % 4 {
                0 => Question::Count(target),
                1 => Question::List {
                    target,
                    tags: vec![text(choices)?],
                    limit: choices.arbitrary()?,
                },
                2 => Question::Change { target, change: Change::Close(text(choices)?) },
                _ => {
                    let change = Change::Tag(Tag::from((text(choices)?, &*text(choices)?)));
                    Question::Change { target, change }
                }
            };
            NodeAsk { id, timeout, question }.encode()
        }
        3 => {
            let frame = Frame::from(Message::from_text(SAY, "an unexpected request"));
            NodeCall::encode(id, timeout, &target(choices)?, &[], &frame).expect("it is small")
        }
        4 => Cancel { id }.encode(),
        5 => NodeAnswer { id, content: AnswerContent::Count(choices.arbitrary()?) }.encode(),
        6 => Roster { id, peers: Ok(vec![PeerId::new(1), PeerId::new(choices.arbitrary()?)]) }
            .encode(),
        7 => {
            let message = Message::from_text(SAY, choices.arbitrary::<&str>()?);
            PeerReply { id, peer: PeerId::new(1), outcome: PeerOutcome::Reply(message) }.encode()
        }
        8 => Record { kind: RecordKind::Bye, body: Bytes::new() },
        9 | 10 => {
            let whole = Record {
                kind: RecordKind::Frame,
                body: Bytes::copy_from_slice(choices.arbitrary()?),
            };
            let (offset, length) = choices.arbitrary::<(u8, u8)>()?;
            match Part::of(&whole, offset.into(), length.into()) {
                Some(part) => part.encode(),
                None => whole,
            }
        }
        _ => {
            let kinds = [
                RecordKind::Frame,
                RecordKind::Part,
                RecordKind::Hello,
                RecordKind::Interest,
                RecordKind::SyncAsk,
                RecordKind::Sync,
                RecordKind::Ask,
                RecordKind::Answer,
                RecordKind::Call,
                RecordKind::Roster,
                RecordKind::Reply,
                RecordKind::Watch,
                RecordKind::Unwatch,
                RecordKind::Diff,
                RecordKind::Unknown(99),
            ];
            let kind = *choices.choose(&kinds)?;
            Record { kind, body: Bytes::copy_from_slice(choices.arbitrary()?) }
        }
    })
}
