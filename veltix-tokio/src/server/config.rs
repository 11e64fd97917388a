//! [`ServerConfig`].

use std::time::Duration;

use veltix_core::limits;
use veltix_core::{OverflowPolicy, Rate};

use crate::config::{BufferSize, SocketCore};
use crate::config::{ConnectionConfig, at_least_one, connection_setters};
use crate::error::ConfigError;
use crate::memory::default_budget;
use crate::tls::ServerTls;

/// How a server listens and what it takes. Start from the default and change what you need.
///
/// ```
/// use veltix::{BufferSize, ServerConfig};
///
/// let config = ServerConfig::default()
///     .addr("127.0.0.1:0")
///     .max_connections(100)
///     .buffer_size(BufferSize::Medium);
/// ```
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub(super) addr: String,
    pub(super) max_connections: usize,
    pub(super) max_connections_per_address: Option<usize>,
    pub(super) accept_rate: Option<(u32, u32)>,
    pub(super) max_pending_handshakes: usize,
    pub(super) max_pending_handshakes_per_address: usize,
    pub(super) tls: Option<ServerTls>,
    pub(super) drain_spread: Duration,
    pub(super) reconnect_spread: Duration,
    pub(super) peer_rate: Option<Rate>,
    pub(super) publish_limit: Option<u64>,
    pub(super) memory_budget: Option<usize>,
    pub(crate) connection: ConnectionConfig,
}

impl ServerConfig {
    /// Where to listen, as `host:port`; port 0 lets the system choose one. Default:
    /// `127.0.0.1:8080`.
    ///
    /// The Python package listens on `0.0.0.0`, on every network of the machine. To be reached
    /// from elsewhere, say so: `.addr("0.0.0.0:8080")`. Then anybody there can connect, and read
    /// and change what passes, so switch on TLS and check who connects; without, the log has a
    /// warning.
    #[must_use]
    pub fn addr(mut self, addr: impl Into<String>) -> Self {
        self.addr = addr.into();
        self
    }

    /// Peers at most; the next is told that the server is full. Default: 10 000.
    #[must_use]
    pub const fn max_connections(mut self, peers: usize) -> Self {
        self.max_connections = peers;
        self
    }

    /// Peers of one address at most, where an address is one of IPv4 or a network of 64 bits of IPv6;
    /// the next is told that the server is full. Default: `None`, as many as there is room for, since
    /// an office or a proxy has many honest clients behind one address. Where yours have not, it
    /// keeps one host from taking all room.
    #[must_use]
    pub const fn max_connections_per_address(mut self, peers: Option<usize>) -> Self {
        self.max_connections_per_address = peers;
        self
    }

    /// Connections that are accepted in a second, and at once after a while without any. Default: as
    /// many as come, which cost little before they have shaken hands. Those above wait in the
    /// system's backlog, nobody is refused for them, and a client's own deadline counts meanwhile. It
    /// bounds what a storm of handshakes takes from those who are connected, with TLS above all.
    #[must_use]
    pub const fn accept_rate(mut self, per_second: u32, burst: u32) -> Self {
        self.accept_rate = Some((per_second, burst));
        self
    }

    /// Handshakes that may be pending at the same time, in all and from one address, which is what
    /// it is for [`max_connections_per_address`](Self::max_connections_per_address); beyond, one of
    /// them is shed, at random. They count neither as peers nor toward `max_connections`.
    /// Default: 512 and 32. Many honest clients behind one address, as behind a NAT or in a load
    /// test, want more: one that is shed sees the connection close during its handshake.
    #[must_use]
    pub const fn max_pending_handshakes(mut self, in_all: usize, per_address: usize) -> Self {
        self.max_pending_handshakes = in_all;
        self.max_pending_handshakes_per_address = per_address;
        self
    }

    /// Serves over TLS alone, on whichever transport. Default: without, so that whatever is said can
    /// be read and changed on its way.
    ///
    /// The handshake of TLS is a part of the whole one: it counts as pending, and has the same
    /// deadline, [`handshake_timeout`](Self::handshake_timeout). A full server says so behind it, since
    /// nobody could read it before.
    #[cfg(feature = "__tls")]
    #[must_use]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The time over which clients come back after a shutdown, each at a moment of its own, drawn at
    /// random, so that they do not meet the next server all at once. Default: 5 s. Clients of this
    /// crate are told before they are closed, and those that [reconnect](crate::Reconnect) keep to
    /// it, up to 5 min; others, Python's among them, see the connection end and know nothing of it.
    #[must_use]
    pub const fn reconnect_spread(mut self, spread: Duration) -> Self {
        self.reconnect_spread = spread;
        self
    }

    /// The time over which a shutdown closes its connections, one after the other and evenly.
    /// Default: zero, all at once. Until its turn comes a peer notices nothing, so this also spreads
    /// clients who would come back at once, such as Python's. Each connection has
    /// [`drain_timeout`](Self::drain_timeout) from its turn on, and the whole shutdown as much
    /// beyond this time.
    #[must_use]
    pub const fn drain_spread(mut self, spread: Duration) -> Self {
        self.drain_spread = spread;
        self
    }

    /// How fast each peer may send. Default: any rate, since what is too fast depends on what your
    /// handlers cost, and a peer that is not slowed costs nothing of this.
    ///
    /// A peer over its rate is not read until it is within it again; one that stays there is warned
    /// of by [`Event::RateExceeded`](crate::Event::RateExceeded) and then disconnected, see [`Rate`].
    /// It is charged once for what was read together, so up to 64 KiB may go over it before the peer
    /// is slowed. Answers to calls of ours count, and wait like all else.
    ///
    /// ```
    /// use veltix::{Rate, ServerConfig};
    ///
    /// let rate = Rate::default().messages_per_second(200).bytes_per_second(256 * 1024);
    /// let config = ServerConfig::default().peer_rate(rate);
    /// ```
    #[must_use]
    pub const fn peer_rate(mut self, rate: Rate) -> Self {
        self.peer_rate = Some(rate);
        self
    }

    /// What the handlers of one peer may put before readers that are behind, in bytes a second of all
    /// those readers together; each frame counts 256 beside its own, as in the outbox. Over it that
    /// peer is not read until it is within it again, for a minute at most; a second's worth may come at
    /// once. `None` limits nothing. Default: 64 MiB a second.
    ///
    /// So a peer whose messages go to many others cannot fill their outboxes faster than they can
    /// read. What a reader's system takes at once fills nobody's outbox, and is not counted: a
    /// broadcast to readers that keep up is as fast as the machine. A route may have [a limit of its
    /// own](crate::Handler::publish_limit) instead, under which everything counts.
    #[must_use]
    pub const fn publish_limit(mut self, bytes_per_second: Option<u64>) -> Self {
        self.publish_limit = bytes_per_second;
        self
    }

    /// What the buffers and queues of all connections may hold together, in bytes: frames that have
    /// begun, messages that wait for their handler, and those that wait for a reader that is behind.
    /// Default: 1 GiB, or a quarter of the machine's memory or of what the process's control group may
    /// use, whichever is the least (the system is asked once).
    ///
    /// When it is used up, a frame that needs more room waits for it, and its peer is not read; small
    /// messages need none, and go on. If no room is found within a second, or queues alone go over the
    /// budget, whoever holds the most is disconnected, which
    /// [`Event::Evicted`](crate::Event::Evicted) and
    /// [`CloseReason::Evicted`](crate::CloseReason::Evicted) say; of those who are leaving already, what
    /// waits for them is dropped.
    ///
    /// A buffer that a frame comes in counts three times, since it grows and leaves holes behind. Not
    /// counted are: what one connection holds below 4 KiB, what handlers hold, and what the system
    /// holds for its sockets. A body that was broadcast counts once, unless it has less than 4 KiB or
    /// went to fewer than four peers: then it counts in each queue. Each server of a process has a
    /// budget of its own. Less than some three and a half times `max_message_size` is a
    /// [`ConfigError`](crate::ConfigError) where the config is used.
    #[must_use]
    pub const fn memory_budget(mut self, bytes: usize) -> Self {
        self.memory_budget = Some(bytes);
        self
    }

    connection_setters!();

    /// What the largest message counts while it comes.
    const fn least_budget(&self) -> usize {
        let most = limits::MEMORY_HOLES.saturating_mul(self.connection.max_message_size);
        // Not all of the budget is given to begun frames.
        most.saturating_add(2 * (most / limits::MEMORY_SLACK))
    }

    pub(super) fn budget(&self) -> usize {
        // The largest message always fits, also in the smallest control group.
        let default = || default_budget().max(self.least_budget());
        self.memory_budget.unwrap_or_else(default)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let (value, max_message_size) = (self.budget(), self.connection.max_message_size);
        if value < self.least_budget() {
            return Err(ConfigError::MemoryBudget { value, max_message_size });
        }
        at_least_one("max_connections", self.max_connections)?;
        at_least_one("max_connections_per_address", self.max_connections_per_address.unwrap_or(1))?;
        let (per_second, burst) = self.accept_rate.unwrap_or((1, 1));
        at_least_one("accept_rate", per_second.min(burst) as usize)?;
        at_least_one("max_pending_handshakes", self.max_pending_handshakes)?;
        at_least_one("max_pending_handshakes", self.max_pending_handshakes_per_address)
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            addr: "127.0.0.1:8080".to_owned(),
            max_connections: limits::MAX_CONNECTIONS,
            max_connections_per_address: None,
            accept_rate: None,
            max_pending_handshakes: limits::MAX_PENDING_HANDSHAKES,
            max_pending_handshakes_per_address: limits::MAX_PENDING_HANDSHAKES_PER_ADDRESS,
            tls: None,
            drain_spread: Duration::ZERO,
            reconnect_spread: limits::RECONNECT_SPREAD,
            peer_rate: None,
            publish_limit: Some(limits::PUBLISH_LIMIT),
            memory_budget: None,
            connection: ConnectionConfig::new(Some(limits::WRITE_STALL)),
        }
    }
}
