//! Promise 9: no bytes of a peer panic, block or exhaust the process. A handler that panics ends
//! only its own connection. No lock is held while application code runs.

use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use proptest::prelude::*;
use proptest::sample::Index;
use serde::{Serialize, Serializer};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};
use veltix::{
    Client, CloseReason, Disconnected, Event, Hub, Json, Message, MessageType, Peer, ProtocolError,
    Router, ServerConfig, all, tag,
};

use super::meddler::{Meddler, OnDrop};
use super::{POLICIES, body, check, number, numbered, numbers, paused};
use crate::support::{Door, ECHO, OTHER, RawPeer, World, frame, quiet, until};

/// Starts a server that echoes, and a client that uses it while other peers misbehave.
async fn echo() -> (World, Client) {
    let world = World::new(Router::new().route(ECHO, |body: Bytes| body));
    let honest = world.client(Router::new()).await;
    (world, honest)
}

async fn expect_served(honest: &Client) {
    let start = Instant::now();
    let answer = honest.request(&numbered(ECHO, 7)).await.expect("an answer");
    assert_eq!((number(answer.body()), start.elapsed()), (7, Duration::ZERO));
}

/// Writes as much as the other side reads. The other side may close at any byte.
async fn write_some(raw: &mut RawPeer, bytes: &[u8], chunk: usize) {
    for chunk in bytes.chunks(chunk) {
        if raw.write(chunk).await.is_err() {
            return;
        }
        yield_now().await;
    }
}

/// Returns a well-formed frame of any kind.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let code = prop::sample::select(vec![0, 1, 2, 199, 200, 201, 300, u16::MAX]);
    let body = prop::collection::vec(any::<u8>(), 0..40);
    (code, any::<u16>(), body).prop_map(|(code, id, body)| frame(code, id, body).to_vec())
}

/// Damages bytes in one place: a byte is changed, lost or doubled, or all bytes behind it are lost.
fn damage(bytes: &mut Vec<u8>, (kind, at, byte): &(u8, Index, u8)) {
    if bytes.is_empty() {
        return;
    }
    let at = at.index(bytes.len());
    match kind {
        0 => bytes[at] ^= byte,
        1 => drop(bytes.remove(at)),
        2 => bytes.insert(at, *byte),
        _ => bytes.truncate(at),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_in_place_of_a_handshake_are_survived(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        chunk in 1..100usize,
    ) {
        paused(async {
            let (world, honest) = echo().await;
            let start = Instant::now();
            let mut raw = world.silent().await;
            write_some(&mut raw, &bytes, chunk).await;
            while raw.read_more().await.is_ok() {}
            assert!(start.elapsed() < Duration::from_secs(6), "a handshake has 5 s");
            assert_eq!(world.hub.count(all()), Ok(1));
            expect_served(&honest).await;
        });
    }

    #[test]
    fn any_bytes_in_place_of_frames_are_survived(
        bytes in prop::collection::vec(any::<u8>(), 1..300),
        magic in any::<bool>(),
        chunk in 1..100usize,
    ) {
        let start = if magic { &b"VX\0"[..] } else { b"" };
        paused(survive([start, &bytes].concat(), chunk));
    }

    #[test]
    fn damaged_frames_are_survived(
        frames in prop::collection::vec(any_frame(), 1..20),
        damages in prop::collection::vec((0..4u8, any::<Index>(), any::<u8>()), 0..4),
        chunk in 1..100usize,
    ) {
        let mut bytes = frames.concat();
        damages.iter().for_each(|each| damage(&mut bytes, each));
        paused(survive(bytes, chunk));
    }
}

async fn survive(bytes: Vec<u8>, chunk: usize) {
    let (world, honest) = echo().await;
    let (mut raw, peer) = world.join().await;
    write_some(&mut raw, &bytes, chunk).await;
    expect_served(&honest).await;
    raw.end();
    let outcome = peer.closed().await;
    let expected = matches!(outcome.reason, CloseReason::PeerClosed | CloseReason::Protocol(_));
    assert!(expected, "{outcome:?}");
    check(outcome.sent, outcome.received);
    assert_eq!(outcome.received.waiting, 0);
    expect_served(&honest).await;
    assert_eq!(world.hub.handler_panics(), 0);
}

#[test]
pub(crate) fn what_is_not_a_frame_ends_the_connection() {
    paused(async {
        let oversize = {
            let mut header = frame(ECHO.code(), 0, "")[..15].to_vec();
            header[5..9].copy_from_slice(&(10u32 << 20).to_be_bytes());
            header
        };
        let corrupt = {
            let mut frame = frame(ECHO.code(), 0, "body").to_vec();
            frame[16] ^= 1;
            frame
        };
        for bytes in [b"no".to_vec(), oversize, corrupt] {
            let (world, honest) = echo().await;
            let (mut raw, peer) = world.join().await;
            raw.send(ECHO.code(), 1, body(1, 4)).await.expect("the server reads");
            raw.write(&bytes).await.expect("the server reads");
            // The bytes behind it look like a frame and are none.
            let _ = raw.send(ECHO.code(), 2, body(2, 4)).await;
            assert_eq!(numbers(&raw.all().await), [1]);
            let reason = peer.closed().await.reason;
            let CloseReason::Protocol(error) = reason else { panic!("{reason:?}") };
            match bytes.len() {
                2 => assert_eq!(error, ProtocolError::BadMagic { found: *b"no" }),
                15 => assert!(matches!(error, ProtocolError::Oversize { .. })),
                _ => assert!(matches!(error, ProtocolError::ChecksumMismatch { .. })),
            }
            expect_served(&honest).await;
        }
    });
}

#[test]
pub(crate) fn a_frame_that_trickles_is_given_up() {
    paused(async {
        let (world, honest) = echo().await;
        let (mut raw, peer) = world.join().await;
        let start = Instant::now();
        let whole = frame(ECHO.code(), 0, vec![0; 64 * 1024]);
        let trickling = tokio::spawn(async move {
            let (header, body) = (&whole[..15], &whole[15..]);
            raw.write(header).await?;
            for byte in body {
                sleep(Duration::from_secs(7)).await;
                raw.write(&[*byte]).await?;
            }
            Ok::<_, std::io::Error>(())
        });
        assert_eq!(peer.closed().await.reason, CloseReason::SlowFrame);
        assert_eq!(start.elapsed().as_secs(), 34, "30 s, plus 4 s for 64 KiB");
        assert!(trickling.await.expect("no panic").is_err());
        expect_served(&honest).await;
    });
}

#[test]
pub(crate) fn codes_of_the_protocol_never_reach_a_handler() {
    paused(async {
        let (handled, mut handles) = unbounded_channel();
        let router = Router::new().fallback(move |message: Message| handled.send(message.code()));
        let world = World::new(router);
        let (mut raw, peer) = world.join().await;
        for code in 0..=200 {
            raw.send(code, 0, "").await.expect("the server reads");
        }
        assert_eq!(handles.recv().await, Some(200));
        let received = peer.stats().received;
        assert_eq!((received.handled, received.discarded_unknown), (3, 198), "ping, pong, and 200");
    });
}

/// A value that panics when it is converted into a reply.
struct Broken;

impl Serialize for Broken {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("planned by the test")
    }
}

/// Returns routers whose handler of `OTHER` broadcasts and then panics, each in a different way.
fn panicking() -> Vec<(&'static str, Router)> {
    fn tell(hub: &Hub) {
        hub.broadcast(&numbered(OTHER, 1)).expect("it is encoded");
    }
    let at_once = |hub: Hub| async move {
        tell(&hub);
        if true {
            panic!("planned by the test");
        }
    };
    let later = |hub: Hub| async move {
        yield_now().await;
        tell(&hub);
        if true {
            panic!("planned by the test");
        }
    };
    let plain = |hub: Hub| -> () {
        tell(&hub);
        panic!("planned by the test");
    };
    let reply = |hub: Hub| {
        tell(&hub);
        Json(Broken)
    };
    vec![
        ("at once", Router::new().route(OTHER, at_once)),
        ("later", Router::new().route(OTHER, later)),
        ("plain", Router::new().route(OTHER, plain)),
        ("reply", Router::new().route(OTHER, reply)),
    ]
}

#[test]
pub(crate) fn a_panic_closes_its_own_connection_and_loses_nothing_of_the_others() {
    for (kind, router) in panicking() {
        paused(async {
            let (left, mut leaves) = unbounded_channel();
            let router = router
                .route(ECHO, |body: Bytes| body)
                .on_disconnect(move |outcome: Disconnected| drop(left.send(outcome)));
            let world = World::new(router);
            let mut events = world.hub.events();
            let (told, mut tells) = unbounded_channel();
            let listen = move |body: Bytes| told.send(number(&body));
            let honest = world.client(Router::new().route(OTHER, listen)).await;
            let (mut raw, peer) = world.join().await;
            let start = Instant::now();
            for code in [OTHER, ECHO, ECHO] {
                raw.send(code.code(), 0, "").await.expect("the server reads");
            }
            assert_eq!(
                tells.recv().await,
                Some(1),
                "{kind}: messages before the panic are delivered"
            );
            let panicked = |event| match event {
                Event::HandlerPanicked { code, message, .. } => Some((code, message)),
                _ => None,
            };
            let (code, message) = until(&mut events, panicked).await;
            assert_eq!((code, &*message), (OTHER.code(), "planned by the test"), "{kind}");
            let outcome = peer.closed().await;
            assert_eq!(outcome.reason, CloseReason::HandlerPanicked, "{kind}");
            let codes: Vec<_> = raw.all().await.iter().map(Message::code).collect();
            let all = [OTHER, ECHO, ECHO].map(MessageType::code);
            assert_eq!(codes, all, "{kind}: its own broadcast, and replies to received messages");
            assert_eq!(leaves.recv().await, Some(outcome), "{kind}");
            assert_eq!((world.hub.handler_panics(), start.elapsed()), (1, Duration::ZERO));
            expect_served(&honest).await;
        });
    }
}

#[test]
pub(crate) fn a_panic_as_peers_come_and_go_touches_nobody_else() {
    paused(async {
        let router = Router::new()
            .on_connect(|peer: Peer| assert_eq!(peer.id().to_string(), "1", "planned"))
            .on_disconnect(|| -> () { panic!("planned by the test") })
            .route(ECHO, |body: Bytes| body);
        let world = World::new(router);
        let honest = world.client(Router::new()).await;
        assert!(world.raw().await.all().await.is_empty());
        expect_served(&honest).await;
        honest.close().await;
        world.hub.shutdown().await;
        assert_eq!(world.hub.handler_panics(), 2);
        world.stopped().await;
    });
}

/// The threads of the pool are not paused, so this test uses the real clock.
#[tokio::test]
async fn a_blocking_handler_that_panics_leaves_its_thread_to_others() {
    let blocking = |body: Bytes| {
        assert_ne!(number(&body), 1, "planned by the test");
        body
    };
    let config = ServerConfig::default().max_workers(1);
    let router = Router::new().route_blocking(ECHO, blocking);
    let world = World::with(config, 4096, router);
    let (mut raw, peer) = world.join().await;
    raw.send(ECHO.code(), 1, body(1, 4)).await.expect("the server reads");
    assert_eq!(peer.closed().await.reason, CloseReason::HandlerPanicked);
    let honest = world.client(Router::new()).await;
    let answer = honest.request(&numbered(ECHO, 2)).await.expect("an answer");
    assert_eq!(number(answer.body()), 2);
}

/// If a lock were held during a callback, this test would deadlock.
#[test]
pub(crate) fn code_of_the_application_may_call_anything_from_anywhere() {
    for policy in POLICIES {
        paused(async {
            let meddle = |hub: Hub, peer: Peer| Meddler { hub, peer }.meddle();
            let door = Door::new();
            let gate = door.clone();
            let handler = move |hub: Hub, peer: Peer| {
                let (door, guard) = (gate.clone(), OnDrop(Meddler { hub, peer }, Vec::new()));
                async move {
                    guard.0.meddle();
                    door.pass().await;
                    drop(guard);
                    Json(1)
                }
            };
            let router =
                Router::new().on_connect(meddle).on_disconnect(meddle).route(ECHO, handler);
            let config = ServerConfig::default().outbox(20, 16 << 20).on_full(policy);
            let world = World::with(config, 4096, router);
            let (mut raw, peer) = world.join().await;
            let meddler = Meddler { hub: world.hub.clone(), peer: peer.clone() };
            let waker = meddler.waker();
            let cx = &mut Context::from_waker(&waker);
            let mut watch = world.hub.watch(tag("a")).start().expect("the target is valid");
            while watch.next().boxed().poll_unpin(cx).is_ready() {}
            raw.send(ECHO.code(), 1, "").await.expect("the server reads");
            raw.send(ECHO.code(), 2, "").await.expect("the server reads");
            door.open(1);
            let mut closed = peer.closed();
            assert!(closed.poll_unpin(cx).is_pending());
            let mut call = peer.request(&numbered(OTHER, 0));
            assert!(call.poll_unpin(cx).is_pending());
            for _ in 0..40 {
                let _ = world.hub.broadcast(&meddler.message());
                let mut sending = peer.send(&meddler.message());
                let _ = sending.poll_unpin(cx);
                quiet().await;
                let _ = peer.send(&meddler.message()).poll_unpin(cx);
            }
            raw.next().await.expect("a message");
            quiet().await;
            drop(peer.close());
            peer.closed().await;
            assert!(closed.poll_unpin(cx).is_ready() && call.poll_unpin(cx).is_ready());
            assert_eq!(world.hub.handler_panics(), 0);
        });
    }
}
