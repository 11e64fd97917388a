//! [`Server`]: binds its listeners, accepts connections, serves them, and drains.

mod accept;
mod accepting;
mod backoff;
mod binding;
mod config;
mod entrance;
mod exposed;
mod listeners;
mod listening;
mod tcp;

use std::fmt;
use std::future::{Future, pending};
use std::mem;
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;

pub use config::ServerConfig;
pub use listening::{IntoListener, Listening};
pub use tcp::Tcp;
use tokio::runtime::Handle;
use veltix_core::limits::UNKNOWN_PER_WINDOW;
use veltix_core::{Rate, ServerHandshake};

use self::accepting::Accepting;
pub use self::binding::Binding;
use self::entrance::Entrance;
use self::exposed::{Protection, warn_if_exposed};
use self::listeners::{ListenerState, Listeners};
use self::listening::Source;
use crate::admission::Pace;
use crate::config::Role;
use crate::config::bounded;
use crate::drain::Spreads;
use crate::error::{BindError, ConfigError, Result, ServeError};
use crate::handshake::HelloCache;
use crate::hub::Hub;
#[cfg(feature = "cluster")]
use crate::hub::IntoRelay;
use crate::hub::{Endpoint, Side};
use crate::memory::Memory;
use crate::metrics::TypeNames;
use crate::router::{Router, Routes, Served};
use crate::tls::ServerTls;
#[cfg(unix)]
use crate::transport::UnixSocketListener;
use crate::transport::{PeerAddr, TcpOptions};

/// A server that is bound and not yet running.
///
/// ```no_run
/// # async fn f() -> veltix::Result<()> {
/// use veltix::{Router, Server, ServerConfig};
///
/// let router = Router::new();
/// Server::bind(ServerConfig::default(), router).await?.run().await?;
/// # Ok(()) }
/// ```
#[must_use = "a server accepts no connections before `run`"]
pub struct Server {
    endpoint: Arc<Endpoint>,
    routes: Arc<Routes>,
    hello_cache: Arc<HelloCache>,
    /// The options of TCP connections.
    options: TcpOptions,
    /// True if the application checks its peers.
    has_identity: bool,
    pace: Option<Pace>,
    /// The listeners, until the server runs.
    listeners: Listeners,
}

impl Server {
    /// Binds the configured address. The system accepts connections from now on, and the server
    /// serves them after [`run`](Server::run) is called. [`Tcp`] describes names with several
    /// addresses.
    ///
    /// If other machines can reach the address, the log contains one warning: every machine can
    /// connect there, and an attacker on the network path can read and change the messages, unless
    /// TLS and an authentication of the peers prevent it.
    ///
    /// # Errors
    /// [`BindError::AddressInUse`], [`BindError::Io`], [`BindError::NoRuntime`], [`BindError::Config`].
    pub fn bind(config: ServerConfig, router: impl Served) -> Binding {
        Binding::new(Self::bind_tcp(config, router.into_router()))
    }

    async fn bind_tcp(config: ServerConfig, router: Router) -> Result<Self, BindError> {
        config.check()?;
        if Handle::try_current().is_err() {
            return Err(BindError::NoRuntime);
        }
        let tcp = Tcp::bind_with(&config.addr, config.connection.tcp_options()).await?;
        warn_of_descriptors(config.max_connections);
        Self::with_listener(tcp, config, router)
    }

    /// Binds a Unix socket at this path, for the user of this process. [`UnixSocketListener`]
    /// describes the details, and how to admit other users. The address in the config is not used.
    /// The call needs a Tokio runtime.
    ///
    /// ```no_run
    /// # async fn f() -> veltix::Result<()> {
    /// use veltix::{Router, Server, ServerConfig};
    ///
    /// Server::bind_unix("/run/app.sock", ServerConfig::default(), Router::new())?.run().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`UnixSocketListener::bind`], and [`BindError::Config`].
    #[cfg(unix)]
    pub fn bind_unix(
        path: impl AsRef<Path>,
        config: ServerConfig,
        router: impl Served,
    ) -> Result<Self, BindError> {
        // The config is checked before the socket file exists.
        config.check()?;
        let listener = UnixSocketListener::bind(path)?;
        warn_of_descriptors(config.max_connections);
        Self::with_listener(listener, config, router)
    }

    /// Creates a server on a listener of another kind: in memory, for tests, or one of your own.
    /// The address in the config is not used. TLS of the config is that of this listener, unless
    /// the listener has its own.
    ///
    /// # Errors
    /// [`BindError::Config`].
    pub fn with_listener(
        listener: impl IntoListener,
        config: ServerConfig,
        router: impl Served,
    ) -> Result<Self, BindError> {
        let router = router.into_router();
        config.check()?;
        if router.feed().is_some() {
            return Err(ConfigError::MessagesOnServer.into());
        }
        let mut listener = listener.into_listener();
        listener.tls = listener.tls.or_else(|| config.tls.clone());
        listener.balancers = config.balancers()?;
        let mut limits = config.connection.limits(Some(UNKNOWN_PER_WINDOW))?;
        limits.peer_rate = config.peer_rate.filter(Rate::is_limited);
        limits.publish_limit = config.publish_limit;
        let side = Side {
            role: Role::Server,
            local_addr: listener.local_addr().clone(),
            max_connections: config.max_connections,
            max_connections_per_address: config.max_connections_per_address,
            max_pending_handshakes: config.max_pending_handshakes,
            max_pending_handshakes_per_address: config.max_pending_handshakes_per_address,
            max_workers: config.connection.max_workers,
            memory: Memory::new(config.budget()),
            spreads: Spreads {
                closes: bounded(config.drain_spread),
                reconnects: config.reconnect_spread,
            },
        };
        let endpoint = Endpoint::new(side, limits);
        let hub = Hub::new(Arc::clone(&endpoint));
        let has_identity = router.has_authenticate() || router.has_on_connect();
        let routes = Arc::new(Routes::new(router, Some(hub)));
        let names = TypeNames::of(routes.message_types());
        endpoint.services().meters().set_types(names);
        let types = routes.types().map(|types| &**types.fingerprints());
        let hello = ServerHandshake::hello_with(endpoint.limits().max_message_size, types);
        let server = Self {
            options: config.connection.tcp_options(),
            has_identity,
            pace: config.accept_rate.map(|(per_second, burst)| Pace::new(per_second, burst)),
            hello_cache: Arc::new(HelloCache::new(hello)),
            routes,
            listeners: Listeners::default(),
            endpoint,
        };
        server.also_listen(listener)
    }

    /// Adds a listener. All listeners of a server share its hub, its limits, its router and its
    /// shutdown, and each has its own TLS: `ServerConfig::tls` is that of the first listener.
    /// They accept in turns, so that none delays another.
    ///
    /// A listener that fails for good is dropped ([`Event::ListenerFailed`](crate::Event)), and the
    /// others continue.
    ///
    /// ```no_run
    /// # async fn f() -> veltix::Result<()> {
    /// use veltix::transport::Tcp;
    /// use veltix::{Router, Server, ServerConfig};
    ///
    /// let config = ServerConfig::default().addr("127.0.0.1:8080");
    /// let server = Server::bind(config, Router::new())
    ///     .await?
    ///     .also_listen(Tcp::bind("127.0.0.1:8081").await?)?;
    /// # #[cfg(unix)]
    /// let server = server
    ///     .also_listen(veltix::transport::UnixSocketListener::bind("/run/app.sock")?)?;
    /// server.run().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`BindError::Io`] if the options of the connections cannot be set on the socket.
    pub fn also_listen(mut self, listener: impl IntoListener) -> Result<Self, BindError> {
        let Listening { sockets, tls, label, balancers } = listener.into_listener();
        let by_certificate = tls.as_ref().is_some_and(ServerTls::requires_certificates);
        let protection =
            Protection { tls: tls.is_some(), identity: by_certificate || self.has_identity };
        let entrance = Arc::new(Entrance {
            endpoint: Arc::clone(&self.endpoint),
            routes: Arc::clone(&self.routes),
            hello_cache: Arc::clone(&self.hello_cache),
            tls,
            balancers,
        });
        for socket in sockets {
            let addr = socket.addr;
            let accepting: Box<dyn Accepting> = match socket.source {
                Source::Tcp(mut acceptor) => {
                    acceptor
                        .set_options(self.options)
                        .map_err(|source| BindError::Io { addr: addr.to_string(), source })?;
                    warn_if_exposed(&addr, protection);
                    Box::new(acceptor)
                }
                Source::Other(accepting) => accepting,
            };
            tracing::info!(%addr, label = label.as_deref(), "listening");
            if !self.listeners.is_empty() {
                self.endpoint.add_local_addr(addr.clone());
            }
            let (label, entrance) = (label.clone(), Arc::clone(&entrance));
            self.listeners.push(ListenerState::new(accepting, addr, label, entrance));
        }
        Ok(self)
    }

    /// Joins a cluster: broadcasts of this server reach the peers of all its nodes. The cluster runs from
    /// [`run`](Server::run) on, and ends with the server.
    ///
    /// # Panics
    /// Panics if the server has joined a cluster already.
    #[cfg(feature = "cluster")]
    #[track_caller]
    pub fn cluster(self, cluster: impl IntoRelay) -> Self {
        let types = self.listeners.entrance().routes.types();
        let types = types.map_or(0, |types| types.fingerprints().digest());
        let relay = cluster.join(self.hub(), types);
        let is_first = self.endpoint.set_relay(relay);
        assert!(is_first, "a server joins one cluster: call `cluster` once");
        self
    }

    /// Returns the address on which the server listens, with the port that the system chose: the
    /// first one of several, see [`local_addrs`](Self::local_addrs). [`run`](Server::run) takes the
    /// server: keep the address with `to_string()`.
    #[must_use]
    pub fn local_addr(&self) -> &PeerAddr {
        self.endpoint.local_addr()
    }

    /// Returns all addresses on which the server listens: those of its listeners, in the order in
    /// which they were added. A name may have several addresses.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<PeerAddr> {
        self.endpoint.local_addrs()
    }

    /// Returns a handle of this server.
    #[must_use]
    pub fn hub(&self) -> Hub {
        Hub::new(Arc::clone(&self.endpoint))
    }

    /// Serves until [`Hub::shutdown`] has drained all connections.
    ///
    /// # Errors
    /// [`ServeError::NoRuntime`](crate::ServeError::NoRuntime) if no Tokio runtime drives the future.
    /// [`ServeError::NoListener`](crate::ServeError::NoListener) if the last listener has failed for
    /// good. The connections are drained first, as by [`Hub::shutdown`]. After a temporary failure
    /// of the system, for example when no file descriptor is free, the server continues.
    ///
    /// # Cancel safety
    /// Dropping the future aborts every connection: queued frames are lost, and `on_disconnect`
    /// does not run.
    pub async fn run(self) -> Result<()> {
        self.run_until(pending::<()>()).await
    }

    /// Serves until the future is ready, and then drains as [`Hub::shutdown`] does. It also returns
    /// after a [`Hub::shutdown`] from elsewhere. The usual future is
    #[cfg_attr(
        feature = "signal",
        doc = "[`stop_signal`](crate::stop_signal), for SIGTERM and Ctrl-C."
    )]
    #[cfg_attr(
        not(feature = "signal"),
        doc = "one that is ready when the process receives a signal to end."
    )]
    ///
    /// # Errors
    /// As [`run`](Server::run).
    ///
    /// # Cancel safety
    /// As [`run`](Server::run).
    pub async fn run_until(mut self, stop: impl Future) -> Result<()> {
        if !self.endpoint.services().runtime().remember() {
            return Err(ServeError::NoRuntime.into());
        }
        #[cfg(feature = "cluster")]
        if let Some(relay) = self.endpoint.relay() {
            Arc::clone(relay).start();
        }
        let listeners = mem::take(&mut self.listeners);
        let endpoint = Arc::clone(&self.endpoint);
        // It is dropped before `self`, so it aborts the connections before their waiters are told.
        let mut serve = Box::pin(accept::serve(listeners, self.pace.take(), endpoint));
        tokio::select! {
            biased;
            served = &mut serve => return Ok(served?),
            _ = stop => self.endpoint.begin_shutdown(),
        }
        Ok(serve.await?)
    }
}

impl Drop for Server {
    /// Ends the waits for a shutdown, since the server no longer runs.
    fn drop(&mut self) {
        // A server that ran is dropped after its accept loop, which has aborted the remaining
        // connections. They end a little later, when the runtime drops their tasks, so the report
        // cannot be complete.
        drop(mem::take(&mut self.listeners));
        #[cfg(feature = "cluster")]
        if let Some(relay) = self.endpoint.relay() {
            relay.abort();
        }
        self.endpoint.tasks().end();
        self.endpoint.drain().finish(false, 0);
        self.endpoint.end_streams();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addr", self.local_addr()).finish_non_exhaustive()
    }
}

/// Logs a warning if the process may open fewer file descriptors than `max_connections`.
#[cfg(target_os = "linux")]
fn warn_of_descriptors(max_connections: usize) {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let soft = limits.lines().find_map(|line| {
        line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok()
    });
    if let Some(soft) = soft
        && max_connections >= soft
    {
        tracing::warn!(
            max_connections,
            descriptors = soft,
            "max_connections is beyond the limit of open files: raise RLIMIT_NOFILE or lower it"
        );
    }
}

#[cfg(not(target_os = "linux"))]
fn warn_of_descriptors(_max_connections: usize) {}
