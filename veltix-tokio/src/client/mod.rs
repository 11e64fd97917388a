//! [`Client`]: connects to a server, reconnects, and owns its connection.

mod attempts;
mod config;
mod connecting;
mod control;
mod credentials;
mod dial;
mod handle;
mod restored;
mod task;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{oneshot, watch};
use veltix_core::{Ask, ToMessage};

pub use config::{ClientConfig, Reconnect};
pub use connecting::Connecting;
pub use handle::ClientHandle;

use crate::close::Disconnected;
use crate::config::Role;
use crate::drain::Spreads;
use crate::error::{ConfigError, ConnectError, NotConnected, RestoreError, SendError};
use crate::hub::EventStream;
use crate::hub::{Endpoint, Side};
use crate::memory::Memory;
use crate::peer::{Peer, Sending};
use crate::requests::{Ping, Request};
use crate::router::{Router, Routes, Served};
use crate::tls::Dial;
#[cfg(unix)]
use crate::transport::UnixSocketConnector;
use crate::transport::{Connector, PeerAddr, Resolver, TcpConnector, is_loopback};
use attempts::Attempts;
use control::Control;
use dial::Dialer;
use handle::Shared;
use task::ClientTask;

/// A connection to a server.
///
/// A clone is cheap and refers to the same connection. The clones own the connection together: when
/// the last one is dropped, the client writes the queued frames (for at most 1 s), and the
/// connection closes. A program that ends right afterwards must await [`Client::close`], which
/// waits for that: with the runtime the writing ends, too. Messages that are lost in this way are
/// counted as undelivered, and named in a warning of the log.
///
/// A `Client` in the state of its own router would keep the connection open for ever. Handlers take a
/// [`ClientHandle`] instead, which may also be stored there.
///
/// ```no_run
/// # use veltix::{Client, ClientConfig, Message, MessageType, Router};
/// # const SAY: MessageType = MessageType::new(200, "say", "");
/// # async fn f() -> veltix::Result<()> {
/// let client = Client::connect(ClientConfig::default(), Router::new()).await?;
/// client.send(&Message::from_text(SAY, "hello")).await?; // queued
/// client.close().await; // written
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Owner>);

/// The state that all clones own. Dropping it ends the client's task.
struct Owner {
    handle: ClientHandle,
    shared: Arc<Shared>,
}

/// The status of a client's connection to its server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientStatus {
    /// The client is connected, and `on_connect` has returned `Ok`.
    Connected,
    /// The client has no connection and tries to get one.
    Reconnecting {
        /// The number of the current or next attempt, from 1.
        attempt: u32,
    },
    /// The client has no connection and does not try to get one: reconnecting is off, its attempts
    /// are used up, [`Client::stop_retry`] or [`Peer::close`] was called, or one side refused for
    /// good. [`Client::retry`] starts new attempts.
    Lost {
        /// The reason, as text.
        reason: String,
    },
    /// This side has closed the client for good.
    Closed,
}

impl Client {
    /// Connects over TCP. The future completes when the handshake has ended and the router's
    /// `on_connect` has returned `Ok`. At that moment the server may not have listed this peer yet.
    /// A client that must receive the server's next broadcast first waits for an answer of the
    /// server.
    ///
    /// # Errors
    /// Returns a [`ConnectError`]: that of the first failure, unless [`Reconnect::initial`] is set.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping the future closes the connection that it has opened.
    pub fn connect(config: ClientConfig, router: impl Served) -> Connecting {
        Connecting::new(Self::connect_tcp(config, router.into_router()))
    }

    async fn connect_tcp(config: ClientConfig, router: Router) -> Result<Self, ConnectError> {
        let options = config.connection.tcp_options();
        let connector = TcpConnector::new(config.addr.clone(), options, Resolver::System);
        let tls = config.dial_tls(Some(&config.addr))?;
        // A name is checked when it is connected: only then its address is known.
        if let Ok(addr) = config.addr.parse::<SocketAddr>()
            && !is_loopback(addr.ip())
            && !addr.ip().is_unspecified()
        {
            config.credentials.check(tls.is_some())?;
        }
        Self::connect_over(connector, tls, config, router).await
    }

    /// Connects to the Unix socket at this path. The address in the config is not used.
    ///
    /// # Errors
    /// As [`Client::connect`]. In addition, connecting fails if the server's backlog is full, while
    /// a TCP connect would wait.
    ///
    /// # Cancel safety
    /// As [`Client::connect`].
    #[cfg(unix)]
    pub fn connect_unix(
        path: impl Into<PathBuf>,
        config: ClientConfig,
        router: impl Served,
    ) -> Connecting {
        Self::connect_with(UnixSocketConnector::new(path), config, router)
    }

    /// Connects over another transport: in memory, for tests, or one of your own. The address in
    /// the config is not used.
    ///
    /// # Errors
    /// As [`Client::connect`].
    ///
    /// # Cancel safety
    /// As [`Client::connect`].
    pub fn connect_with(
        connector: impl Connector,
        config: ClientConfig,
        router: impl Served,
    ) -> Connecting {
        let router = router.into_router();
        Connecting::new(async move {
            let tls = config.dial_tls(None)?;
            Self::connect_over(connector, tls, config, router).await
        })
    }

    async fn connect_over(
        connector: impl Connector,
        tls: Option<Dial>,
        config: ClientConfig,
        router: Router,
    ) -> Result<Self, ConnectError> {
        if let Some(route) = router.hub_needed_by() {
            return Err(ConfigError::NeedsHub { route }.into());
        }
        if router.has_authenticate() {
            return Err(ConfigError::AuthenticateOnClient.into());
        }
        config.credentials.check_length()?;
        let limits = config.connection.limits(None)?;
        let messages = router.feed();
        let side = Side {
            role: Role::Client,
            // No peer connects to a client, so its address is a placeholder.
            local_addr: PeerAddr::Memory(0),
            max_connections: 1,
            max_connections_per_address: None,
            max_pending_handshakes: 1,
            max_pending_handshakes_per_address: 1,
            max_workers: config.connection.max_workers,
            memory: Memory::unlimited(),
            spreads: Spreads::default(),
        };
        let endpoint = Endpoint::new(side, limits);
        if !endpoint.services().runtime().remember() {
            return Err(ConnectError::NoRuntime);
        }
        let routes = Arc::new(Routes::new(router, None));
        let addr = connector.target();
        let mut attempts = Attempts::new(config.reconnecting());
        let credentials = config.credentials;
        let dialer =
            Dialer { connector, tls, credentials, endpoint: Arc::clone(&endpoint), routes };
        let first = attempts.first(&dialer).await?;
        let (admitted, entered) = oneshot::channel();
        let shared = Shared::new(endpoint, Control::new(first.peer().clone(), admitted));
        let owner =
            Owner { handle: ClientHandle::new(Arc::clone(&shared)), shared: Arc::clone(&shared) };
        let client = Self(Arc::new(owner));
        tokio::spawn(ClientTask { dialer, shared, attempts, messages }.run(first));
        match entered.await {
            Ok(result) => result.map(|()| client),
            // The client was closed, by a handler or by the end of the runtime.
            Err(_) => {
                let reason = client.peer().closed().await.reason.to_string();
                Err(ConnectError::GivenUp { addr, reason, is_final: true })
            }
        }
    }

    /// Returns a handle of this client that does not own the connection. Handlers take it as an
    /// argument.
    #[must_use]
    pub fn handle(&self) -> ClientHandle {
        self.0.handle.clone()
    }

    /// Returns the server, as the peer of the current connection, or of the last one.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.0.handle.peer()
    }

    /// Sends a message to the server and waits for room in the outbox, as [`Peer::send`] does. Before
    /// the program ends, [`close`](Client::close) waits until the message is written.
    ///
    /// # Errors
    /// As [`Peer::send`]; [`SendError::Closed`] while there is no connection.
    ///
    /// # Cancel safety
    /// As [`Peer::send`].
    pub fn send(&self, message: &(impl ToMessage + ?Sized)) -> Sending {
        self.peer().send(message)
    }

    /// Sends a message to the server if the outbox has room now, as [`Peer::try_send`] does.
    ///
    /// # Errors
    /// As [`Peer::try_send`].
    pub fn try_send(&self, message: &(impl ToMessage + ?Sized)) -> Result<(), SendError> {
        self.peer().try_send(message)
    }

    /// Calls the server, as [`Peer::request`] does. While there is no connection, the call fails at
    /// once with [`RequestError::Closed`](crate::RequestError::Closed).
    pub fn request<Q: Ask + ?Sized>(&self, message: &Q) -> Request<Q> {
        self.peer().request(message)
    }

    /// Pings the server and resolves to the round-trip time, as [`Peer::ping`] does.
    pub fn ping(&self) -> Ping {
        self.peer().ping()
    }

    /// Returns a stream of all events from now on.
    #[must_use]
    pub fn events(&self) -> EventStream {
        self.0.handle.events()
    }

    /// Returns a receiver of the client's status: the current one and every change.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<ClientStatus> {
        self.0.handle.status()
    }

    /// Returns whether there is a connection that is not ending.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.0.handle.is_connected()
    }

    /// Waits until there is a connection, and returns its peer.
    ///
    /// # Errors
    /// Returns [`NotConnected`] if there is no connection and the client does not try to get one. In
    /// a handler of this client the call never waits, since the next connection begins only after
    /// the handler has returned: without a connection it fails at once with
    /// [`NotConnected::WithinHandler`]. In `on_connect` that is always so.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn connected(&self) -> Result<Peer, NotConnected> {
        self.0.handle.connected().await
    }

    /// Registers a message that the client sends on each later connection: after `on_connect` has
    /// returned `Ok`, in the order of the registration, and before
    /// [`connected`](Client::connected) returns and [`status`](Client::status) is
    /// [`Connected`](ClientStatus::Connected). So the server handles these messages before any later
    /// one, for example to bring the client back into its rooms. A message takes the place of the one
    /// with the same key. The key never leaves the client.
    ///
    /// It is not sent on the present connection: send it there, after the registration, so that a
    /// reconnect in between loses nothing. It is sent as by [`send`](Client::send), so an answer goes to
    /// the route of its type. To ask and to check the answer, use a request in
    /// [`on_connect`](Router::on_connect) instead.
    ///
    /// ```
    /// use veltix::Client;
    ///
    /// #[veltix::message]
    /// enum Rooms {
    ///     #[message(code = 200)]
    ///     Join { room: String },
    ///     #[message(code = 201)]
    ///     Leave { room: String },
    /// }
    ///
    /// async fn join(client: &Client, room: String) -> veltix::Result<()> {
    ///     let join = Join { room };
    ///     client.restore(join.room.as_str(), &join)?;
    ///     client.send(&join).await?;
    ///     Ok(())
    /// }
    ///
    /// async fn leave(client: &Client, room: String) -> veltix::Result<()> {
    ///     client.forget(&room);
    ///     client.send(&Leave { room }).await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`RestoreError::Full`] if the client has 512 messages or 1 MiB of them, and
    /// [`RestoreError::Encode`]. In both cases an older message with this key stays.
    pub fn restore(
        &self,
        key: impl Into<Box<str>>,
        message: &(impl ToMessage + ?Sized),
    ) -> Result<(), RestoreError> {
        self.0.handle.restore(key, message)
    }

    /// Removes the message with this key from those that the client [restores](Client::restore).
    /// Returns false if there was none.
    pub fn forget(&self, key: &str) -> bool {
        self.0.handle.forget(key)
    }

    /// Stops reconnecting, now and after later losses, until [`Client::retry`] is called.
    pub fn stop_retry(&self) {
        self.0.handle.stop_retry();
    }

    /// Reconnects after the usual pause, with at most `attempts` attempts in a row, now if the
    /// connection is lost or is ending, and after later losses. This number replaces that of the
    /// config. A connection that this side closes is not replaced, unless `retry` is called after
    /// that: `client.peer().close()`, then `client.retry(1)`, is a reconnect.
    pub fn retry(&self, attempts: u32) {
        self.0.handle.retry(attempts);
    }

    /// Closes the connection for good: cancels handlers, writes the queued frames (for at most
    /// 1 s), and ends the connection. The call takes effect at once. The future resolves to the end
    /// of the last connection.
    ///
    /// # Cancel safety
    /// Dropping the future ends only the waiting.
    pub fn close(&self) -> ClosingClient {
        self.0.handle.close()
    }
}

/// The end of a client, as a future: resolves to the end of its last connection. [`Client::close`]
/// returns it, and the client closes even if it is not awaited.
pub struct ClosingClient(Pin<Box<dyn Future<Output = Disconnected> + Send>>);

impl ClosingClient {
    fn new(end: impl Future<Output = Disconnected> + Send + 'static) -> Self {
        Self(Box::pin(end))
    }
}

impl Future for ClosingClient {
    type Output = Disconnected;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Disconnected> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for ClosingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClosingClient").finish_non_exhaustive()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if fault!("dropped_client_stays") {
            return;
        }
        self.shared.control().close();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status();
        f.debug_struct("Client").field("status", &*status.borrow()).finish_non_exhaustive()
    }
}
