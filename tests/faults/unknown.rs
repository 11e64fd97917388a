//! Unknown codes, and codes without a route.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use tokio::time::{Instant, sleep};
use veltix::limits::{UNKNOWN_PER_WINDOW, UNKNOWN_WINDOW};
use veltix::{CloseReason, Event, Message, PING, PONG, Router};

use super::{Scene, echo};
use crate::support::{ECHO, PIPE, RawServer, frame, until};

/// A code that no test has a route for.
const NOBODYS: u16 = 999;

/// Returns this many messages of an unknown code.
fn unknown(count: u32) -> BytesMut {
    (0..count).map(|_| frame(NOBODYS, 0, "")).fold(BytesMut::new(), |mut all, frame| {
        all.unsplit(frame);
        all
    })
}

#[tokio::test(start_paused = true)]
async fn an_unknown_code_is_dropped_and_counted() {
    let mut scene = Scene::new(Router::new()).await;
    let (mut raw, peer) = scene.raw().await;
    raw.write(&unknown(1)).await.unwrap();
    let told = |event| match event {
        Event::UnknownCode { peer, code } => Some((peer, code)),
        _ => None,
    };
    assert_eq!(until(&mut scene.events, told).await, (peer.clone(), NOBODYS));
    echo(&mut raw).await;
    let received = peer.stats().received;
    assert_eq!((received.received, received.handled, received.discarded_unknown), (2, 1, 1));
    drop(raw);
    assert_eq!(scene.next_end().await.reason, CloseReason::PeerClosed);
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn with_a_fallback_every_code_from_200_up_is_known() {
    let mut scene = Scene::new(Router::new().fallback(|message: Message| message)).await;
    let (mut raw, peer) = scene.raw().await;
    for code in [201, 499, 500, u16::MAX] {
        raw.send(code, 7, "mine").await.unwrap();
        let answer = raw.next().await.unwrap();
        assert_eq!((answer.code(), answer.text().unwrap()), (code, "mine"));
    }
    assert_eq!(peer.stats().received.discarded(), 0);
}

#[tokio::test(start_paused = true)]
async fn system_codes_reach_no_handler() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let fallback = move || {
        counter.fetch_add(1, Ordering::Relaxed);
    };
    let mut scene = Scene::new(Router::new().fallback(fallback)).await;
    let (mut raw, peer) = scene.raw().await;
    for code in 2..200 {
        raw.send(code, 0, "").await.unwrap();
    }
    echo(&mut raw).await;
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    let received = peer.stats().received;
    assert_eq!((received.received, received.handled, received.discarded_unknown), (199, 1, 198));
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_and_stray_pongs_taken_by_the_connection() {
    let mut scene = Scene::new(Router::new().fallback(|message: Message| message)).await;
    let (mut raw, peer) = scene.raw().await;
    raw.send(PONG.code(), 0, "").await.unwrap();
    raw.send(PING.code(), 31_000, "with a body").await.unwrap();
    let answer = raw.next().await.unwrap();
    assert_eq!((answer.code(), answer.id().value(), answer.body().len()), (1, 31_000, 0));
    assert_eq!(peer.stats().received.handled, 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_closes_a_peer_that_floods() {
    let mut scene = Scene::new(Router::new()).await;
    let (mut raw, _) = scene.raw().await;
    raw.write(&unknown(UNKNOWN_PER_WINDOW)).await.unwrap();
    echo(&mut raw).await;
    raw.write(&unknown(1)).await.unwrap();
    let end = scene.next_end().await;
    assert_eq!(end.reason, CloseReason::UnknownCodes);
    assert_eq!(end.received.discarded_unknown, u64::from(UNKNOWN_PER_WINDOW) + 1);
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn system_codes_are_a_flood_too() {
    let mut scene = Scene::new(Router::new().fallback(|| {})).await;
    let (mut raw, _) = scene.raw().await;
    let two = frame(2, 0, "");
    raw.write(&two.repeat(UNKNOWN_PER_WINDOW as usize)).await.unwrap();
    echo(&mut raw).await;
    raw.write(&two).await.unwrap();
    assert_eq!(scene.next_end().await.reason, CloseReason::UnknownCodes);
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn as_many_in_a_longer_time_are_no_flood() {
    let mut scene = Scene::new(Router::new()).await;
    let (mut raw, _) = scene.raw().await;
    for _ in 0..3 {
        raw.write(&unknown(UNKNOWN_PER_WINDOW)).await.unwrap();
        echo(&mut raw).await;
        sleep(UNKNOWN_WINDOW).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_bears_any_number() {
    let mut server = RawServer::new(PIPE);
    let router = Router::new().route(ECHO, |message: Message| message);
    let (client, mut raw) = server.client(Default::default(), router).await;
    let start = Instant::now();
    let count = 3 * UNKNOWN_PER_WINDOW;
    raw.write(&unknown(count)).await.unwrap();
    raw.send(ECHO.code(), 40_000, "").await.unwrap();
    assert_eq!(raw.next().await.unwrap().id().value(), 40_000);
    assert!(start.elapsed() < UNKNOWN_WINDOW);
    assert!(client.is_connected());
    let received = client.peer().stats().received;
    assert_eq!(received.discarded_unknown, u64::from(count));
}
