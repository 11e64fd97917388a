//! [`Served`]: the calls of other nodes to peers of this one.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;
use veltix_core::cluster::{NodeCall, NodeId, PeerOutcome, PeerRef, PeerReply, Roster};
use veltix_core::limits::CLUSTER_CALLS;
use veltix_core::{Message, PeerId};
use veltix_tokio::{Hub, RequestError, Response, ScopedBroadcast, SendError, Survey};

use super::Node;
use crate::backplane::Destination;

/// The calls that are served, by their origin and their number there.
#[derive(Default)]
pub(super) struct Served(Mutex<Calls>);

/// A call has no task while it begins.
type Calls = BTreeMap<(NodeId, u64), Option<AbortHandle>>;

impl Served {
    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Ends a call whose origin needs no more responses.
    pub(super) fn cancel(&self, origin: NodeId, id: u64) {
        let call = self.lock().remove(&(origin, id));
        call.flatten().into_iter().for_each(|call| call.abort());
    }

    /// Ends the calls of a node that has left.
    pub(super) fn origin_left(&self, origin: NodeId) {
        let mut table = self.lock();
        let (ended, stay): (Calls, Calls) =
            mem::take(&mut *table).into_iter().partition(|((node, _), _)| *node == origin);
        *table = stay;
        drop(table);
        ended.values().flatten().for_each(AbortHandle::abort);
    }

    pub(super) fn abort_all(&self) {
        let calls = mem::take(&mut *self.lock());
        calls.values().flatten().for_each(AbortHandle::abort);
    }
}

/// A call that is served. Its end removes it from the table.
struct Serving {
    node: Weak<Node>,
    origin: NodeId,
    id: u64,
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(node) = self.node.upgrade() {
            node.served.lock().remove(&(self.origin, self.id));
        }
    }
}

impl Node {
    /// Passes a call of another node on to the peers of this one, and their responses back.
    pub(super) fn serve(
        self: &Arc<Self>,
        hub: &Hub,
        origin: NodeId,
        call: NodeCall,
        except: Vec<PeerId>,
        age: Duration,
    ) {
        let id = call.id;
        let mut table = self.served.lock();
        if table.contains_key(&(origin, id)) {
            return;
        }
        let is_full = table.len() >= CLUSTER_CALLS;
        if !is_full {
            table.insert((origin, id), None);
        }
        drop(table);
        // From here on the end of the call removes it from the table.
        let serving = Serving { node: Arc::downgrade(self), origin, id };
        let survey = if is_full {
            Err(format!("the node passes on {CLUSTER_CALLS} calls already").into())
        } else {
            begin(hub, self.me, &call, except).map_err(|error| error.to_string().into())
        };
        let peers = match &survey {
            Ok(survey) => Ok(survey.roster().map(|(peer, _)| peer.id()).collect()),
            Err(reason) => Err(Arc::clone(reason)),
        };
        self.tell(Destination::Node(origin), Roster { id, peers }.encode());
        let Ok(survey) = survey else { return };
        let timeout = call.timeout.saturating_sub(age);
        // Nobody would notice the end of a node that is no member: its calls would fill the table.
        let is_member = self.members().get(origin).is_some();
        let limit = if is_member { timeout } else { self.config.timing.lease };
        let survey = survey.timeout(timeout.min(limit));
        // Not under the lock: a runtime that ends drops the task here, and its drop takes the lock.
        let task = tokio::spawn(pass_on(serving, survey)).abort_handle();
        let mut table = self.served.lock();
        if let Some(call) = table.get_mut(&(origin, id)) {
            *call = Some(task);
            return;
        }
        drop(table);
        // The call has ended, or was ended meanwhile.
        task.abort();
    }
}

fn begin(
    hub: &Hub,
    me: NodeId,
    call: &NodeCall,
    except: Vec<PeerId>,
) -> Result<Survey<Message>, SendError> {
    let peers = hub.to(&call.target);
    let except = except.into_iter().map(|peer| PeerRef { node: me, peer });
    except.fold(ScopedBroadcast::from(peers), ScopedBroadcast::except_ref).request(&call.message)
}

/// Tells the origin each response.
async fn pass_on(serving: Serving, mut survey: Survey<Message>) {
    while let Some((peer, response)) = survey.next().await {
        let reply = PeerReply { id: serving.id, peer: peer.id(), outcome: outcome(response) };
        let Some(node) = serving.node.upgrade() else { return };
        node.tell(Destination::Node(serving.origin), reply.encode());
    }
}

fn outcome(response: Response) -> PeerOutcome {
    match response {
        Response::Reply(message) => PeerOutcome::Reply(message),
        Response::TimedOut => PeerOutcome::TimedOut,
        Response::Left => PeerOutcome::Left,
        Response::Full => PeerOutcome::Full,
        Response::Failed(RequestError::Congested { limit }) => {
            PeerOutcome::Congested { limit: limit as u64 }
        }
        Response::Failed(error) => PeerOutcome::Failed(error.to_string().into()),
        _ => PeerOutcome::Failed("the node has a newer release".into()),
    }
}
