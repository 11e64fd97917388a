//! The clock of a test: paused, exact, and deterministic.

use std::thread;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use veltix::testing::TestServer;
use veltix::{ClientConfig, Event, Message, Peer, Reconnect, Router, SocketCore};

use super::{chat, panic_of, seconds};
use crate::support::{ECHO, OTHER, until};

#[tokio::test]
async fn time_passes_only_while_everybody_waits() {
    let patient = |message: Message| async move {
        sleep(seconds(9)).await;
        message
    };
    let server = TestServer::start(Router::new().route(ECHO, patient)).await;
    let mut ann = server.client("ann").await;
    ann.send(&Message::empty(ECHO)).await;
    let start = Instant::now();
    ann.expect(ECHO).await;
    assert_eq!(start.elapsed(), seconds(9));
    server.settle().await;
    assert_eq!(start.elapsed(), seconds(9) + Duration::from_millis(1));
}

#[tokio::test]
async fn what_is_due_meanwhile_happens_at_its_time() {
    let server = TestServer::start(Router::new().on_connect(|peer: Peer| {
        let started = Instant::now();
        tokio::spawn(async move {
            for _ in 0..3 {
                sleep(seconds(20)).await;
                let now = started.elapsed().as_secs().to_string();
                peer.send(&Message::from_text(OTHER, now)).await.expect("it is connected");
            }
        });
    }))
    .await;
    let mut ann = server.client("ann").await;
    server.advance(seconds(60)).await;
    for time in ["20", "40", "60"] {
        ann.expect_message(&Message::from_text(OTHER, time)).await;
    }
    server.advance(seconds(24 * 3600)).await;
    ann.expect_nothing().await;
    assert!(ann.client().is_connected(), "heartbeats were sent and answered in time");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_paused_stays_so() {
    let server = TestServer::start(chat()).await;
    let start = Instant::now();
    // A second server of the same test.
    let other = TestServer::start(chat()).await;
    other.client("ann").await.request(&Message::empty(ECHO)).await;
    server.advance(seconds(10)).await;
    assert!(start.elapsed() < seconds(11));
}

#[tokio::test]
async fn the_clock_stands_still_for_blocking_handlers() {
    let slow = |message: Message| {
        thread::sleep(Duration::from_millis(30));
        message
    };
    let server = TestServer::start(Router::new().route_blocking(ECHO, slow)).await;
    let mut ann = server.client("ann").await;
    let start = Instant::now();
    ann.request(&Message::empty(ECHO)).await;
    ann.send(&Message::empty(ECHO)).await;
    ann.expect(ECHO).await;
    assert_eq!(start.elapsed(), seconds(0));
    ann.send(&Message::empty(ECHO)).await;
    server.settle().await;
    assert_eq!(ann.waiting().len(), 1, "a blocked task is not idle");
}

#[tokio::test]
async fn threads_of_their_own_are_not_used() {
    let here = thread::current().id();
    let same = move || assert_eq!(thread::current().id(), here);
    let server = TestServer::start_with(
        veltix::ServerConfig::default().socket_core(SocketCore::Threading),
        Router::new().route(ECHO, move |message: Message| {
            same();
            message
        }),
    )
    .await;
    server.client("ann").await.request(&Message::empty(ECHO)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_of_many_threads_is_refused() {
    let text = panic_of(async { TestServer::start(chat()).await }).await;
    assert!(text.contains("write `#[tokio::test]` above the test, without a flavor"), "{text}");
}

#[test]
fn chance_is_the_same_each_time() {
    let pauses = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = TestServer::start(chat()).await;
            let config = ClientConfig::default().reconnect(Reconnect::backoff());
            let ann = server.client_with("ann", config, Router::new()).await;
            let mut events = ann.client().events();
            ann.link().cut();
            let mut pauses = Vec::new();
            for _ in 0..20 {
                let pause = |event| match event {
                    Event::Reconnecting { delay, .. } => Some(delay),
                    _ => None,
                };
                pauses.push(until(&mut events, pause).await);
            }
            pauses
        })
    };
    let here = pauses();
    assert_eq!(here, pauses());
    assert_eq!(here, thread::spawn(pauses).join().unwrap());
}

#[tokio::test]
async fn a_server_that_is_dropped_is_gone() {
    let server = TestServer::start(chat()).await;
    let ann = server.client("ann").await;
    let peer = ann.client().peer();
    drop(server);
    peer.closed().await;
}
