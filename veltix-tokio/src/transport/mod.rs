//! The seam between connections and what carries their bytes.
//!
//! A [`Stream`] is a reading half and a writing half. The writing half differs from Tokio's
//! `AsyncWrite` in one point that the whole fast path rests on: it writes *without waiting and
//! without a task*, so that whoever fills an outbox can empty it.

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

#[cfg(feature = "testing")]
pub(crate) use memory::memory_pair_of;
pub use memory::{MemoryConnector, MemoryListener, memory, memory_pair};
pub(crate) use tcp::{TcpAcceptor, TcpConnector, TcpOptions};
pub use unix::{UnixAddr, UnixCredentials};
#[cfg(unix)]
pub use unix::{UnixSocketConnector, UnixSocketListener};

#[cfg(feature = "__tls")]
use tls_info::TlsInfo;

/// Where connections come from.
pub trait Listener: Send + 'static {
    /// Waits for the next connection.
    ///
    /// # Errors
    /// What the system reports. The server pauses and tries again, so an error must not be final.
    ///
    /// # Cancel safety
    /// Must be cancel safe: a connection may not be lost when the future is dropped.
    fn accept(&mut self) -> impl Future<Output = io::Result<Stream>> + Send;

    /// The address that peers connect to.
    fn local_addr(&self) -> PeerAddr;
}

/// Where a client's connections come from.
pub trait Connector: Send + Sync + 'static {
    /// Makes a new connection.
    ///
    /// # Errors
    /// What the system reports.
    fn connect(&self) -> impl Future<Output = io::Result<Stream>> + Send;

    /// What is connected to, for errors and logs.
    fn target(&self) -> String;
}

/// A byte stream in both directions, and who is at its other end.
pub struct Stream {
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) writer: Box<dyn StreamWriter>,
    pub(crate) link: Link,
    /// It does not leave this machine, which is true of streams that are made here alone.
    pub(crate) stays_here: bool,
}

/// What is known of a stream beside its bytes: it outlives them.
pub(crate) struct Link {
    pub(crate) addr: PeerAddr,
    /// What was agreed on, once the stream is one over TLS.
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
    /// A stream of these halves. When both are dropped, the connection must end.
    ///
    /// It is taken for one over a network, whatever its address says: a client sends its
    /// [token](crate::ClientConfig::token) there over TLS alone.
    pub fn new(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl StreamWriter,
        addr: PeerAddr,
    ) -> Self {
        let (reader, writer) = (Box::new(reader), Box::new(writer));
        Self { reader, writer, link: Link::new(addr), stays_here: false }
    }

    /// A stream that does not leave this machine.
    pub(crate) fn local(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl StreamWriter,
        addr: PeerAddr,
    ) -> Self {
        Self { stays_here: true, ..Self::new(reader, writer, addr) }
    }

    /// Whether nobody on a network can read along: that TLS was switched on is not enough, it must
    /// be there.
    pub(crate) const fn is_private(&self) -> bool {
        #[cfg(feature = "__tls")]
        if self.link.tls.is_some() {
            return true;
        }
        self.stays_here
    }

    /// Who is at the other end.
    #[must_use]
    pub const fn addr(&self) -> &PeerAddr {
        &self.link.addr
    }

    /// The two halves, for whoever speaks over them without this crate: a test, or a proxy.
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
    /// Writes what fits, at once. What does not is offered again: whatever is written next begins with
    /// the first byte that was not taken.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when nothing fits, for which `Ok(0)` is taken as well; any
    /// other error ends the connection.
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Waits until something may fit again. Only the connection's own task waits.
    ///
    /// # Errors
    /// What the system reports; the connection ends.
    fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Tells the peer that nothing more will come.
    ///
    /// # Errors
    /// What the system reports; it is ignored, since the connection is ending anyway.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// So that a transport which wraps another can wrap what [`Stream::into_parts`] gives.
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

/// Writes all of it, waiting for room.
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

/// Who is at the other end of a connection.
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
    /// The IP address, for a TCP peer.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(addr) => Some(addr.ip()),
            Self::Unix(_) | Self::Memory(_) => None,
        }
    }

    /// Address and port, for a TCP peer.
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
