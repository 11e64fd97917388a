//! [`Client`]: connects to a server, reconnects, and owns its connection.

mod config;
mod control;
mod credentials;
mod dial;
mod messages;
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
use veltix_core::{Ask, Message, ToMessage};

pub use config::{ClientConfig, Reconnect};
pub use messages::MessageStream;

use crate::close::Disconnected;
use crate::config::Role;
use crate::drain::Spreads;
use crate::error::{ConfigError, ConnectError, SendError};
use crate::flush;
use crate::hub::EventStream;
use crate::hub::{Endpoint, Side};
use crate::memory::Memory;
use crate::peer::{Peer, Sending};
use crate::requests::{Ping, Request};
use crate::router::{Router, Routes};
use crate::tls::Dial;
#[cfg(unix)]
use crate::transport::UnixSocketConnector;
use crate::transport::{Connector, PeerAddr, Resolver, TcpConnector, is_loopback};
use control::Control;
use dial::Dialer;
use messages::Messages;
use task::{Attempts, ClientTask};

/// A connection to a server.
///
/// A clone is cheap and refers to the same connection. The clones own the connection together: when
/// the last one is dropped, the client writes the queued frames (for at most 1 s), and the
/// connection closes. A program that ends right afterwards must await [`Client::close`], which
/// waits for that.
#[derive(Clone)]
pub struct Client(Arc<Owner>);

/// The state that all clones own. Dropping it ends the client's task.
struct Owner {
    endpoint: Arc<Endpoint>,
    control: Arc<Control>,
    messages: Option<Messages>,
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
    /// are used up, [`Client::stop_retry`] was called, or the server refused for good.
    /// [`Client::retry`] starts new attempts.
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
    pub async fn connect(config: ClientConfig, router: Router) -> Result<Self, ConnectError> {
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
    pub async fn connect_unix(
        path: impl Into<PathBuf>,
        config: ClientConfig,
        router: Router,
    ) -> Result<Self, ConnectError> {
        Self::connect_with(UnixSocketConnector::new(path), config, router).await
    }

    /// Connects over another transport: in memory, for tests, or one of your own. The address in
    /// the config is not used.
    ///
    /// # Errors
    /// As [`Client::connect`].
    ///
    /// # Cancel safety
    /// As [`Client::connect`].
    pub async fn connect_with(
        connector: impl Connector,
        config: ClientConfig,
        router: Router,
    ) -> Result<Self, ConnectError> {
        let tls = config.dial_tls(None)?;
        Self::connect_over(connector, tls, config, router).await
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
        let (router, messages) = with_messages(router);
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
        let routes = Arc::new(Routes::new(router, None));
        let addr = connector.target();
        let credentials = config.credentials;
        let dialer =
            Dialer { connector, tls, credentials, endpoint: Arc::clone(&endpoint), routes };
        let mut attempts = Attempts::new(config.reconnect);
        let first = attempts.first(&dialer).await?;
        let first_peer = first.peer().clone();
        let control = Arc::new(Control::new(first_peer.clone()));
        let owner = Owner { endpoint, control: Arc::clone(&control), messages: messages.clone() };
        let client = Self(Arc::new(owner));
        let (admitted, entered) = oneshot::channel();
        let attempts = Attempts::new(config.reconnect);
        let task = ClientTask { dialer, control, attempts, messages };
        tokio::spawn(task.run(first, admitted));
        match entered.await {
            Ok(()) => Ok(client),
            Err(_) => {
                let reason = first_peer.closed().await.reason.to_string();
                Err(ConnectError::GivenUp { addr, reason })
            }
        }
    }

    /// Returns the server, as the peer of the current connection, or of the last one.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.0.control.peer()
    }

    /// Sends a message to the server and waits for room in the outbox, as [`Peer::send`] does.
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

    /// Returns the messages that no route took, as a stream, to the first caller. Returns `None` if
    /// the stream was taken before, or if the router has a fallback, which takes all messages. The
    /// stream ends when the client is [`Lost`](ClientStatus::Lost). The next connection brings a
    /// new stream.
    #[must_use]
    pub fn messages(&self) -> Option<MessageStream> {
        self.0.messages.as_ref()?.take()
    }

    /// Returns a stream of all events from now on.
    #[must_use]
    pub fn events(&self) -> EventStream {
        self.0.endpoint.events().subscribe()
    }

    /// Returns a receiver of the client's status: the current one and every change.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<ClientStatus> {
        self.0.control.status()
    }

    /// Returns whether there is a connection that is not ending.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        *self.status().borrow() == ClientStatus::Connected && !self.peer().is_closed()
    }

    /// Waits until there is a connection, and returns its peer.
    ///
    /// # Errors
    /// Returns the status if there is no connection and the client does not try to get one:
    /// [`ClientStatus::Lost`] or [`ClientStatus::Closed`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn connected(&self) -> Result<Peer, ClientStatus> {
        let mut status = self.status();
        loop {
            let now = status.borrow_and_update().clone();
            match now {
                ClientStatus::Lost { .. } | ClientStatus::Closed => return Err(now),
                // The status changes shortly after the end of a connection.
                ClientStatus::Connected if !self.peer().is_closed() => return Ok(self.peer()),
                ClientStatus::Connected | ClientStatus::Reconnecting { .. } => {}
            }
            if status.changed().await.is_err() {
                return Err(ClientStatus::Closed);
            }
        }
    }

    /// Stops reconnecting, now and after later losses, until [`Client::retry`] is called.
    pub fn stop_retry(&self) {
        self.0.control.stop_retry();
    }

    /// Reconnects after the usual pause, with at most `attempts` attempts in a row, now if the
    /// connection is lost and after later losses. This number replaces that of the config.
    pub fn retry(&self, attempts: u32) {
        self.0.control.retry(attempts);
    }

    /// Closes the connection for good: cancels handlers, writes the queued frames (for at most
    /// 1 s), and ends the connection. The call takes effect at once. The future resolves to the end
    /// of the last connection.
    ///
    /// # Cancel safety
    /// Dropping the future ends only the waiting.
    pub fn close(&self) -> ClosingClient {
        self.0.control.close();
        let control = self.control();
        let endpoint = Arc::clone(&self.0.endpoint);
        ClosingClient(Box::pin(async move {
            // Within one of its own handlers the client's task must not be awaited, since it waits
            // for that handler.
            if !flush::is_within(endpoint.services()) {
                control.closed().await;
            }
            control.peer().closed().await
        }))
    }

    fn control(&self) -> Arc<Control> {
        Arc::clone(&self.0.control)
    }
}

/// The end of a client, as a future: resolves to the end of its last connection. [`Client::close`]
/// returns it, and the client closes even if it is not awaited.
pub struct ClosingClient(Pin<Box<dyn Future<Output = Disconnected> + Send>>);

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

/// Adds a fallback that feeds [`Client::messages`] to a router without one.
fn with_messages(router: Router) -> (Router, Option<Messages>) {
    if router.has_fallback() {
        return (router, None);
    }
    let messages = Messages::new();
    let feed = messages.clone();
    let router = router.fallback(move |message: Message| feed.clone().offer(message));
    (router, Some(messages))
}

impl Drop for Owner {
    fn drop(&mut self) {
        if fault!("dropped_client_stays") {
            return;
        }
        self.control.close();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.0.control.status();
        f.debug_struct("Client").field("status", &*status.borrow()).finish_non_exhaustive()
    }
}
