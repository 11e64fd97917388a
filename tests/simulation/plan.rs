//! The meaning of a seed: the network, the limits of both sides, and the number of clients.

use std::time::Duration;

use fastrand::Rng;
use veltix::{BufferSize, ClientConfig, OverflowPolicy, Reconnect, ServerConfig};

use super::network::Weather;

/// The maximum length of a message.
pub(super) const LONGEST: usize = 3_000;

/// The meaning of a seed.
pub(super) struct Plan {
    pub(super) weather: Weather,
    pub(super) server: ServerConfig,
    pub(super) client: ClientConfig,
    pub(super) clients: usize,
    /// The number of actions of each client.
    pub(super) deeds: usize,
    pub(super) faults: usize,
    /// True if clients close before the server shuts down.
    pub(super) clients_first: bool,
}

/// Sets the common settings of both configs.
macro_rules! limits {
    ($config:expr, $rng:expr) => {{
        let rng: &mut Rng = $rng;
        let milliseconds = |rng: &mut Rng, least, most| Duration::from_millis(rng.u64(least..most));
        let stall = rng.bool().then(|| milliseconds(rng, 500, 3_000));
        let policies =
            [OverflowPolicy::Disconnect, OverflowPolicy::DropNewest, OverflowPolicy::DropOldest];
        $config
            .max_message_size(LONGEST + 64)
            .outbox(rng.usize(4..200), rng.usize(8 << 10..64 << 10))
            .inbox(rng.usize(1..16), rng.usize(1_000..16_000))
            .buffer_size(BufferSize::Bytes(rng.usize(16..4_096)))
            .on_full(policies[rng.usize(..3)])
            .write_stall(stall)
            .heartbeat(Some(milliseconds(rng, 500, 3_000)))
            .handshake_timeout(milliseconds(rng, 500, 3_000))
    }};
}

/// Returns a network that is sometimes slow, but on which every message still arrives within
/// seconds.
fn weather(rng: &mut Rng) -> Weather {
    let (window, slowest) = [(50, 1), (500, 10), (4_096, 60), (64 << 10, 60)][rng.usize(..4)];
    Weather { window, delay: rng.u64(0..=slowest), slice: [7, 60, 1_460, 64 << 10][rng.usize(..4)] }
}

impl Plan {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let (first, last) = (Duration::from_millis(20), Duration::from_millis(500));
        let reconnect = Reconnect::backoff().windows(first, last).initial(true);
        Self {
            weather: weather(rng),
            server: limits!(ServerConfig::default(), rng),
            client: limits!(ClientConfig::default().reconnect(reconnect), rng),
            clients: rng.usize(2..=4),
            deeds: rng.usize(10..40),
            faults: rng.usize(..10),
            clients_first: rng.bool(),
        }
    }
}
