//! [`Peer`]: the handle of the other end of a connection.

mod attached;
mod closing;
mod rooms;
mod sending;
mod tags;
mod take_over;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use veltix_core::{Hello, PeerId};

pub use closing::{Closing, Leaving};
pub use sending::Sending;
pub use take_over::TakeOver;

use crate::close::Received;
use crate::outbox::Sent;
use crate::session::Session;
#[cfg(feature = "__tls")]
use crate::tls::TlsInfo;
use crate::transport::PeerAddr;

/// The other end of a connection, on a server and on a client.
///
/// A clone is cheap and refers to the same connection. A `Peer` never keeps its connection alive.
/// After the end of the connection, sending returns
/// [`SendError::Closed`](crate::SendError::Closed). A reconnect creates a new `Peer`.
#[derive(Clone)]
pub struct Peer(Arc<Session>);

impl Peer {
    pub(crate) const fn new(session: Arc<Session>) -> Self {
        Self(session)
    }

    pub(crate) const fn session(&self) -> &Arc<Session> {
        &self.0
    }

    /// Returns the number of this connection. A server never reuses a number.
    #[must_use]
    pub fn id(&self) -> PeerId {
        self.0.id()
    }

    /// Returns the address of the peer.
    #[must_use]
    pub fn addr(&self) -> &PeerAddr {
        &self.0.link().addr
    }

    /// Returns the TLS parameters of the connection and the peer's certificates; `None` without
    /// TLS.
    #[cfg(feature = "__tls")]
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.0.link().tls.as_deref()
    }

    /// Returns the peer's hello of the handshake: the version of its package, and its extensions.
    #[must_use]
    pub fn hello(&self) -> &Hello {
        self.0.hello()
    }

    /// Returns whether the connection is ending or has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.end_state().is_asked()
    }

    /// Returns the counters of the messages in both directions.
    #[must_use]
    pub fn stats(&self) -> PeerStats {
        PeerStats { sent: self.0.outbox().sent(), received: self.0.receipts().received() }
    }
}

/// For [`peers`](veltix_core::peers).
impl From<&Peer> for PeerId {
    fn from(peer: &Peer) -> Self {
        peer.id()
    }
}

/// For [`peers`](veltix_core::peers).
impl From<Peer> for PeerId {
    fn from(peer: Peer) -> Self {
        peer.id()
    }
}

impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Peer {}

impl Hash for Peer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Display for Peer {
    /// Writes number and address for logs, as in `#7 (127.0.0.1:4711)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} ({})", self.id(), self.addr())
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({}, {})", self.id(), self.addr())
    }
}

impl PeerStats {
    /// Adds the counts of another peer.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.sent.add(&other.sent);
        self.received.add(&other.received);
    }
}

/// The counters of the messages of a connection, in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStats {
    /// Counters of the frames sent to the peer.
    pub sent: Sent,
    /// Counters of the messages received from the peer.
    pub received: Received,
}
