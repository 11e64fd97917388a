//! TCP: the listener, the connector, and the options of the sockets on both sides.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use veltix_core::limits::BACKLOG;

use super::{Connector, Listener, PeerAddr, Stream, StreamWriter};

/// The idle time of a connection after which the kernel probes it, as a second check besides the
/// heartbeat of this crate.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// The options of each connected socket, where the system supports them.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android")),
    expect(dead_code, reason = "these are options of Linux")
)]
pub(crate) struct TcpOptions {
    /// The longest time that sent bytes may stay unacknowledged. It also ends a live peer that does
    /// not read, so it is never shorter than the write stall and the heartbeat's total.
    pub(crate) user_timeout: Duration,
    /// The number of unsent bytes that the kernel holds before it accepts no more. `None` keeps the
    /// kernel's default.
    pub(crate) max_unsent: Option<u32>,
}

/// True if an accepted socket inherits the options of the listening one. Then each option costs one
/// call in all, and not one per connection.
const INHERITED: bool = cfg!(any(target_os = "linux", target_os = "android"));

impl TcpOptions {
    /// Sets the options on a socket that is connected or listens.
    fn apply<'a>(self, socket: impl Into<SockRef<'a>>) -> io::Result<()> {
        let socket = socket.into();
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_IDLE))?;
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            socket.set_tcp_user_timeout(Some(self.user_timeout))?;
            if let Some(bytes) = self.max_unsent {
                socket.set_tcp_notsent_lowat(bytes)?;
            }
        }
        Ok(())
    }
}

/// Names the missing port of an address, which the error of the standard library does not.
fn explained(addr: &str, error: io::Error) -> io::Error {
    let has_port = addr.contains(':') && !addr.ends_with(']');
    if has_port || error.kind() != io::ErrorKind::InvalidInput {
        return error;
    }
    io::Error::new(error.kind(), format!("`{addr}` has no port: write host:port"))
}

fn stream_of(socket: TcpStream, addr: SocketAddr) -> Stream {
    let (reader, writer) = socket.into_split();
    Stream::new(reader, writer, PeerAddr::Tcp(addr))
}

/// A bound TCP listener.
#[derive(Debug)]
pub(crate) struct TcpAcceptor {
    listener: TcpListener,
    local_addr: SocketAddr,
    options: TcpOptions,
}

impl TcpAcceptor {
    /// Binds the first address that the name resolves to and that can be bound.
    ///
    /// `SO_REUSEADDR` lets a restarted server take its port at once. `SO_REUSEPORT` stays off: it
    /// would let a second server take half of this server's connections without an error.
    pub(crate) async fn bind(addr: &str, options: TcpOptions) -> io::Result<Self> {
        let mut last = None;
        for addr in lookup_host(addr).await.map_err(|error| explained(addr, error))? {
            match Self::listen(addr, options) {
                Ok(listener) => {
                    let local_addr = listener.local_addr()?;
                    return Ok(Self { listener, local_addr, options });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| no_address(addr)))
    }

    fn listen(addr: SocketAddr, options: TcpOptions) -> io::Result<TcpListener> {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        if INHERITED {
            options.apply(&socket)?;
        }
        socket.listen(BACKLOG)
    }

    /// Returns the next connection, with the options set.
    async fn accept_socket(&self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            let (socket, addr) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                // A peer that closed before it was accepted is no reason to pause.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            match if INHERITED { Ok(()) } else { self.options.apply(&socket) } {
                Ok(()) => return Ok((socket, addr)),
                Err(error) => {
                    tracing::debug!(%addr, %error, "the peer closed the connection before it was accepted");
                }
            }
        }
    }
}

impl Listener for TcpAcceptor {
    async fn accept(&mut self) -> io::Result<Stream> {
        let (socket, addr) = self.accept_socket().await?;
        Ok(stream_of(socket, addr))
    }

    fn local_addr(&self) -> PeerAddr {
        PeerAddr::Tcp(self.local_addr)
    }
}

/// Connects to a name or an address.
#[derive(Clone, Debug)]
pub(crate) struct TcpConnector {
    pub(crate) addr: String,
    pub(crate) options: TcpOptions,
}

impl Connector for TcpConnector {
    async fn connect(&self) -> io::Result<Stream> {
        let socket =
            TcpStream::connect(&self.addr).await.map_err(|error| explained(&self.addr, error))?;
        let addr = socket.peer_addr()?;
        self.options.apply(&socket)?;
        Ok(stream_of(socket, addr))
    }

    fn target(&self) -> String {
        self.addr.clone()
    }
}

impl StreamWriter for OwnedWriteHalf {
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            // A `send`, which costs the system less than a `writev` of one slice.
            [slice] => self.try_write(slice),
            _ => Self::try_write_vectored(self, slices),
        }
    }

    fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.as_ref().poll_write_ready(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(AsyncWrite::poll_shutdown(std::pin::Pin::new(self), cx))?;
        Poll::Ready(Ok(()))
    }
}

fn no_address(addr: &str) -> io::Error {
    let text = format!("{addr} resolves to no address: check the host name");
    io::Error::new(io::ErrorKind::AddrNotAvailable, text)
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    fn assert_in_force(options: TcpOptions, socket: &TcpStream) {
        let socket = SockRef::from(socket);
        assert!(socket.tcp_nodelay().expect("it can be read"));
        assert!(socket.keepalive().expect("it can be read"));
        assert_eq!(socket.tcp_keepalive_time().expect("it can be read"), KEEPALIVE_IDLE);
        let user_timeout = socket.tcp_user_timeout().expect("it can be read");
        assert_eq!(user_timeout, Some(options.user_timeout));
        let max_unsent = socket.tcp_notsent_lowat().expect("it can be read");
        assert_eq!(Some(max_unsent), options.max_unsent);
    }

    #[tokio::test]
    async fn the_options_are_in_force_on_both_sides() {
        let user_timeout = Duration::from_millis(12_345);
        let options = TcpOptions { user_timeout, max_unsent: Some(54_321) };
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let acceptor = TcpAcceptor::bind(host, options).await.expect("a port is free");
            let socket = TcpStream::connect(acceptor.local_addr).await.expect("it listens");
            options.apply(&socket).expect("it is connected");
            let (accepted, _) = acceptor.accept_socket().await.expect("it was connected");
            assert_in_force(options, &accepted);
            assert_in_force(options, &socket);
        }
    }
}
