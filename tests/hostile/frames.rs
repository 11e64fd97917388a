//! R4: frames inside of frames, against a server that has handlers for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::{Bytes, BytesMut};
use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use veltix::{Router, Server, ServerConfig};

use crate::support::{ECHO, OTHER, PYTHON, frame, said};

/// The number of frames inside a body.
const HIDDEN: usize = 100;

/// The number of peers, each of which sends one such body.
const PEERS: usize = 100;

/// Returns a frame that contains frames and is wrong in one of several ways, followed by good
/// frames.
fn around(number: usize) -> BytesMut {
    let hidden: BytesMut = (0..HIDDEN).flat_map(|_| frame(OTHER.code(), 7, "hidden")).collect();
    let body = [&b"VX\0"[..number % 3], &hidden].concat();
    // No route handles this code; the body is read and discarded.
    let mut outer = frame(if number.is_multiple_of(4) { 777 } else { 200 }, 7, body);
    match number % 4 {
        0 => {}
        1 => outer[9] ^= 1,
        2 => outer[5] = 0xff,
        _ => outer[..2].copy_from_slice(b"GE"),
    }
    if !number.is_multiple_of(4) {
        outer.extend_from_slice(&hidden);
    }
    outer
}

#[tokio::test]
async fn r04_ten_thousand_hidden_frames_are_not_dispatched() {
    let dispatched = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&dispatched);
    let router = Router::new().route(ECHO, |body: Bytes| body).route(OTHER, move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let config = ServerConfig::default().addr("127.0.0.1:0").max_pending_handshakes(PEERS, PEERS);
    let server = Server::bind(config, router).await.unwrap();
    let addr = server.local_addr().socket_addr().unwrap();
    tokio::spawn(server.run());
    let peers = (0..PEERS).map(|number| async move {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        // Each peer splits its bytes at another offset. A server that has closed reads no more.
        let bytes =
            [said(PYTHON), frame(ECHO.code(), 7, "first").to_vec(), around(number).to_vec()]
                .concat();
        for chunk in bytes.chunks(number * 13 + 1) {
            if stream.write_all(chunk).await.is_err() {
                break;
            }
        }
        let _ = stream.shutdown().await;
        let mut answers = Vec::new();
        // The end may be a reset, because bytes were left unread.
        let _ = stream.read_to_end(&mut answers).await;
        answers
    });
    for answers in join_all(peers).await {
        assert!(answers.ends_with(b"first"), "earlier messages are answered");
    }
    assert_eq!(dispatched.load(Ordering::Relaxed), 0);
}
