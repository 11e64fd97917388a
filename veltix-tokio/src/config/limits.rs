//! [`Limits`].

use std::time::Duration;

use veltix_core::{OverflowPolicy, Rate};

use super::SocketCore;
use crate::outbox::Capacity;

/// The limits of each connection, from the side's config.
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
    /// Unknown codes within ten seconds that close a peer; a client bears any number.
    pub(crate) max_unknown: Option<u32>,
    /// How fast one peer may send; a client bears any rate.
    pub(crate) peer_rate: Option<Rate>,
    /// What one peer's handlers may put before readers that are behind, in bytes a second.
    pub(crate) publish_limit: Option<u64>,
}
