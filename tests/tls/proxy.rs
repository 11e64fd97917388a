//! TLS behind a load balancer: its header precedes the first record.

use std::io;
use std::time::Duration;

use tokio::time::Instant;
use veltix::transport::{Connector, PeerAddr, Stream};
use veltix::{
    Client, ClientConfig, HandshakeError, HandshakeFailure, Message, ProxyError, Router,
    ServerConfig, TlsError, all,
};

use crate::hostile::Log;
use crate::listeners::proxy::{BALANCER, Front, LOCAL, OTHER_CLIENT, tcp_header};
use crate::support::certificates::both_sides;
use crate::support::{ECHO, RawPeer, quiet};

/// Connects through a load balancer that sends this header.
struct Through {
    front: Front,
    header: Vec<u8>,
}

impl Connector for Through {
    async fn connect(&self) -> io::Result<Stream> {
        let mut raw = self.front.dial(BALANCER).await;
        raw.write(&self.header).await?;
        let halves = (raw.reader.take(), raw.writer.take());
        let (Some(reader), Some(writer)) = halves else { panic!("the test has both") };
        Ok(Stream::new(reader, writer, PeerAddr::Memory(0)))
    }

    fn target(&self) -> String {
        "a load balancer".to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn the_header_comes_before_tls() {
    for (header, addr) in [
        (tcp_header("192.0.2.7:4711"), "192.0.2.7:4711"),
        (tcp_header("[2001:db8::7]:4711"), "[2001:db8::7]:4711"),
        (LOCAL.to_vec(), BALANCER),
    ] {
        let (server, client) = both_sides();
        let router = Router::new().route(ECHO, |message: Message| message);
        let front = Front::with(ServerConfig::default().tls(server), router);
        let hub = front.hub.clone();
        let config = ClientConfig::default().tls(client);
        let through = Through { front, header };
        let client = Client::connect_with(through, config, Router::new()).await;
        let client = client.expect("it connects");
        let answer = client.request(&Message::from_text(ECHO, "over TLS")).await;
        assert_eq!(answer.expect("an answer").text().ok(), Some("over TLS"));
        let peers = hub.list(all()).expect("it is valid");
        assert_eq!(peers.len(), 1);
        assert_eq!(peers[0].addr().to_string(), addr);
        assert!(peers[0].tls().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_hello_without_a_header_is_refused() {
    const CLIENT_HELLO: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1];
    let mut front = Front::new(ServerConfig::default().tls(both_sides().0));
    let mut raw = front.dial(BALANCER).await;
    raw.write(CLIENT_HELLO).await.expect("it is read");
    let failure = (BALANCER.to_owned(), HandshakeFailure::Proxy(ProxyError::Missing));
    assert_eq!(front.next_failure().await, failure);
    // And the reverse: bytes that are not TLS behind the header.
    let mut raw = front.dial(BALANCER).await;
    let bytes = [&tcp_header("192.0.2.7:1")[..], b"\0\x0d{\"pv\": \"1.0\"}"].concat();
    raw.write(&bytes).await.expect("it is read");
    let failure = ("192.0.2.7:1".to_owned(), HandshakeFailure::Tls(TlsError::Plaintext));
    assert_eq!(front.next_failure().await, failure);
}

#[tokio::test(start_paused = true)]
async fn a_header_from_elsewhere_is_named() {
    let mut front = Front::new(ServerConfig::default().tls(both_sides().0));
    let mut raw = front.dial(OTHER_CLIENT).await;
    raw.write(&tcp_header("10.0.3.7:1")).await.expect("it is read");
    let failure = HandshakeFailure::Protocol(HandshakeError::ProxyHeader);
    assert_eq!(front.next_failure().await, (OTHER_CLIENT.to_owned(), failure));
}

/// A client without TLS waits for the server to begin, behind a load balancer as well.
#[tokio::test(start_paused = true)]
async fn a_silent_client_is_given_up_after_half_of_the_time() {
    let mut front = Front::new(ServerConfig::default().tls(both_sides().0));
    let begun = Instant::now();
    let mut raw = front.dial(BALANCER).await;
    raw.write(&tcp_header("192.0.2.7:1")).await.expect("it is read");
    let failure = ("192.0.2.7:1".to_owned(), HandshakeFailure::Tls(TlsError::NoClientHello));
    assert_eq!(front.next_failure().await, failure);
    assert!(begun.elapsed() < Duration::from_millis(2_510), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn health_checks_of_a_server_with_tls_leave_no_trace() {
    let mut front = Front::new(ServerConfig::default().tls(both_sides().0).max_connections(1));
    let (log, _guard) = Log::begin();
    let client = tcp_header("192.0.2.7:1");
    for (from, header) in
        [(OTHER_CLIENT, &b""[..]), (BALANCER, b""), (BALANCER, LOCAL), (BALANCER, &client)]
    {
        let mut raw = front.dial(from).await;
        raw.write(header).await.expect("it is read");
        raw.end();
        raw.read_more().await.expect_err("the server sends nothing");
        drop(front.dial(from).await);
        quiet().await;
    }
    for level in ["DEBUG", "INFO", "WARN", "ERROR"] {
        assert_eq!(log.lines(level), Vec::<String>::new());
    }
    // With the first byte it is a failure.
    let mut raw: RawPeer = front.dial(OTHER_CLIENT).await;
    raw.write(&[22]).await.expect("it is read");
    raw.end();
    let failure = HandshakeFailure::Protocol(HandshakeError::Closed);
    assert_eq!(front.next_failure().await, (OTHER_CLIENT.to_owned(), failure));
}
