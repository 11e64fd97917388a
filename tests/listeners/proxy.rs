//! Load balancers that begin each connection with a header of the PROXY protocol, version 2.

use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use veltix::transport::{Listener, PeerAddr, Stream, memory, memory_pair};
use veltix::{
    Client, ClientConfig, Event, EventStream, HandshakeError, HandshakeFailure, HandshakeInfo, Hub,
    Peer, ProxyError, Refuse, Router, Server, ServerConfig, all,
};

use crate::support::{ACK, PIPE, PYTHON, RawPeer, quiet, said, until};

/// The load balancer, in the trusted network.
pub(crate) const BALANCER: &str = "10.0.3.7:5000";
/// A client that reaches the server without the load balancer.
pub(crate) const OTHER_CLIENT: &str = "203.0.113.9:5000";

/// The header of the load balancer's own connections.
pub(crate) const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

/// Half of the time of a handshake.
const HEADER_TIME: Duration = Duration::from_millis(2_500);

/// Returns a header with this kind of addresses and this block.
fn header(kind: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).expect("it is short").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n\x21".as_slice(), &[kind], &length, block].concat()
}

/// Returns the header of a TCP client.
pub(crate) fn tcp_header(client: &str) -> Vec<u8> {
    let client: SocketAddr = client.parse().expect("an address");
    let ports = [&client.port().to_be_bytes()[..], &[0x1f, 0x90]].concat();
    match client {
        SocketAddr::V4(addr) => {
            header(0x11, &[&addr.ip().octets()[..], &[198, 51, 100, 1], &ports].concat())
        }
        SocketAddr::V6(addr) => {
            header(0x21, &[&addr.ip().octets()[..], &[0x20; 16], &ports].concat())
        }
    }
}

/// Returns the header of a client on a Unix socket.
fn unix_header(path: &[u8]) -> Vec<u8> {
    let mut block = [0; 216];
    block[..path.len()].copy_from_slice(path);
    header(0x31, &block)
}

/// A listener in memory whose streams have the addresses that the test chooses.
struct Dialed(mpsc::UnboundedReceiver<Stream>);

impl Listener for Dialed {
    async fn accept(&mut self) -> io::Result<Stream> {
        match self.0.recv().await {
            Some(stream) => Ok(stream),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> PeerAddr {
        PeerAddr::Memory(0)
    }
}

/// A server behind a load balancer, running.
pub(crate) struct Front {
    pub(crate) hub: Hub,
    events: EventStream,
    streams: mpsc::UnboundedSender<Stream>,
}

impl Front {
    pub(crate) fn new(config: ServerConfig) -> Self {
        Self::with(config, Router::new())
    }

    pub(crate) fn with(config: ServerConfig, router: Router) -> Self {
        let (streams, dialed) = mpsc::unbounded_channel();
        let config = config.trust_proxy(["2001:db8:3::/48", "10.0.3.0/24"]);
        let server = Server::with_listener(Dialed(dialed), config, router);
        let server = server.expect("the config works");
        let hub = server.hub();
        tokio::spawn(server.run());
        Self { events: hub.events(), hub, streams }
    }

    /// Opens a connection that the listener accepts from this address.
    pub(crate) async fn dial(&self, from: &str) -> RawPeer {
        let (ours, theirs) = memory_pair(PIPE);
        let (reader, writer) = theirs.into_parts();
        let from = PeerAddr::Tcp(from.parse().expect("an address"));
        self.streams.send(Stream::new(reader, writer, from)).expect("the server listens");
        quiet().await;
        RawPeer::new(ours)
    }

    /// Connects a client through the load balancer.
    pub(crate) async fn client(&self, addr: &str) -> RawPeer {
        let mut raw = self.dial(BALANCER).await;
        raw.write(&tcp_header(addr)).await.expect("it is read");
        raw.shake_hands().await.expect("the handshake works");
        raw
    }

    /// Returns the address and the reason of the next failed handshake.
    pub(crate) async fn next_failure(&mut self) -> (String, HandshakeFailure) {
        let failed = |event| match event {
            Event::HandshakeFailed { addr, reason } => Some((addr.to_string(), reason)),
            _ => None,
        };
        until(&mut self.events, failed).await
    }

    /// Checks that the next event is a client that the test has connected.
    pub(crate) async fn next_is_the_client(&mut self) {
        let event = self.events.next().await;
        assert!(matches!(event, Some(Event::Connected { .. })), "{event:?}");
    }

    /// Connects a client, and checks that no event precedes it.
    pub(crate) async fn next_is_connected(&mut self) {
        let _client = self.client("192.0.2.99:1").await;
        self.next_is_the_client().await;
    }

    /// Returns the address of the only peer.
    fn only(&self) -> PeerAddr {
        let peers = self.hub.list(all()).expect("it is valid");
        assert_eq!(peers.len(), 1);
        peers[0].addr().clone()
    }

    /// Checks that a connection from the load balancer that begins with these bytes fails at once.
    async fn check_refused(&mut self, bytes: &[u8], error: ProxyError) {
        let begun = Instant::now();
        let mut raw = self.dial(BALANCER).await;
        raw.write(bytes).await.expect("it is read");
        let failure = self.next_failure().await;
        assert_eq!(failure, (BALANCER.to_owned(), HandshakeFailure::Proxy(error)));
        assert!(begun.elapsed() < Duration::from_millis(10), "{:?}", begun.elapsed());
        raw.read_more().await.expect_err("it is closed, without a hello");
        assert!(raw.buffer.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_address_in_the_header_is_that_of_the_peer() {
    for (bytes, addr) in [
        (tcp_header("192.0.2.7:4711"), "192.0.2.7:4711"),
        (tcp_header("[2001:db8::7]:4711"), "[2001:db8::7]:4711"),
        (unix_header(b"/tmp/client"), "unix:/tmp/client"),
        (unix_header(b""), "unix:unnamed"),
        (LOCAL.to_vec(), BALANCER),
        (header(0, &[]), BALANCER),
    ] {
        let front = Front::new(ServerConfig::default());
        let mut raw = front.dial(BALANCER).await;
        // Byte by byte. A header takes any time up to its deadline.
        for byte in &bytes {
            raw.write(&[*byte]).await.expect("it is read");
            sleep(Duration::from_millis(2)).await;
            assert_eq!(front.hub.count(all()), Ok(0));
        }
        raw.shake_hands().await.expect("the handshake works");
        quiet().await;
        assert_eq!(front.only().to_string(), addr);
    }
}

#[tokio::test(start_paused = true)]
async fn the_header_the_hello_and_a_frame_may_come_in_one_segment() {
    let front = Front::new(ServerConfig::default());
    let mut raw = front.dial(BALANCER).await;
    let bytes = [&tcp_header("192.0.2.7:4711"), &said(PYTHON)[..]].concat();
    raw.write(&bytes).await.expect("it is read");
    raw.hear().await.expect("the server's hello");
    assert_eq!(raw.hear().await.expect("the ack"), ACK);
    assert_eq!(front.only().to_string(), "192.0.2.7:4711");
}

#[tokio::test(start_paused = true)]
async fn handlers_and_authenticate_see_the_address_in_the_header() {
    let (seen, mut sees) = mpsc::unbounded_channel();
    let saw = seen.clone();
    let router = Router::new()
        .authenticate(move |info: HandshakeInfo| {
            seen.send(info.addr().to_string()).expect("the test is there");
            ready(Ok::<(), Refuse>(()))
        })
        .on_connect(move |peer: Peer| {
            saw.send(peer.addr().to_string()).expect("the test is there");
        });
    let front = Front::with(ServerConfig::default(), router);
    let _client = front.client("192.0.2.7:4711").await;
    for _ in 0..2 {
        assert_eq!(sees.recv().await.as_deref(), Some("192.0.2.7:4711"));
    }
}

#[tokio::test(start_paused = true)]
async fn another_header_is_refused_at_once_and_named() {
    let mut front = Front::new(ServerConfig::default());
    let v4 = tcp_header("192.0.2.7:4711");
    let long = header(0x11, &[0; 521]);
    for (bytes, error) in [
        (&b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 8080\r\n"[..], ProxyError::Text),
        (&said(PYTHON), ProxyError::Missing),
        (&[22, 3, 1, 2, 0, 1], ProxyError::Missing),
        (&long, ProxyError::TooLong { length: 537, limit: 536 }),
        (&header(0x12, &[0; 12]), ProxyError::Family { found: 0x12 }),
        (&header(0x11, &[0; 11]), ProxyError::TooShort { length: 11, needed: 12 }),
        (&header(0x11, &[0; 13]), ProxyError::BadField),
    ] {
        front.check_refused(bytes, error).await;
    }
    // The connection ends inside of the header.
    let mut raw = front.dial(BALANCER).await;
    raw.write(&v4[..20]).await.expect("it is read");
    raw.end();
    let cut = HandshakeFailure::Proxy(ProxyError::Cut { received: 20 });
    assert_eq!(front.next_failure().await, (BALANCER.to_owned(), cut));
    front.next_is_connected().await;
}

/// A client without a load balancer waits for the server to begin.
#[tokio::test(start_paused = true)]
async fn a_header_that_does_not_come_is_missed_before_the_deadline() {
    let mut front = Front::new(ServerConfig::default());
    for from in [BALANCER, "[2001:db8:3::7]:1", "[::ffff:10.0.3.9]:1"] {
        for (bytes, error) in [
            (&b""[..], ProxyError::Missing),
            (&tcp_header("192.0.2.7:1")[..17], ProxyError::Cut { received: 17 }),
        ] {
            let begun = Instant::now();
            let mut raw = front.dial(from).await;
            raw.write(bytes).await.expect("it is read");
            let failure = (from.to_owned(), HandshakeFailure::Proxy(error));
            assert_eq!(front.next_failure().await, failure);
            assert_eq!(begun.elapsed(), HEADER_TIME);
        }
    }
}

/// The deadline is that of header and handshake together.
#[tokio::test(start_paused = true)]
async fn a_late_header_leaves_the_handshake_the_rest_of_the_time() {
    let mut front = Front::new(ServerConfig::default());
    let begun = Instant::now();
    let mut raw = front.dial(BALANCER).await;
    sleep(HEADER_TIME - Duration::from_millis(10)).await;
    raw.write(&tcp_header("192.0.2.7:1")).await.expect("it is read");
    let failure = ("192.0.2.7:1".to_owned(), HandshakeFailure::Timeout);
    assert_eq!(front.next_failure().await, failure);
    assert_eq!(begun.elapsed(), 2 * HEADER_TIME);
}

#[tokio::test(start_paused = true)]
async fn a_header_from_elsewhere_is_a_protocol_error() {
    let mut front = Front::new(ServerConfig::default());
    for from in [OTHER_CLIENT, "10.0.4.7:1", "[2001:db8:4::7]:1"] {
        for bytes in [&tcp_header("10.0.3.7:4711"), LOCAL] {
            let mut raw = front.dial(from).await;
            raw.write(bytes).await.expect("it is read");
            let (addr, failure) = front.next_failure().await;
            assert_eq!(addr, from, "what the header tells counts for nothing");
            assert_eq!(failure, HandshakeFailure::Protocol(HandshakeError::ProxyHeader));
            assert!(failure.to_string().contains("from an untrusted address"), "{failure}");
        }
    }
    // Without one, the address is an ordinary one.
    let mut raw = front.dial(OTHER_CLIENT).await;
    raw.shake_hands().await.expect("the handshake works");
    quiet().await;
    assert_eq!(front.only().to_string(), OTHER_CLIENT);
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_peers_counts_the_address_in_the_header() {
    let config = ServerConfig::default().max_connections_per_address(Some(2));
    let mut front = Front::new(config);
    let _two = (front.client("192.0.2.7:1").await, front.client("192.0.2.7:2").await);
    let mut third = front.dial(BALANCER).await;
    third.write(&tcp_header("192.0.2.7:3")).await.expect("it is read");
    let refused = third.shake_hands().await.expect_err("its address is full");
    assert_eq!(refused.to_string(), HandshakeError::ServerFull.to_string());
    let failure = ("192.0.2.7:3".to_owned(), HandshakeFailure::AddressFull);
    assert_eq!(front.next_failure().await, failure);
    // Clients of other addresses have places, and so has one that comes without the load balancer.
    let _others = (front.client("192.0.2.8:1").await, front.client("[2001:db8::1]:1").await);
    let mut direct = front.dial("192.0.2.7:4").await;
    direct.shake_hands().await.expect_err("it is the same address");
    let failure = ("192.0.2.7:4".to_owned(), HandshakeFailure::AddressFull);
    assert_eq!(front.next_failure().await, failure);
}

#[tokio::test(start_paused = true)]
async fn pending_handshakes_count_by_the_address_in_the_header() {
    let mut front = Front::new(ServerConfig::default().max_pending_handshakes(512, 3));
    // Connections without a header yet may be those of as many clients.
    let mut pending = Vec::new();
    for _ in 0..10 {
        pending.push(front.dial(BALANCER).await);
    }
    for (number, raw) in pending.iter_mut().enumerate() {
        raw.write(&tcp_header(&format!("192.0.2.{number}:1"))).await.expect("it is read");
    }
    // Of one client, three remain.
    let mut flood = Vec::new();
    for port in 1..=10 {
        let mut raw = front.dial(BALANCER).await;
        raw.write(&tcp_header(&format!("192.0.2.77:{port}"))).await.expect("it is read");
        flood.push(raw);
    }
    for _ in 0..7 {
        let (addr, failure) = front.next_failure().await;
        assert!(addr.starts_with("192.0.2.77:"), "{addr}");
        assert_eq!(failure, HandshakeFailure::Shed);
    }
    for raw in &mut pending {
        raw.shake_hands().await.expect("it was not shed");
    }
    quiet().await;
    assert_eq!(front.hub.count(all()), Ok(10));
}

/// The address of the load balancer counts for its own connections alone.
#[tokio::test(start_paused = true)]
async fn the_whole_number_of_pending_handshakes_holds_for_load_balancers() {
    let mut front = Front::new(ServerConfig::default().max_pending_handshakes(5, 3));
    let mut pending = Vec::new();
    for _ in 0..6 {
        pending.push(front.dial(BALANCER).await);
    }
    assert_eq!(front.next_failure().await, (BALANCER.to_owned(), HandshakeFailure::Shed));
    drop(pending);
    front.next_is_connected().await;
    let mut own = Vec::new();
    for _ in 0..4 {
        let mut raw = front.dial(BALANCER).await;
        raw.write(LOCAL).await.expect("it is read");
        own.push(raw);
    }
    assert_eq!(front.next_failure().await, (BALANCER.to_owned(), HandshakeFailure::Shed));
}

#[tokio::test(start_paused = true)]
async fn a_further_listener_accepts_no_header() {
    let (streams, dialed) = mpsc::unbounded_channel();
    let config = ServerConfig::default().trust_proxy(["10.0.3.7"]);
    let server = Server::with_listener(memory(PIPE).0, config, Router::new());
    let server = server.and_then(|server| server.also_listen(Dialed(dialed)));
    let server = server.expect("the config works");
    let hub = server.hub();
    tokio::spawn(server.run());
    let mut front = Front { events: hub.events(), hub, streams };
    let mut raw = front.dial(BALANCER).await;
    raw.write(&tcp_header("192.0.2.7:1")).await.expect("it is read");
    let failure = HandshakeFailure::Protocol(HandshakeError::ProxyHeader);
    assert_eq!(front.next_failure().await, (BALANCER.to_owned(), failure));
    front.dial(BALANCER).await.shake_hands().await.expect("it is an ordinary address");
}

/// Peers without an IP address are outside of every network.
#[tokio::test(start_paused = true)]
async fn a_peer_in_memory_needs_no_header() {
    let (listener, connector) = memory(PIPE);
    let config = ServerConfig::default().trust_proxy(["0.0.0.0/0", "::/0"]);
    let server = Server::with_listener(listener, config, Router::new()).expect("it works");
    tokio::spawn(server.run());
    let client = Client::connect_with(connector, ClientConfig::default(), Router::new()).await;
    assert!(client.expect("it connects").is_connected());
}
