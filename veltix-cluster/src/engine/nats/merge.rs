//! [`MergeTask`]: takes the messages of the two subscriptions of a node in the order of their origins.

use std::sync::Arc;

use async_nats::{Message, StatusCode, Subscriber};
use futures::{FutureExt as _, StreamExt as _};
use tokio::task::{unconstrained, yield_now};
use veltix_core::cluster::NodeId;
use veltix_core::limits::CLUSTER_ENGINE_MESSAGES;

use super::link::Link;
use super::order::Order;
use super::subjects::Heard;
use crate::backplane::ClusterInbox;

/// The messages of each turn before other tasks of the thread run.
const TURN: usize = 256;

/// Takes the messages of the two subscriptions of a node in the order of their origins.
pub(super) struct MergeTask {
    me: NodeId,
    all: Subscriber,
    direct: Subscriber,
    inbox: ClusterInbox,
    link: Arc<Link>,
    order: Order,
}

/// A subscription has ended: the client is closed.
struct Ended;

impl MergeTask {
    pub(super) fn new(
        me: NodeId,
        all: Subscriber,
        direct: Subscriber,
        inbox: ClusterInbox,
        link: Arc<Link>,
    ) -> Self {
        Self { me, all, direct, inbox, link, order: Order::default() }
    }

    pub(super) async fn run(mut self) {
        while let Ok(()) = self.turn().await {}
    }

    async fn turn(&mut self) -> Result<(), Ended> {
        tokio::select! {
            biased;
            message = self.direct.next() => self.take_direct(message.ok_or(Ended)?),
            message = self.all.next() => self.take_for_all(message.ok_or(Ended)?)?,
        }
        for _ in 0..TURN {
            if !self.order.is_waiting() {
                return Ok(());
            }
            match at_once(&mut self.all) {
                Some(message) => self.take_for_all(message.ok_or(Ended)?)?,
                None => self.order.nothing_for_all(&mut |batch| self.inbox.received(batch)),
            }
        }
        yield_now().await;
        Ok(())
    }

    fn take_direct(&mut self, message: Message) {
        match Heard::of(&message.subject) {
            Heard::Unreachable(node, first) => {
                if message.status != Some(StatusCode::NO_RESPONDERS) {
                } else if node == self.me {
                    self.link.answered(first);
                } else {
                    self.inbox.unreachable(node, first);
                }
            }
            Heard::Direct if !message.payload.is_empty() => {
                self.order.direct(message.payload, &mut |batch| self.inbox.received(batch));
            }
            Heard::Direct | Heard::Foreign => {}
        }
    }

    fn take_for_all(&mut self, message: Message) -> Result<(), Ended> {
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            self.link.answered_to_all();
            return Ok(());
        }
        if message.payload.is_empty() {
            // The question of another node for its permissions.
            return Ok(());
        }
        // Direct batches that were published before this one are in their channel by now.
        for _ in 0..CLUSTER_ENGINE_MESSAGES {
            let Some(direct) = at_once(&mut self.direct) else { break };
            self.take_direct(direct.ok_or(Ended)?);
        }
        self.order.for_all(message.payload, &mut |batch| self.inbox.received(batch));
        Ok(())
    }
}

/// Returns the next message if it is there. Without `unconstrained` a channel would seem to be empty when the
/// task has used up its budget.
fn at_once(subscriber: &mut Subscriber) -> Option<Option<Message>> {
    unconstrained(subscriber.next()).now_or_never()
}
