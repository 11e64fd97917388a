//! The transports, as the cases use them.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::net::TcpStream;
use veltix::transport::{Connector, MemoryConnector, PeerAddr, Stream, memory};
use veltix::{Client, ClientConfig, ConnectError, Router, Server, ServerConfig};

use crate::support::{PIPE, bind_again};

/// A transport, and a place of its own for the listener.
pub(super) trait Transport: Sized {
    /// Its name in the table of results.
    const NAME: &'static str;

    /// Returns a place that no other test uses.
    async fn new() -> Self;

    /// Starts a server there. A case may bind again after the last server has ended.
    async fn bind(&mut self, config: ServerConfig, router: impl Fn() -> Router) -> Server;

    /// Connects a client to the server there, which also finds the next server.
    async fn connect(&self, config: ClientConfig, router: Router) -> Result<Client, ConnectError>;

    /// Opens a connection without a client.
    async fn stream(&self) -> Stream;
}

/// TCP on the loopback.
pub(super) struct Tcp {
    addr: String,
}

impl Transport for Tcp {
    const NAME: &'static str = "tcp";

    async fn new() -> Self {
        Self { addr: "127.0.0.1:0".to_owned() }
    }

    async fn bind(&mut self, config: ServerConfig, router: impl Fn() -> Router) -> Server {
        let server = bind_again(config.addr(&self.addr), router).await;
        self.addr = server.local_addr().to_string();
        server
    }

    async fn connect(&self, config: ClientConfig, router: Router) -> Result<Client, ConnectError> {
        Client::connect(config.addr(&self.addr), router).await
    }

    async fn stream(&self) -> Stream {
        let stream = TcpStream::connect(&self.addr).await.expect("the server listens");
        let addr = PeerAddr::Tcp(stream.peer_addr().expect("it is connected"));
        let (reader, writer) = stream.into_split();
        Stream::new(reader, writer, addr)
    }
}

/// TLS over TCP, with a certificate that the test creates.
#[cfg(feature = "tls")]
pub(super) struct Tls {
    tcp: Tcp,
    server: veltix::tls::ServerTls,
    client: veltix::tls::ClientTls,
}

#[cfg(feature = "tls")]
impl Transport for Tls {
    const NAME: &'static str = "tls";

    async fn new() -> Self {
        let (server, client) = crate::support::certificates::both_sides();
        Self { tcp: Tcp::new().await, server, client }
    }

    async fn bind(&mut self, config: ServerConfig, router: impl Fn() -> Router) -> Server {
        self.tcp.bind(config.tls(self.server.clone()), router).await
    }

    async fn connect(&self, config: ClientConfig, router: Router) -> Result<Client, ConnectError> {
        self.tcp.connect(config.tls(self.client.clone()), router).await
    }

    async fn stream(&self) -> Stream {
        let stream = self.tcp.stream().await;
        self.client.connect(stream).await.expect("the handshake of TLS works")
    }
}

/// A Unix socket in a temporary directory.
#[cfg(unix)]
pub(super) struct Unix {
    dir: crate::support::TempDir,
}

#[cfg(unix)]
impl Unix {
    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("socket")
    }
}

#[cfg(unix)]
impl Transport for Unix {
    const NAME: &'static str = "unix";

    async fn new() -> Self {
        Self { dir: crate::support::TempDir::new() }
    }

    async fn bind(&mut self, config: ServerConfig, router: impl Fn() -> Router) -> Server {
        Server::bind_unix(self.path(), config, router()).expect("a path of our own")
    }

    async fn connect(&self, config: ClientConfig, router: Router) -> Result<Client, ConnectError> {
        Client::connect_unix(self.path(), config, router).await
    }

    async fn stream(&self) -> Stream {
        let connector = veltix::transport::UnixSocketConnector::new(self.path());
        connector.connect().await.expect("the server listens")
    }
}

/// Inside the process.
pub(super) struct Memory {
    /// A connector to the newest server.
    connector: Arc<Mutex<MemoryConnector>>,
}

impl Transport for Memory {
    const NAME: &'static str = "memory";

    async fn new() -> Self {
        let (_, nowhere) = memory(PIPE);
        Self { connector: Arc::new(Mutex::new(nowhere)) }
    }

    async fn bind(&mut self, config: ServerConfig, router: impl Fn() -> Router) -> Server {
        let (listener, connector) = memory(PIPE);
        *self.connector.lock().expect("nobody panicked") = connector;
        Server::with_listener(listener, config, router()).expect("the config works")
    }

    async fn connect(&self, config: ClientConfig, router: Router) -> Result<Client, ConnectError> {
        Client::connect_with(Newest(Arc::clone(&self.connector)), config, router).await
    }

    async fn stream(&self) -> Stream {
        Newest(Arc::clone(&self.connector)).connect().await.expect("the server listens")
    }
}

struct Newest(Arc<Mutex<MemoryConnector>>);

impl Connector for Newest {
    async fn connect(&self) -> io::Result<Stream> {
        let connector = self.0.lock().expect("nobody panicked").clone();
        connector.connect().await
    }

    fn target(&self) -> String {
        "memory".to_owned()
    }
}
