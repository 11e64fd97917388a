//! The honest peers of a server: they send calls and measure times while a test attacks the same
//! server.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use veltix::{Client, ClientConfig, Hub, Message, Peer, Router, Server, ServerConfig, all};

use crate::support::alone::measured;
use crate::support::{ACK, ECHO, PYTHON, frame, said};

/// The number of honest clients during an attack.
const CLIENTS: usize = 20;

/// The pause of each client between two calls.
const PAUSE: Duration = Duration::from_millis(4);

/// Below this time no peer is harmed, for any ratio.
const HARMLESS: Duration = Duration::from_millis(10);

/// The number of tries for a ratio of times, which a busy machine may distort. A check of
/// correctness has one try.
const TRIES: usize = 3;

/// Starts a server over TCP that sends ECHO back.
pub(super) async fn serve(config: ServerConfig, router: Router) -> (Hub, SocketAddr) {
    let router = router.route(ECHO, |body: Bytes| body);
    let server = Server::bind(config.addr("127.0.0.1:0"), router).await.expect("it binds");
    let (hub, addr) = (server.hub(), server.local_addr().socket_addr().expect("it is TCP"));
    tokio::spawn(server.run());
    (hub, addr)
}

/// Connects a peer on a blocking socket and performs the handshake.
pub(super) fn dial(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr)?;
    shake_hands(&stream)?;
    Ok(stream)
}

/// Connects such a peer and waits until it is listed. Returns it with the server's handle.
pub(super) fn join(hub: &Hub, addr: SocketAddr) -> (TcpStream, Peer) {
    let stream = dial(addr).expect("the server listens");
    echo(&stream, "joined").expect("it answers");
    let peers = hub.list(all()).expect("it is valid");
    (stream, peers.into_iter().max_by_key(Peer::id).expect("it is listed"))
}

/// Performs the client's side of a handshake.
pub(super) fn shake_hands(mut stream: &TcpStream) -> io::Result<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    stream.read_exact(&mut vec![0; usize::from(u16::from_be_bytes(length))])?;
    stream.write_all(&said(PYTHON))?;
    let mut ack = vec![0; said(ACK).len()];
    stream.read_exact(&mut ack)?;
    assert_eq!(ack, said(ACK));
    Ok(())
}

/// Sends one call and waits for the answer. Everything that was sent earlier on this connection has
/// been read then.
pub(super) fn echo(mut stream: &TcpStream, body: &'static str) -> io::Result<()> {
    let question = frame(ECHO.code(), 9, body);
    stream.write_all(&question)?;
    let mut answer = vec![0; question.len()];
    stream.read_exact(&mut answer)?;
    assert_eq!(answer, question);
    Ok(())
}

/// Peers that each send calls repeatedly, on a thread of their own.
pub(super) struct Honest {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Served>,
}

/// The results of the honest peers.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) calls: usize,
    pub(super) errors: usize,
    /// The 99th percentile of the call times.
    pub(super) p99: Duration,
}

impl Honest {
    /// Connects the clients; they are connected when this returns.
    pub(super) fn begin(addr: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (ready, is_ready) = std::sync::mpsc::channel();
        let until = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let mut clients = Vec::new();
                for _ in 0..CLIENTS {
                    let config = ClientConfig::default().addr(addr.to_string());
                    clients.push(Client::connect(config, Router::new()).await.expect("room"));
                }
                ready.send(()).expect("the test waits");
                let asking = clients.iter().map(|client| ask(client, &until));
                let asked = futures::future::join_all(asking).await;
                let errors = asked.iter().map(|(_, errors)| errors).sum();
                let mut took: Vec<_> = asked.into_iter().flat_map(|(took, _)| took).collect();
                took.sort_unstable();
                let p99 = took.get(took.len() * 99 / 100).copied().unwrap_or(Duration::MAX);
                Served { calls: took.len(), errors, p99 }
            })
        });
        is_ready.recv().expect("they connect");
        Self { over, thread }
    }

    /// Stops the clients and returns their results.
    pub(super) fn end(self) -> Served {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("they do not panic")
    }

    /// Returns the results of the clients during this future.
    pub(super) fn during(addr: SocketAddr, attack: impl FnOnce()) -> Served {
        let honest = Self::begin(addr);
        attack();
        honest.end()
    }
}

async fn ask(client: &Client, over: &AtomicBool) -> (Vec<Duration>, usize) {
    let (mut took, mut errors) = (Vec::new(), 0);
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        match client.request(&Message::from_text(ECHO, "honest")).await {
            Ok(_) => took.push(begun.elapsed()),
            Err(_) => errors += 1,
        }
        sleep(PAUSE).await;
    }
    (took, errors)
}

/// Asserts that honest peers do not notice an attack: all calls are answered. The 99th percentile
/// of their times is at most `times` times that under the other load, or at most ten milliseconds.
pub(super) fn unharmed(
    row: u8,
    times: u32,
    mut attacked: impl FnMut() -> Served,
    mut beside: impl FnMut() -> Served,
) {
    for attempt in 1.. {
        let (attacked, beside) = (attacked(), beside());
        measured(
            row,
            format_args!(
                "p99 {:.1?} of {} calls, {:.1?} without the attack, {} errors",
                attacked.p99, attacked.calls, beside.p99, attacked.errors
            ),
        );
        assert_eq!(attacked.errors, 0);
        assert!(attacked.calls >= CLIENTS, "{attacked:?}");
        if attacked.p99 <= HARMLESS.max(times * beside.p99) {
            return;
        }
        assert!(attempt < TRIES, "{attacked:?}, beside {beside:?}");
    }
}
