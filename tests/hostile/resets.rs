//! R41: a close while the peer still sends. The later data arrives at a socket that is not read any
//! more, so the kernel resets the connection. A reset discards data that the kernel has accepted
//! and not delivered yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
#[cfg(unix)]
use veltix::transport::{Connector, UnixSocketConnector};
use veltix::transport::{PeerAddr, Stream};
use veltix::{Hub, Message, Peer, Router, Server, ServerConfig, all, peers};

use crate::support::alone::measured;
use crate::support::{ECHO, OTHER, PATIENCE, RawPeer, frame};

const CLOSES: usize = 500;

/// The number of concurrent closes.
const AT_ONCE: usize = 20;

/// The bytes that each peer is sent right before it is closed: more than the other side's socket
/// buffers without being read, so that a part of them still waits at this side.
const LAST_WORDS: u32 = 24;
const LENGTH: usize = 16 * 1024;

/// The duration for which the client does not read.
const LATE: Duration = Duration::from_millis(50);

fn last_word(number: u32) -> Message {
    Message::new(OTHER, [&number.to_be_bytes()[..], &vec![7; LENGTH]].concat())
}

/// Sends the last messages, and closes in one of two ways.
fn close(hub: &Hub, peer: &Peer) -> veltix::Result<()> {
    for number in 0..LAST_WORDS {
        peer.try_send(&last_word(number))?;
    }
    if peer.id().value().is_multiple_of(2) {
        drop(peer.close());
    } else {
        hub.close(peers([peer]), "enough")?;
    }
    Ok(())
}

/// Starts a server that closes the connection on ECHO, and accepts all other messages.
fn router() -> Router {
    Router::new().route(ECHO, |hub: Hub, peer: Peer| close(&hub, &peer)).route(OTHER, || ())
}

/// Asks for a close and continues to send. Reads late, to the end of the stream.
async fn be_closed(mut raw: RawPeer) {
    raw.shake_hands().await.expect("the handshake works");
    let read = Arc::new(AtomicBool::new(false));
    let (mut sender, stop) = (raw.split_writer(), Arc::clone(&read));
    let sending = tokio::spawn(async move {
        sender.send(ECHO.code(), 0, "").await.expect("the server reads");
        let bytes = frame(OTHER.code(), 0, vec![0; 1024]);
        // The sending is limited in time: a client that sends for longer than the server lingers is
        // reset.
        while !stop.load(Ordering::Relaxed) && sender.write(&bytes).await.is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
    });
    raw.read_more().await.expect("the first of the last words");
    sleep(LATE).await;
    // Any error before the end of the stream fails the test here.
    let words = raw.all().await;
    read.store(true, Ordering::Relaxed);
    assert_eq!(words.len(), LAST_WORDS as usize, "every flushed frame arrives");
    for (number, word) in (0..).zip(&words) {
        assert_eq!(word.body(), last_word(number).body());
    }
    assert!(raw.buffer.is_empty());
    sending.await.expect("no panic");
}

/// Closes `CLOSES` connections, which this function creates.
async fn closes<F: Future<Output = RawPeer> + Send + 'static>(
    over: &str,
    server: Server,
    connect: impl Fn() -> F,
) {
    let hub = server.hub();
    let running = tokio::spawn(server.run());
    let mut clients = JoinSet::new();
    for number in 0..CLOSES {
        if number >= AT_ONCE {
            clients.join_next().await.expect("they are there").expect("no panic");
        }
        let connecting = connect();
        clients.spawn(async move { be_closed(connecting.await).await });
    }
    let rest = timeout(PATIENCE, clients.join_all()).await;
    assert_eq!(rest.expect("they end").len(), AT_ONCE);
    // At the end, a shutdown does the same.
    let report = hub.shutdown().await;
    assert_eq!(report.queued + report.accepted, report.flushed + report.dropped);
    running.await.expect("no panic").expect("it runs");
    measured(41, format!("{over}: {CLOSES} of {CLOSES} got all of it, and no reset before"));
}

fn config() -> ServerConfig {
    ServerConfig::default().addr("127.0.0.1:0").max_pending_handshakes(CLOSES, CLOSES)
}

async fn tcp(addr: String) -> Stream {
    let stream = TcpStream::connect(addr).await.expect("the server listens");
    let from = PeerAddr::Tcp(stream.peer_addr().expect("it is connected"));
    let (reader, writer) = stream.into_split();
    Stream::new(reader, writer, from)
}

#[tokio::test]
async fn r41_no_reset_overtakes_what_was_flushed() {
    let server = Server::bind(config(), router()).await.expect("a free port");
    let addr = server.local_addr().to_string();
    closes("TCP", server, || {
        let addr = addr.clone();
        async { RawPeer::new(tcp(addr).await) }
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn r41_nor_does_one_on_a_unix_socket() {
    let dir = crate::support::TempDir::new();
    let path = dir.path().join("socket");
    let server = Server::bind_unix(&path, config(), router()).expect("a path of our own");
    closes("Unix sockets", server, || {
        let connector = UnixSocketConnector::new(&path);
        async move { RawPeer::new(connector.connect().await.expect("the server listens")) }
    })
    .await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn r41_nor_does_one_over_tls() {
    let (ours, theirs) = crate::support::certificates::both_sides();
    let server = Server::bind(config().tls(ours), router()).await.expect("a free port");
    let addr = server.local_addr().to_string();
    closes("TLS", server, || {
        let (addr, tls) = (addr.clone(), theirs.clone());
        async move {
            let stream = tcp(addr).await;
            RawPeer::new(tls.connect(stream).await.expect("the handshake of TLS works"))
        }
    })
    .await;
}

/// A shutdown closes all of them at once.
#[tokio::test]
async fn r41_nor_does_one_in_a_shutdown() {
    let words = |peer: Peer| {
        for number in 0..LAST_WORDS {
            peer.try_send(&last_word(number))?;
        }
        Ok::<_, veltix::SendError>(())
    };
    let router = Router::new().route(ECHO, words).route(OTHER, || ());
    let server = Server::bind(config(), router).await.expect("a free port");
    let (hub, addr) = (server.hub(), server.local_addr().to_string());
    let running = tokio::spawn(server.run());
    let mut clients = JoinSet::new();
    for _ in 0..AT_ONCE {
        let addr = addr.clone();
        clients.spawn(async move { be_closed(RawPeer::new(tcp(addr).await)).await });
    }
    let has_spoken = |peer: &Peer| peer.stats().sent.accepted == u64::from(LAST_WORDS);
    let all_have_spoken = || {
        let peers = hub.list(all()).expect("it is valid");
        peers.len() == AT_ONCE && peers.iter().all(has_spoken)
    };
    while !all_have_spoken() {
        sleep(Duration::from_millis(1)).await;
    }
    let report = hub.shutdown().await;
    assert_eq!((report.connections, report.dropped), (AT_ONCE as u64, 0));
    timeout(PATIENCE, clients.join_all()).await.expect("they end");
    running.await.expect("no panic").expect("it runs");
}
