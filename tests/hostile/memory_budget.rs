//! R25: the memory that all peers of a server hold together.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use veltix::limits::{MAX_MESSAGE_SIZE, MEMORY_BUDGET};
use veltix::{
    BindError, CloseReason, ConfigError, Event, EventStream, Message, MessageType, Peer, Router,
    Server, ServerConfig, all,
};

use super::Log;
use crate::support::alone::{self, Alone, alone, measured, mib};
use crate::support::{ACK, ECHO, OTHER, PIPE, PYTHON, RawPeer, World, frame, said, until};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MIB: usize = 1 << 20;

/// Connects a peer and performs the handshake.
async fn dial(addr: std::net::SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(addr).await?;
    let length = stream.read_u16().await?;
    stream.read_exact(&mut vec![0; usize::from(length)]).await?;
    stream.write_all(&said(PYTHON)).await?;
    stream.read_exact(&mut vec![0; said(ACK).len()]).await?;
    Ok(stream)
}

async fn echo(stream: &mut TcpStream) -> io::Result<()> {
    let question = frame(ECHO.code(), 9, vec![7; 1_000]);
    stream.write_all(&question).await?;
    let mut answer = vec![0; question.len()];
    stream.read_exact(&mut answer).await?;
    assert_eq!(answer, question);
    Ok(())
}

/// Each of 200 peers sends all bytes of the largest message except the last.
#[test]
fn r25_begun_frames_of_all_peers_stay_within_the_budget() {
    // Freed memory is returned to the system: glibc keeps twice the size of the largest block for
    // each of its arenas, and the budget only covers memory in use.
    let how = Alone::within(Duration::from_secs(60)).set("MALLOC_TRIM_THRESHOLD_", "131072");
    alone!(how, async {
        const BUDGET: usize = 64 * MIB;
        const PEERS: usize = 200;
        let router = Router::new().route(ECHO, |body: Bytes| body);
        let config = ServerConfig::default()
            .addr("127.0.0.1:0")
            .max_pending_handshakes(512, 512)
            .memory_budget(BUDGET);
        let server = Server::bind(config, router).await.unwrap();
        let addr = server.local_addr().socket_addr().unwrap();
        let mut events = server.hub().events();
        tokio::spawn(server.run());
        let honest = join_all((0..20).map(|_| dial(addr))).await;
        let attackers = join_all((0..PEERS).map(|_| dial(addr))).await;
        let mut bytes = frame(OTHER.code(), 7, vec![7; MAX_MESSAGE_SIZE - 15]);
        bytes.truncate(MAX_MESSAGE_SIZE - 1);
        let bytes = bytes.freeze();
        let over = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(AtomicUsize::new(0));
        let honest: Vec<_> = honest
            .into_iter()
            .map(|stream| {
                let (over, answers) = (Arc::clone(&over), Arc::clone(&answers));
                tokio::spawn(async move {
                    let mut stream = stream.unwrap();
                    while !over.load(Ordering::Relaxed) {
                        echo(&mut stream).await.expect("an honest peer is served");
                        answers.fetch_add(1, Ordering::Relaxed);
                        sleep(SECOND / 100).await;
                    }
                    stream
                })
            })
            .collect();
        sleep(SECOND / 2).await;
        alone::reset_peak();
        let before = alone::memory();
        let attackers: Vec<_> = attackers
            .into_iter()
            .map(|stream| {
                let bytes = bytes.clone();
                tokio::spawn(async move {
                    let mut stream = stream.unwrap();
                    let _ = stream.write_all(&bytes).await;
                    std::future::pending::<()>().await;
                })
            })
            .collect();
        sleep(6 * SECOND).await;
        over.store(true, Ordering::Relaxed);
        let mut served = Vec::new();
        for peer in honest {
            served.push(peer.await.expect("an honest peer is served"));
        }
        let grown = alone::peak().saturating_sub(before);
        let mut evicted = 0;
        while let Ok(Some(event)) = timeout(SECOND / 10, events.next()).await {
            if let Event::Disconnected { outcome, .. } = event {
                assert_eq!(outcome.reason, CloseReason::Evicted);
                evicted += 1;
            }
        }
        measured(
            25,
            format_args!(
                "{PEERS} peers x 10 MiB, budget {}: {} more, {evicted} evicted, {} honest answers, 0 errors",
                mib(BUDGET),
                mib(grown),
                answers.load(Ordering::Relaxed),
            ),
        );
        assert!(evicted > 0, "a peer has to be evicted");
        assert!(answers.load(Ordering::Relaxed) > 20 * 100);
        assert!(grown <= BUDGET / 10 * 11, "{} more", mib(grown));
        drop((attackers, served));
    });
}

/// Starts a server whose peers may have begun two large frames in total.
pub(super) fn world() -> World {
    world_of(Router::new())
}

fn world_of(router: Router) -> World {
    let config =
        ServerConfig::default().max_message_size(MIB).outbox(1_024, 8 * MIB).memory_budget(7 * MIB);
    World::with(config, PIPE, router.route(ECHO, |body: Bytes| body).route(OTHER, || {}))
}

/// Sends a large frame without its last byte, until the server stops reading. Returns the number of
/// sent bytes.
async fn begin(raw: &mut RawPeer) -> usize {
    let bytes = large();
    let mut sent = 0;
    for chunk in bytes[..bytes.len() - 1].chunks(1_000) {
        if timeout(SECOND / 10, raw.write(chunk)).await.is_err() {
            break;
        }
        sent += chunk.len();
    }
    sent
}

pub(super) fn large() -> bytes::BytesMut {
    frame(OTHER.code(), 7, vec![7; MIB - 15])
}

pub(super) async fn check_echo(raw: &mut RawPeer) {
    raw.send(ECHO.code(), 7, "small").await.unwrap();
    assert_eq!(raw.next().await.unwrap().text().unwrap(), "small");
}

pub(super) async fn next_evicted(events: &mut EventStream) -> (Peer, usize) {
    until(events, |event| match event {
        Event::Evicted { peer, held } => Some((peer, held)),
        _ => None,
    })
    .await
}

#[tokio::test(start_paused = true)]
pub(crate) async fn a_frame_waits_for_room_and_then_the_largest_goes() {
    // The room is released at once, even if the application still works on a peer that has left.
    let world = world_of(Router::new().on_disconnect(|| sleep(5 * SECOND)));
    let mut events = world.hub.events();
    let (mut first, first_peer) = world.join().await;
    let (mut second, second_peer) = world.join().await;
    let (mut third, third_peer) = world.join().await;
    let mut small = world.raw().await;
    assert_eq!(begin(&mut first).await, MIB - 1);
    // The second peer has sent less of its frame.
    second.write(&large()[..MIB / 2]).await.unwrap();
    let start = Instant::now();
    let writing = tokio::spawn(async move { third.write(&large()).await.map(|()| third) });
    // Small messages need no room in the budget.
    check_echo(&mut small).await;
    let evicted = next_evicted(&mut events).await;
    assert_eq!((evicted.0.id(), evicted.1), (first_peer.id(), 3 * MIB));
    assert!((SECOND..3 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert_eq!(first_peer.closed().await.reason, CloseReason::Evicted);
    // Now there is room for the other peers.
    let third = writing.await.unwrap().expect("it is read again");
    assert!(start.elapsed() < 3 * SECOND, "{:?}", start.elapsed());
    second.write(&large()[MIB / 2..]).await.unwrap();
    for (mut raw, peer) in [(second, second_peer), (third, third_peer)] {
        check_echo(&mut raw).await;
        assert_eq!(peer.stats().received.handled, 2);
        assert!(!peer.is_closed());
    }
}

#[tokio::test(start_paused = true)]
pub(crate) async fn whoever_gives_room_back_saves_the_others() {
    let world = world();
    let mut events = world.hub.events();
    let (mut first, _) = world.join().await;
    let (mut second, _) = world.join().await;
    let mut third = world.raw().await;
    begin(&mut first).await;
    begin(&mut second).await;
    let writing = tokio::spawn(async move { third.write(&large()).await.map(|()| third) });
    sleep(SECOND / 2).await;
    assert!(!writing.is_finished(), "it waits for room");
    // The first frame is completed and handled.
    first.write(&large()[MIB - 1..]).await.unwrap();
    check_echo(&mut first).await;
    let mut third = timeout(SECOND / 2, writing).await.expect("it has room").unwrap().unwrap();
    check_echo(&mut third).await;
    second.write(&large()[MIB - 1..]).await.unwrap();
    check_echo(&mut second).await;
    assert!(timeout(SECOND, next_evicted(&mut events)).await.is_err());
}

/// The room of one frame is not reused for the next frame, which has to wait for its own.
#[tokio::test(start_paused = true)]
async fn a_second_large_frame_waits_for_room_as_the_first_did() {
    let world = world();
    let mut events = world.hub.events();
    let mut peers = Vec::new();
    for _ in 0..3 {
        let mut raw = world.raw().await;
        raw.write(&large()).await.unwrap();
        check_echo(&mut raw).await;
        // The first is the last below: it received its own room, and no buffer that another frame
        // released.
        peers.insert(0, raw);
    }
    for raw in &mut peers[..2] {
        assert_eq!(begin(raw).await, MIB - 1);
    }
    let mut third = peers.pop().unwrap();
    let writing = tokio::spawn(async move { third.write(&large()).await.map(|()| third) });
    sleep(SECOND / 2).await;
    assert!(!writing.is_finished(), "it waits for room");
    for raw in &mut peers {
        raw.write(&large()[MIB - 1..]).await.unwrap();
        check_echo(raw).await;
    }
    let mut third = timeout(SECOND / 2, writing).await.expect("it has room").unwrap().unwrap();
    check_echo(&mut third).await;
    assert!(timeout(SECOND, next_evicted(&mut events)).await.is_err());
}

/// No peer is evicted for a frame that will never be read.
#[tokio::test(start_paused = true)]
async fn a_peer_that_is_leaving_asks_for_no_room() {
    // Room for two large frames, and little more.
    let config = ServerConfig::default()
        .max_message_size(MIB)
        .outbox(1_024, 8 * MIB)
        .memory_budget(13 * MIB / 2);
    let hangs = MessageType::new(300, "hangs", "");
    let router = Router::new().route(OTHER, || {}).route(hangs, std::future::pending::<()>);
    let world = World::with(config, PIPE, router);
    let mut events = world.hub.events();
    let (mut first, first_peer) = world.join().await;
    let (mut second, second_peer) = world.join().await;
    let (mut third, third_peer) = world.join().await;
    begin(&mut first).await;
    begin(&mut second).await;
    third.send(hangs.code(), 7, "").await.unwrap();
    third_peer.try_send(&Message::new(OTHER, vec![7; 100_000])).unwrap();
    sleep(19 * SECOND / 2).await;
    let mut writer = third.split_writer();
    let writing = tokio::spawn(async move { writer.write(&large()).await });
    // The peer reads nothing for ten seconds, and its handler runs for the same time.
    while !third_peer.is_closed() {
        sleep(SECOND / 10).await;
    }
    assert!(timeout(15 * SECOND, next_evicted(&mut events)).await.is_err());
    assert_eq!(third_peer.closed().await.reason, CloseReason::WriteStalled);
    assert!(!first_peer.is_closed() && !second_peer.is_closed());
    writing.abort();
}

/// A frame is charged when it receives room, and not only when it is complete.
#[tokio::test(start_paused = true)]
async fn no_more_room_is_given_than_there_is() {
    let config = ServerConfig::default().max_message_size(MIB).memory_budget(5 * MIB);
    let world = World::with(config, PIPE, Router::new().route(OTHER, || {}));
    let mut events = world.hub.events();
    let (mut first, first_peer) = world.join().await;
    let (mut second, second_peer) = world.join().await;
    begin(&mut first).await;
    let writing = tokio::spawn(async move { second.write(&large()).await.map(|()| second) });
    sleep(SECOND / 2).await;
    assert!(!writing.is_finished(), "it waits for room");
    first.write(&large()[MIB - 1..]).await.unwrap();
    let _second = timeout(SECOND / 2, writing).await.expect("it has room").unwrap().unwrap();
    assert!(timeout(SECOND, next_evicted(&mut events)).await.is_err());
    for peer in [first_peer, second_peer] {
        assert_eq!(peer.stats().received.handled, 1);
    }
}

/// The handle of an ended connection holds none of its memory.
#[tokio::test(start_paused = true)]
async fn who_is_closed_has_given_its_room_back() {
    let world = world();
    let mut events = world.hub.events();
    let (mut first, first_peer) = world.join().await;
    let (mut second, second_peer) = world.join().await;
    begin(&mut first).await;
    begin(&mut second).await;
    assert_eq!(world.hub.close(all(), "enough"), Ok(2));
    drop((first, second));
    first_peer.closed().await;
    second_peer.closed().await;
    sleep(SECOND).await;
    let start = Instant::now();
    for _ in 0..2 {
        let mut raw = world.raw().await;
        begin(&mut raw).await;
        raw.write(&large()[MIB - 1..]).await.unwrap();
        check_echo(&mut raw).await;
    }
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    assert!(timeout(SECOND, next_evicted(&mut events)).await.is_err());
    drop((first_peer, second_peer));
}

/// When a peer leaves, its begun frame is never completed, although its handlers may run for some
/// time.
#[tokio::test(start_paused = true)]
async fn who_leaves_gives_its_room_back_before_its_handlers_end() {
    const STUCK: MessageType = MessageType::new(202, "stuck", "");
    let world = world_of(Router::new().route(STUCK, || sleep(5 * SECOND)));
    let mut events = world.hub.events();
    let start = Instant::now();
    for _ in 0..2 {
        let mut raw = world.raw().await;
        begin(&mut raw).await;
        // The handler begins after a complete frame, while another frame has begun.
        raw.write(&large()[MIB - 1..]).await.unwrap();
        raw.send(STUCK.code(), 0, "").await.unwrap();
        begin(&mut raw).await;
    }
    let mut third = world.raw().await;
    third.write(&large()).await.unwrap();
    check_echo(&mut third).await;
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    assert!(timeout(10 * SECOND, next_evicted(&mut events)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn many_who_are_evicted_are_one_line_of_the_log() {
    let (log, _guard) = Log::begin();
    let world = world();
    let mut events = world.hub.events();
    let mut queues = Vec::new();
    for _ in 0..6 {
        let (raw, peer) = world.join().await;
        // A part of it is in the pipe, and one MiB waits.
        for _ in 0..11 {
            peer.try_send(&Message::new(OTHER, vec![7; 100_000])).unwrap();
        }
        queues.push(raw);
    }
    let mut last = world.raw().await;
    tokio::spawn(async move { last.write(&large()).await });
    // One peer is evicted for the frame's first step, and at least two in total for the complete
    // frame.
    for _ in 0..3 {
        let evicted = timeout(5 * SECOND, next_evicted(&mut events));
        evicted.await.expect("three of them are room for one frame");
    }
    let lines = log.lines("the memory budget is used up").len();
    assert!((1..3).contains(&lines), "{lines}");
}

#[tokio::test]
async fn a_budget_without_room_for_the_largest_message_is_refused() {
    let config = ServerConfig::default().memory_budget(3 * MAX_MESSAGE_SIZE);
    let expected = ConfigError::MemoryBudget {
        value: 3 * MAX_MESSAGE_SIZE,
        max_message_size: MAX_MESSAGE_SIZE,
    };
    match Server::bind(config.addr("127.0.0.1:0"), Router::new()).await {
        Err(BindError::Config(error)) => assert_eq!(error, expected),
        other => panic!("{other:?}"),
    }
    // The default budget has room for it.
    let config =
        ServerConfig::default().max_message_size(MEMORY_BUDGET).outbox(1_024, 2 * MEMORY_BUDGET);
    drop(Server::bind(config.addr("127.0.0.1:0"), Router::new()).await.expect("it works"));
}
