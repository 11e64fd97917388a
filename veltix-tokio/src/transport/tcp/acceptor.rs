//! [`TcpAcceptor`]: a listening socket, and the binding of all addresses of a name.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll, ready};

use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use veltix_core::limits::{BACKLOG, SAME_PORT_ATTEMPTS};

use super::{INHERITED, Resolver, TcpOptions, stream_of};
use crate::error::BindError;
use crate::transport::Stream;
use crate::transport::failure::{is_final, is_of_one_connection};

/// A bound TCP listener.
#[derive(Debug)]
pub(crate) struct TcpAcceptor {
    listener: TcpListener,
    local_addr: SocketAddr,
    options: TcpOptions,
}

impl TcpAcceptor {
    /// Listens on all addresses that the name resolves to, on the same port.
    pub(crate) async fn bind(
        resolver: &Resolver,
        name: &str,
        options: TcpOptions,
    ) -> Result<Vec<Self>, BindError> {
        let addr = || name.to_owned();
        let io_error = |source| BindError::Io { addr: addr(), source };
        let addrs = resolver.resolve(name).await.map_err(io_error)?;
        bind_all(&addrs, options).map_err(|(failed, source)| {
            let kind = source.kind();
            let source = match addrs.len() {
                1 => source,
                // The name alone does not tell which of its addresses is in use.
                _ => io::Error::new(kind, format!("{failed}: {source}")),
            };
            match kind {
                io::ErrorKind::AddrInUse => BindError::AddressInUse { addr: addr(), source },
                _ => io_error(source),
            }
        })
    }

    pub(crate) const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Sets the options of the connections that are accepted from now on.
    pub(crate) fn set_options(&mut self, options: TcpOptions) -> io::Result<()> {
        self.options = options;
        if INHERITED { options.apply(&self.listener) } else { Ok(()) }
    }

    /// Waits for the next connection.
    pub(crate) fn poll_accept_stream(&self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        let (socket, addr) = ready!(self.poll_accept(cx))?;
        Poll::Ready(Ok(stream_of(socket, addr)))
    }

    /// Waits for the next connection, and sets its options.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        loop {
            let (socket, addr) = match ready!(self.listener.poll_accept(cx)) {
                Ok(accepted) => accepted,
                // A peer that closed before it was accepted is no reason to pause.
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => return Poll::Ready(Err(error)),
            };
            match if INHERITED { Ok(()) } else { self.options.apply(&socket) } {
                Ok(()) => return Poll::Ready(Ok((socket, addr))),
                Err(error) => {
                    tracing::trace!(%addr, %error, "the peer closed the connection before it was accepted");
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Returns whether this error of accepting is final.
    pub(crate) fn is_final(&self, error: &io::Error) -> bool {
        // Linux also passes on `EOPNOTSUPP` as an error of one connection.
        is_final(error) && !self.listens()
    }

    /// Returns whether the system still accepts connections for this socket. Without a way to ask,
    /// the answer is that it does not.
    fn listens(&self) -> bool {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return SockRef::from(&self.listener).is_listener().unwrap_or(false);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        return false;
    }
}

/// Listens on all of these addresses, which have the same port. If the port is 0, the system chooses
/// one that is free on all of them. Returns the address that could not be bound, if any.
///
/// An address of a family that this system does not support is left out, unless none remains:
/// `localhost` has an IPv6 address in the hosts file of many systems without IPv6.
fn bind_all(
    addrs: &[SocketAddr],
    options: TcpOptions,
) -> Result<Vec<TcpAcceptor>, (SocketAddr, io::Error)> {
    let chooses = addrs.len() > 1 && addrs.iter().all(|addr| addr.port() == 0);
    let attempts = if chooses { SAME_PORT_ATTEMPTS } else { 1 };
    until_free(attempts, || bind_each(addrs, options))
}

/// Repeats `bind` while the port that the system chose for the first address is taken on another
/// one.
fn until_free<T>(
    attempts: u32,
    mut bind: impl FnMut() -> Result<T, (SocketAddr, io::Error)>,
) -> Result<T, (SocketAddr, io::Error)> {
    let mut made = 1;
    loop {
        match bind() {
            Err((_, error)) if error.kind() == io::ErrorKind::AddrInUse && made < attempts => {
                made += 1;
            }
            result => return result,
        }
    }
}

fn bind_each(
    addrs: &[SocketAddr],
    options: TcpOptions,
) -> Result<Vec<TcpAcceptor>, (SocketAddr, io::Error)> {
    // The wildcard address of IPv6 would otherwise take that of IPv4 as well.
    let only_v6 = addrs.iter().any(SocketAddr::is_ipv4);
    let mut sockets: Vec<TcpSocket> = Vec::with_capacity(addrs.len());
    let mut left_out = None;
    let mut port = None;
    for addr in addrs {
        let mut addr = *addr;
        addr.set_port(port.unwrap_or_else(|| addr.port()));
        match bind(addr, only_v6, options) {
            Ok((socket, chosen)) => {
                port = Some(chosen);
                sockets.push(socket);
            }
            Err(error) if !is_supported(addr) => {
                tracing::info!(%addr, %error, "this system has no such addresses, so the server does not listen there");
                left_out = Some((addr, error));
            }
            Err(error) => return Err((addr, error)),
        }
    }
    // No peer can connect before all addresses are bound.
    let mut acceptors = Vec::with_capacity(sockets.len());
    for socket in sockets {
        let addr = socket.local_addr().unwrap_or(addrs[0]);
        let listening = socket.listen(BACKLOG).and_then(|listener| {
            let local_addr = listener.local_addr()?;
            Ok(TcpAcceptor { listener, local_addr, options })
        });
        acceptors.push(listening.map_err(|error| (addr, error))?);
    }
    match left_out {
        Some(left_out) if acceptors.is_empty() => Err(left_out),
        _ => Ok(acceptors),
    }
}

/// Binds a socket, and returns its port.
///
/// `SO_REUSEADDR` lets a restarted server take its port at once. `SO_REUSEPORT` stays off: it would
/// let a second server take half of this server's connections without an error.
fn bind(addr: SocketAddr, only_v6: bool, options: TcpOptions) -> io::Result<(TcpSocket, u16)> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    if only_v6 && addr.is_ipv6() {
        SockRef::from(&socket).set_only_v6(true)?;
    }
    socket.bind(addr)?;
    if INHERITED {
        options.apply(&socket)?;
    }
    let port = socket.local_addr()?.port();
    Ok((socket, port))
}

/// Returns whether the system supports addresses of this family: whether its loopback address can be
/// bound.
fn is_supported(addr: SocketAddr) -> bool {
    let (domain, loopback) = match addr {
        SocketAddr::V4(_) => (Domain::IPV4, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        SocketAddr::V6(_) => (Domain::IPV6, SocketAddr::from((Ipv6Addr::LOCALHOST, 0))),
    };
    let bound =
        Socket::new(domain, Type::STREAM, None).and_then(|socket| socket.bind(&loopback.into()));
    bound.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Shutdown;
    use std::time::Duration;

    use futures::FutureExt;

    const OPTIONS: TcpOptions =
        TcpOptions { user_timeout: Duration::from_secs(1), max_unsent: None };

    fn addrs(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().expect("an address")).collect()
    }

    fn bound(addrs: &[SocketAddr]) -> Vec<SocketAddr> {
        let acceptors = bind_all(addrs, OPTIONS).expect("a port is free");
        acceptors.iter().map(TcpAcceptor::local_addr).collect()
    }

    #[tokio::test]
    async fn all_addresses_of_a_name_get_the_same_port() {
        let name = addrs(&["127.0.0.1:0", "[::1]:0"]);
        let acceptors = bind_all(&name, OPTIONS).expect("a port is free");
        let [v4, v6] = &acceptors[..] else { panic!("{acceptors:?}") };
        assert_eq!(v4.local_addr().port(), v6.local_addr().port());
        for acceptor in &acceptors {
            let socket = TcpStream::connect(acceptor.local_addr()).await;
            let accepted = acceptor.accept().await.expect("it was connected").1;
            assert_eq!(socket.expect("it listens").local_addr().ok(), Some(accepted));
        }
    }

    #[test]
    fn another_port_is_chosen_while_the_first_is_taken_elsewhere() {
        let addr = SocketAddr::from((Ipv6Addr::LOCALHOST, 1));
        for (attempts, kind, fails, binds) in [
            (5, io::ErrorKind::AddrInUse, 4, 5),
            (5, io::ErrorKind::AddrInUse, 9, 5),
            (1, io::ErrorKind::AddrInUse, 9, 1),
            (5, io::ErrorKind::PermissionDenied, 9, 1),
        ] {
            let mut made = 0;
            let bound = until_free(attempts, || {
                made += 1;
                if made > fails { Ok(()) } else { Err((addr, kind.into())) }
            });
            assert_eq!((made, bound.is_ok()), (binds, made > fails), "{attempts} {kind}");
        }
    }

    #[tokio::test]
    async fn the_second_server_of_a_name_hears_that_it_is_in_use() {
        // The first server has one of the addresses, whichever it is.
        for (mine, theirs) in [
            (["127.0.0.1:0"].as_slice(), ["127.0.0.1:0", "[::1]:0"]),
            (&["[::1]:0"], ["127.0.0.1:0", "[::1]:0"]),
            (&["127.0.0.1:0", "[::1]:0"], ["[::1]:0", "127.0.0.1:0"]),
        ] {
            let first = bind_all(&addrs(mine), OPTIONS).expect("a port is free");
            let port = first[0].local_addr().port();
            let mut second = addrs(&theirs);
            second.iter_mut().for_each(|addr| addr.set_port(port));
            let resolver = Resolver::Fixed(second.into());
            let error = TcpAcceptor::bind(&resolver, "name:0", OPTIONS).await.map(drop);
            let Err(BindError::AddressInUse { addr, source }) = error else { panic!("{error:?}") };
            assert_eq!(addr, "name:0");
            assert!(source.to_string().contains(&format!(":{port}: ")), "{source}");
        }
    }

    #[tokio::test]
    async fn the_wildcards_of_both_families_are_bound_together() {
        let chosen = bound(&addrs(&["[::]:0", "0.0.0.0:0"]));
        assert_eq!(chosen.len(), 2);
        assert_eq!(chosen[0].port(), chosen[1].port());
    }

    /// This machine has both families, so an address that is not its own is a mistake.
    #[tokio::test]
    async fn an_address_of_another_machine_is_not_left_out() {
        for addr in ["192.0.2.1:0", "[2001:db8::1]:0"] {
            let name = addrs(&["127.0.0.1:0", addr]);
            let (failed, error) = bind_all(&name, OPTIONS).expect_err("it is not this machine's");
            assert_eq!(failed.ip(), name[1].ip());
            assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
        }
    }

    #[tokio::test]
    async fn a_repeated_line_of_the_hosts_file_counts_once() {
        let resolver = Resolver::Fixed(addrs(&["127.0.0.1:0", "127.0.0.1:0"]).into());
        let acceptors = TcpAcceptor::bind(&resolver, "name:0", OPTIONS).await;
        assert_eq!(acceptors.expect("a port is free").len(), 1);
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[tokio::test]
    async fn a_socket_that_listens_no_more_has_failed_for_good() {
        let acceptors = bind_all(&addrs(&["127.0.0.1:0"]), OPTIONS).expect("a port is free");
        let acceptor = &acceptors[0];
        let foreign = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
        assert!(acceptor.accept().now_or_never().is_none());
        assert!(!acceptor.is_final(&foreign), "it is the error of one connection");
        SockRef::from(&acceptor.listener).shutdown(Shutdown::Read).expect("it listens");
        let error = acceptor.accept().await.expect_err("it listens no more");
        assert!(acceptor.is_final(&error), "{error:?}");
        let full = io::Error::from_raw_os_error(libc::EMFILE);
        assert!(!acceptor.is_final(&full));
    }
}
