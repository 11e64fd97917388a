//! Handlers that fail: they fail the test, unless the test names or allows that.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt;
use veltix::testing::TestServer;
use veltix::{ClientConfig, Message, Refuse, Router, Text};

use super::{panic_of, seconds, text};
use crate::support::{ECHO, OTHER};

/// Creates a router whose handlers fail with the text that they receive.
fn failing() -> Router {
    Router::new()
        .route(ECHO, |Text(text): Text| Err::<(), _>(text))
        .route(OTHER, |Text(text): Text| -> () { panic!("{text}") })
}

/// Returns the text of the panic of a drop.
fn dropped(value: impl Sized) -> Option<String> {
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(value)));
    dropped.err().map(|panic| text(&*panic))
}

#[tokio::test]
async fn an_error_and_a_panic_fail_the_test() {
    for code in [ECHO, OTHER] {
        let server = TestServer::start(failing()).await;
        let ann = server.client("ann").await;
        ann.send(&Message::from_text(code, "planned")).await;
        server.settle().await;
        drop(ann);
        let text = dropped(server).expect("the drop panics");
        assert!(
            text.starts_with("a handler of the server failed:\n  the handler of code"),
            "{text}"
        );
        assert!(text.contains("for #1 (memory:1): planned\n"), "{text}");
        assert!(text.contains("call `expect_failure` or `allow_failures`"), "{text}");
    }
}

#[tokio::test]
async fn a_shutdown_fails_as_well() {
    let server = TestServer::start(failing()).await;
    let ann = server.client("ann").await;
    ann.send(&Message::from_text(ECHO, "planned")).await;
    server.settle().await;
    let text = panic_of(server.shutdown()).await;
    assert!(text.contains(": planned\n"), "{text}");
}

#[tokio::test]
async fn failures_that_the_test_means_fail_nothing() {
    let server = TestServer::start(failing()).await;
    let ann = server.client("ann").await;
    for text in ["one", "two", "a \"three\""] {
        ann.send(&Message::from_text(ECHO, text)).await;
    }
    let line = server.expect_failure("two").await;
    assert_eq!(line, "the handler of code 200 failed for #1 (memory:1): two");
    server.expect_failure("code 200").await;
    server.expect_failure("a \"three\"").await;
    let line = line!() + 1;
    let text = panic_of(server.expect_failure("three")).await;
    let begin = format!("{}:{line}:32: no handler of the server failed with \"three\"", file!());
    assert!(text.starts_with(&begin), "{text}");
    assert_eq!(dropped(server), None);

    let server = TestServer::start(failing()).await;
    server.allow_failures();
    let ann = server.client("ann").await;
    ann.send(&Message::from_text(ECHO, "planned")).await;
    server.settle().await;
    assert!(server.shutdown().await.complete);
}

#[tokio::test]
async fn handlers_of_a_client_count_too() {
    let server = TestServer::start(Router::new()).await;
    let ann = server.client_with("ann", ClientConfig::default(), failing()).await;
    let peer = server.peer(&ann);
    peer.send(&Message::from_text(ECHO, "meant")).await.unwrap();
    ann.expect_failure("meant").await;
    peer.send(&Message::from_text(ECHO, "planned")).await.unwrap();
    server.settle().await;
    let text = dropped(ann).expect("the drop panics");
    assert!(text.starts_with("a handler of ann failed:\n"), "{text}");
    let bob = server.client_with("bob", ClientConfig::default(), failing()).await;
    bob.allow_failures();
    server.peer(&bob).send(&Message::from_text(ECHO, "planned")).await.unwrap();
    server.settle().await;
    assert_eq!(dropped(bob), None);
}

/// More failures than the stream of events holds, and a decision that is none.
#[tokio::test]
async fn every_failure_counts_and_a_refusal_is_none() {
    let router = failing().on_connect(|peer: veltix::Peer| match peer.id().value() {
        1 => Ok(()),
        _ => Err(Refuse::new("full")),
    });
    let server = TestServer::start(router).await;
    let ann = server.client("ann").await;
    let off = ClientConfig::default().reconnect(veltix::Reconnect::off());
    drop(server.connect("bob", off, Router::new()).await);
    for _ in 0..3_000 {
        ann.send(&Message::from_text(ECHO, "planned")).await;
    }
    server.advance(seconds(1)).await;
    let text = dropped(server).expect("the drop panics");
    assert_eq!(text.matches(": planned").count(), 3_000);
    assert!(!text.contains("full"), "{text}");
}

/// A test that fails already reports its own failure.
#[tokio::test]
async fn a_failing_test_panics_once() {
    let body = async {
        let server = TestServer::start(failing()).await;
        let ann = server.client("ann").await;
        ann.send(&Message::from_text(ECHO, "planned")).await;
        server.settle().await;
        panic!("the test's own");
    };
    let panic = AssertUnwindSafe(body).catch_unwind().await.map(|(): ()| ()).unwrap_err();
    assert_eq!(text(&*panic), "the test's own");
}
