//! [`Listening`] and [`IntoListener`]: a listener with the properties that are its own.

use std::fmt;
use std::sync::Arc;

use super::accepting::{Accepting, erased};
use crate::admission::Networks;
use crate::tls::ServerTls;
use crate::transport::{Listener, PeerAddr, TcpAcceptor};

/// A bound listener, with the properties that the listeners of one server do not share: TLS and a
/// label.
///
/// Every [`Listener`] becomes one, and [`Tcp`](super::Tcp) has the same setters. This type is for
/// the listeners that have none, for example TLS on a Unix socket.
///
/// ```no_run
/// # #[cfg(feature = "tls")]
/// # async fn f() -> veltix::Result<()> {
/// use veltix::tls::ServerTls;
/// use veltix::transport::{Listening, UnixSocketListener};
/// use veltix::{Router, Server, ServerConfig};
///
/// let tls = ServerTls::from_pem_files("chain.pem", "key.pem")?;
/// let socket = Listening::new(UnixSocketListener::bind("/run/app.sock")?).tls(tls);
/// let server = Server::bind(ServerConfig::default(), Router::new()).await?.also_listen(socket)?;
/// # Ok(()) }
/// ```
#[must_use = "it accepts no connections before a server runs with it"]
pub struct Listening {
    pub(super) sockets: Vec<Socket>,
    pub(super) tls: Option<ServerTls>,
    pub(super) label: Option<Arc<str>>,
    /// The load balancers in front of the listener.
    pub(super) balancers: Option<Networks>,
}

/// One bound address of a listener.
pub(super) struct Socket {
    pub(super) addr: PeerAddr,
    pub(super) source: Source,
}

/// The source of connections.
pub(super) enum Source {
    /// A socket of this crate, which takes the options of the server's connections.
    Tcp(TcpAcceptor),
    Other(Box<dyn Accepting>),
}

impl Listening {
    /// Creates a listener without TLS and without a label.
    pub fn new(listener: impl Listener) -> Self {
        let addr = listener.local_addr();
        let source = Source::Other(erased(listener));
        Self::of(vec![Socket { addr, source }])
    }

    /// Creates one listener of these sockets, at least one.
    pub(super) fn tcp(acceptors: Vec<TcpAcceptor>) -> Self {
        let socket = |acceptor: TcpAcceptor| Socket {
            addr: PeerAddr::Tcp(acceptor.local_addr()),
            source: Source::Tcp(acceptor),
        };
        Self::of(acceptors.into_iter().map(socket).collect())
    }

    const fn of(sockets: Vec<Socket>) -> Self {
        Self { sockets, tls: None, label: None, balancers: None }
    }

    /// Serves over TLS only. Default: that of [`ServerConfig::tls`](crate::ServerConfig::tls) for
    /// the first listener of a server, and none for all others.
    #[cfg(feature = "__tls")]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets a name of this listener for events and logs. Default: none.
    pub fn label(mut self, label: impl Into<Arc<str>>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Returns the first address.
    pub(super) fn local_addr(&self) -> &PeerAddr {
        &self.sockets[0].addr
    }

    /// Returns the addresses on which the listener is bound. A name may have several.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<PeerAddr> {
        self.sockets.iter().map(|socket| socket.addr.clone()).collect()
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening")
            .field("addrs", &self.local_addrs())
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

/// A listener for [`Server::with_listener`](crate::Server::with_listener) and
/// [`Server::also_listen`](crate::Server::also_listen): every [`Listener`],
/// [`Tcp`](super::Tcp), and [`Listening`].
pub trait IntoListener {
    /// Returns the listener with its properties.
    fn into_listener(self) -> Listening;
}

impl<L: Listener> IntoListener for L {
    fn into_listener(self) -> Listening {
        Listening::new(self)
    }
}

impl IntoListener for Listening {
    fn into_listener(self) -> Listening {
        self
    }
}
