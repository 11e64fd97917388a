//! Listeners accept in turns.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;
use veltix::transport::{Listener, PeerAddr, Stream, Tcp, memory, memory_pair};
use veltix::{Client, ClientConfig, Router, Server, ServerConfig};

use crate::support::PIPE;

/// A listener at which a connection always waits.
struct Flooded {
    accepted: Arc<AtomicU64>,
}

impl Listener for Flooded {
    async fn accept(&mut self) -> io::Result<Stream> {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        // The other half is dropped, so the connection ends at once.
        Ok(memory_pair(16).0)
    }

    fn local_addr(&self) -> PeerAddr {
        PeerAddr::Memory(0)
    }
}

/// A connection waits for at most one of each other listener.
#[tokio::test]
async fn a_flooded_listener_takes_every_other_turn() {
    const CONNECTIONS: u64 = 100;
    let (listener, connector) = memory(PIPE);
    let accepted = Arc::default();
    let flooded = Flooded { accepted: Arc::clone(&accepted) };
    let config = ServerConfig::default().max_pending_handshakes(10_000, 1);
    let server = Server::with_listener(flooded, config, Router::new()).unwrap();
    let server = server.also_listen(listener).unwrap();
    // All of them wait before the server runs.
    let mut waiting = Vec::new();
    for _ in 0..CONNECTIONS {
        waiting.push(connector.stream().await.expect("it listens"));
    }
    let running = tokio::spawn(server.run());
    for stream in waiting {
        let (mut reader, _writer) = stream.into_parts();
        // The first byte of the server's hello.
        tokio::io::AsyncReadExt::read_u8(&mut reader).await.expect("it is accepted");
    }
    // The flood goes on while the last connections are served.
    let accepted = accepted.load(Ordering::Relaxed);
    assert!((CONNECTIONS..3 * CONNECTIONS).contains(&accepted), "{accepted} of the flood");
    running.abort();
}

/// The listeners share the rate, and still take turns.
#[tokio::test(start_paused = true)]
async fn a_flood_at_the_rate_of_accepting_leaves_every_other_turn() {
    let (listener, connector) = memory(PIPE);
    let config = ServerConfig::default().accept_rate(1, 1);
    let flooded = Flooded { accepted: Arc::default() };
    let server = Server::with_listener(flooded, config, Router::new()).unwrap();
    let running = tokio::spawn(server.also_listen(listener).unwrap().run());
    tokio::time::sleep(Duration::from_secs(10)).await;
    for _ in 0..5 {
        let begun = Instant::now();
        let config = ClientConfig::default();
        let client = Client::connect_with(connector.clone(), config, Router::new()).await;
        client.expect("it is served").close().await;
        let took = begun.elapsed();
        assert!(took <= Duration::from_secs(2), "{took:?}");
    }
    running.abort();
}

/// The same over sockets, where the system has accepted the flood already.
#[tokio::test]
async fn a_flood_of_one_port_delays_no_client_of_another() {
    const FLOOD: usize = 500;
    let config = ServerConfig::default().addr("127.0.0.1:0").max_pending_handshakes(1_000, 1_000);
    let server = Server::bind(config, Router::new()).await.unwrap();
    let server = server.also_listen(Tcp::bind("127.0.0.1:0").await.unwrap()).unwrap();
    let addrs = server.local_addrs();
    let mut flood = Vec::new();
    for _ in 0..FLOOD {
        let stream = TcpStream::connect(addrs[0].to_string()).await;
        flood.push(stream.expect("the system accepts it"));
    }
    let client = Client::connect(ClientConfig::default().addr(addrs[1].to_string()), Router::new());
    let begun = Instant::now();
    tokio::spawn(server.run());
    let client = client.await.expect("it is served");
    let took = begun.elapsed();
    assert!(client.is_connected());
    assert!(took < Duration::from_secs(1), "{took:?}");
}
