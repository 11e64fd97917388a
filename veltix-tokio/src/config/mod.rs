//! The settings that both sides share. Each setting is written and documented once.

mod buffer_size;
mod limits;
mod role;
mod socket_core;

use std::time::Duration;

use veltix_core::limits as defaults;
use veltix_core::{OverflowPolicy, TagLimits};

pub use buffer_size::BufferSize;
pub(crate) use limits::Limits;
pub(crate) use role::Role;
pub use socket_core::SocketCore;

use crate::error::ConfigError;
use crate::outbox::Capacity;
use crate::transport::TcpOptions;

/// The settings of each connection, as a config stores them.
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
    pub(crate) max_tags: usize,
    pub(crate) max_values: usize,
}

impl ConnectionConfig {
    /// Creates the default settings. The write stall is a parameter, since its default differs
    /// between the sides.
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
            max_tags: defaults::TAGS_PER_PEER,
            max_values: defaults::VALUES_PER_PEER,
        }
    }

    /// Checks the rules that types cannot express, and returns the limits.
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
        between("max_tags", self.max_tags, defaults::MAX_TAGS_PER_PEER)?;
        between("max_values", self.max_values, defaults::MAX_VALUES_PER_PEER)?;
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
            tags: TagLimits { tags: self.max_tags, values: self.max_values },
            max_unknown,
            peer_rate: None,
            publish_limit: None,
        })
    }

    /// Returns the options of each TCP socket.
    pub(crate) fn tcp_options(&self) -> TcpOptions {
        TcpOptions { user_timeout: self.user_timeout(), max_unsent: self.max_unsent }
    }

    /// Returns the time for which sent bytes may stay unacknowledged. The kernel's timeout also
    /// closes a live peer that does not read, so it is never shorter than the time that this side
    /// allows such a peer.
    fn user_timeout(&self) -> Duration {
        const UNLIMITED: Duration = Duration::from_secs(60);
        // The system counts milliseconds in 31 bits.
        const MOST: Duration = Duration::from_millis(i32::MAX as u64);
        let heartbeat = self.heartbeat.unwrap_or_default();
        let heartbeat = heartbeat.saturating_mul(defaults::HEARTBEAT_MISSES);
        self.write_stall.unwrap_or(UNLIMITED).max(heartbeat).min(MOST)
    }
}

/// Bounds the duration to values that a clock can add: `Duration::MAX` is a usual way to express
/// "never".
pub(crate) fn bounded(duration: Duration) -> Duration {
    duration.min(defaults::FAR_FUTURE)
}

pub(crate) const fn at_least_one(name: &'static str, value: usize) -> Result<(), ConfigError> {
    if value == 0 { Err(ConfigError::Zero { name }) } else { Ok(()) }
}

/// Checks that the value is at least 1 and at most `max`.
const fn between(name: &'static str, value: usize, max: usize) -> Result<(), ConfigError> {
    if value == 0 {
        Err(ConfigError::Zero { name })
    } else if value > max {
        Err(ConfigError::TooHigh { name, value, max })
    } else {
        Ok(())
    }
}

/// Generates the setters of [`ConnectionConfig`] for a config with a field `connection` of that
/// type.
macro_rules! connection_setters {
    () => {
        /// Sets the number of bytes that the system accepts over TCP before it has sent its earlier
        /// ones. Default: the system's own limit, up to a few MiB per connection, which suits
        /// throughput.
        ///
        /// No policy can drop bytes that the system has accepted, and no newer value can replace
        /// them. For [`latest`](veltix_core::Message::latest) values that matter only while they
        /// are new, a limit of a few KiB keeps a slow peer from receiving old ones. The setting is
        /// `TCP_NOTSENT_LOWAT`, and has an effect on Linux and Android only.
        #[must_use]
        pub const fn max_unsent(mut self, bytes: u32) -> Self {
            self.connection.max_unsent = Some(bytes);
            self
        }

        /// Sets the largest size of one read. Default: [`BufferSize::Large`], 64 KiB. The buffer is
        /// borrowed only while bytes arrive, so it costs an idle connection nothing. More than
        /// 64 MiB is a [`ConfigError`](crate::ConfigError) when the config is used.
        #[must_use]
        pub const fn buffer_size(mut self, size: BufferSize) -> Self {
            self.connection.buffer_size = size;
            self
        }

        /// Sets the size of the largest message that is received or sent, in bytes with its 15-byte
        /// header. Default: 10 MiB, as in the Python package. A larger message is refused as soon
        /// as its header has arrived, and its connection closes. A value below the size of a
        /// header, or above 32 bits, is a [`ConfigError`](crate::ConfigError) when the config is
        /// used.
        ///
        /// The handshake announces the limit to peers of this crate, for which a larger message is
        /// an [`EncodeError::OverPeerLimit`](veltix_core::EncodeError::OverPeerLimit).
        #[must_use]
        pub const fn max_message_size(mut self, bytes: usize) -> Self {
            self.connection.max_message_size = bytes;
            self
        }

        /// Sets the size of the largest body that `Msg`, `Text` and `Json` parse, in bytes, unless
        /// a typed message has a limit of its own. Default: 1 MiB. A larger body is rejected before
        /// it is parsed, and the connection stays open. A larger typed message is not sent either:
        /// see [`EncodeError::BodyTooLarge`](veltix_core::EncodeError::BodyTooLarge). So both sides
        /// need the same value.
        #[must_use]
        pub const fn max_typed_body(mut self, bytes: usize) -> Self {
            self.connection.max_typed_body = bytes;
            self
        }

        /// Sets the deadline of a whole handshake, TLS included. A connection whose handshake has
        /// not ended by then is closed. Default: 5 s.
        #[must_use]
        pub const fn handshake_timeout(mut self, timeout: Duration) -> Self {
            self.connection.handshake_timeout = timeout;
            self
        }

        /// Sets the size of the outbox of one peer: in frames, and in bytes, where each frame
        /// counts 256 bytes in addition to its own. Default: 1 024 frames and 16 MiB. One frame
        /// always fits an empty outbox. Fewer bytes than `max_message_size` are an error.
        #[must_use]
        pub const fn outbox(mut self, frames: usize, bytes: usize) -> Self {
            self.connection.outbox_frames = frames;
            self.connection.outbox_bytes = bytes;
            self
        }

        /// Sets how a broadcast treats a peer whose outbox is full, unless the message has its own
        /// policy ([`Message::on_full`](veltix_core::Message::on_full),
        /// [`Message::latest`](veltix_core::Message::latest)). Default:
        /// [`OverflowPolicy::Disconnect`].
        #[must_use]
        pub const fn on_full(mut self, policy: OverflowPolicy) -> Self {
            self.connection.overflow = policy;
            self
        }

        /// Sets the time after which a peer that accepts no byte is closed while frames wait for
        /// it. With `None` it is never closed for that. Default: 10 s on a server, `None` on a
        /// client.
        #[must_use]
        pub const fn write_stall(mut self, stall: Option<Duration>) -> Self {
            self.connection.write_stall = stall;
            self
        }

        /// Sets the interval of the heartbeat. After one interval of silence the peer is pinged,
        /// after a second one it is pinged again, and after a third the connection closes. `None`
        /// disables the heartbeat. Default: 15 s.
        #[must_use]
        pub const fn heartbeat(mut self, interval: Option<Duration>) -> Self {
            self.connection.heartbeat = interval;
            self
        }

        /// Sets the size of the inbox of one peer: the messages that wait for their handler before
        /// reading pauses, in messages and in bytes, where each message counts 256 bytes in
        /// addition to its own. Default: 64 messages and 1 MiB. One message always fits. Zero is an
        /// error. A [`MessageStream`](crate::MessageStream) of a client holds as many in addition.
        #[must_use]
        pub const fn inbox(mut self, messages: usize, bytes: usize) -> Self {
            self.connection.inbox_messages = messages;
            self.connection.inbox_bytes = bytes;
            self
        }

        /// Sets the longest time for which a shutdown, or the end of a connection, waits for
        /// handlers and queued messages. Afterwards handlers are cancelled, and messages that are
        /// still queued count as dropped. Default: 10 s.
        #[must_use]
        pub const fn drain_timeout(mut self, timeout: Duration) -> Self {
            self.connection.drain_timeout = timeout;
            self
        }

        /// Sets the time within which `on_connect` must return. Otherwise the peer is refused.
        /// Default: 10 s.
        #[must_use]
        pub const fn on_connect_timeout(mut self, timeout: Duration) -> Self {
            self.connection.on_connect_timeout = timeout;
            self
        }

        /// Sets how a connection runs: as a task or on its own thread. Default:
        /// [`SocketCore::Async`].
        #[must_use]
        pub const fn socket_core(mut self, core: SocketCore) -> Self {
            self.connection.socket_core = core;
            self
        }

        /// Sets the number of threads for blocking handlers. They are started when first needed.
        /// One peer uses at most all but one of them. Default: 4. Zero is an error.
        #[must_use]
        pub const fn max_workers(mut self, workers: usize) -> Self {
            self.connection.max_workers = workers;
            self
        }

        /// Sets the maximum number of names of one peer, where a [set](crate::Peer::join) counts as
        /// one name. Default: 64. Above the limit, tagging fails with a
        /// [`TagError`](veltix_core::TagError). Zero or more than 1 024 is an error.
        #[must_use]
        pub const fn max_tags(mut self, names: usize) -> Self {
            self.connection.max_tags = names;
            self
        }

        /// Sets the maximum number of values in all [sets](crate::Peer::join) of one peer, for
        /// example of the rooms that it has joined. Default: 64. Above the limit, joining fails with
        /// a [`TagError`](veltix_core::TagError). Zero or more than 100 000 is an error.
        ///
        /// Joining and leaving cost nearly the same at any number. A value takes up to 150 bytes,
        /// and 1 KiB more if it is a text of that length. A peer that disconnects leaves all its
        /// sets in one step, during which no other peer can be tagged or targeted: about 1 ms for
        /// each 10 000 values.
        #[must_use]
        pub const fn max_values(mut self, values: usize) -> Self {
            self.connection.max_values = values;
            self
        }
    };
}

pub(crate) use connection_setters;
