//! Presence: each node watches the users of all nodes, and tells its own clients that one is gone.

use std::time::Duration;

use veltix::cluster::Cluster;
use veltix::presence::GroupEvent;
use veltix::{Hub, all, tag};

use crate::messages::Motd;

/// The time after which a user without a connection is gone. A restart of one node after the other is no event if
/// it is longer than `reconnect_spread` (5 s) and 5 s more.
pub(crate) const GRACE: Duration = Duration::from_secs(12);

/// Runs until the server drains. No node is in charge: any of them may be killed.
pub(crate) async fn announce(hub: Hub) {
    let mut users = match Cluster::of(&hub).watch(tag("name")).by("name").grace(GRACE).start() {
        Ok(users) => users,
        Err(error) => return tracing::error!(%error, "nobody announces users that are gone"),
    };
    while let Some(event) = users.next().await {
        if let GroupEvent::Left(user) = event {
            let notice = Motd(format!("* {} is offline", user.key.as_str().unwrap_or_default()));
            // The other nodes tell their own clients.
            if let Err(error) = hub.to(all()).local().send(&notice) {
                tracing::warn!(%error, "a notice was not sent");
            }
        }
    }
}
