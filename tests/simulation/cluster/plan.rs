//! The meaning of a seed: the cluster, its clients, and the number of their actions and faults.

use std::time::Duration;

use fastrand::Rng;
use veltix::{ClientConfig, Reconnect, ServerConfig};

use super::super::network::Weather;
use super::broker::Conditions;

/// The size of a queue that is sometimes full.
const SMALL_QUEUE: usize = 20_000;

/// The meaning of a seed.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) nodes: usize,
    pub(super) clients: usize,
    /// The number of actions of each node.
    pub(super) deeds: usize,
    /// True if peers seldom change their rooms, so that a change that is lost is not noticed by the next one.
    pub(super) seldom_moves: bool,
    pub(super) faults: usize,
    /// The network between a node and its clients.
    pub(super) weather: Weather,
    pub(super) conditions: Conditions,
    /// The time to live of messages in milliseconds.
    pub(super) message_ttl: u64,
    /// The size of the largest batch in bytes.
    pub(super) max_batch: usize,
    /// The size of each queue of a node in bytes. A small one refuses messages at both ends.
    pub(super) queue_bytes: usize,
    pub(super) server: ServerConfig,
    pub(super) client: ClientConfig,
}

impl Plan {
    /// Returns whether no queue between the nodes is ever full.
    pub(super) const fn is_roomy(&self) -> bool {
        self.queue_bytes > SMALL_QUEUE
    }

    pub(super) fn new(rng: &mut Rng) -> Self {
        let (first, last) = (Duration::from_millis(20), Duration::from_millis(500));
        let reconnect = Reconnect::backoff().windows(first, last).initial(true);
        let nodes = rng.usize(2..=5);
        Self {
            nodes,
            clients: rng.usize(nodes..=nodes + 4),
            deeds: rng.usize(20..80),
            seldom_moves: rng.bool(),
            faults: rng.usize(..9),
            // All loss is that of the broker: a client takes each message at once.
            weather: Weather { window: 64 << 10, delay: rng.u64(0..=3), slice: 64 << 10 },
            conditions: Conditions::new(rng),
            message_ttl: [1_000, 2_000, 5_000][rng.usize(..3)],
            // Small ones send most messages in parts.
            max_batch: [1_500, 4_000, 1 << 20][rng.usize(..3)],
            queue_bytes: [SMALL_QUEUE, 16 << 20][usize::from(rng.u8(..4) > 0)],
            server: ServerConfig::default(),
            client: ClientConfig::default().reconnect(reconnect),
        }
    }
}
