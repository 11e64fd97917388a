//! [`Asks`]: the questions of this node to others that are open.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use veltix_core::Target;
use veltix_core::cluster::{
    AnswerContent, NodeAnswer, NodeAsk, NodeId, NodeStatus, Question, Record,
};
use veltix_core::limits::{CLUSTER_CALLS, FAR_FUTURE};

use super::{Node, capabilities};
use crate::backplane::Destination;
use crate::gathered::Missing;

/// The open questions. Each entry leaves with the future that waits for it.
#[derive(Default)]
pub(super) struct Asks(Mutex<Table>);

#[derive(Default)]
struct Table {
    last: u64,
    open: BTreeMap<u64, Open>,
}

/// A question, until its future takes the answers.
#[derive(Default)]
struct Open {
    /// The nodes that have not answered, with the number of the question in the stream to each.
    waiting: BTreeMap<NodeId, u64>,
    gathered: Answers,
    changed: Arc<Notify>,
}

/// The answers to a question, and the nodes without one.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) answers: Vec<(NodeId, AnswerContent)>,
    pub(crate) missing: Vec<(NodeId, Missing)>,
}

impl Answers {
    /// Takes the count of each node. A node with an answer of another kind has understood another question, and
    /// is missing.
    pub(crate) fn take_counts(&mut self) -> Vec<(NodeId, usize)> {
        let mut counts = Vec::with_capacity(self.answers.len());
        for (node, answer) in self.answers.drain(..) {
            match answer {
                AnswerContent::Count(count) => {
                    counts.push((node, usize::try_from(count).unwrap_or(usize::MAX)));
                }
                _ => self.missing.push((node, Missing::Unsupported)),
            }
        }
        counts
    }
}

impl Asks {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the answer of a node. One to a question that is not open, or a second one, is dropped.
    pub(super) fn answer(&self, node: NodeId, answer: NodeAnswer) {
        let mut table = self.lock();
        let Some(open) = table.open.get_mut(&answer.id) else { return };
        if open.waiting.remove(&node).is_none() {
            return;
        }
        match answer.content {
            AnswerContent::Unsupported => open.gathered.missing.push((node, Missing::Unsupported)),
            AnswerContent::Refused(reason) => {
                open.gathered.missing.push((node, Missing::Refused(reason)));
            }
            content => open.gathered.answers.push((node, content)),
        }
        let complete = open.complete();
        // Not under the lock: a waker may drop the question.
        drop(table);
        complete.iter().for_each(|changed| changed.notify_one());
    }

    /// Ends the parts of a node that has gone: all of them, or those with these numbers.
    pub(super) fn gone(&self, node: NodeId, numbers: impl Fn(u64) -> bool) {
        let mut complete = Vec::new();
        for open in self.lock().open.values_mut() {
            if open.waiting.get(&node).is_some_and(|number| numbers(*number)) {
                open.waiting.remove(&node);
                open.gathered.missing.push((node, Missing::Gone));
                complete.extend(open.complete());
            }
        }
        complete.iter().for_each(|changed| changed.notify_one());
    }
}

impl Open {
    /// Returns the signal of the future if no node is left that has not answered.
    fn complete(&self) -> Option<Arc<Notify>> {
        self.waiting.is_empty().then(|| Arc::clone(&self.changed))
    }
}

/// A question whose answers are being gathered. Dropping it forgets them.
struct Asking<'a> {
    asks: &'a Asks,
    id: u64,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.asks.lock().open.remove(&self.id);
    }
}

/// Returns the reason for which this node makes no further call.
fn busy() -> Arc<str> {
    format!("{CLUSTER_CALLS} calls to other nodes are under way: await them first").into()
}

impl Node {
    /// Sends a record to a member that has an ability. Returns the number of the record in the stream to the
    /// member, or the reason why the member is missing. `is_full` is true if no more may be under way.
    pub(super) fn send_to_member(
        &self,
        node: NodeId,
        needed: u64,
        is_full: bool,
        record: &Record,
    ) -> Result<u64, Missing> {
        let has = |state: &NodeStatus| state.capabilities;
        // The lock of the members is not held while the record is queued.
        let abilities = self.members().get(node).map(has).ok_or(Missing::Gone)?;
        if abilities & needed == 0 {
            return Err(Missing::Unsupported);
        }
        if is_full {
            return Err(Missing::Refused(busy()));
        }
        let pushed = self.push(Destination::Node(node), record.clone());
        if pushed.queued { Ok(pushed.sequence) } else { Err(Missing::Offline) }
    }

    /// Asks all members. Their interest is not looked at: a peer that has joined counts at once, also if the
    /// news of it is still under way.
    pub(crate) async fn ask_all(
        &self,
        target: Target,
        question: impl FnOnce(Target) -> Question,
        timeout: Duration,
    ) -> Answers {
        let nodes = self.member_ids();
        self.ask(nodes, question(target), timeout).await
    }

    /// Asks these members, and gathers their answers until the deadline.
    ///
    /// # Cancel safety
    /// Answers are lost if the future is dropped.
    pub(crate) async fn ask(
        &self,
        nodes: impl IntoIterator<Item = NodeId>,
        question: Question,
        timeout: Duration,
    ) -> Answers {
        // The time from now on to the farthest deadline can be added to any moment.
        let deadline = Instant::now() + timeout.min(FAR_FUTURE);
        let (asking, changed) = {
            let mut table = self.asks.lock();
            table.last += 1;
            let (id, open) = (table.last, Open::default());
            let changed = Arc::clone(&open.changed);
            table.open.insert(id, open);
            (Asking { asks: &self.asks, id }, changed)
        };
        let needed = capabilities::needed(&question);
        let record = NodeAsk { id: asking.id, timeout, question }.encode();
        for node in nodes {
            // Under one lock: an answer, or the news that nobody listens, cannot come before the entry.
            let mut table = self.asks.lock();
            let is_full = table.open.len() > CLUSTER_CALLS;
            let Some(open) = table.open.get_mut(&asking.id) else { break };
            match self.send_to_member(node, needed, is_full, &record) {
                Ok(sequence) => _ = open.waiting.insert(node, sequence),
                Err(missing) => open.gathered.missing.push((node, missing)),
            }
        }
        loop {
            let is_complete = |open: &Open| open.waiting.is_empty();
            if self.asks.lock().open.get(&asking.id).is_none_or(is_complete) {
                break;
            }
            if timeout_at(deadline, changed.notified()).await.is_err() {
                break;
            }
        }
        let mut table = self.asks.lock();
        let Some(open) = table.open.get_mut(&asking.id) else { return Answers::default() };
        let mut gathered = mem::take(&mut open.gathered);
        let late = mem::take(&mut open.waiting).into_keys();
        gathered.missing.extend(late.map(|node| (node, Missing::TimedOut)));
        drop(table);
        gathered
    }
}
