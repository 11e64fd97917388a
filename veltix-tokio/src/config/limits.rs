//! [`Limits`]: the limits of each connection.

use std::time::Duration;

use veltix_core::{OverflowPolicy, Rate, TagLimits};

use super::SocketCore;
use crate::outbox::Capacity;

/// The limits of each connection, taken from the config of the side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) buffer_size: usize,
    pub(crate) max_message_size: usize,
    pub(crate) max_typed_body: usize,
    pub(crate) handshake_timeout: Duration,
    pub(crate) outbox: Capacity,
    pub(crate) overflow: OverflowPolicy,
    pub(crate) write_stall: Option<Duration>,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) inbox_messages: usize,
    pub(crate) inbox_bytes: usize,
    pub(crate) drain_timeout: Duration,
    pub(crate) on_connect_timeout: Duration,
    pub(crate) socket_core: SocketCore,
    pub(crate) tags: TagLimits,
    /// The number of unknown codes within ten seconds that closes a peer. A client has no limit.
    pub(crate) max_unknown: Option<u32>,
    /// The rate at which one peer may send. A client has no limit.
    pub(crate) peer_rate: Option<Rate>,
    /// The bytes per second that one peer's handlers may broadcast to slow readers. Above this
    /// rate, reading from that peer pauses.
    pub(crate) publish_limit: Option<u64>,
}
