//! TCP: the listener, the connector, and the options of the sockets on both sides.

mod acceptor;
mod connector;
mod race;
mod resolver;
mod rotation;

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

pub(crate) use acceptor::TcpAcceptor;
pub(crate) use connector::TcpConnector;
pub(crate) use resolver::Resolver;

use super::{PeerAddr, Stream, StreamWriter};

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

/// Returns whether this is an address of the loopback interface, IPv4 addresses written as IPv6
/// included.
pub(crate) const fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn stream_of(socket: TcpStream, addr: SocketAddr) -> Stream {
    let (reader, writer) = socket.into_split();
    Stream::new(reader, writer, PeerAddr::Tcp(addr))
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
            let acceptors = TcpAcceptor::bind(&Resolver::System, host, options).await;
            let acceptor = acceptors.expect("a port is free").remove(0);
            let socket = TcpStream::connect(acceptor.local_addr()).await.expect("it listens");
            options.apply(&socket).expect("it is connected");
            let (accepted, _) = acceptor.accept().await.expect("it was connected");
            assert_in_force(options, &accepted);
            assert_in_force(options, &socket);
        }
    }
}
