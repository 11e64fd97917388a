//! The state of a node, as it is told.

use std::fs;

use veltix::cluster::{Cluster, ClusterStatus, SentRecords};
use veltix::{Hub, all};
use veltix_cluster_faults::{PeerCounts, Sent, State};

pub(crate) fn state(hub: &Hub) -> State {
    let cluster = Cluster::of(hub);
    let stats = cluster.stats();
    let others = cluster.others().into_iter();
    let nodes = stats.nodes.iter().map(|node| {
        let counts = PeerCounts {
            received: node.from_all.received,
            missed: node.from_all.missed,
            direct_received: node.direct.received,
            direct_missed: node.direct.missed,
            stale: node.stale,
            direct: sent(&node.sent),
        };
        (node.node.to_string(), counts)
    });
    let degraded = match &*cluster.status().borrow() {
        ClusterStatus::Degraded { reason } => Some(reason.to_string()),
        _ => None,
    };
    State {
        others: others.map(|node| (node.id.to_string(), node.name.to_string())).collect(),
        degraded,
        peers: hub.count(all()).unwrap_or_default(),
        to_all: sent(&stats.to_all),
        nodes: nodes.collect(),
        queued_bytes: stats.queued_bytes,
        unreadable: stats.unreadable,
        memory: memory().unwrap_or_default(),
    }
}

fn sent(records: &SentRecords) -> Sent {
    Sent {
        offered: records.offered,
        published: records.published,
        queued: records.queued,
        dropped: records.dropped(),
        ..Sent::default()
    }
}

/// Returns the bytes of memory that this process holds.
fn memory() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<usize>().ok()? * 1024)
}
