//! [`Nats`]: the engine over a NATS server.
//!
//! A node has two subscriptions for its whole life: one for the batches to all nodes, and one for those to
//! itself. The text of tags never reaches a subject.
//!
//! A batch waits in [`order`] if a batch to all nodes before it is still in its channel. [`state`] reports a
//! connection when the server has shown by an answer that it passes on messages to both subscriptions.

mod config;
mod connect;
mod link;
mod login;
mod merge;
mod order;
mod probe;
mod servers;
mod state;
mod subjects;
#[cfg(test)]
mod tests;
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use async_nats::connection::State;
use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use veltix_core::cluster::{Batch, NodeId};
use veltix_core::limits::{CLUSTER_CLOSE, CLUSTER_HEADROOM};

pub use config::NatsConfig;
use link::LinkGuard;
use merge::MergeTask;
use state::StateTask;
use subjects::Subjects;

use crate::backplane::{Backplane, ClusterInbox, Destination};
use crate::error::{ConnectError, PublishError, StartError};

/// Is the number of the question at the end, above all others.
const LAST_QUESTION: u64 = u64::MAX;

/// Is the time between two looks for its answer, which takes as long as one way to the server and back.
const CLOSE_EVERY: Duration = Duration::from_millis(2);

/// A connection to a NATS server, for one node of a cluster.
///
/// It is not `Clone`: a connection belongs to one node.
pub struct Nats {
    client: Client,
    guard: LinkGuard,
    subjects: Subjects,
    me: Option<NodeId>,
    tasks: Vec<AbortOnDrop>,
}

impl Nats {
    /// Connects to the NATS server at this URL, for the cluster of this name: 1 to 32 characters of `a` to
    /// `z`, `0` to `9`, `_` and `-`. Servers of other names do not see each other.
    ///
    /// [`NatsConfig`] has the other settings, and says more of URLs.
    ///
    /// # Errors
    /// Returns [`ConnectError`], within 5 s.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn connect(url: &str, name: &str) -> Result<Self, ConnectError> {
        NatsConfig::new(url, name).connect().await
    }

    const fn new(client: Client, guard: LinkGuard, subjects: Subjects) -> Self {
        Self { client, guard, subjects, me: None, tasks: Vec::new() }
    }
}

impl Backplane for Nats {
    async fn start(&mut self, me: NodeId, inbox: ClusterInbox) -> Result<(), StartError> {
        if self.me.is_some() {
            return Err(StartError::Running);
        }
        let offline = |error: Box<dyn std::error::Error + Send + Sync>| StartError::Offline(error);
        // Both only put a command into an empty queue. The client subscribes when it is connected, and again
        // after each reconnect; the state is told when the server has confirmed it.
        let all = self.client.subscribe(self.subjects.all());
        let all = all.await.map_err(|error| offline(Box::new(error)))?;
        let direct = self.client.subscribe(self.subjects.to_me(me));
        let direct = direct.await.map_err(|error| offline(Box::new(error)))?;
        self.me = Some(me);
        let link = self.guard.link();
        let merge = MergeTask::new(me, all, direct, inbox.clone(), Arc::clone(link));
        let (client, subjects) = (self.client.clone(), self.subjects.clone());
        let state = StateTask::new(client, Arc::clone(link), subjects, me, inbox);
        self.tasks =
            vec![AbortOnDrop(tokio::spawn(merge.run())), AbortOnDrop(tokio::spawn(state.run()))];
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
        if let Some(me) = self.me
            && self.client.connection_state() == State::Connected
        {
            // Batches that are not sent by then are lost, and the others notice it.
            let _ = timeout(CLUSTER_CLOSE, self.sent(me)).await;
        }
        self.tasks.clear();
    }
}

impl Nats {
    /// Waits until the server has read all that was published. A flush alone ends in the socket: its close with
    /// bytes that were not read resets the connection, and the server then drops what it has not read.
    async fn sent(&self, me: NodeId) {
        let is_asked = probe::ask(&self.client, &self.subjects, me, LAST_QUESTION).await.is_ok();
        let _ = self.client.flush().await;
        while is_asked && !self.guard.link().is_answered_to_me(LAST_QUESTION) {
            sleep(CLOSE_EVERY).await;
        }
    }
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nats").field("me", &self.me).finish_non_exhaustive()
    }
}

/// A task that ends with its owner.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
