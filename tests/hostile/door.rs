//! R13 and R15: peers that send their handshake byte by byte, and peers that flood a full server.
//! Connected peers do not notice, and no peer has to wait for them.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use veltix::{
    Client, ClientConfig, ConnectError, Event, HandshakeError, HandshakeFailure, Router, Server,
    ServerConfig, all,
};

use super::honest::{Honest, dial, join, serve, unharmed};
use crate::support::alone::{self, Alone, alone, measured, mib};
use crate::support::{PIPE, PYTHON, World, said, until};

/// The two seconds between the bytes of a hello.
const TRICKLE: Duration = Duration::from_secs(2);

/// The deadline of a handshake, plus the allowance for a busy machine.
const DEADLINE: Duration = Duration::from_secs(5);
const LATE: Duration = Duration::from_millis(500);

#[tokio::test(start_paused = true)]
async fn r13_a_trickle_is_ended_by_one_deadline_for_all_of_it() {
    let world = World::with(ServerConfig::default(), PIPE, Router::new());
    let mut events = world.hub.events();
    let mut raw = world.silent().await;
    let begun = tokio::time::Instant::now();
    raw.hear().await.expect("the server's hello");
    let mut writing = raw.split_writer();
    let trickle = async {
        for byte in said(PYTHON) {
            if writing.write(&[byte]).await.is_err() {
                break;
            }
            sleep(TRICKLE).await;
        }
    };
    let (_, closed) = tokio::join!(trickle, async {
        raw.read_more().await.expect_err("it is closed");
        begun.elapsed()
    });
    assert_eq!(closed, DEADLINE);
    let failed = |event| match event {
        Event::HandshakeFailed { reason, .. } => Some(reason),
        _ => None,
    };
    assert_eq!(until(&mut events, failed).await, HandshakeFailure::Timeout);
}

#[test]
fn r13_three_hundred_trickles_end_in_time_and_keep_nobody_out() {
    const PEERS: usize = 300;
    alone!(Alone::within(Duration::from_secs(60)), async {
        let config = ServerConfig::default().max_pending_handshakes(512, 512);
        let (hub, addr) = serve(config, Router::new()).await;
        let base = alone::tasks();
        let mut trickles = Vec::new();
        for _ in 0..PEERS {
            trickles.push(tokio::spawn(trickled(addr)));
        }
        let honest = connects(addr);
        let (ended, (connected, slowest)) =
            tokio::join!(futures::future::join_all(trickles), honest);
        let mut took: Vec<_> = ended.into_iter().map(|took| took.expect("no panic")).collect();
        took.sort_unstable();
        let (first, last) = (took[0], took[PEERS - 1]);
        measured(
            13,
            format_args!(
                "{PEERS} closed after {first:.2?} to {last:.2?}; {connected} honest connects, the slowest {slowest:.1?}"
            ),
        );
        assert!(first >= DEADLINE && last <= DEADLINE + LATE, "{first:?} to {last:?}");
        assert!(slowest <= LATE, "{slowest:?}");
        timeout(DEADLINE, async {
            while alone::tasks() > base || hub.count(all()) != Ok(0) {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .expect("nothing is left of them");
    });
}

/// Returns how long a peer stays connected that sends a byte of its hello at intervals. The time
/// begins before the connect, and so before the server's deadline.
async fn trickled(addr: SocketAddr) -> Duration {
    let begun = Instant::now();
    let stream = tokio::net::TcpStream::connect(addr).await.expect("the server listens");
    let (mut reader, mut writer) = stream.into_split();
    let trickle = async {
        for byte in said(PYTHON) {
            // The connection is closed meanwhile.
            let _ = writer.write_all(&[byte]).await;
            sleep(TRICKLE).await;
        }
    };
    let end = async {
        let mut heard = Vec::new();
        // The end or a reset, because some of the sent bytes were not read.
        let _ = reader.read_to_end(&mut heard).await;
        begun.elapsed()
    };
    tokio::select! {
        () = trickle => panic!("it was never closed"),
        took = end => took,
    }
}

/// Connects repeatedly during the slow handshakes. Returns the number of connects and the slowest
/// one.
async fn connects(addr: SocketAddr) -> (usize, Duration) {
    let (begun, mut connected, mut slowest) = (Instant::now(), 0, Duration::ZERO);
    while begun.elapsed() < DEADLINE {
        let connecting = Instant::now();
        let config = ClientConfig::default().addr(addr.to_string());
        let client = Client::connect(config, Router::new()).await.expect("there is room");
        slowest = slowest.max(connecting.elapsed());
        connected += 1;
        client.close().await;
        sleep(Duration::from_millis(20)).await;
    }
    (connected, slowest)
}

#[test]
fn r15_a_flood_at_a_full_server_is_refused_at_once_and_costs_no_task() {
    const PEERS: usize = 100;
    const CONNECTS: usize = 5_000;
    const THREADS: usize = 4;
    const MIB: usize = 1 << 20;
    alone!(Alone::within(Duration::from_secs(120)), async {
        let config = ServerConfig::default().max_connections(PEERS);
        let (hub, addr) = serve(config, Router::new()).await;
        let base = alone::tasks();
        // The connections of the previous phase have ended.
        let begin = || {
            while alone::tasks() > base {
                thread::sleep(Duration::from_millis(1));
            }
        };
        let fill = || {
            let mut kept = Vec::new();
            while !hub.is_full() {
                kept.push(join(&hub, addr).0);
            }
            assert_eq!(hub.count(all()), Ok(PEERS));
            kept
        };
        let (mut slowest, mut tasks, mut grown) = (Duration::ZERO, 0, 0);
        let attack = || {
            begin();
            Honest::during(addr, || {
                let _kept = fill();
                let before = alone::memory();
                alone::reset_peak();
                thread::scope(|scope| {
                    let flood = || {
                        let one = |_| refused(addr);
                        (0..CONNECTS / THREADS).map(one).max().unwrap_or_default()
                    };
                    let floods: Vec<_> = (0..THREADS).map(|_| scope.spawn(flood)).collect();
                    while !floods.iter().all(|flood| flood.is_finished()) {
                        tasks = tasks.max(alone::tasks() - base);
                        thread::sleep(Duration::from_millis(1));
                    }
                    for flood in floods {
                        slowest = slowest.max(flood.join().expect("each is refused"));
                    }
                });
                grown = grown.max(alone::peak().saturating_sub(before));
            })
        };
        let beside = || {
            begin();
            Honest::during(addr, || {
                let _kept = fill();
                thread::sleep(Duration::from_millis(500));
            })
        };
        unharmed(15, 3, attack, beside);
        measured(
            15,
            format_args!(
                "{CONNECTS} refused, the slowest after {slowest:.1?}; at most {tasks} tasks for {PEERS} peers; {} more",
                mib(grown)
            ),
        );
        assert!(slowest <= Duration::from_secs(1), "{slowest:?}");
        assert!(tasks <= PEERS, "one task per rejection: {tasks}");
        assert!(grown <= 32 * MIB, "{grown}");
    });
}

/// Returns how long it takes until a peer is refused.
fn refused(addr: SocketAddr) -> Duration {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(addr).expect("the system accepts");
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).expect("the refusal, then the end");
    assert_eq!(heard, said(r#"{"error": "server_full"}"#));
    begun.elapsed()
}

#[tokio::test]
async fn r15_one_address_takes_no_more_than_its_share() {
    let config = ServerConfig::default().max_connections_per_address(Some(2));
    let (hub, addr) = serve(config, Router::new()).await;
    let mut events = hub.events();
    let connect = async || {
        let config = ClientConfig::default().addr(addr.to_string());
        Client::connect(config, Router::new()).await
    };
    let (first, _second) = (connect().await.expect("room"), connect().await.expect("room"));
    let full = |refused: &Result<Client, ConnectError>| {
        let source = match refused {
            Err(ConnectError::Handshake { source, .. }) => source,
            other => panic!("{other:?}"),
        };
        *source == HandshakeError::ServerFull
    };
    assert!(full(&connect().await));
    let failed = |event| match event {
        Event::HandshakeFailed { reason, .. } => Some(reason),
        _ => None,
    };
    assert_eq!(until(&mut events, failed).await, HandshakeFailure::AddressFull);
    // Another address has free slots, and so has this one when a connection ends.
    let other = tokio::net::TcpSocket::new_v4().expect("a socket");
    other.bind("127.0.0.2:0".parse().expect("an address")).expect("it is this machine's");
    let mut other = other.connect(addr).await.expect("the server listens");
    let mut hello = [0; 2];
    other.read_exact(&mut hello).await.expect("the server's hello");
    assert!(usize::from(u16::from_be_bytes(hello)) > said(r#"{"error": "server_full"}"#).len());
    first.close().await;
    until(&mut events, |event| matches!(event, Event::Disconnected { .. }).then_some(())).await;
    let again = async {
        loop {
            match connect().await {
                Ok(client) => break client,
                // The slot is released shortly after the peer receives the refusal.
                refused => assert!(full(&refused)),
            }
        }
    };
    timeout(DEADLINE, again).await.expect("there is room again");
}

#[tokio::test]
async fn who_comes_too_fast_waits_in_the_backlog_and_is_let_in() {
    const CLIENTS: u32 = 15;
    let config = ServerConfig::default().addr("127.0.0.1:0").accept_rate(50, 5);
    let server = Server::bind(config, Router::new()).await.expect("a free port");
    let addr = server.local_addr().socket_addr().expect("it is TCP");
    tokio::spawn(server.run());
    let begun = Instant::now();
    let dials = (0..CLIENTS).map(|_| tokio::task::spawn_blocking(move || dial(addr).map(drop)));
    for dialed in futures::future::join_all(dials).await {
        dialed.expect("no panic").expect("it is let in");
    }
    // Five at once, and then one every 20 ms.
    let least = Duration::from_millis(20) * (CLIENTS - 5 - 1);
    assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
}
