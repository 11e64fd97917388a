//! The members of a room, on one server.

use veltix::{Hub, tag};

pub(crate) async fn count(hub: &Hub, room: &str) -> veltix::Result<usize> {
    Ok(hub.count(tag("room").is(room))?)
}

/// Returns the list that answers `/who`.
pub(crate) async fn list(hub: &Hub, room: &str) -> veltix::Result<String> {
    let members = hub.list(tag("room").is(room))?;
    let name = |peer: &veltix::Peer| match peer.get_tag("name") {
        Ok(Some(name)) => name.as_str().map(str::to_owned),
        _ => None,
    };
    let mut names: Vec<_> =
        members.iter().map(|it| name(it).unwrap_or_else(|| format!("peer {}", it.id()))).collect();
    names.sort_unstable();
    Ok(format!("* {room}: {}", names.join(", ")))
}
