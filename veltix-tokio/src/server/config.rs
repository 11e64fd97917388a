//! [`ServerConfig`]: the settings of a server.

use std::time::Duration;

use veltix_core::limits;
use veltix_core::{OverflowPolicy, Rate};

use crate::admission::Networks;
use crate::config::{BufferSize, SocketCore};
use crate::config::{ConnectionConfig, at_least_one, connection_setters};
use crate::error::ConfigError;
use crate::memory::default_budget;
use crate::tls::ServerTls;

/// The settings of a server. Start from the default and change the settings that you need.
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
    pub(super) balancers: Vec<String>,
    pub(super) drain_spread: Duration,
    pub(super) reconnect_spread: Duration,
    pub(super) peer_rate: Option<Rate>,
    pub(super) publish_limit: Option<u64>,
    pub(super) memory_budget: Option<usize>,
    pub(crate) connection: ConnectionConfig,
}

impl ServerConfig {
    /// Sets the address to listen on, as `host:port`. With port 0 the system chooses a port. A name
    /// is bound on all of its addresses: see [`Tcp`](crate::Tcp). Default: `127.0.0.1:8080`.
    ///
    /// The Python package listens on `0.0.0.0`, which is every network of the machine. To accept
    /// connections from other machines, set `.addr("0.0.0.0:8080")`. Every machine there can then
    /// connect, and an attacker on the network path can read and change the messages, so enable TLS
    /// and authenticate the peers. Without these, the server logs a warning.
    #[must_use]
    pub fn addr(mut self, addr: impl Into<String>) -> Self {
        self.addr = addr.into();
        self
    }

    /// Sets the maximum number of peers. Further peers are refused because the server is full.
    /// Default: 10 000.
    #[must_use]
    pub const fn max_connections(mut self, peers: usize) -> Self {
        self.max_connections = peers;
        self
    }

    /// Sets the maximum number of peers of one address. An address is one IPv4 address or an IPv6
    /// network of 64 bits. Further peers are refused because the server is full. Default: `None`,
    /// no limit per address, since an office or a proxy has many honest clients behind one address.
    /// If your clients have separate addresses, the limit keeps one host from taking all slots.
    #[must_use]
    pub const fn max_connections_per_address(mut self, peers: Option<usize>) -> Self {
        self.max_connections_per_address = peers;
        self
    }

    /// Sets the number of connections that are accepted per second, and at once after a pause.
    /// Default: no limit, since a connection costs little before its handshake. Connections above
    /// the rate wait in the system's backlog and are not refused, while the client's own deadline
    /// runs. The rate bounds the cost of a storm of handshakes for the connected peers, above all
    /// with TLS.
    #[must_use]
    pub const fn accept_rate(mut self, per_second: u32, burst: u32) -> Self {
        self.accept_rate = Some((per_second, burst));
        self
    }

    /// Sets the maximum number of pending handshakes, in all and from one address. An address is
    /// counted as for [`max_connections_per_address`](Self::max_connections_per_address). Above a
    /// limit, one pending handshake is shed at random. Pending handshakes count neither as peers
    /// nor toward `max_connections`. Default: 512 and 32. Many honest clients behind one address,
    /// as behind a NAT or in a load test, need higher limits: a client whose handshake is shed sees
    /// the connection close.
    #[must_use]
    pub const fn max_pending_handshakes(mut self, in_all: usize, per_address: usize) -> Self {
        self.max_pending_handshakes = in_all;
        self.max_pending_handshakes_per_address = per_address;
        self
    }

    /// Serves over TLS only, on every transport. Default: no TLS, so that messages can be read and
    /// changed on the network path. The setting is that of the server's first listener; each
    /// [further one](crate::Server::also_listen) has its own.
    ///
    /// The TLS handshake is part of the whole handshake: it counts as pending, and has the same
    /// deadline, [`handshake_timeout`](Self::handshake_timeout). A full server refuses a client
    /// after the TLS handshake, since the client could not read the refusal before.
    #[cfg(feature = "__tls")]
    #[must_use]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets the networks of load balancers that begin each connection with a header of the PROXY protocol,
    /// version 2 (in HAProxy `send-proxy-v2`). Each is an IP address or a network, such as `10.0.0.0/8` or
    /// `2001:db8::/32`. Default: none. The setting is that of the server's first listener;
    /// [further ones](crate::Server::also_listen) accept no header.
    ///
    /// A connection from one of these addresses must begin with the header, before TLS and within half of
    /// [`handshake_timeout`](Self::handshake_timeout); otherwise its handshake fails with
    /// [`HandshakeFailure::Proxy`](crate::HandshakeFailure::Proxy). The address in the header is then the
    /// peer's everywhere: in the limits per address, in events and logs, and in
    /// [`Peer::addr`](crate::Peer::addr). A header without an address (`LOCAL`, as for a health check) leaves the
    /// connection its own one. A header from any other address is
    /// [`HandshakeError::ProxyHeader`](veltix_core::HandshakeError::ProxyHeader).
    ///
    /// Everything in these networks can pretend to be any client, so name the load balancers alone. Up to its
    /// header a connection counts toward `max_pending_handshakes` in all, and not per address.
    ///
    /// ```
    /// use veltix::ServerConfig;
    ///
    /// let config = ServerConfig::default().addr("0.0.0.0:8080").trust_proxy(["10.0.3.7", "10.0.3.8"]);
    /// ```
    ///
    /// A text that is no network is a [`ConfigError::Network`](crate::ConfigError::Network) when the config is
    /// used.
    #[must_use]
    pub fn trust_proxy(mut self, nets: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.balancers = nets.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the period over which clients reconnect after a shutdown. Each client chooses a random
    /// moment, so that the clients do not reach the next server all at once. Default: 5 s. Clients
    /// of this crate receive the period before their connections close, and those that
    /// [reconnect](crate::Reconnect) follow it, up to 5 min. Other clients, Python's included, only
    /// see the connection end.
    #[must_use]
    pub const fn reconnect_spread(mut self, spread: Duration) -> Self {
        self.reconnect_spread = spread;
        self
    }

    /// Sets the period over which a shutdown closes its connections, evenly and one after the
    /// other. Default: zero, all at once. A peer notices nothing before its connection's turn, so
    /// this setting also spreads clients that would reconnect at once, such as Python's. Each
    /// connection has [`drain_timeout`](Self::drain_timeout) from its turn on, and the whole
    /// shutdown takes at most this period plus one `drain_timeout`.
    #[must_use]
    pub const fn drain_spread(mut self, spread: Duration) -> Self {
        self.drain_spread = spread;
        self
    }

    /// Sets the rate at which each peer may send. Default: no limit, since the right limit depends
    /// on the cost of your handlers, and a peer that is not slowed costs the server nothing here.
    ///
    /// Reading from a peer above its rate pauses until the peer is within the rate again. If the
    /// peer stays above the rate, the server emits
    /// [`Event::RateExceeded`](crate::Event::RateExceeded) and then disconnects the peer, see
    /// [`Rate`]. The peer is charged once for everything that one read returned, so up to 64 KiB
    /// may exceed the rate before reading pauses. Answers to this side's calls count, and wait like
    /// all other messages.
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

    /// Sets the bytes per second that one peer's handlers may broadcast to slow readers, summed
    /// over all those readers. Each frame counts 256 bytes in addition, as in the outbox. Above
    /// this rate, reading from that peer pauses until it is within the rate again, for at most a
    /// minute. One second's amount may be sent at once. `None` sets no limit. Default: 64 MiB per
    /// second.
    ///
    /// The limit keeps a peer whose messages go to many others from filling their outboxes faster
    /// than they can read. Bytes that a reader's system accepts at once fill no outbox and do not
    /// count: a broadcast to readers that keep up is as fast as the machine. A route may have [a
    /// limit of its own](crate::Handler::publish_limit) instead, under which all bytes count.
    #[must_use]
    pub const fn publish_limit(mut self, bytes_per_second: Option<u64>) -> Self {
        self.publish_limit = bytes_per_second;
        self
    }

    /// Sets the memory that the buffers and queues of all connections may hold together, in bytes:
    /// begun frames, messages that wait for their handler, and messages that wait for a slow
    /// reader. Default: the least of 1 GiB, a quarter of the machine's memory, and a quarter of the
    /// limit of the process's control group. The system is asked once.
    ///
    /// When the budget is used up, a frame that needs more room waits, and reading from its peer
    /// pauses. Small messages need no room and are still received. If no room is found within a
    /// second, or if the queues alone exceed the budget, the peer that holds the most memory is
    /// disconnected, with [`Event::Evicted`](crate::Event::Evicted) and
    /// [`CloseReason::Evicted`](crate::CloseReason::Evicted). If a connection is already ending,
    /// its queued messages are dropped instead.
    ///
    /// The buffer of an incoming frame counts three times, since it grows and leaves holes behind.
    /// The budget does not include memory of one connection below 4 KiB, memory of handlers, and
    /// the system's memory for its sockets. A broadcast body counts once, unless it has less than
    /// 4 KiB or went to fewer than four peers: then it counts in each queue. Each server of a process
    /// has a budget of its own. A budget of less than about three and a half times
    /// `max_message_size` is a [`ConfigError`](crate::ConfigError) when the config is used.
    #[must_use]
    pub const fn memory_budget(mut self, bytes: usize) -> Self {
        self.memory_budget = Some(bytes);
        self
    }

    connection_setters!();

    /// Returns the memory that the largest message counts while it is received.
    const fn least_budget(&self) -> usize {
        let most = limits::MEMORY_HOLES.saturating_mul(self.connection.max_message_size);
        // Not all of the budget is available to begun frames.
        most.saturating_add(2 * (most / limits::MEMORY_SLACK))
    }

    pub(super) fn budget(&self) -> usize {
        // The largest message always fits, even in the smallest control group.
        let default = || default_budget().max(self.least_budget());
        self.memory_budget.unwrap_or_else(default)
    }

    /// Returns the networks of the load balancers, or `None` if there are none.
    pub(super) fn balancers(&self) -> Result<Option<Networks>, ConfigError> {
        let networks = Networks::parse(&self.balancers)?;
        Ok((!networks.is_empty()).then_some(networks))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.balancers()?;
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
            balancers: Vec::new(),
            drain_spread: Duration::ZERO,
            reconnect_spread: limits::RECONNECT_SPREAD,
            peer_rate: None,
            publish_limit: Some(limits::PUBLISH_LIMIT),
            memory_budget: None,
            connection: ConnectionConfig::new(Some(limits::WRITE_STALL)),
        }
    }
}
