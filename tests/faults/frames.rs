//! Bytes that are not frames.

use bytes::BytesMut;
use veltix::{ClientStatus, CloseReason, ProtocolError, Router};

use super::Scene;
use crate::support::{Door, ECHO, OTHER, PIPE, RawServer, frame, quiet};

/// Returns the frame of a message, with some of its bytes replaced.
fn damaged(at: usize, bytes: &[u8]) -> BytesMut {
    let mut frame = frame(ECHO.code(), 7, "damaged");
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

/// Checks a peer that sends a valid message and then these bytes: the message is handled and
/// answered, and the connection ends for this reason.
async fn check_end(bytes: &[u8], expected: ProtocolError) {
    let mut scene = Scene::new(Router::new()).await;
    let (mut raw, peer) = scene.raw().await;
    raw.write(&[&frame(ECHO.code(), 7, "good"), bytes].concat()).await.expect("it reads");
    raw.end();
    let end = scene.next_end().await;
    assert_eq!(end.reason, CloseReason::Protocol(expected));
    assert_eq!((end.received.received, end.received.handled, end.undelivered), (1, 1, 0));
    let answers = raw.rest().await;
    assert_eq!(answers.len(), 1);
    assert_eq!((answers[0].id().value(), answers[0].text().ok()), (7, Some("good")));
    assert_eq!(peer.closed().await, end);
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_magic_ends_the_connection() {
    let found = *b"VZ";
    check_end(&damaged(0, &found), ProtocolError::BadMagic { found }).await;
    // Two bytes are enough to detect it.
    check_end(b"GE", ProtocolError::BadMagic { found: *b"GE" }).await;
}

#[tokio::test(start_paused = true)]
async fn an_oversize_header_ends_the_connection_before_its_body_comes() {
    let limit = 10 << 20;
    for length in [limit as u32 - 14, u32::MAX] {
        let total = 15 + u64::from(length);
        let header = &damaged(5, &length.to_be_bytes())[..15];
        check_end(header, ProtocolError::Oversize { total, limit }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_body_ends_the_connection() {
    let announced = crc32(b"damaged");
    let computed = crc32(b"dAmaged");
    check_end(&damaged(16, b"A"), ProtocolError::ChecksumMismatch { announced, computed }).await;
}

/// Returns the checksum that the encoder writes into a header.
fn crc32(body: &'static [u8]) -> u32 {
    let frame = frame(ECHO.code(), 0, body);
    u32::from_be_bytes([frame[9], frame[10], frame[11], frame[12]])
}

#[tokio::test(start_paused = true)]
async fn an_end_inside_a_frame_is_told() {
    let whole = damaged(15, b"");
    let truncated = |received, expected| ProtocolError::Truncated { received, expected };
    check_end(&whole[..1], truncated(1, 15)).await;
    check_end(&whole[..14], truncated(14, 15)).await;
    check_end(&whole[..15], truncated(15, 22)).await;
    check_end(&whole[..21], truncated(21, 22)).await;
}

#[tokio::test(start_paused = true)]
async fn messages_that_came_before_still_get_their_turn() {
    let door = Door::new();
    let mut scene = Scene::new(Router::new().route(OTHER, door.handler())).await;
    let (mut raw, peer) = scene.raw().await;
    for id in 1..=3 {
        raw.send(OTHER.code(), id, "").await.unwrap();
    }
    raw.write(b"nonsense").await.unwrap();
    quiet().await;
    assert!(peer.is_closed());
    let received = peer.stats().received;
    assert_eq!((received.received, received.handled, received.waiting), (3, 0, 3));
    door.open(3);
    let end = scene.next_end().await;
    assert_eq!(end.reason, CloseReason::Protocol(ProtocolError::BadMagic { found: *b"no" }));
    assert_eq!((end.received.handled, end.received.discarded()), (3, 0));
    scene.check_bystander().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_leaves_a_server_that_sends_no_frames() {
    let mut server = RawServer::new(PIPE);
    let (client, mut raw) = server.client(Default::default(), Router::new()).await;
    raw.write(b"HTTP/1.1 400 Bad Request").await.unwrap();
    let error = ProtocolError::BadMagic { found: *b"HT" };
    assert_eq!(client.peer().closed().await.reason, CloseReason::Protocol(error));
    let mut status = client.status();
    let lost = status.wait_for(|status| matches!(status, ClientStatus::Lost { .. })).await.unwrap();
    assert_eq!(*lost, ClientStatus::Lost { reason: error.to_string() });
}
