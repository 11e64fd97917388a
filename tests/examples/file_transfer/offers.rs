//! Offers that a receiver accepts, and offers that it refuses.

use std::fs;

use veltix::RequestError;
use veltix::testing::TestClient;
use veltix::typed::Ask;

use super::protocol::{Finish, Refused, Stored};
use super::*;

const HELLO: &[u8] = b"hello, file";

const fn stored(bytes: usize) -> Stored {
    Stored { bytes: bytes as u64, complete: false }
}

/// Asks what must be refused, for this reason.
async fn refused<Q>(client: &TestClient, question: &Q, expected: &str)
where
    Q: Ask<Reply = Stored, Error = Refused>,
{
    match client.client().request(question).await {
        Err(RequestError::Remote(Refused { reason })) if reason.contains(expected) => {}
        other => panic!("not refused because of {expected:?}: {other:?}"),
    }
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_refused() {
    let disk = Disk::new();
    let server = disk.server().await;
    server.allow_failures();
    let ann = server.client("ann").await;
    let long = "x".repeat(181);
    let names = [
        "",
        ".",
        "..",
        "../up",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "C:\\x",
        "c:x",
        ".hidden",
        "nul\0",
        "line\nfeed",
        &long,
    ];
    for name in names {
        refused(&ann, &offer(name, HELLO), "not a plain file name").await;
    }
    assert!(disk.received().is_empty());
    assert_eq!(ann.request(&offer("Grüße ..txt", HELLO)).await, stored(0));
}

#[tokio::test]
async fn an_offer_must_make_sense() {
    let disk = Disk::new();
    let server = disk.server().await;
    server.allow_failures();
    let ann = server.client("ann").await;
    for sha256 in ["", "../../x", &"A".repeat(64)] {
        let offer = Offer { sha256: sha256.to_owned(), ..offer("a", HELLO) };
        refused(&ann, &offer, "SHA-256").await;
    }
    refused(&ann, &Offer { size: u64::MAX, ..offer("a", HELLO) }, "at most").await;
    refused(&ann, &chunk(0, HELLO), "offer the file first").await;
    refused(&ann, &Finish, "offer the file first").await;
    assert!(disk.received().is_empty());
}

#[tokio::test]
async fn chunks_must_fit_together() {
    let disk = Disk::new();
    let server = disk.server().await;
    server.allow_failures();
    let ann = server.client("ann").await;
    ann.request(&offer("a", HELLO)).await;
    refused(&ann, &Chunk(b"short".as_slice().into()), "begins with its offset").await;
    refused(&ann, &chunk(1, HELLO), "a chunk at 1, not 0").await;
    refused(&ann, &chunk(0, b"hello, file and more"), "longer than").await;
    assert_eq!(ann.request(&chunk(0, b"hello")).await, stored(5));
    refused(&ann, &chunk(0, b"hello"), "a chunk at 0, not 5").await;
    refused(&ann, &Finish, "shorter than").await;
    assert_eq!(ann.request(&chunk(5, b", file")).await, stored(11));
    assert_eq!(ann.request(&Finish).await, Stored { bytes: 11, complete: true });
    assert_eq!(fs::read(disk.inbox().join("a")).unwrap(), HELLO);
    assert_eq!(disk.received(), ["a"]);
}

#[tokio::test]
async fn what_arrives_damaged_gets_no_name_and_may_be_sent_again() {
    let disk = Disk::new();
    let server = disk.server().await;
    server.allow_failures();
    let ann = server.client("ann").await;
    ann.request(&offer("a", HELLO)).await;
    ann.request(&chunk(0, b"hullo, file")).await;
    refused(&ann, &Finish, "the checksum is wrong").await;
    assert!(!disk.received().contains(&"a".to_owned()));
    assert_eq!(ann.request(&offer("a", HELLO)).await, stored(0));
    ann.request(&chunk(0, HELLO)).await;
    assert!(ann.request(&Finish).await.complete);
}

#[tokio::test]
async fn a_file_is_never_replaced() {
    let disk = Disk::new();
    let server = disk.server().await;
    server.allow_failures();
    let (ann, bob) = (server.client("ann").await, server.client("bob").await);
    // Two files of one name at the same time: the first that is finished has it.
    for (client, bytes) in [(&ann, b"one"), (&bob, b"two")] {
        client.request(&offer("a", bytes)).await;
        client.request(&chunk(0, bytes)).await;
    }
    assert!(ann.request(&Finish).await.complete);
    refused(&bob, &Finish, "another file of this name").await;
    refused(&bob, &offer("a", b"two"), "another file of this name").await;
    // The very same file is there already.
    let again = bob.request(&offer("a", b"one")).await;
    assert_eq!(again, Stored { bytes: 3, complete: true });
    assert_eq!(fs::read(disk.inbox().join("a")).unwrap(), b"one");
}

/// After a cut the receiver may learn of the new connection before the end of the old one.
#[tokio::test]
async fn who_offers_a_file_last_goes_on_with_it() {
    let disk = Disk::new();
    let server = disk.server().await;
    server.allow_failures();
    let (old, new) = (server.client("old").await, server.client("new").await);
    old.request(&offer("a", HELLO)).await;
    old.request(&chunk(0, b"hello")).await;
    assert_eq!(new.request(&offer("a", HELLO)).await, stored(5));
    refused(&old, &chunk(5, b", file"), "another connection").await;
    refused(&old, &Finish, "another connection").await;
    new.request(&chunk(5, b", file")).await;
    assert!(new.request(&Finish).await.complete);
    assert_eq!(fs::read(disk.inbox().join("a")).unwrap(), HELLO);
}
