//! [`Fake`]: a node of another release, as far as it speaks.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::Client;
use futures::StreamExt as _;
use futures::stream::select;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use veltix_cluster_faults::{SAY, Said, now};
use veltix_core::cluster::{
    AnswerContent, Batch, BatchHead, BatchWriter, FrameRecord, NodeAnswer, NodeAsk, NodeId,
    NodeStatus, Record, RecordKind,
};
use veltix_core::{Frame, Message, all};

/// The release of a [`Fake`].
#[derive(Clone, Debug)]
pub(crate) struct Release {
    pub(crate) name: &'static str,
    pub(crate) wire: RangeInclusive<u8>,
    pub(crate) capabilities: u64,
    /// The peers that it counts if it is asked.
    pub(crate) peers: u64,
}

/// A node that tells that it lives, hears messages, and answers counts. It stops with this value.
pub(crate) struct Fake {
    pub(crate) id: NodeId,
    heard: Arc<Mutex<Heard>>,
    client: Client,
    numbers: Arc<Mutex<Numbers>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// The messages, by the version of their batch.
    pub(crate) messages: BTreeMap<u8, u64>,
    pub(crate) asks: u64,
}

/// The last numbers of the streams.
#[derive(Default)]
struct Numbers {
    all: u64,
    direct: BTreeMap<NodeId, u64>,
}

impl Fake {
    pub(crate) async fn start(url: &str, release: Release) -> Self {
        let client = async_nats::ConnectOptions::new().no_echo().connect(url).await.unwrap();
        let id = NodeId::of_random(fastrand::u64(..));
        let (heard, numbers) = (Arc::default(), Arc::default());
        let speaker = Speaker { id, client: client.clone(), numbers: Arc::clone(&numbers) };
        let task = tokio::spawn(speaker.run(release, Arc::clone(&heard)));
        Self { id, heard, client, numbers, task }
    }

    pub(crate) fn heard(&self) -> Heard {
        self.heard.lock().unwrap().clone()
    }

    fn speaker(&self) -> Speaker {
        let (client, numbers) = (self.client.clone(), Arc::clone(&self.numbers));
        Speaker { id: self.id, client, numbers }
    }

    /// Sends a message to all peers of all nodes.
    pub(crate) async fn say(&self, origin: u16) {
        let said = Said { origin, to_room: false, number: 0, sent: now(), length: 0 };
        let frame = Frame::from(Message::new(SAY, said.encode()));
        let record = FrameRecord::encode(self.id, &all(), &[], &frame).unwrap();
        self.speaker().publish(None, &record, 1).await;
    }

    /// Publishes a batch of this version.
    pub(crate) async fn say_nothing(&self, version: u8) {
        let body = bytes::Bytes::new();
        let record = Record { kind: RecordKind::Unknown(200), body };
        self.speaker().publish(None, &record, version).await;
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Speaker {
    id: NodeId,
    client: Client,
    numbers: Arc<Mutex<Numbers>>,
}

impl Speaker {
    async fn run(self, release: Release, heard: Arc<Mutex<Heard>>) {
        let all = self.client.subscribe("vx.faults.1.all").await.unwrap();
        let direct = format!("vx.faults.1.n.{}.>", self.id);
        let direct = self.client.subscribe(direct).await.unwrap();
        let mut batches = select(all, direct);
        let mut beats = interval(Duration::from_millis(500));
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = beats.tick() => self.beat(&release).await,
                Some(message) = batches.next() => {
                    let Ok(batch) = Batch::read(message.payload) else { continue };
                    self.take(batch, &release, &heard).await;
                }
            }
        }
    }

    async fn beat(&self, release: &Release) {
        let (all, direct) = {
            let numbers = self.numbers.lock().unwrap();
            (numbers.all + 1, numbers.direct.iter().map(|(node, it)| (*node, *it)).collect())
        };
        let status = NodeStatus {
            name: release.name.into(),
            wire: release.wire.clone(),
            capabilities: release.capabilities,
            types: 0,
            peers: release.peers,
            interest: 0,
            all,
            direct,
        };
        let record = Record { kind: RecordKind::Heartbeat, body: status.encode() };
        self.publish(None, &record, 1).await;
    }

    async fn take(&self, batch: Batch, release: &Release, heard: &Mutex<Heard>) {
        let head = *batch.head();
        for record in batch.flatten() {
            match record.kind {
                RecordKind::Frame => {
                    *heard.lock().unwrap().messages.entry(head.version).or_default() += 1;
                }
                RecordKind::Ask => {
                    heard.lock().unwrap().asks += 1;
                    let id = NodeAsk::decode(record.body).unwrap().id;
                    let content = AnswerContent::Count(release.peers);
                    let answer = NodeAnswer { id, content }.encode();
                    self.publish(Some(head.origin), &answer, 1).await;
                }
                _ => {}
            }
        }
    }

    async fn publish(&self, to: Option<NodeId>, record: &Record, version: u8) {
        let (first, all_before) = {
            let mut numbers = self.numbers.lock().unwrap();
            let all_before = numbers.all;
            let number = match to {
                None => &mut numbers.all,
                Some(node) => numbers.direct.entry(node).or_default(),
            };
            *number += 1;
            (*number, all_before)
        };
        let head = BatchHead { version, origin: self.id, to, first, all_before, clock: 0 };
        let clock = u32::try_from(now() / 1_000 % u64::from(u32::MAX)).unwrap_or_default();
        let mut writer = BatchWriter::new(&BatchHead { clock, ..head });
        assert!(writer.add(record));
        let subject = match to {
            None => "vx.faults.1.all".to_owned(),
            Some(node) => format!("vx.faults.1.n.{node}.{}", self.id),
        };
        self.client.publish(subject, writer.finish()).await.unwrap();
    }
}
