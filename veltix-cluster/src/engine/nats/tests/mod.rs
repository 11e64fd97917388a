//! The engine over a real NATS server, without a node.

mod login;
mod messages;
mod outage;
mod permissions;
mod tls;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use veltix_core::cluster::{BatchHead, BatchWriter, NodeId, Record, RecordKind};

use super::{Nats, NatsConfig};
use crate::backplane::{Backplane as _, ClusterInbox, Destination, EngineState, Receive};
use crate::error::ConnectError;
use crate::nats_server::NatsServer;

/// The events of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    Received(Bytes),
    State(EngineState),
    Unreachable(NodeId, u64),
}

struct Inbox(UnboundedSender<Heard>);

impl Receive for Inbox {
    fn received(&self, batch: Bytes) {
        let _ = self.0.send(Heard::Received(batch));
    }

    fn state(&self, state: EngineState) {
        let _ = self.0.send(Heard::State(state));
    }

    fn unreachable(&self, to: NodeId, first: u64) {
        let _ = self.0.send(Heard::Unreachable(to, first));
    }
}

/// A started engine, with the numbers of its streams.
struct Engine {
    nats: Nats,
    me: NodeId,
    to_all: u64,
    direct: u64,
    heard: UnboundedReceiver<Heard>,
    /// The engine keeps the inbox only weakly.
    _inbox: Arc<dyn Receive>,
}

impl Engine {
    async fn start(mut nats: Nats) -> Self {
        let (sender, heard) = unbounded_channel();
        let inbox: Arc<dyn Receive> = Arc::new(Inbox(sender));
        let me = NodeId::of_random(fastrand::u64(..));
        nats.start(me, ClusterInbox::new(Arc::downgrade(&inbox))).await.expect("it starts");
        Self { nats, me, to_all: 0, direct: 0, heard, _inbox: inbox }
    }

    /// Starts an engine that the server has confirmed.
    async fn connected(config: NatsConfig) -> Self {
        let mut engine = Self::start(config.connect().await.expect("it connects")).await;
        engine.is_connected().await;
        engine
    }

    async fn next(&mut self) -> Heard {
        soon(self.heard.recv()).await.expect("the inbox lives")
    }

    async fn is_connected(&mut self) {
        while self.next().await != Heard::State(EngineState::Connected) {}
    }

    /// Waits for the state that the broker is away, and returns its reason.
    async fn is_disconnected(&mut self) -> Arc<str> {
        loop {
            if let Heard::State(EngineState::Disconnected { reason }) = self.next().await {
                return reason;
            }
        }
    }

    /// Waits until the broker is away for a reason with this text.
    async fn is_disconnected_for(&mut self, text: &str) {
        while !self.is_disconnected().await.contains(text) {}
    }

    /// Publishes a batch of one record with these bytes.
    async fn publish(&mut self, to: Destination, body: Bytes) -> Bytes {
        let all_before = self.to_all;
        let (first, to_node) = match to {
            Destination::All => (&mut self.to_all, None),
            Destination::Node(node) => (&mut self.direct, Some(node)),
        };
        *first += 1;
        let head = BatchHead {
            version: 1,
            origin: self.me,
            to: to_node,
            first: *first,
            all_before,
            clock: 0,
        };
        let mut writer = BatchWriter::new(&head);
        assert!(writer.add(&Record { kind: RecordKind::Frame, body }));
        let batch = writer.finish();
        soon(self.nats.publish(to, batch.clone())).await.expect("it is published");
        batch
    }
}

fn config(server: &NatsServer) -> NatsConfig {
    NatsConfig::new(&server.url(), "test")
}

async fn soon<T>(wait: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), wait).await.expect("it ends in time")
}
