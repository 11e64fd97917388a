//! [`HeartbeatTask`]: tells the other nodes that this one lives, and looks for silent ones.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::{Instant, MissedTickBehavior, interval};
use veltix_core::all;
use veltix_core::cluster::RecordKind;
use veltix_core::limits::CLUSTER_REPORT;
use veltix_tokio::Hub;

use super::Node;
use crate::backplane::Destination;

pub(super) struct HeartbeatTask {
    node: Arc<Node>,
    hub: Hub,
}

impl HeartbeatTask {
    pub(super) const fn new(node: Arc<Node>, hub: Hub) -> Self {
        Self { node, hub }
    }

    pub(super) async fn run(self) {
        let mut ticks =
            interval(self.node.config.heartbeat.min(self.node.config.timing.probe_every));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut next_beat = Instant::now();
        let mut next_report = next_beat + CLUSTER_REPORT;
        self.beat(Destination::All, RecordKind::Hello);
        loop {
            let now = ticks.tick().await;
            let mut probes = Vec::new();
            self.node.change_members(|members| {
                let due = members.due(now.into_std());
                probes = due.probes;
                due.events
            });
            self.node.renew_watches();
            self.node.ask_for_interest();
            for node in probes {
                self.beat(Destination::Node(node), RecordKind::Heartbeat);
            }
            if now >= next_beat {
                next_beat = now + self.node.config.heartbeat;
                self.beat(Destination::All, RecordKind::Heartbeat);
            }
            if now >= next_report {
                next_report = now + CLUSTER_REPORT;
                self.node.receiving().forget_silent_parts(self.node.config.timing.lease);
                self.node.report();
            }
        }
    }

    fn beat(&self, to: Destination, kind: RecordKind) {
        let peers = self.hub.count(all()).unwrap_or_default();
        self.node.peers.store(peers, Ordering::Relaxed);
        self.node.push_state(to, kind, self.node.state(peers));
    }
}
