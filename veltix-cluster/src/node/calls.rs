//! [`Calls`]: the calls of this node to the peers of others that are open.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::AtomicWaker;
use veltix_core::cluster::{Cancel, NodeCall, NodeId, PeerOutcome, PeerRef, PeerReply, Roster};
use veltix_core::limits::{CLUSTER_CALLS, SURVEY_BYTES};
use veltix_core::{Frame, PeerId, Target};

use super::{Node, capabilities};
use crate::backplane::Destination;
use crate::gathered::Missing;

/// The open calls. Each entry leaves with its [`NodesCall`].
#[derive(Default)]
pub(super) struct Calls(Mutex<Table>);

#[derive(Default)]
struct Table {
    last: u64,
    open: BTreeMap<u64, Open>,
}

/// A call, until its future takes the responses.
#[derive(Default)]
struct Open {
    /// The nodes that have not passed all responses on.
    parts: BTreeMap<NodeId, Part>,
    arrived: VecDeque<(PeerRef, Arrived)>,
    /// The bytes of the responses that were not taken.
    unread: usize,
    missing: Vec<(NodeId, Missing)>,
    waker: Arc<AtomicWaker>,
}

/// The part of one node in a call.
struct Part {
    /// The number of the call in the stream to the node.
    sequence: u64,
    /// The peers that have not responded, once the node has told which it has asked.
    waiting: Option<BTreeSet<PeerId>>,
}

/// The response of a peer, or the end of its node.
#[derive(Debug)]
pub(crate) enum Arrived {
    Outcome(PeerOutcome),
    NodeGone,
}

impl Calls {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().open.is_empty()
    }

    /// Changes the part of a node in a call, if it is open.
    fn change(&self, id: u64, node: NodeId, change: impl FnOnce(&mut Open, &mut Part) -> bool) {
        let mut table = self.lock();
        let Some(open) = table.open.get_mut(&id) else { return };
        let Some(mut part) = open.parts.remove(&node) else { return };
        if change(open, &mut part) {
            open.parts.insert(node, part);
        }
        let waker = Arc::clone(&open.waker);
        // Not under the lock: a waker may drop the call.
        drop(table);
        waker.wake();
    }

    /// Takes the peers that a node has asked. A second list is ignored.
    pub(super) fn roster(&self, node: NodeId, roster: Roster) {
        self.change(roster.id, node, |open, part| match roster.peers {
            _ if part.waiting.is_some() => true,
            Ok(peers) => {
                let peers: BTreeSet<_> = peers.into_iter().collect();
                let is_open = !peers.is_empty();
                part.waiting = Some(peers);
                is_open
            }
            Err(reason) => {
                open.missing.push((node, Missing::Refused(reason)));
                false
            }
        });
    }

    /// Takes the response of a peer. One of a peer that was not asked, or a second one, is ignored.
    pub(super) fn reply(&self, node: NodeId, reply: PeerReply) {
        let PeerReply { id, peer, outcome } = reply;
        self.change(id, node, |open, part| {
            let Some(waiting) = &mut part.waiting else { return true };
            if waiting.remove(&peer) {
                open.arrive(PeerRef { node, peer }, outcome);
            }
            !waiting.is_empty()
        });
    }

    /// Ends the parts of a node that has gone: all of them, or those with these numbers.
    pub(super) fn gone(&self, node: NodeId, numbers: impl Fn(u64) -> bool) {
        let mut woken = Vec::new();
        for open in self.lock().open.values_mut() {
            if open.parts.get(&node).is_some_and(|part| numbers(part.sequence))
                && let Some(part) = open.parts.remove(&node)
            {
                open.end(node, part, Missing::Gone, || Arrived::NodeGone);
                woken.push(Arc::clone(&open.waker));
            }
        }
        woken.iter().for_each(|waker| waker.wake());
    }
}

impl Open {
    /// Adds a response, unless the bytes of those that wait are over the limit.
    fn arrive(&mut self, peer: PeerRef, outcome: PeerOutcome) {
        let bytes = length(&outcome);
        let is_over = self.unread > 0 && self.unread + bytes > SURVEY_BYTES;
        let outcome = if is_over {
            PeerOutcome::Congested { limit: SURVEY_BYTES as u64 }
        } else {
            self.unread += bytes;
            outcome
        };
        self.arrived.push_back((peer, Arrived::Outcome(outcome)));
    }

    /// Ends the part of a node: each of its peers that was asked gets this response.
    fn end(&mut self, node: NodeId, part: Part, missing: Missing, respond: impl Fn() -> Arrived) {
        match part.waiting {
            None => self.missing.push((node, missing)),
            Some(peers) => {
                let responses = peers.into_iter().map(|peer| (PeerRef { node, peer }, respond()));
                self.arrived.extend(responses);
            }
        }
    }
}

fn length(outcome: &PeerOutcome) -> usize {
    match outcome {
        PeerOutcome::Reply(message) => message.body().len(),
        PeerOutcome::Failed(reason) => reason.len(),
        _ => 0,
    }
}

/// A call to the peers of other nodes. Its drop tells them that no more responses are needed.
#[derive(Debug)]
pub(crate) struct NodesCall {
    node: Weak<Node>,
    id: u64,
}

impl Node {
    /// Passes a request on to the peers of other nodes that a target matches.
    pub(crate) fn call_all(
        self: &Arc<Self>,
        target: &Target,
        except: &[PeerRef],
        request: &Frame,
        timeout: Duration,
    ) -> NodesCall {
        self.call(self.member_ids(), target, except, request, timeout)
    }

    /// Passes a request on to peers of these nodes.
    pub(crate) fn call(
        self: &Arc<Self>,
        nodes: impl IntoIterator<Item = NodeId>,
        target: &Target,
        except: &[PeerRef],
        request: &Frame,
        timeout: Duration,
    ) -> NodesCall {
        let mut table = self.calls.lock();
        table.last += 1;
        let (id, mut open) = (table.last, Open::default());
        let is_full = table.open.len() >= CLUSTER_CALLS;
        // The caller has checked the limits of the target and of the list.
        let record = NodeCall::encode(id, timeout, target, except, request).ok();
        // Under one lock: a response, or the news that nobody listens, cannot come before the entry.
        for node in nodes {
            let sent = match &record {
                Some(record) => self.send_to_member(node, capabilities::CALLS, is_full, record),
                None => Err(Missing::Refused("the call is over a limit".into())),
            };
            match sent {
                Ok(sequence) => _ = open.parts.insert(node, Part { sequence, waiting: None }),
                Err(missing) => open.missing.push((node, missing)),
            }
        }
        table.open.insert(id, open);
        NodesCall { node: Arc::downgrade(self), id }
    }
}

impl NodesCall {
    fn with<T>(&self, look: impl FnOnce(&mut Open) -> T) -> Option<T> {
        let node = self.node.upgrade()?;
        node.calls.lock().open.get_mut(&self.id).map(look)
    }

    /// Returns the next response, or `None` if no more will come.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<(PeerRef, Arrived)>> {
        let polled = self.with(|open| {
            open.waker.register(cx.waker());
            if let Some((peer, arrived)) = open.arrived.pop_front() {
                if let Arrived::Outcome(outcome) = &arrived {
                    open.unread -= length(outcome);
                }
                return Poll::Ready(Some((peer, arrived)));
            }
            if open.parts.is_empty() { Poll::Ready(None) } else { Poll::Pending }
        });
        polled.unwrap_or(Poll::Ready(None))
    }

    /// Returns the number of peers that have not responded, or `None` while a node has not told which
    /// peers it has asked.
    pub(crate) fn waiting(&self) -> Option<usize> {
        let waiting = self.with(|open| {
            let of_parts: Option<usize> =
                open.parts.values().map(|part| part.waiting.as_ref().map(BTreeSet::len)).sum();
            of_parts.map(|waiting| waiting + open.arrived.len())
        });
        waiting.unwrap_or(Some(0))
    }

    /// Ends the call at its deadline.
    pub(crate) fn time_out(&self) {
        let ended = self.with(|open| {
            let parts = mem::take(&mut open.parts);
            let nodes: Vec<_> = parts.keys().copied().collect();
            for (node, part) in parts {
                let respond = || Arrived::Outcome(PeerOutcome::TimedOut);
                open.end(node, part, Missing::TimedOut, respond);
            }
            nodes
        });
        self.cancel(ended.unwrap_or_default());
    }

    /// Takes the nodes whose part is missing.
    pub(crate) fn take_missing(&self) -> Vec<(NodeId, Missing)> {
        self.with(|open| mem::take(&mut open.missing)).unwrap_or_default()
    }

    /// Ends the call early. Returns the peers that have not responded. The nodes that have not told which peers
    /// they have asked are missing.
    pub(crate) fn give_up(&self) -> Vec<PeerRef> {
        let ended = self.with(|open| {
            let arrived = mem::take(&mut open.arrived);
            open.unread = 0;
            let parts = mem::take(&mut open.parts);
            let nodes = parts.keys().copied().collect();
            let is_unknown = |(node, part): (&NodeId, &Part)| {
                part.waiting.is_none().then_some((*node, Missing::TimedOut))
            };
            open.missing.extend(parts.iter().filter_map(is_unknown));
            let waiting = parts.into_iter().flat_map(|(node, part)| {
                let peers = part.waiting.unwrap_or_default().into_iter();
                peers.map(move |peer| PeerRef { node, peer })
            });
            let given_up = waiting.chain(arrived.into_iter().map(|(peer, _)| peer)).collect();
            (nodes, given_up)
        });
        let (nodes, given_up) = ended.unwrap_or_default();
        self.cancel(nodes);
        given_up
    }

    fn cancel(&self, nodes: Vec<NodeId>) {
        let Some(node) = self.node.upgrade() else { return };
        for to in nodes {
            node.tell(Destination::Node(to), Cancel { id: self.id }.encode());
        }
    }
}

impl Drop for NodesCall {
    fn drop(&mut self) {
        self.give_up();
        if let Some(node) = self.node.upgrade() {
            let ended = node.calls.lock().open.remove(&self.id);
            // Not under the lock, since it drops a waker.
            drop(ended);
        }
    }
}
