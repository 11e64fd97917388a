//! Client-only behaviour: it reconnects, stops, streams messages, and respects its server's ids.

mod admission;
mod connect;
mod dropped;
mod going_away;
mod handles;
mod ids;
mod messages;
mod reconnect;
mod restored;
mod retry;

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use veltix::{Client, ClientConfig, ClientStatus, Event, EventStream, Reconnect};

use crate::support::{PATIENCE, PYTHON, RawPeer, RawServer, until};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn config(reconnect: Reconnect) -> ClientConfig {
    ClientConfig::default().reconnect(reconnect)
}

/// Returns the next status.
async fn next(status: &mut watch::Receiver<ClientStatus>) -> ClientStatus {
    let changed = timeout(PATIENCE, status.changed()).await;
    changed.expect("the status changes").expect("the client is there");
    status.borrow_and_update().clone()
}

/// Returns the reason of the client's end, once it has ended.
async fn lost(client: &Client) -> String {
    let mut status = client.status();
    let lost = status.wait_for(|status| matches!(status, ClientStatus::Lost { .. }));
    let lost = timeout(PATIENCE, lost).await.expect("it gives up").expect("it is there").clone();
    let ClientStatus::Lost { reason } = lost else { unreachable!() };
    reason
}

/// Waits until the client is connected, again or still.
async fn connected(client: &Client) {
    let mut status = client.status();
    let connected = status.wait_for(|status| *status == ClientStatus::Connected);
    timeout(PATIENCE, connected).await.expect("it connects").expect("it is there");
}

/// Accepts the next connection, before any handshake.
async fn accept(server: &mut RawServer) -> RawPeer {
    timeout(PATIENCE, server.accept()).await.expect("the client comes")
}

/// Drops this end of the connection and accepts the next.
async fn break_and_accept(server: &mut RawServer, raw: RawPeer) -> RawPeer {
    drop(raw);
    let mut next = accept(server).await;
    next.welcome(PYTHON).await.expect("the handshake works");
    next
}

/// Returns the number of the next announced attempt and the pause before it.
async fn attempt(events: &mut EventStream) -> (u32, Duration) {
    let attempt = |event| match event {
        Event::Reconnecting { attempt, delay } => Some((attempt, delay)),
        Event::GaveUp { .. } => panic!("it gave up"),
        _ => None,
    };
    until(events, attempt).await
}

/// Returns the number of attempts after which the client stops.
async fn gave_up(events: &mut EventStream) -> u32 {
    let gave_up = |event| match event {
        Event::GaveUp { attempts } => Some(attempts),
        _ => None,
    };
    until(events, gave_up).await
}
