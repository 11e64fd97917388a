//! The events of a node: each other node joins and leaves in turns, and an ended one leaves once.

use std::collections::BTreeSet;

use veltix_cluster::{Cluster, ClusterEvent};

use super::super::record::Record;

/// Reads the events of a node until its end.
pub(super) fn watch(record: Record, cluster: Cluster) -> impl Future<Output = ()> + Send + 'static {
    // Before the first poll, so that no event is missed.
    let (me, mut events) = (cluster.node(), cluster.events());
    drop(cluster);
    async move {
        let mut members = BTreeSet::new();
        while let Some(event) = events.next().await {
            record.note(format_args!("{me}: {event:?}"));
            match event {
                ClusterEvent::NodeJoined { node, .. } => {
                    let is_new = members.insert(node);
                    if !is_new {
                        record.wrong(format_args!("{me}: {node} joins twice"));
                    }
                }
                ClusterEvent::NodeLeft { node, reason } => {
                    let was_there = members.remove(&node);
                    if !was_there {
                        record.wrong(format_args!("{me}: {node} leaves twice: {reason:?}"));
                    }
                }
                ClusterEvent::Lagged { missed } => {
                    record.wrong(format_args!("{me}: {missed} events are missed"));
                }
                _ => {}
            }
        }
    }
}
