//! [`Merge`]: brings the batches of the two subscriptions of a node into the order of their origins.
//!
//! The client fills both channels from one task, in the order in which it reads, and the server keeps the
//! order of one publisher over both subjects. So a batch to all nodes that a direct batch names is in its
//! channel already, or it is lost.

use std::collections::BTreeMap;

use async_nats::{Message, StatusCode, Subscriber};
use futures::{FutureExt as _, StreamExt as _};
use veltix_core::cluster::{Batch, NodeId};

use super::subjects::Heard;
use crate::backplane::ClusterInbox;

pub(super) struct Merge {
    me: NodeId,
    all: Subscriber,
    direct: Subscriber,
    inbox: ClusterInbox,
    /// The last number of each origin's stream to all nodes that was taken.
    taken: BTreeMap<NodeId, u64>,
}

impl Merge {
    pub(super) const fn new(
        me: NodeId,
        all: Subscriber,
        direct: Subscriber,
        inbox: ClusterInbox,
    ) -> Self {
        Self { me, all, direct, inbox, taken: BTreeMap::new() }
    }

    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                biased;
                message = self.direct.next() => match message {
                    Some(message) => self.take_direct(message),
                    None => return,
                },
                message = self.all.next() => match message {
                    Some(message) => self.take_all(message),
                    None => return,
                },
            }
        }
    }

    fn take_direct(&mut self, message: Message) {
        match Heard::of(&message.subject) {
            Heard::Unreachable(node, first) => {
                if message.status == Some(StatusCode::NO_RESPONDERS) {
                    self.inbox.unreachable(node, first);
                }
            }
            Heard::Direct => {
                let Ok(batch) = Batch::read(message.payload.clone()) else {
                    // The receiver reports what cannot be read.
                    return self.inbox.received(message.payload);
                };
                let (origin, before) = (batch.head().origin, batch.head().all_before);
                // Earlier batches of the origin to all nodes come first.
                while self.taken.get(&origin).is_some_and(|taken| *taken < before) {
                    let Some(Some(message)) = self.all.next().now_or_never() else { break };
                    self.take_all(message);
                }
                self.inbox.received(message.payload);
            }
            Heard::Foreign => {}
        }
    }

    fn take_all(&mut self, message: Message) {
        if let Ok(batch) = Batch::read(message.payload.clone())
            && batch.head().origin != self.me
        {
            let last = batch.head().first + u64::from(batch.records().saturating_sub(1));
            self.taken.insert(batch.head().origin, last);
        }
        self.inbox.received(message.payload);
    }
}
