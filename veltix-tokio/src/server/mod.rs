//! [`Server`]: binds an address, accepts connections, serves them, and drains.

mod accept;
mod config;
mod exposed;

use std::fmt;
use std::future::{Future, pending};
use std::io;
#[cfg(unix)]
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

pub use config::ServerConfig;
use veltix_core::limits::UNKNOWN_PER_WINDOW;
use veltix_core::{Rate, ServerHandshake};

use self::accept::Entrance;
use self::exposed::{Protection, warn_if_exposed};
use crate::admission::Pace;
use crate::config::Role;
use crate::config::bounded;
use crate::drain::Spreads;
use crate::error::{BindError, Result};
use crate::handshake::HelloCache;
use crate::hub::Hub;
use crate::hub::{Endpoint, Side};
use crate::memory::Memory;
use crate::router::{Router, Routes};
use crate::tls::ServerTls;
#[cfg(unix)]
use crate::transport::UnixSocketListener;
use crate::transport::{Listener, PeerAddr, TcpAcceptor};

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
    /// The future that runs the server. It is generic over the listener, and boxed so that `Server`
    /// is not.
    serve: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Server {
    /// Binds the configured address. The system accepts connections from now on, and the server
    /// serves them after [`run`](Server::run) is called.
    ///
    /// If other machines can reach the address, the log contains one warning: every machine can
    /// connect there, and an attacker on the network path can read and change the messages, unless
    /// TLS and an authentication of the peers prevent it.
    ///
    /// # Errors
    /// [`BindError::AddressInUse`], [`BindError::Io`], [`BindError::Config`].
    pub async fn bind(config: ServerConfig, router: Router) -> Result<Self, BindError> {
        config.check()?;
        let options = config.connection.tcp_options();
        let addr = config.addr.clone();
        let acceptor =
            TcpAcceptor::bind(&addr, options).await.map_err(|source| match source.kind() {
                io::ErrorKind::AddrInUse => BindError::AddressInUse { addr, source },
                _ => BindError::Io { addr, source },
            })?;
        warn_of_descriptors(config.max_connections);
        let by_certificate = config.tls.as_ref().is_some_and(ServerTls::requires_certificates);
        let identity = by_certificate || router.has_authenticate() || router.has_on_connect();
        let protection = Protection { tls: config.tls.is_some(), identity };
        warn_if_exposed(&acceptor.local_addr(), protection);
        Self::with_listener(acceptor, config, router)
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
        router: Router,
    ) -> Result<Self, BindError> {
        // The config is checked before the socket file exists.
        config.check()?;
        let listener = UnixSocketListener::bind(path)?;
        warn_of_descriptors(config.max_connections);
        Self::with_listener(listener, config, router)
    }

    /// Creates a server on a listener of another kind: in memory, for tests, or one of your own.
    /// The address in the config is not used.
    ///
    /// # Errors
    /// [`BindError::Config`].
    pub fn with_listener(
        listener: impl Listener,
        config: ServerConfig,
        router: Router,
    ) -> Result<Self, BindError> {
        config.check()?;
        let mut limits = config.connection.limits(Some(UNKNOWN_PER_WINDOW))?;
        limits.peer_rate = config.peer_rate.filter(Rate::is_limited);
        limits.publish_limit = config.publish_limit;
        let side = Side {
            role: Role::Server,
            local_addr: listener.local_addr(),
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
        tracing::info!(addr = %endpoint.local_addr(), "listening");
        let pace = config.accept_rate.map(|(per_second, burst)| Pace::new(per_second, burst));
        let routes = Arc::new(Routes::new(router, Some(hub)));
        let types = routes.types().map(|types| &**types.fingerprints());
        let hello = ServerHandshake::hello_with(endpoint.limits().max_message_size, types);
        let entrance = Entrance {
            endpoint: Arc::clone(&endpoint),
            routes,
            tls: config.tls,
            hello_cache: HelloCache::new(hello),
        };
        let serve = Box::pin(accept::serve(listener, pace, entrance));
        Ok(Self { endpoint, serve: Some(serve) })
    }

    /// Returns the address on which the server listens, with the port that the system chose.
    /// [`run`](Server::run) takes the server: keep the address with `to_string()`.
    #[must_use]
    pub fn local_addr(&self) -> &PeerAddr {
        self.endpoint.local_addr()
    }

    /// Returns a handle of this server.
    #[must_use]
    pub fn hub(&self) -> Hub {
        Hub::new(Arc::clone(&self.endpoint))
    }

    /// Serves until [`Hub::shutdown`] has drained all connections.
    ///
    /// # Errors
    /// None at present: the server retries after a temporary failure of the system, for example
    /// when no file descriptor is free. The type leaves room for a final failure.
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
        // The future is always present here: only `drop` takes it out.
        let Some(serve) = &mut self.serve else { return Ok(()) };
        tokio::select! {
            biased;
            () = &mut *serve => return Ok(()),
            _ = stop => self.endpoint.begin_shutdown(),
        }
        serve.await;
        Ok(())
    }
}

impl Drop for Server {
    /// Ends the waits for a shutdown, since the server no longer runs.
    fn drop(&mut self) {
        // This aborts the remaining connections. They end a little later, when the runtime drops
        // their tasks, so the report cannot be complete.
        drop(self.serve.take());
        self.endpoint.drain().finish(false);
        self.endpoint.services().tags().end_watches();
        self.endpoint.events().end();
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
