//! [`Peer`], the handle of the other end of a connection.

mod attached;
mod closing;
mod sending;
mod tags;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use veltix_core::{Hello, PeerId};

pub use closing::Closing;
pub use sending::Sending;

use crate::close::Received;
use crate::outbox::Sent;
use crate::session::Session;
#[cfg(feature = "__tls")]
use crate::tls::TlsInfo;
use crate::transport::PeerAddr;

/// The other end of a connection, on a server and on a client alike.
///
/// A clone is cheap and means the same connection. A `Peer` never keeps its connection alive: when
/// that is over, sending says [`SendError::Closed`]. A reconnect makes a new `Peer`.
#[derive(Clone)]
pub struct Peer(Arc<Session>);

impl Peer {
    pub(crate) const fn new(session: Arc<Session>) -> Self {
        Self(session)
    }

    pub(crate) const fn session(&self) -> &Arc<Session> {
        &self.0
    }

    /// The number of this connection. A server never uses one twice.
    #[must_use]
    pub fn id(&self) -> PeerId {
        self.0.id()
    }

    /// The address of the other end.
    #[must_use]
    pub fn addr(&self) -> &PeerAddr {
        &self.0.link().addr
    }

    /// What is known of the connection's TLS, the peer's certificates with it; `None` without TLS.
    #[cfg(feature = "__tls")]
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.0.link().tls.as_deref()
    }

    /// What the peer said of itself in the handshake: its package's version, and its extensions.
    #[must_use]
    pub fn hello(&self) -> &Hello {
        self.0.hello()
    }

    /// Whether the connection is over or ending.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.end_state().is_asked()
    }

    /// What became of the messages in both directions, so far.
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
    /// `#7 (127.0.0.1:4711)`: number and address, for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} ({})", self.id(), self.addr())
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({}, {})", self.id(), self.addr())
    }
}

/// What became of the messages of a connection, in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStats {
    /// Frames sent to the peer.
    pub sent: Sent,
    /// Messages received from it.
    pub received: Received,
}
