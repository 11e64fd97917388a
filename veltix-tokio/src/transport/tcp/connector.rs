//! [`TcpConnector`]: connects to a name or an address.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::race::race;
use super::rotation::Rotation;
use super::{Resolver, TcpOptions, is_loopback, stream_of};
use crate::sync::Mutex;
use crate::transport::{Connector, Stream};

/// Connects to a name or an address. If the name has several addresses, each call begins with
/// another one.
#[derive(Debug)]
pub(crate) struct TcpConnector {
    addr: String,
    options: TcpOptions,
    resolver: Resolver,
    /// The used addresses, once the name had several. Most clients have one, and keep nothing.
    rotation: Mutex<Option<Box<Rotation>>>,
}

impl TcpConnector {
    pub(crate) fn new(addr: String, options: TcpOptions, resolver: Resolver) -> Self {
        Self { addr, options, resolver, rotation: Mutex::default() }
    }

    /// Connects to the first of several addresses that answers.
    async fn connect_first(&self, addrs: &[SocketAddr]) -> io::Result<TcpStream> {
        let order = self.with_rotation(|rotation| rotation.order(addrs));
        let connected = race(order, |addr| {
            self.with_rotation(|rotation| rotation.note_start(addr));
            async move {
                TcpStream::connect(addr).await.inspect_err(|error| {
                    tracing::debug!(%addr, %error, "one of several addresses cannot be reached");
                })
            }
        });
        let (addr, socket) = connected.await.map_err(all_failed)?;
        self.with_rotation(|rotation| rotation.note_connected(addr));
        Ok(socket)
    }

    fn with_rotation<T>(&self, f: impl FnOnce(&mut Rotation) -> T) -> T {
        f(self.rotation.lock().get_or_insert_default())
    }
}

impl Connector for TcpConnector {
    async fn connect(&self) -> io::Result<Stream> {
        let socket = match &self.resolver.resolve(&self.addr).await?[..] {
            [addr] => TcpStream::connect(addr).await?,
            // The race is boxed, so that clients of one address do not reserve its memory.
            addrs => Box::pin(self.connect_first(addrs)).await?,
        };
        let (addr, local_addr) = (socket.peer_addr()?, socket.local_addr()?);
        self.options.apply(&socket)?;
        // The name does not tell: it may resolve to another machine.
        let stays_here = is_loopback(addr.ip()) && is_loopback(local_addr.ip());
        Ok(Stream { stays_here, ..stream_of(socket, addr) })
    }

    fn target(&self) -> String {
        self.addr.clone()
    }
}

/// Returns one error for the errors of all addresses, with the kind of the first.
fn all_failed(failed: Vec<(SocketAddr, io::Error)>) -> io::Error {
    let kind = failed.first().map_or(io::ErrorKind::AddrNotAvailable, |(_, error)| error.kind());
    let texts: Vec<_> = failed.iter().map(|(addr, error)| format!("{addr}: {error}")).collect();
    io::Error::new(kind, texts.join("; "))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    fn connector(addrs: &[SocketAddr]) -> TcpConnector {
        let options = TcpOptions { user_timeout: Duration::from_secs(1), max_unsent: None };
        TcpConnector::new("name:1".to_owned(), options, Resolver::Fixed(addrs.into()))
    }

    async fn listener(host: &str) -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((host, 0)).await.expect("a port is free");
        let addr = listener.local_addr().expect("it is bound");
        (listener, addr)
    }

    /// Returns an address at which connections are refused while the socket lives.
    fn refusing() -> (TcpSocket, SocketAddr) {
        let socket = TcpSocket::new_v4().expect("there is a descriptor");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port is free");
        let addr = socket.local_addr().expect("it is bound");
        (socket, addr)
    }

    async fn connected(connector: &TcpConnector) -> SocketAddr {
        let stream = connector.connect().await.expect("one of them listens");
        stream.addr().socket_addr().expect("it is TCP")
    }

    #[tokio::test]
    async fn each_connection_goes_to_another_address() {
        let ((_v4, v4), (_v6, v6)) = (listener("127.0.0.1").await, listener("::1").await);
        let connector = connector(&[v6, v4]);
        for expected in [v6, v4, v6, v4] {
            assert_eq!(connected(&connector).await, expected);
        }
    }

    /// A token may be sent over such a stream.
    #[tokio::test]
    async fn a_stream_between_loopback_addresses_stays_on_this_machine() {
        for host in ["127.0.0.1", "127.1.2.3", "::1"] {
            let (_listener, addr) = listener(host).await;
            let stream = connector(&[addr]).connect().await.expect("it listens");
            assert!(stream.is_private(), "{host}");
        }
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_passed_over_at_once() {
        let ((_socket, refusing), (_listener, addr)) = (refusing(), listener("127.0.0.1").await);
        let connector = connector(&[refusing, addr]);
        assert_eq!(connected(&connector).await, addr);
    }

    #[tokio::test]
    async fn the_error_names_each_address() {
        let (first, second) = (refusing(), refusing());
        let error = connector(&[first.1, second.1]).connect().await.expect_err("both refuse");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let text = error.to_string();
        assert!(
            text.contains(&first.1.to_string()) && text.contains(&second.1.to_string()),
            "{text}"
        );
    }
}
