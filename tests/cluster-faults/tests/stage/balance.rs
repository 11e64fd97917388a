//! [`Balance`]: whether each record is received or missed.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};
use veltix_cluster_faults::{Sent, State};

use super::Node;

/// The records that each node has offered beside those that another one has received or missed. They are those
/// from before the other one's start, so their number stays the same.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Balance(BTreeMap<(String, String), (u64, u64)>);

impl Balance {
    /// Measures between two heartbeats.
    pub(crate) async fn of(nodes: &[Node]) -> Self {
        let mut before = Self::now(nodes).await;
        // A record may be on its way. Then the numbers are others a moment later.
        loop {
            sleep(Duration::from_millis(100)).await;
            let now = Self::now(nodes).await;
            if now == before {
                return now;
            }
            before = now;
        }
    }

    async fn now(nodes: &[Node]) -> Self {
        let states: Vec<State> = join_all(nodes.iter().map(Node::state)).await;
        let mut balance = BTreeMap::new();
        for (origin, sent) in nodes.iter().zip(&states) {
            for (reader, got) in nodes.iter().zip(&states).filter(|(it, _)| it.id != origin.id) {
                let got = counts(got, &origin.id);
                let direct = counts(sent, &reader.id).direct;
                let all = sent.to_all.offered - got.received - got.missed;
                let direct = direct.offered.wrapping_sub(got.direct_received + got.direct_missed);
                balance.insert((origin.id.clone(), reader.id.clone()), (all, direct));
            }
        }
        Self(balance)
    }

    /// Waits until the balance is this one again. Returns the number of records that are neither received nor
    /// missed, or counted twice.
    pub(crate) async fn difference(&self, nodes: &[Node]) -> u64 {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let now = Self::now(nodes).await;
            if now == *self || Instant::now() > deadline {
                let pairs = self.0.iter().zip(&now.0);
                let difference = pairs.map(|((_, before), (_, now))| {
                    before.0.abs_diff(now.0) + before.1.abs_diff(now.1)
                });
                return difference.sum();
            }
            sleep(Duration::from_millis(30)).await;
        }
    }

    /// Returns the number of streams to others that do not add up: `offered = published + dropped + queued`.
    pub(crate) async fn wrong_sums(nodes: &[Node]) -> usize {
        let states: Vec<State> = join_all(nodes.iter().map(Node::state)).await;
        let is_wrong = |sent: &Sent| sent.offered != sent.published + sent.dropped + sent.queued;
        let streams = states.iter().flat_map(|state| {
            state.nodes.iter().map(|(_, node)| node.direct).chain([state.to_all])
        });
        streams.filter(is_wrong).count()
    }

    /// Returns the number of records that the nodes have missed.
    pub(crate) async fn missed(nodes: &[Node]) -> u64 {
        let states: Vec<State> = join_all(nodes.iter().map(Node::state)).await;
        let missed = states.iter().flat_map(|state| &state.nodes);
        missed.map(|(_, node)| node.missed + node.direct_missed).sum()
    }
}

fn counts(state: &State, node: &str) -> veltix_cluster_faults::PeerCounts {
    state.nodes.iter().find(|(id, _)| id == node).map(|(_, it)| *it).unwrap_or_default()
}
