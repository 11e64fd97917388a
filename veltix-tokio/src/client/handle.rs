//! [`ClientHandle`]: a client that a handler refers to, without owning its connection.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Weak};

use tokio::sync::watch;
use veltix_core::ToMessage;

use super::control::Control;
use super::restored::Restored;
use super::{ClientStatus, ClosingClient};
use crate::error::{NotConnected, RestoreError};
use crate::flush;
use crate::hub::{Endpoint, EventStream};
use crate::peer::Peer;
use crate::router::{Context, FromContext, Rejection};

/// The state that the handles of a client share with its task. It does not own the connection.
pub(super) struct Shared {
    endpoint: Arc<Endpoint>,
    control: Control,
    restored: Restored,
}

impl Shared {
    pub(super) fn new(endpoint: Arc<Endpoint>, control: Control) -> Arc<Self> {
        let shared = Arc::new(Self { endpoint, control, restored: Restored::default() });
        // Weak: a session holds its services, and the shared state holds a session.
        let weak: Weak<dyn Any + Send + Sync> = Arc::downgrade(&shared) as _;
        shared.endpoint.services().set_client(weak);
        shared
    }

    pub(super) const fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    pub(super) const fn control(&self) -> &Control {
        &self.control
    }

    pub(super) const fn restored(&self) -> &Restored {
        &self.restored
    }
}

/// A handle of a [`Client`](crate::Client) that does not own its connection, as an argument of a
/// client's handlers, and from [`Client::handle`](crate::Client::handle).
///
/// A clone is cheap and refers to the same client. A handle never keeps the connection open, so it
/// may be stored anywhere, also in the state of the client's own router. When the last
/// [`Client`](crate::Client) is dropped, the connection closes. On a server a handler with this
/// argument is not called, and its message is rejected. As an `Option` the argument is `None` there.
///
/// ```
/// use veltix::{ClientHandle, Msg, Router};
///
/// #[veltix::message]
/// enum Lobby {
///     #[message(code = 200)]
///     Closing { reason: String },
/// }
///
/// async fn closing(client: ClientHandle, Msg(closing): Msg<Closing>) {
///     println!("the lobby closes: {}", closing.reason);
///     // Ends this handler too, so nothing may follow.
///     client.close().await;
/// }
///
/// let router: Router = Router::new().on(closing);
/// ```
#[derive(Clone)]
pub struct ClientHandle(Arc<Shared>);

impl ClientHandle {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Returns the server, as the peer of the current connection, or of the last one. It sends,
    /// calls and pings.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.0.control.peer()
    }

    /// Returns a stream of all events from now on.
    #[must_use]
    pub fn events(&self) -> EventStream {
        self.0.endpoint.events().subscribe()
    }

    /// Returns a receiver of the client's status, as [`Client::status`](crate::Client::status) does.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<ClientStatus> {
        self.0.control.status()
    }

    /// Returns whether there is a connection that is not ending.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        *self.status().borrow() == ClientStatus::Connected && !self.peer().is_closed()
    }

    /// Waits until there is a connection, and returns its peer, as
    /// [`Client::connected`](crate::Client::connected) does.
    ///
    /// # Errors
    /// Those of [`Client::connected`](crate::Client::connected).
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn connected(&self) -> Result<Peer, NotConnected> {
        let mut status = self.status();
        loop {
            let now = status.borrow_and_update().clone();
            match now {
                ClientStatus::Lost { reason } => return Err(NotConnected::Lost { reason }),
                ClientStatus::Closed => return Err(NotConnected::Closed),
                // The status changes shortly after the end of a connection.
                ClientStatus::Connected if !self.peer().is_closed() => return Ok(self.peer()),
                ClientStatus::Connected | ClientStatus::Reconnecting { .. } => {}
            }
            if flush::is_within(self.0.endpoint.services()) {
                return Err(NotConnected::WithinHandler);
            }
            if status.changed().await.is_err() {
                return Err(NotConnected::Closed);
            }
        }
    }

    /// Registers a message for each later connection, as
    /// [`Client::restore`](crate::Client::restore) does.
    ///
    /// # Errors
    /// Those of [`Client::restore`](crate::Client::restore).
    pub fn restore(
        &self,
        key: impl Into<Box<str>>,
        message: &(impl ToMessage + ?Sized),
    ) -> Result<(), RestoreError> {
        // Encoded before the lock is taken: that runs the caller's code.
        let message = self.peer().session().encode(message)?;
        self.0.restored.set(key.into(), message)
    }

    /// Removes a message from those that are restored, as
    /// [`Client::forget`](crate::Client::forget) does.
    pub fn forget(&self, key: &str) -> bool {
        self.0.restored.remove(key)
    }

    /// Stops reconnecting, as [`Client::stop_retry`](crate::Client::stop_retry) does.
    pub fn stop_retry(&self) {
        self.0.control.stop_retry();
    }

    /// Reconnects, as [`Client::retry`](crate::Client::retry) does.
    pub fn retry(&self, attempts: u32) {
        self.0.control.retry(attempts);
    }

    /// Closes the client for good, as [`Client::close`](crate::Client::close) does. A handler that
    /// awaits it is cancelled there.
    ///
    /// # Cancel safety
    /// Dropping the future ends only the waiting.
    pub fn close(&self) -> ClosingClient {
        self.0.control.close();
        let shared = Arc::clone(&self.0);
        ClosingClient::new(async move {
            // Within one of its own handlers the client's task must not be awaited, since it waits
            // for that handler.
            if !flush::is_within(shared.endpoint.services()) {
                shared.control.closed().await;
            }
            shared.control.peer().closed().await
        })
    }
}

/// It is beside the client, which is above the router.
impl<S> FromContext<S> for ClientHandle {
    fn from_context(cx: &Context<'_>, _state: &S) -> Result<Self, Rejection> {
        let client = cx.peer().session().services().client();
        let shared = client.and_then(|client| client.downcast().ok());
        shared.map(Self).ok_or(Rejection::NoClient)
    }
}

impl fmt::Debug for ClientHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.0.control.status();
        f.debug_struct("ClientHandle").field("status", &*status.borrow()).finish_non_exhaustive()
    }
}
