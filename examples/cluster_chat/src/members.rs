//! The members of a room, on all nodes: the calls of the plain chat's file of this name, asked of the cluster.

use veltix::cluster::{Cluster, ClusterStatus, Gathered, Member, Missing};
use veltix::{Hub, tag};

pub(crate) async fn count(hub: &Hub, room: &str) -> veltix::Result<usize> {
    Ok(Cluster::of(hub).count(tag("room").is(room)).await?.value)
}

/// Returns the list that answers `/who`, and says which nodes are missing in it.
pub(crate) async fn list(hub: &Hub, room: &str) -> veltix::Result<String> {
    let cluster = Cluster::of(hub);
    let members = cluster.list(tag("room").is(room)).with_tags(["name"]).await?;
    let name = |member: &Member| match member.tag("name").and_then(|name| name.as_str()) {
        Some(name) => name.to_owned(),
        None => format!("peer {}", member.peer),
    };
    let mut names: Vec<_> = members.value.iter().map(name).collect();
    names.sort_unstable();
    let mut list = format!("* {room}: {}", names.join(", "));
    if !members.is_complete() {
        list.push_str(&format!(" (the list is incomplete: {})", missing(&cluster, &members)));
    }
    Ok(list)
}

/// Returns the reasons why a list is incomplete.
fn missing<T>(cluster: &Cluster, gathered: &Gathered<T>) -> String {
    let known = cluster.others();
    let nodes = gathered.missing.iter().map(|(node, why)| {
        let name = known.iter().find(|info| info.id == *node).map(|info| info.name.to_string());
        let why = match why {
            Missing::Gone => "is not connected",
            Missing::TimedOut => "does not answer",
            _ => "cannot be asked",
        };
        format!("{} {why}", name.unwrap_or_else(|| node.to_string()))
    });
    let mut reasons: Vec<_> = nodes.collect();
    if let ClusterStatus::Degraded { .. } = gathered.status {
        reasons.push("the NATS server is away".to_owned());
    }
    reasons.join(", ")
}
