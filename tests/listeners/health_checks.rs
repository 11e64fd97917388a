//! A connection that its peer closes before the first byte is a health check: it leaves no trace.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use veltix::{Event, HandshakeError, HandshakeFailure, Router, Server, ServerConfig};

use super::proxy::{BALANCER, Front, LOCAL, OTHER_CLIENT, tcp_header};
use crate::hostile::Log;
use crate::support::{ECHO, PIPE, World, quiet, until};

/// The marks of log lines about a connection, above the level `trace`.
const LEVELS: [&str; 4] = ["DEBUG", "INFO", "WARN", "ERROR"];

#[tokio::test(start_paused = true)]
async fn an_end_before_the_first_byte_is_neither_an_event_nor_a_line() {
    let world = World::with(ServerConfig::default(), PIPE, Router::new());
    let (mut events, (log, _guard)) = (world.hub.events(), Log::begin());
    for both in [true, false] {
        // The server has written its hello, or cannot write it any more.
        let mut raw = world.silent().await;
        if both {
            raw.hear().await.expect("the server's hello");
        }
        drop(raw);
        quiet().await;
        // One whose other half stays.
        let mut raw = world.silent().await;
        raw.end();
        quiet().await;
        raw.hear().await.expect("the server's hello");
        raw.read_more().await.expect_err("the server closes as well");
    }
    for level in LEVELS {
        assert_eq!(log.lines(level), Vec::<String>::new());
    }
    let _peer = world.raw().await;
    let event = events.next().await;
    assert!(matches!(event, Some(Event::Connected { .. })), "{event:?}");
}

#[tokio::test(start_paused = true)]
async fn a_check_of_a_load_balancer_is_none_either() {
    let client = tcp_header("192.0.2.7:4711");
    let mut front = Front::new(ServerConfig::default());
    let (log, _guard) = Log::begin();
    for header in [&b""[..], LOCAL, &client] {
        let mut raw = front.dial(BALANCER).await;
        raw.write(header).await.expect("it is read");
        raw.end();
        while raw.read_more().await.is_ok() {}
    }
    for level in LEVELS {
        assert_eq!(log.lines(level), Vec::<String>::new());
    }
    front.next_is_connected().await;
}

/// With bytes it is a failure, wherever they end.
#[tokio::test(start_paused = true)]
async fn an_end_behind_the_first_byte_is_a_failed_handshake() {
    let mut front = Front::new(ServerConfig::default());
    for header in [&b""[..], LOCAL] {
        let from = if header.is_empty() { OTHER_CLIENT } else { BALANCER };
        let mut raw = front.dial(from).await;
        raw.write(&[header, &[0]].concat()).await.expect("it is read");
        raw.end();
        let closed = HandshakeFailure::Protocol(HandshakeError::Closed);
        assert_eq!(front.next_failure().await, (from.to_owned(), closed));
    }
}

/// A full server refuses before it knows whether a byte comes. A load balancer's own connection is a check
/// nevertheless, which must not end because the server is full.
#[tokio::test(start_paused = true)]
async fn a_check_of_a_full_server_leaves_no_trace() {
    let mut front = Front::new(ServerConfig::default().max_connections(1));
    let _only = front.client("192.0.2.7:1").await;
    front.next_is_the_client().await;
    let (log, _guard) = Log::begin();
    let mut raw = front.dial(BALANCER).await;
    raw.write(LOCAL).await.expect("it is read");
    while raw.read_more().await.is_ok() {}
    assert!(raw.buffer.ends_with(b"{\"error\": \"server_full\"}"));
    for level in LEVELS {
        assert_eq!(log.lines(level), Vec::<String>::new());
    }
    let mut raw = front.dial(BALANCER).await;
    raw.write(&tcp_header("192.0.2.8:1")).await.expect("it is read");
    let failure = ("192.0.2.8:1".to_owned(), HandshakeFailure::ServerFull);
    assert_eq!(front.next_failure().await, failure);
}

/// Over sockets: with a FIN, and with the reset by which a load balancer spares itself the rest of the
/// connection.
#[tokio::test]
async fn a_reset_before_the_first_byte_is_a_check_too() {
    let config = ServerConfig::default().addr("127.0.0.1:0");
    let router = Router::new().route(ECHO, |body: Bytes| body);
    let server = Server::bind(config, router).await.expect("a free port");
    let (hub, addr) = (server.hub(), server.local_addr().to_string());
    let mut events = hub.events();
    tokio::spawn(server.run());
    let checks = move || {
        for number in 0..50 {
            let mut stream = TcpStream::connect(&addr).expect("the server listens");
            if number % 2 == 0 {
                // The hello stays unread in every second one, so that the close is a reset.
                stream.read_exact(&mut [0; 2]).expect("the server's hello");
            }
        }
        // Bytes behind which the stream ends: a failure, behind the checks.
        let mut stream = TcpStream::connect(&addr).expect("the server listens");
        std::io::Write::write_all(&mut stream, &[0, 9]).expect("it is read");
        stream.shutdown(std::net::Shutdown::Write).expect("it is open");
        std::io::copy(&mut stream, &mut std::io::sink()).expect("the end");
    };
    tokio::task::spawn_blocking(checks).await.expect("no panic");
    let failure = |event| match event {
        Event::HandshakeFailed { reason, .. } => Some(reason),
        _ => None,
    };
    let closed = HandshakeFailure::Protocol(HandshakeError::Closed);
    assert_eq!(until(&mut events, failure).await, closed);
    // All tasks have ended, and none of them was a second failure.
    let drained = tokio::time::timeout(Duration::from_secs(10), hub.shutdown()).await;
    assert!(drained.expect("nothing hangs").complete);
    while let Some(event) = events.next().await {
        assert!(!matches!(event, Event::HandshakeFailed { .. }), "{event:?}");
    }
}
