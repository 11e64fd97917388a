//! Tells the events of the cluster.

use veltix::Hub;
use veltix::cluster::{Cluster, ClusterEvent};
use veltix_cluster_faults::{Line, News, now};

use crate::talk::Talk;

/// Tells each event from now on.
pub(crate) fn tell(hub: &Hub, talk: &Talk) {
    let (mut events, talk) = (Cluster::of(hub).events(), talk.clone());
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            talk.say(&Line::News { at: now(), news: news(event) });
        }
    });
}

fn news(event: ClusterEvent) -> News {
    match event {
        ClusterEvent::NodeJoined { node, name } => {
            News::Joined { node: node.to_string(), name: name.to_string() }
        }
        ClusterEvent::NodeLeft { node, reason } => {
            News::Left { node: node.to_string(), reason: format!("{reason:?}") }
        }
        ClusterEvent::Degraded { reason } => News::Degraded { reason: reason.to_string() },
        ClusterEvent::Recovered { after } => {
            News::Recovered { after: u64::try_from(after.as_micros()).unwrap_or(u64::MAX) }
        }
        ClusterEvent::Gap { node, missed } => News::Gap { node: node.to_string(), missed },
        ClusterEvent::Stale { node, dropped } => News::Stale { node: node.to_string(), dropped },
        ClusterEvent::Dropped { reason, count } => {
            News::Dropped { reason: format!("{reason:?}"), count }
        }
        ClusterEvent::Incompatible { node, .. } => News::Incompatible { node: node.to_string() },
        other => News::Other(format!("{other:?}")),
    }
}
