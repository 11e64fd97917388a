//! `stop_retry` and `retry`.

use tokio::time::{Instant, sleep};
use veltix::{Client, ClientConfig, ClientStatus, Reconnect, Router};

use super::{accept, attempt, break_and_accept, config, connected, gave_up, lost, seconds};
use crate::support::{PIPE, PYTHON, RawPeer, RawServer, quiet};

/// Connects a client that tries again after this many seconds. Returns it with the other end.
async fn client(server: &mut RawServer, pause: u64) -> (Client, RawPeer) {
    server.client(config(Reconnect::fixed(seconds(pause))), Router::new()).await
}

/// Checks that no connection attempt arrives within the hour.
async fn nobody_comes(server: &mut RawServer) {
    tokio::select! {
        _ = server.accept() => panic!("somebody came"),
        () = sleep(seconds(3600)) => {}
    }
}

#[tokio::test(start_paused = true)]
async fn stop_retry_ends_the_attempts_at_once() {
    let mut server = RawServer::new(PIPE);
    let (client, raw) = client(&mut server, 60).await;
    let mut events = client.events();
    drop(raw);
    attempt(&mut events).await;
    let start = Instant::now();
    client.stop_retry();
    assert_eq!(gave_up(&mut events).await, 1);
    lost(&client).await;
    assert_eq!(start.elapsed(), seconds(0), "the pause is skipped");
    nobody_comes(&mut server).await;
}

#[tokio::test(start_paused = true)]
async fn stop_retry_holds_for_a_loss_to_come() {
    let mut server = RawServer::new(PIPE);
    let (client, mut raw) = client(&mut server, 1).await;
    client.stop_retry();
    quiet().await;
    assert!(client.is_connected(), "it stops the retries, not the connection");
    raw.send(veltix::PING.code(), 40_000, "").await.unwrap();
    raw.next().await.unwrap();
    drop(raw);
    assert_eq!(lost(&client).await, "the peer closed the connection");
    nobody_comes(&mut server).await;
}

#[tokio::test(start_paused = true)]
async fn retry_tries_again_what_was_given_up() {
    let mut server = RawServer::new(PIPE);
    // Without reconnecting, the pauses are those of the backoff.
    let (client, raw) = server.client(ClientConfig::default(), Router::new()).await;
    let mut events = client.events();
    drop(raw);
    assert_eq!(gave_up(&mut events).await, 0);
    for _ in 0..3 {
        client.retry(2);
        assert_eq!(attempt(&mut events).await.0, 1);
        drop(accept(&mut server).await);
        assert_eq!(attempt(&mut events).await.0, 2);
        drop(accept(&mut server).await);
        assert_eq!(gave_up(&mut events).await, 2);
    }
    client.retry(1);
    let mut raw = accept(&mut server).await;
    raw.welcome(PYTHON).await.unwrap();
    connected(&client).await;
}

#[tokio::test(start_paused = true)]
async fn retry_undoes_stop_retry() {
    let mut server = RawServer::new(PIPE);
    let (client, raw) = client(&mut server, 1).await;
    let mut events = client.events();
    client.stop_retry();
    drop(raw);
    gave_up(&mut events).await;
    client.retry(5);
    assert_eq!(attempt(&mut events).await.0, 1);
    let raw = {
        let mut raw = accept(&mut server).await;
        raw.welcome(PYTHON).await.unwrap();
        raw
    };
    connected(&client).await;
    // The setting also applies to later losses.
    let _raw = break_and_accept(&mut server, raw).await;
    connected(&client).await;
}

#[tokio::test(start_paused = true)]
async fn retry_holds_for_a_loss_to_come() {
    let mut server = RawServer::new(PIPE);
    let (client, raw) = server.client(ClientConfig::default(), Router::new()).await;
    let mut events = client.events();
    client.retry(1);
    quiet().await;
    assert!(client.is_connected());
    let raw = break_and_accept(&mut server, raw).await;
    assert_eq!(attempt(&mut events).await.0, 1, "exactly one attempt");
    connected(&client).await;
    drop(raw);
    assert_eq!(gave_up(&mut events).await, 1);
}

#[tokio::test(start_paused = true)]
async fn retry_during_the_attempts_gives_so_many_more() {
    let mut server = RawServer::new(PIPE);
    let (client, raw) = client(&mut server, 10).await;
    let mut events = client.events();
    drop(raw);
    for number in 1..=3 {
        assert_eq!(attempt(&mut events).await.0, number);
        drop(accept(&mut server).await);
    }
    assert_eq!(attempt(&mut events).await.0, 4);
    client.retry(2);
    for number in 1..=2 {
        assert_eq!(attempt(&mut events).await.0, number);
        drop(accept(&mut server).await);
    }
    assert_eq!(gave_up(&mut events).await, 2);
    assert!(matches!(*client.status().borrow(), ClientStatus::Lost { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_closed_client_does_not_retry() {
    let mut server = RawServer::new(PIPE);
    let (client, mut raw) = client(&mut server, 1).await;
    let outcome = client.close().await;
    assert_eq!(outcome.reason, veltix::CloseReason::Closed);
    assert!(raw.rest().await.is_empty());
    client.retry(5);
    nobody_comes(&mut server).await;
    assert_eq!(*client.status().borrow(), ClientStatus::Closed);
}
