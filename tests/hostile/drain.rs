//! R40: a shutdown in the middle of broadcasts, over sockets.

use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::sleep;
use veltix::transport::{PeerAddr, Stream};
use veltix::{
    CloseReason, Disconnected, GOING_AWAY, Hub, Message, Peer, Router, Server, ServerConfig, all,
};

use crate::support::alone::{measured, runtime};
use crate::support::{LISTENING, OTHER, RawPeer};

const CLIENTS: usize = 100;
const MESSAGES: u32 = 1_000;
const DRAIN: Duration = Duration::from_secs(4);

/// Returns a body that begins with its number and is 4 to 4 099 bytes long: a thousand of them are
/// twice the size of a socket's buffers.
fn body(number: u32) -> BytesMut {
    let mut body = BytesMut::zeroed(4 + (number as usize * 7919) % 4096);
    body[..4].copy_from_slice(&number.to_be_bytes());
    body
}

/// How a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// It reads data as it arrives.
    AtOnce,
    /// It pauses, and then reads all data.
    Late,
    /// It reads only after the server has closed the connection.
    AfterTheEnd,
}

impl Reads {
    fn of(number: usize, stalled: bool) -> Self {
        match number % 5 {
            0 if stalled => Self::AfterTheEnd,
            0..3 => Self::Late,
            _ => Self::AtOnce,
        }
    }
}

/// The data that a client has received.
struct Seen {
    reads: Reads,
    /// The number of received broadcasts, whose numbers were 0, 1, 2 and so on.
    numbers: u32,
    /// True if the server announced its shutdown to this client.
    told: bool,
    /// The bytes of an incomplete last frame.
    partial: usize,
}

/// Connects, and reads to the end of the stream.
async fn client(addr: String, reads: Reads, listens: bool) -> Seen {
    let stream = TcpStream::connect(addr).await.expect("the server listens");
    let from = PeerAddr::Tcp(stream.peer_addr().expect("it is connected"));
    let (reader, writer) = stream.into_split();
    let mut raw = RawPeer::new(Stream::new(reader, writer, from));
    if listens {
        raw.shake_hands_saying(LISTENING).await.expect("the handshake works");
    } else {
        raw.shake_hands().await.expect("the handshake works");
    }
    match reads {
        Reads::AtOnce => {}
        Reads::Late => sleep(Duration::from_secs(1)).await,
        Reads::AfterTheEnd => sleep(DRAIN + Duration::from_secs(3)).await,
    }
    let mut seen = Seen { reads, numbers: 0, told: false, partial: 0 };
    // Any error other than the end of the stream fails the test here.
    for message in raw.all().await {
        if message.code() == GOING_AWAY.code() {
            seen.told = true;
            continue;
        }
        assert_eq!(message.body().as_ref(), &body(seen.numbers)[..], "in order and without a gap");
        assert_eq!(message.body().as_ref().get_u32(), seen.numbers);
        seen.numbers += 1;
    }
    seen.partial = raw.buffer.len();
    seen
}

/// Sends the broadcasts one after the other, and calls `begin` before number `begin_at`.
async fn publish(hub: Hub, begin_at: u32, begin: impl FnOnce()) {
    let mut begin = Some(begin);
    for number in 0..MESSAGES {
        if number == begin_at
            && let Some(begin) = begin.take()
        {
            begin();
        }
        let message = Message::new(OTHER, body(number).freeze());
        hub.broadcast(&message).expect("it is encoded");
        if number % 8 == 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Returns the outcome of every peer, in the order in which they ended.
async fn ends(peers: Vec<Peer>) -> Vec<Disconnected> {
    let mut ends = Vec::new();
    for peer in peers {
        ends.push(peer.closed().await);
    }
    ends
}

fn shut_down_at_half(stalled: bool) {
    let (server, clients): (Runtime, Runtime) = (runtime(), runtime());
    let config = ServerConfig::default()
        .addr("127.0.0.1:0")
        .drain_timeout(DRAIN)
        // The buffers are small, so that a socket that is not read fills early.
        .max_unsent(16 * 1024)
        .max_pending_handshakes(CLIENTS, CLIENTS);
    let bound = server.block_on(Server::bind(config, Router::new())).expect("a free port");
    let (hub, addr) = (bound.hub(), bound.local_addr().to_string());
    let running = server.spawn(bound.run());
    let mut seen = Vec::new();
    for number in 0..CLIENTS {
        let reads = Reads::of(number, stalled);
        seen.push(clients.spawn(client(addr.clone(), reads, number % 2 == 0)));
        // In the order of their numbers.
        while hub.count(all()) != Ok(number + 1) {
            std::thread::yield_now();
        }
    }
    let mut peers = hub.list(all()).expect("it is valid");
    peers.sort_unstable_by_key(Peer::id);

    let (told, begun) = std::sync::mpsc::channel();
    let drain = hub.clone();
    let begin = move || told.send((Instant::now(), drain.shutdown())).expect("the test waits");
    let publisher = server.spawn(publish(hub.clone(), MESSAGES / 2, begin));
    let (start, draining) = begun.recv().expect("it begins at half");
    let report = server.block_on(draining);
    let took = start.elapsed();
    server.block_on(async {
        publisher.await.expect("no panic");
        running.await.expect("no panic").expect("it runs");
    });
    let ends = server.block_on(ends(peers));
    // The runtime releases a task shortly after it was awaited.
    while server.metrics().num_alive_tasks() > 0 {
        assert!(start.elapsed() < took + Duration::from_secs(2), "no task is alive");
        std::thread::yield_now();
    }
    assert!(report.complete && took <= DRAIN + Duration::from_millis(500), "{took:?}");
    let seen: Vec<Seen> =
        seen.into_iter().map(|seen| clients.block_on(seen).expect("no panic")).collect();

    // These counters are independent of the report's.
    let (mut written, mut dropped) = (0, 0);
    for (number, (seen, end)) in seen.iter().zip(&ends).enumerate() {
        assert_eq!(end.reason, CloseReason::Shutdown);
        let sent = end.sent;
        assert_eq!((sent.accepted, sent.queued), (sent.written + sent.dropped(), 0));
        assert_eq!(sent.written, u64::from(seen.numbers) + u64::from(seen.told), "{number}");
        if seen.reads == Reads::AfterTheEnd {
            assert!(sent.dropped() > 0, "its socket holds a part of the data");
        } else {
            assert_eq!((seen.partial, sent.dropped()), (0, 0), "{number}");
            assert!(seen.numbers >= MESSAGES / 2, "messages sent before the shutdown are written");
            assert_eq!(seen.told, number % 2 == 0);
        }
        written += sent.written;
        dropped += sent.dropped();
    }
    assert_eq!((report.connections, report.aborted_handlers), (CLIENTS as u64, 0));
    assert_eq!(report.queued + report.accepted, report.flushed + report.dropped, "{report:?}");
    assert_eq!(report.dropped, dropped);
    assert!(report.flushed <= written, "{report:?}");
    assert_eq!(stalled, dropped > 0);
    let who = if stalled { "some stalled" } else { "all read" };
    let (flushed, of) = (report.flushed, report.queued + report.accepted);
    measured(40, format!("{who}: {flushed} of {of} flushed, {dropped} dropped, in {took:.1?}"));
}

#[test]
fn r40_a_shutdown_at_half_of_the_broadcasts_writes_all_that_was_taken_on() {
    shut_down_at_half(false);
}

/// Peers that do not read delay the shutdown up to its deadline, and cost the others nothing.
#[test]
fn r40_so_it_does_for_the_others_when_some_do_not_read() {
    shut_down_at_half(true);
}
