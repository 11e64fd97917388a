//! [`Client`]: connects, reconnects, and owns its connection.

mod config;
mod control;
mod credentials;
mod dial;
mod messages;
mod task;

use std::fmt;
use std::future::Future;
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
use crate::planted::planted;
use crate::requests::{Ping, Request};
use crate::router::{Router, Routes};
use crate::tls::Dial;
#[cfg(unix)]
use crate::transport::UnixSocketConnector;
use crate::transport::{Connector, PeerAddr, TcpConnector};
use control::Control;
use dial::Dialer;
use messages::Messages;
use task::{Attempts, ClientTask};

/// A connection to a server.
///
/// A clone is cheap and means the same connection. The client owns it: when the last clone is
/// dropped, what is queued is written (at most 1 s), and the connection closes. [`Client::close`]
/// waits for that, as a program must that ends right after.
#[derive(Clone)]
pub struct Client(Arc<Owner>);

/// Ends the client's task when the last handle is gone.
struct Owner {
    endpoint: Arc<Endpoint>,
    control: Arc<Control>,
    messages: Option<Messages>,
}

/// How a client stands with its server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientStatus {
    /// Connected, and `on_connect` has returned `Ok`.
    Connected,
    /// Without a connection, and trying to get one.
    Reconnecting {
        /// The attempt that is under way or waited for, from 1.
        attempt: u32,
    },
    /// Without a connection, and not trying: reconnecting is off, its attempts are used up,
    /// [`Client::stop_retry`] was called, or the server refused for good. [`Client::retry`] tries
    /// again.
    Lost {
        /// Why, in words.
        reason: String,
    },
    /// Closed by this side, for good.
    Closed,
}

impl Client {
    /// Connects over TCP. It returns when the handshake is over and the router's `on_connect` has
    /// returned `Ok`. The server may still be about to list this peer then: whoever needs to be
    /// reached by its next broadcast waits for an answer first.
    ///
    /// # Errors
    /// [`ConnectError`]; unless [`Reconnect::initial`] says otherwise, the first failure.
    ///
    /// # Cancel safety
    /// Cancel safe: dropped, it closes what it has opened.
    pub async fn connect(config: ClientConfig, router: Router) -> Result<Self, ConnectError> {
        let options = config.connection.tcp_options();
        let connector = TcpConnector { addr: config.addr.clone(), options };
        let tls = config.dial_tls(Some(&config.addr))?;
        // Before anybody is connected to.
        config.credentials.check(tls.is_some())?;
        Self::connect_over(connector, tls, config, router).await
    }

    /// Connects to the Unix socket at this path. The config's address is not used.
    ///
    /// # Errors
    /// As [`Client::connect`]. A server whose backlog is full cannot be reached, where a TCP
    /// connect would wait.
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

    /// Connects over another transport: in memory, for tests, or one of your own. The config's
    /// address is not used.
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
            // A client has nothing that others connect to.
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

    /// The server, as the other end of the current connection, or of the last one.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.0.control.peer()
    }

    /// Sends a message to the server, waiting for room in the outbox: see [`Peer::send`].
    ///
    /// # Errors
    /// As [`Peer::send`]; [`SendError::Closed`] while there is no connection.
    ///
    /// # Cancel safety
    /// As [`Peer::send`].
    pub fn send(&self, message: &(impl ToMessage + ?Sized)) -> Sending {
        self.peer().send(message)
    }

    /// Sends a message to the server if the outbox has room now: see [`Peer::try_send`].
    ///
    /// # Errors
    /// As [`Peer::try_send`].
    pub fn try_send(&self, message: &(impl ToMessage + ?Sized)) -> Result<(), SendError> {
        self.peer().try_send(message)
    }

    /// Calls the server: see [`Peer::request`]. While there is no connection it fails at once, as
    /// [`RequestError::Closed`](crate::RequestError::Closed).
    pub fn request<Q: Ask + ?Sized>(&self, message: &Q) -> Request<Q> {
        self.peer().request(message)
    }

    /// Asks the server whether it is there; resolves to the round-trip time: see [`Peer::ping`].
    pub fn ping(&self) -> Ping {
        self.peer().ping()
    }

    /// The messages that no route took, as a stream, for the first who asks. `None` when it was
    /// taken before, or when the router has a fallback, which takes everything. The stream ends
    /// when the client is [`Lost`](ClientStatus::Lost); with the next connection there is another.
    #[must_use]
    pub fn messages(&self) -> Option<MessageStream> {
        self.0.messages.as_ref()?.take()
    }

    /// Everything that happens from now on.
    #[must_use]
    pub fn events(&self) -> EventStream {
        self.0.endpoint.events().subscribe()
    }

    /// How the client stands, now and whenever that changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<ClientStatus> {
        self.0.control.status()
    }

    /// Whether there is a connection, and it is not ending.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        *self.status().borrow() == ClientStatus::Connected && !self.peer().is_closed()
    }

    /// Waits until there is a connection; gives its other end.
    ///
    /// # Errors
    /// The status, when there is none and nobody tries to get one: [`ClientStatus::Lost`] or
    /// [`ClientStatus::Closed`].
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn connected(&self) -> Result<Peer, ClientStatus> {
        let mut status = self.status();
        loop {
            let now = status.borrow_and_update().clone();
            match now {
                ClientStatus::Lost { .. } | ClientStatus::Closed => return Err(now),
                // The status follows a moment after the end of a connection.
                ClientStatus::Connected if !self.peer().is_closed() => return Ok(self.peer()),
                ClientStatus::Connected | ClientStatus::Reconnecting { .. } => {}
            }
            if status.changed().await.is_err() {
                return Err(ClientStatus::Closed);
            }
        }
    }

    /// Stops trying to reconnect, now and after later losses, until [`Client::retry`].
    pub fn stop_retry(&self) {
        self.0.control.stop_retry();
    }

    /// Tries to reconnect, up to so many times in a row, after the usual pause: if the connection
    /// is lost, and after later losses. It overrides the attempts of the config.
    pub fn retry(&self, attempts: u32) {
        self.0.control.retry(attempts);
    }

    /// Closes the connection for good: cancels handlers, writes what is queued (at most 1 s), and
    /// ends. It takes effect at once; the future resolves to how the last connection ended.
    ///
    /// # Cancel safety
    /// Dropping the future only ends the waiting.
    pub fn close(&self) -> ClosingClient {
        self.0.control.close();
        let control = self.control();
        let endpoint = Arc::clone(&self.0.endpoint);
        ClosingClient(Box::pin(async move {
            // Inside a handler of its own the client's task cannot be waited for: it waits for
            // that handler.
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

/// A client that is being closed, awaited or not: resolves to how its last connection ended. Made
/// by [`Client::close`].
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

/// A router without a fallback gets one that feeds [`Client::messages`].
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
        if planted!("dropped_client_stays") {
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
