//! What both sides' configurations share: each setting is written, and documented, once.

mod buffer_size;
mod limits;
mod role;
mod socket_core;

use std::time::Duration;

use veltix_core::OverflowPolicy;
use veltix_core::limits as defaults;

pub use buffer_size::BufferSize;
pub(crate) use limits::Limits;
pub(crate) use role::Role;
pub use socket_core::SocketCore;

use crate::error::ConfigError;
use crate::outbox::Capacity;
use crate::transport::TcpOptions;

/// The settings of each connection, as a config holds them.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionConfig {
    pub(crate) buffer_size: BufferSize,
    pub(crate) max_message_size: usize,
    pub(crate) max_typed_body: usize,
    pub(crate) handshake_timeout: Duration,
    pub(crate) outbox_frames: usize,
    pub(crate) outbox_bytes: usize,
    pub(crate) overflow: OverflowPolicy,
    pub(crate) write_stall: Option<Duration>,
    pub(crate) max_unsent: Option<u32>,
    pub(crate) heartbeat: Option<Duration>,
    pub(crate) inbox_messages: usize,
    pub(crate) inbox_bytes: usize,
    pub(crate) drain_timeout: Duration,
    pub(crate) on_connect_timeout: Duration,
    pub(crate) socket_core: SocketCore,
    pub(crate) max_workers: usize,
}

impl ConnectionConfig {
    /// The defaults, but for the write stall, which differs between the sides.
    pub(crate) const fn new(write_stall: Option<Duration>) -> Self {
        Self {
            buffer_size: BufferSize::Large,
            max_message_size: defaults::MAX_MESSAGE_SIZE,
            max_typed_body: defaults::MAX_TYPED_BODY,
            handshake_timeout: defaults::HANDSHAKE_TIMEOUT,
            outbox_frames: defaults::OUTBOX_FRAMES,
            outbox_bytes: defaults::OUTBOX_BYTES,
            overflow: OverflowPolicy::Disconnect,
            write_stall,
            max_unsent: None,
            heartbeat: Some(defaults::HEARTBEAT_INTERVAL),
            inbox_messages: defaults::INBOX_MESSAGES,
            inbox_bytes: defaults::INBOX_BYTES,
            drain_timeout: defaults::DRAIN_TIMEOUT,
            on_connect_timeout: defaults::ON_CONNECT_TIMEOUT,
            socket_core: SocketCore::Async,
            max_workers: defaults::MAX_WORKERS,
        }
    }

    /// Checks what types cannot say, and gives the limits.
    pub(crate) fn limits(&self, max_unknown: Option<u32>) -> Result<Limits, ConfigError> {
        let (value, max) = (self.buffer_size.bytes(), defaults::MAX_READ_BUFFER);
        if value > max {
            return Err(ConfigError::BufferSize { value, max });
        }
        let (min, max) = (defaults::HEADER_LEN, u32::MAX as usize);
        if !(min..=max).contains(&self.max_message_size) {
            return Err(ConfigError::MessageSize { value: self.max_message_size, min, max });
        }
        if self.outbox_bytes < self.max_message_size {
            return Err(ConfigError::OutboxTooSmall {
                outbox_bytes: self.outbox_bytes,
                max_message_size: self.max_message_size,
            });
        }
        at_least_one("outbox_frames", self.outbox_frames)?;
        at_least_one("inbox_messages", self.inbox_messages)?;
        at_least_one("inbox_bytes", self.inbox_bytes)?;
        at_least_one("max_workers", self.max_workers)?;
        if self.heartbeat == Some(Duration::ZERO) {
            return Err(ConfigError::Heartbeat);
        }
        Ok(Limits {
            buffer_size: self.buffer_size.bytes(),
            max_message_size: self.max_message_size,
            max_typed_body: self.max_typed_body,
            handshake_timeout: bounded(self.handshake_timeout),
            outbox: Capacity { frames: self.outbox_frames, bytes: self.outbox_bytes },
            overflow: self.overflow,
            write_stall: self.write_stall.map(bounded),
            heartbeat: self.heartbeat.map(bounded),
            inbox_messages: self.inbox_messages,
            inbox_bytes: self.inbox_bytes,
            drain_timeout: bounded(self.drain_timeout),
            on_connect_timeout: bounded(self.on_connect_timeout),
            socket_core: self.socket_core,
            max_unknown,
            peer_rate: None,
            publish_limit: None,
        })
    }

    /// What each TCP socket is set to.
    pub(crate) fn tcp_options(&self) -> TcpOptions {
        TcpOptions { user_timeout: self.user_timeout(), max_unsent: self.max_unsent }
    }

    /// How long sent bytes may stay unacknowledged. The kernel's clock also ends a live peer that
    /// merely does not read, so it is never shorter than what we allow such a peer.
    fn user_timeout(&self) -> Duration {
        const UNLIMITED: Duration = Duration::from_secs(60);
        // The system counts milliseconds in 31 bits.
        const MOST: Duration = Duration::from_millis(i32::MAX as u64);
        let heartbeat = self.heartbeat.unwrap_or_default();
        let heartbeat = heartbeat.saturating_mul(defaults::HEARTBEAT_MISSES);
        self.write_stall.unwrap_or(UNLIMITED).max(heartbeat).min(MOST)
    }
}

/// No longer than a clock can count with: `Duration::MAX` is a usual way to say "never".
pub(crate) fn bounded(duration: Duration) -> Duration {
    duration.min(defaults::FAR_FUTURE)
}

pub(crate) const fn at_least_one(name: &'static str, value: usize) -> Result<(), ConfigError> {
    if value == 0 { Err(ConfigError::Zero { name }) } else { Ok(()) }
}

/// The setters of [`ConnectionConfig`], for a config with a field `connection` of that type.
macro_rules! connection_setters {
    () => {
        /// Over TCP, how many bytes the system takes on before it has sent those that it has.
        /// Default: as many as it likes, up to a few MiB for each connection, which suits
        /// throughput.
        ///
        /// What the system has taken is on its way: no policy drops it any more, and no newer value
        /// takes its place. For [`latest`](veltix_core::Message::latest) values that matter only
        /// while they are new, a few KiB keep what a slow peer gets from being old. It is
        /// `TCP_NOTSENT_LOWAT`, and without effect elsewhere than on Linux and Android.
        #[must_use]
        pub const fn max_unsent(mut self, bytes: u32) -> Self {
            self.connection.max_unsent = Some(bytes);
            self
        }

        /// What one read may take in. Default: [`BufferSize::Large`], 64 KiB; lent while bytes
        /// come, so it costs an idle connection nothing. More than 64 MiB is a
        /// [`ConfigError`](crate::ConfigError) where the config is used.
        #[must_use]
        pub const fn buffer_size(mut self, size: BufferSize) -> Self {
            self.connection.buffer_size = size;
            self
        }

        /// The largest message that is received or sent, in bytes with its 15-byte header.
        /// Default: 10 MiB, as the Python package. A larger one is refused from its header, and
        /// its connection closed. Less than a header, or more than 32 bits can say, is a
        /// [`ConfigError`](crate::ConfigError) where the config is used.
        #[must_use]
        pub const fn max_message_size(mut self, bytes: usize) -> Self {
            self.connection.max_message_size = bytes;
            self
        }

        /// The largest body that `Msg`, `Text` and `Json` parse, in bytes, unless a typed message
        /// has a limit of its own. Default: 1 MiB. A larger one is a rejection before any
        /// parsing; the connection goes on.
        #[must_use]
        pub const fn max_typed_body(mut self, bytes: usize) -> Self {
            self.connection.max_typed_body = bytes;
            self
        }

        /// One deadline for a whole handshake, TLS included; a connection that is not through by then
        /// is closed. Default: 5 s.
        #[must_use]
        pub const fn handshake_timeout(mut self, timeout: Duration) -> Self {
            self.connection.handshake_timeout = timeout;
            self
        }

        /// How much waits for one peer at most: frames, and bytes where each frame counts 256
        /// beside its own. Default: 1 024 and 16 MiB. One frame always fits an empty outbox; fewer
        /// bytes than `max_message_size` are an error.
        #[must_use]
        pub const fn outbox(mut self, frames: usize, bytes: usize) -> Self {
            self.connection.outbox_frames = frames;
            self.connection.outbox_bytes = bytes;
            self
        }

        /// What a broadcast does to a peer whose outbox is full, unless the message says otherwise
        /// ([`Message::on_full`](veltix_core::Message::on_full),
        /// [`Message::latest`](veltix_core::Message::latest)). Default:
        /// [`OverflowPolicy::Disconnect`].
        #[must_use]
        pub const fn on_full(mut self, policy: OverflowPolicy) -> Self {
            self.connection.overflow = policy;
            self
        }

        /// A peer that takes no byte for this long while something waits for it is closed; `None`
        /// bears it for ever. Default: 10 s on a server, `None` on a client.
        #[must_use]
        pub const fn write_stall(mut self, stall: Option<Duration>) -> Self {
            self.connection.write_stall = stall;
            self
        }

        /// After so much silence the peer is pinged, after another again, and after a third it is
        /// dead; `None` never asks. Default: 15 s.
        #[must_use]
        pub const fn heartbeat(mut self, interval: Option<Duration>) -> Self {
            self.connection.heartbeat = interval;
            self
        }

        /// How much of one peer waits for its handler at most, before its reading pauses: messages,
        /// and bytes where each message counts 256 beside its own. Default: 64 and 1 MiB. One
        /// message always fits; zero is an error.
        #[must_use]
        pub const fn inbox(mut self, messages: usize, bytes: usize) -> Self {
            self.connection.inbox_messages = messages;
            self.connection.inbox_bytes = bytes;
            self
        }

        /// What a shutdown, or the end of a connection, waits for handlers and queued messages at
        /// most; then handlers are cancelled, and what is still queued counts as dropped. Default:
        /// 10 s.
        #[must_use]
        pub const fn drain_timeout(mut self, timeout: Duration) -> Self {
            self.connection.drain_timeout = timeout;
            self
        }

        /// What `on_connect` may take; a peer for which it has not returned by then is refused.
        /// Default: 10 s.
        #[must_use]
        pub const fn on_connect_timeout(mut self, timeout: Duration) -> Self {
            self.connection.on_connect_timeout = timeout;
            self
        }

        /// What drives a connection. Default: [`SocketCore::Async`].
        #[must_use]
        pub const fn socket_core(mut self, core: SocketCore) -> Self {
            self.connection.socket_core = core;
            self
        }

        /// Threads for blocking handlers, started when first needed; one peer holds at most all
        /// but one of them. Default: 4; zero is an error.
        #[must_use]
        pub const fn max_workers(mut self, workers: usize) -> Self {
            self.connection.max_workers = workers;
            self
        }
    };
}

pub(crate) use connection_setters;
