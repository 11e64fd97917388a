//! R14: TLS handshakes that stop in the middle delay no other peer, and end at the deadline.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use veltix::{Client, ClientConfig, Event, HandshakeFailure, Router, Server, ServerConfig};

use crate::support::certificates::both_sides;
use crate::support::until;

const STALLED: usize = 300;
const HONEST: usize = 100;
const DEADLINE: Duration = Duration::from_secs(5);

/// The start of a ClientHello that announces 512 bytes.
const BEGUN: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() * 99 / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r14_three_hundred_stalled_handshakes() {
    let (server_tls, client_tls) = both_sides();
    // All of them have one address. No handshake should be shed for another one here.
    let config = ServerConfig::default().addr("127.0.0.1:0").max_pending_handshakes(512, 512);
    let server = Server::bind(config.tls(server_tls), Router::new()).await.expect("a free port");
    let addr = server.local_addr().to_string();
    let mut events = server.hub().events();
    let running = tokio::spawn(server.run());
    let base = Handle::current().metrics().num_alive_tasks();

    let mut ends = Vec::new();
    for _ in 0..STALLED {
        let mut stalled = TcpStream::connect(&addr).await.expect("it is accepted");
        let since = Instant::now();
        stalled.write_all(BEGUN).await.expect("it is read");
        ends.push(tokio::spawn(async move {
            let mut rest = Vec::new();
            let _ = stalled.read_to_end(&mut rest).await;
            since.elapsed()
        }));
    }
    let (mut accepted, mut connected) = (Vec::new(), Vec::new());
    // The number of handshakes that are pending at the same time.
    while accepted.len() < HONEST && ends.iter().all(|end| !end.is_finished()) {
        // A connection without TLS is refused at its first byte. The measured time is the time
        // until it is accepted.
        let since = Instant::now();
        let mut probe = TcpStream::connect(&addr).await.expect("it is accepted");
        probe.write_all(b"?").await.expect("it is read");
        probe.read_u8().await.expect("an alert");
        accepted.push(since.elapsed());
        let since = Instant::now();
        let config = ClientConfig::default().addr(&addr).tls(client_tls.clone());
        let client = Client::connect(config, Router::new()).await.expect("an honest client");
        connected.push(since.elapsed());
        client.close().await;
    }
    assert!(accepted.len() >= HONEST / 10, "this is too few for a stall");
    let (accepted, connected) = (p99(accepted), p99(connected));
    assert!(accepted <= Duration::from_millis(50), "accepted within {accepted:?}");
    assert!(connected <= Duration::from_millis(500), "connected within {connected:?}");

    for end in ends {
        let after = end.await.expect("it only reads");
        let late = DEADLINE + Duration::from_millis(500);
        assert!((DEADLINE - Duration::from_millis(50)..=late).contains(&after), "{after:?}");
    }
    let mut timeouts = 0;
    while timeouts < STALLED {
        let reason = |event| match event {
            Event::HandshakeFailed { reason, .. } => Some(reason),
            _ => None,
        };
        match until(&mut events, reason).await {
            HandshakeFailure::Timeout => timeouts += 1,
            other => assert!(matches!(other, HandshakeFailure::Tls(_)), "{other:?}"),
        }
    }
    while Handle::current().metrics().num_alive_tasks() > base {
        tokio::task::yield_now().await;
    }
    running.abort();
}
