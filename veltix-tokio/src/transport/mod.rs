//! Streams: the interface between connections and the transport of their bytes.
//!
//! A [`Stream`] consists of a reading half and a writing half. The writing half differs from
//! Tokio's `AsyncWrite` in one point, on which the whole fast path is built: it writes *without
//! waiting and without a task*. So the code that fills an outbox can also empty it.

mod failure;
mod memory;
mod tcp;
#[cfg(feature = "__tls")]
pub(crate) mod tls_info;
mod unix;

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
#[cfg(feature = "__tls")]
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::AsyncRead;

pub(crate) use failure::is_end;
#[cfg(feature = "testing")]
pub(crate) use memory::memory_pair_of;
pub use memory::{MemoryConnector, MemoryListener, memory, memory_pair};
pub(crate) use tcp::{Resolver, TcpAcceptor, TcpConnector, TcpOptions, is_loopback};
pub use unix::{UnixAddr, UnixCredentials};
#[cfg(unix)]
pub use unix::{UnixSocketConnector, UnixSocketListener};

#[cfg(feature = "__tls")]
use tls_info::TlsInfo;

/// A listener accepts the connections of a server.
pub trait Listener: Send + 'static {
    /// Waits for the next connection.
    ///
    /// # Errors
    /// The error that the system reports. The server pauses and tries again, unless the error
    /// [is final](Self::is_final).
    ///
    /// # Cancel safety
    /// The future must be cancel safe: no connection may be lost when it is dropped.
    fn accept(&mut self) -> impl Future<Output = io::Result<Stream>> + Send;

    /// Returns whether this error of [`accept`](Self::accept) is final, so that the listener
    /// accepts no connection any more. The server then drops the listener and emits
    /// [`Event::ListenerFailed`](crate::Event::ListenerFailed); a server without another listener
    /// drains its connections and ends with [`ServeError`](crate::ServeError).
    ///
    /// The default is `true` for the errors by which a system reports that a socket does not listen
    /// or is no socket (`EBADF`, `EINVAL`, `ENOTSOCK`, `EOPNOTSUPP`, and so the kinds
    /// [`io::ErrorKind::InvalidInput`] and [`io::ErrorKind::Unsupported`]), and `false` for all
    /// others, for example when no descriptor is free. A listener with errors of its own must return
    /// `true` for those that stay: the server repeats every other call of `accept` for ever. No peer
    /// may be able to cause a final error.
    fn is_final(&self, error: &io::Error) -> bool {
        failure::is_final(error)
    }

    /// Returns the address that peers connect to.
    fn local_addr(&self) -> PeerAddr;
}

/// A connector opens the connections of a client.
pub trait Connector: Send + Sync + 'static {
    /// Opens a new connection.
    ///
    /// # Errors
    /// The error that the system reports. A client that reconnects tries again, unless the kind is
    /// [`io::ErrorKind::InvalidInput`] or [`io::ErrorKind::Unsupported`]: such an address can never
    /// be reached.
    fn connect(&self) -> impl Future<Output = io::Result<Stream>> + Send;

    /// Returns the name of the server that this connects to, for errors and logs.
    fn target(&self) -> String;
}

/// A byte stream in both directions, with the address of the peer.
pub struct Stream {
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) writer: Box<dyn StreamWriter>,
    pub(crate) link: Link,
    /// True if the bytes do not leave this machine. Only streams that this module creates set it:
    /// those in memory, of Unix sockets, and of TCP clients whose two ends are on the loopback.
    pub(crate) stays_here: bool,
}

/// The properties of a stream except its bytes. They are kept after the stream has ended.
pub(crate) struct Link {
    pub(crate) addr: PeerAddr,
    /// The negotiated parameters, after the TLS handshake.
    #[cfg(feature = "__tls")]
    pub(crate) tls: Option<Arc<TlsInfo>>,
}

impl Link {
    pub(crate) const fn new(addr: PeerAddr) -> Self {
        Self {
            addr,
            #[cfg(feature = "__tls")]
            tls: None,
        }
    }
}

impl Stream {
    /// Creates a stream of these halves. When both are dropped, the connection must end.
    ///
    /// The stream is treated as one over a network, whatever its address is: a client sends its
    /// [token](crate::ClientConfig::token) over it only with TLS.
    pub fn new(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl StreamWriter,
        addr: PeerAddr,
    ) -> Self {
        let (reader, writer) = (Box::new(reader), Box::new(writer));
        Self { reader, writer, link: Link::new(addr), stays_here: false }
    }

    /// Creates a stream that does not leave this machine.
    pub(crate) fn local(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl StreamWriter,
        addr: PeerAddr,
    ) -> Self {
        Self { stays_here: true, ..Self::new(reader, writer, addr) }
    }

    /// Returns whether nobody on a network can read the bytes. Enabled TLS is not sufficient for
    /// this: the stream itself must be encrypted.
    pub(crate) const fn is_private(&self) -> bool {
        #[cfg(feature = "__tls")]
        if self.link.tls.is_some() {
            return true;
        }
        self.stays_here
    }

    /// Returns whether the stream carries the plaintext of TLS, so that bytes of the peer came before it.
    pub(crate) const fn is_over_tls(&self) -> bool {
        #[cfg(feature = "__tls")]
        return self.link.tls.is_some();
        #[cfg(not(feature = "__tls"))]
        return false;
    }

    /// Returns the address of the peer.
    #[must_use]
    pub const fn addr(&self) -> &PeerAddr {
        &self.link.addr
    }

    /// Returns the two halves, for code that uses them without this crate: a test or a proxy.
    #[must_use]
    pub fn into_parts(self) -> (Box<dyn AsyncRead + Send + Unpin>, Box<dyn StreamWriter>) {
        (self.reader, self.writer)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("addr", &self.link.addr).finish_non_exhaustive()
    }
}

/// The writing half of a stream.
pub trait StreamWriter: Send + 'static {
    /// Writes as many bytes as fit, at once. The remaining bytes are offered again: the next write
    /// begins with the first byte that was not accepted.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing fits. `Ok(0)` has the same meaning. Any other error
    /// ends the connection.
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Waits until bytes may fit again. Only the connection's own task waits.
    ///
    /// # Errors
    /// The error that the system reports. The connection ends.
    fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Informs the peer that no more bytes follow.
    ///
    /// # Errors
    /// The error that the system reports. It is ignored, since the connection is ending anyway.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// Allows a transport that wraps another one to wrap the halves of [`Stream::into_parts`].
impl StreamWriter for Box<dyn StreamWriter> {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (**self).try_write_vectored(slices)
    }

    fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_write_ready(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_shutdown(cx)
    }
}

/// Writes all bytes and waits for room as necessary.
pub(crate) async fn write_all(writer: &mut dyn StreamWriter, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match writer.try_write_vectored(&[IoSlice::new(bytes)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll_fn(|cx| writer.poll_write_ready(cx)).await?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The address of the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerAddr {
    /// A TCP peer.
    Tcp(SocketAddr),
    /// A peer on a Unix socket.
    Unix(UnixAddr),
    /// A peer in this process, with the number of its connection.
    Memory(u64),
}

impl PeerAddr {
    /// Returns the IP address of a TCP peer.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(addr) => Some(addr.ip()),
            Self::Unix(_) | Self::Memory(_) => None,
        }
    }

    /// Returns the IP address and the port of a TCP peer.
    #[must_use]
    pub const fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(*addr),
            Self::Unix(_) | Self::Memory(_) => None,
        }
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => addr.fmt(f),
            Self::Unix(addr) => addr.fmt(f),
            Self::Memory(number) => write!(f, "memory:{number}"),
        }
    }
}
