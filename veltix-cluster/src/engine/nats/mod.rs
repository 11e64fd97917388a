//! [`Nats`]: the engine over a NATS server.
//!
//! A node has two subscriptions for its whole life: one for the batches to all nodes, and one for those to
//! itself. The text of tags never reaches a subject.

mod config;
mod merge;
mod subjects;

use std::fmt;
use std::time::Duration;

use async_nats::Client;
use async_nats::connection::State;
use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use veltix_core::cluster::{Batch, NodeId};
use veltix_core::limits::{CLUSTER_CLOSE, CLUSTER_HEADROOM, CLUSTER_STATE_EVERY};

pub use config::NatsConfig;
use merge::Merge;
use subjects::Subjects;

use crate::backplane::{Backplane, ClusterInbox, Destination, EngineState};
use crate::error::{ConnectError, PublishError, StartError};

/// A connection to a NATS server, for one node of a cluster.
///
/// It is not `Clone`: a connection belongs to one node.
pub struct Nats {
    client: Client,
    subjects: Subjects,
    me: Option<NodeId>,
    tasks: Vec<AbortOnDrop>,
}

impl Nats {
    /// Connects to the NATS server at this URL, for the cluster of this name: 1 to 32 characters of `a` to
    /// `z`, `0` to `9`, `_` and `-`. Servers of other names do not see each other.
    ///
    /// # Errors
    /// [`ConnectError`], within 5 s.
    pub async fn connect(url: &str, name: &str) -> Result<Self, ConnectError> {
        NatsConfig::new(url, name).connect().await
    }
}

impl Backplane for Nats {
    async fn start(&mut self, me: NodeId, inbox: ClusterInbox) -> Result<(), StartError> {
        if self.me.is_some() {
            return Err(StartError::Running);
        }
        let offline = |error: Box<dyn std::error::Error + Send + Sync>| StartError::Offline(error);
        let all = self.client.subscribe(self.subjects.all());
        let all = all.await.map_err(|error| offline(Box::new(error)))?;
        let direct = self.client.subscribe(self.subjects.to_me(me));
        let direct = direct.await.map_err(|error| offline(Box::new(error)))?;
        // From here on the server passes on what others publish.
        self.client.flush().await.map_err(|error| offline(Box::new(error)))?;
        self.me = Some(me);
        let merge = Merge::new(me, all, direct, inbox.clone());
        self.tasks = vec![
            AbortOnDrop(tokio::spawn(merge.run())),
            AbortOnDrop(tokio::spawn(watch_state(self.client.clone(), inbox))),
        ];
        Ok(())
    }

    async fn publish(&mut self, to: Destination, batch: Bytes) -> Result<(), PublishError> {
        let Some(me) = self.me else { return Err(PublishError::Offline) };
        let size = batch.len();
        let published = match to {
            Destination::All => self.client.publish(self.subjects.all(), batch).await,
            Destination::Node(node) => {
                let first = Batch::read(batch.clone()).map_or(0, |batch| batch.head().first);
                let subject = self.subjects.to(node, me);
                // The server answers there if nobody listens.
                let reply = self.subjects.unreachable(me, node, first);
                self.client.publish_with_reply(subject, reply, batch).await
            }
        };
        published.map_err(|error| match error.kind() {
            async_nats::PublishErrorKind::MaxPayloadExceeded => {
                PublishError::TooLarge { size, limit: self.client.max_payload() }
            }
            _ => PublishError::Offline,
        })
    }

    fn max_batch(&self) -> usize {
        self.client.max_payload().saturating_sub(CLUSTER_HEADROOM)
    }

    async fn close(&mut self) {
        // Batches that are not sent by then are lost, and the others notice it.
        let _ = timeout(CLUSTER_CLOSE, self.client.flush()).await;
        self.tasks.clear();
    }
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("me", &self.me).finish_non_exhaustive()
    }
}

/// Reports the state of the connection. Its events go through a channel that drops what finds no room, so
/// that the state itself is read.
async fn watch_state(client: Client, inbox: ClusterInbox) {
    let every: Duration = CLUSTER_STATE_EVERY;
    let mut before = None;
    loop {
        let is_connected = client.connection_state() == State::Connected;
        if before.replace(is_connected) != Some(is_connected) {
            inbox.state(if is_connected {
                EngineState::Connected
            } else {
                EngineState::Disconnected { reason: "the NATS server is away".into() }
            });
        }
        sleep(every).await;
    }
}

/// A task that ends with its owner.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
