//! Handlers that panic, fail, or do not receive the arguments that they require.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use tokio::task::yield_now;
use veltix::handler::{Context, FromContext};
use veltix::limits::MAX_TYPED_BODY;
use veltix::{
    CloseReason, Disconnected, Event, Json, Message, MessageType, Peer, Rejection, Router, Text,
};

use super::{Scene, echo};
use crate::support::{OTHER, until};

/// The payload of the panic.
const TEXT: &str = "planned, and caught";

/// Checks that a peer whose message makes a handler panic is closed, and that the panic is
/// reported.
async fn check_panic(router: Router) {
    let mut scene = Scene::new(router).await;
    let (mut raw, peer) = scene.raw().await;
    raw.send(OTHER.code(), 7, "").await.expect("it reads");
    raw.send(OTHER.code(), 8, "").await.expect("it reads");
    let panicked = |event| match event {
        Event::HandlerPanicked { peer, code, message } => Some((peer, code, message)),
        _ => None,
    };
    let told = until(&mut scene.events, panicked).await;
    assert_eq!(told, (peer, OTHER.code(), TEXT.to_owned()));
    let end = scene.next_end().await;
    assert_eq!(end.reason, CloseReason::HandlerPanicked);
    assert_eq!(end.received.handled, 2, "the second message had been received, and was handled");
    assert!(raw.rest().await.is_empty());
    assert_eq!(scene.world.hub.handler_panics(), 2);
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_its_connection_alone() {
    check_panic(Router::new().route(OTHER, || -> () { panic!("{TEXT}") })).await;
    let at_once = async || -> () { panic!("{TEXT}") };
    check_panic(Router::new().route(OTHER, at_once)).await;
    let after_an_await = async || {
        yield_now().await;
        panic!("{TEXT}");
        #[allow(unreachable_code, reason = "it returns the value of the function")]
        ()
    };
    check_panic(Router::new().route(OTHER, after_an_await)).await;
    check_panic(Router::new().fallback(at_once)).await;
}

/// On the real clock: a paused clock would run ahead of the pool's threads.
#[tokio::test]
async fn a_panic_on_a_thread_of_the_pool_is_caught_too() {
    check_panic(Router::new().route_blocking(OTHER, || -> () { panic!("{TEXT}") })).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_extractor_is_caught_too() {
    struct Panics;
    impl<S> FromContext<S> for Panics {
        fn from_context(_cx: &Context<'_>, _state: &S) -> Result<Self, Rejection> {
            panic!("{TEXT}")
        }
    }
    check_panic(Router::new().route(OTHER, |_: Panics| {})).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_without_a_text_is_caught_too() {
    let router = Router::new().route(OTHER, || -> () { std::panic::panic_any(7) });
    let mut scene = Scene::new(router).await;
    let (mut raw, _) = scene.raw().await;
    raw.send(OTHER.code(), 7, "").await.unwrap();
    assert_eq!(scene.next_end().await.reason, CloseReason::HandlerPanicked);
    assert_eq!(scene.world.hub.handler_panics(), 1);
}

/// Panics for peers with this package name.
fn panic_for(peer: &Peer, version: &str) {
    assert!(peer.hello().version() != version, "{TEXT}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_when_a_peer_comes_refuses_it() {
    let on_connect = |peer: Peer| panic_for(&peer, "unlucky");
    let mut scene = Scene::new(Router::new().on_connect(on_connect)).await;
    let mut raw = scene.world.silent().await;
    raw.say(r#"{"v": "unlucky", "pv": "1.0"}"#).await.unwrap();
    let refused = |event| match event {
        Event::Refused { reason, .. } => Some(reason),
        _ => None,
    };
    assert_eq!(until(&mut scene.events, refused).await, "on_connect panicked");
    assert_eq!(scene.world.hub.handler_panics(), 1);
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_when_a_peer_leaves_is_counted() {
    let on_disconnect = |_: Peer, _: Disconnected| -> () { panic!("{TEXT}") };
    let mut scene = Scene::new(Router::new().on_disconnect(on_disconnect)).await;
    let (raw, peer) = scene.raw().await;
    drop(raw);
    assert_eq!(scene.next_end().await.reason, CloseReason::PeerClosed);
    assert_eq!(peer.closed().await.reason, CloseReason::PeerClosed);
    assert_eq!(scene.world.hub.handler_panics(), 1);
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn an_error_is_told_and_the_connection_goes_on() {
    let fail = async || Err::<(), _>(io::Error::other("the \x1b[31mdatabase\n is away"));
    let mut scene = Scene::new(Router::new().route(OTHER, fail)).await;
    let (mut raw, peer) = scene.raw().await;
    raw.send(OTHER.code(), 7, "").await.unwrap();
    let failed = |event| match event {
        Event::HandlerFailed { peer, code, error } => Some((peer, code, error)),
        _ => None,
    };
    let (who, code, error) = until(&mut scene.events, failed).await;
    assert_eq!((who, code), (peer.clone(), OTHER.code()));
    assert_eq!(error, r"the \u{1b}[31mdatabase\n is away", "escaped for the log");
    echo(&mut raw).await;
    assert_eq!(peer.stats().received.handled, 2);
}

/// Checks that a message with this body is rejected, with a text that begins like this, and that
/// the connection continues.
async fn check_rejected(router: Router, body: impl Into<Bytes>, expected: &str) {
    let mut scene = Scene::new(router).await;
    let (mut raw, peer) = scene.raw().await;
    raw.send(OTHER.code(), 7, body).await.expect("it reads");
    let rejected = |event| match event {
        Event::Rejected { peer, code, reason } => Some((peer, code, reason)),
        _ => None,
    };
    let (who, code, reason) = until(&mut scene.events, rejected).await;
    assert_eq!((who, code), (peer.clone(), OTHER.code()));
    assert!(reason.starts_with(expected), "{reason}");
    echo(&mut raw).await;
    let received = peer.stats().received;
    assert_eq!((received.received, received.rejected, received.handled), (2, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_body_of_another_kind_is_rejected() {
    let text = || Router::new().route(OTHER, |_: Text| {});
    check_rejected(text(), &b"\xff\xfe"[..], "the body is not UTF-8").await;
    let json = || Router::new().route(OTHER, async |_: Json<u8>| {});
    for body in ["", "{}", "256", "\"seven\"", "7 7"] {
        check_rejected(json(), body, "the body is not the JSON that was expected").await;
    }
    check_rejected(json(), "[".repeat(100_000), "the body is not the JSON").await;
}

#[tokio::test(start_paused = true)]
async fn an_extractor_of_ones_own_may_reject() {
    struct Never;
    impl<S> FromContext<S> for Never {
        fn from_context(cx: &Context<'_>, _state: &S) -> Result<Self, Rejection> {
            Err(Rejection::other(format!("not for {}", cx.code())))
        }
    }
    check_rejected(Router::new().route(OTHER, |_: Never| {}), "", "not for 201").await;
}

#[tokio::test(start_paused = true)]
async fn a_large_body_is_rejected_before_it_is_parsed() {
    static PARSED: AtomicBool = AtomicBool::new(false);
    struct Watched;
    impl<'de> Deserialize<'de> for Watched {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            PARSED.store(true, Ordering::Relaxed);
            String::deserialize(deserializer).map(|_| Self)
        }
    }
    let json = |length| format!("\"{}\"", "x".repeat(length - 2));
    let router = || Router::new().route(OTHER, |_: Json<Watched>| {});
    let too_large = "the body of 1048577 bytes is over max_typed_body (1048576)";
    check_rejected(router(), json(MAX_TYPED_BODY + 1), too_large).await;
    assert!(!PARSED.load(Ordering::Relaxed));
    let text = Router::new().route(OTHER, |_: Text| {});
    check_rejected(text, json(MAX_TYPED_BODY + 1), too_large).await;
    // The largest body is accepted.
    let mut scene = Scene::new(router()).await;
    let (mut raw, peer) = scene.raw().await;
    raw.send(OTHER.code(), 7, json(MAX_TYPED_BODY)).await.unwrap();
    echo(&mut raw).await;
    assert!(PARSED.load(Ordering::Relaxed));
    assert_eq!((peer.stats().received.handled, peer.stats().received.rejected), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn bytes_are_taken_at_any_size() {
    let count = |body: Bytes| Ok::<_, Infallible>(body.len().to_string());
    let mut scene = Scene::new(Router::new().route(OTHER, count)).await;
    let (mut raw, _) = scene.raw().await;
    raw.send(OTHER.code(), 7, vec![0; 3 << 20]).await.unwrap();
    assert_eq!(raw.next().await.unwrap().text().unwrap(), (3 << 20).to_string());
}

#[tokio::test(start_paused = true)]
async fn a_reply_of_another_code_keeps_the_question_s_id() {
    const ANSWER: MessageType = MessageType::new(300, "answer", "");
    let router = Router::new().route(OTHER, || Message::from_text(ANSWER, "42"));
    let mut scene = Scene::new(router).await;
    let (mut raw, _) = scene.raw().await;
    raw.send(OTHER.code(), 7, "").await.unwrap();
    let answer = raw.next().await.unwrap();
    assert_eq!((answer.code(), answer.id().value()), (300, 7));
}
