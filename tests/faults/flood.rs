//! A peer that never lets its connection's task become idle.

use std::time::Duration;

use tokio::time::timeout;
use veltix::{Message, RequestError, Router};

use super::{Scene, seconds};
use crate::support::{ECHO, OTHER, frame};

/// The frames in one write of the flood, and the maximum number of writes: half a minute of work.
const FRAMES: usize = 1_000;
const WRITES: usize = 150;

/// On the real clock, because a paused clock stands still while any task is busy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_stops_no_clock() {
    // The handler is slower than the flood: each turn ends at its time limit, and the next follows
    // at once.
    let slow = |_: &[u8]| std::thread::sleep(Duration::from_micros(200));
    let mut scene = Scene::new(Router::new().route(OTHER, slow)).await;
    let (mut raw, peer) = scene.raw().await;
    let frames = frame(OTHER.code(), 0, "").repeat(FRAMES);
    let flood = tokio::spawn(async move {
        for _ in 0..WRITES {
            raw.write(&frames).await.expect("the server reads");
        }
    });
    let call = peer
        .request(&Message::from_text(ECHO, "nobody answers"))
        .timeout(Duration::from_millis(50));
    let ended = timeout(seconds(10), call).await.expect("it ends while the flood goes on");
    assert!(matches!(ended, Err(RequestError::Timeout { .. })), "{ended:?}");
    assert!(!flood.is_finished());
    flood.abort();
    drop(flood.await);
    scene.next_end().await;
    scene.check_bystander().await;
}
