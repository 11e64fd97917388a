//! Invalid input and faults: each has its typed outcome, and affects only the peer that caused it.

mod flood;
mod frames;
mod handlers;
mod handshakes;
mod peer_limits;
mod reports;
mod sending;
mod silence;
mod unknown;

use std::time::Duration;

use bytes::Bytes;
use veltix::{
    Client, Disconnected, Event, EventStream, HandshakeFailure, Message, Peer, Router,
    ServerConfig, all,
};

use crate::support::{ECHO, PIPE, RawPeer, World, until};

/// A server that sends ECHO back, and an uninvolved client.
struct Scene {
    world: World,
    events: EventStream,
    bystander: Client,
}

impl Scene {
    async fn new(router: Router) -> Self {
        Self::with(ServerConfig::default(), PIPE, router).await
    }

    async fn with(config: ServerConfig, pipe: usize, router: Router) -> Self {
        let world = World::with(config, pipe, router.route(ECHO, |body: Bytes| body));
        let bystander = world.client(Router::new()).await;
        let events = world.hub.events();
        Self { world, events, bystander }
    }

    /// Connects a peer that sends only the bytes of the test. Returns it with the server's handle.
    async fn raw(&mut self) -> (RawPeer, Peer) {
        let raw = self.world.raw().await;
        let connected = |event| match event {
            Event::Connected { peer } => Some(peer),
            _ => None,
        };
        (raw, until(&mut self.events, connected).await)
    }

    /// Returns the outcome of the next connection that ends.
    async fn next_end(&mut self) -> Disconnected {
        let ended = |event| match event {
            Event::Disconnected { outcome, .. } => Some(outcome),
            _ => None,
        };
        until(&mut self.events, ended).await
    }

    /// Returns the failure of the next handshake that fails.
    async fn next_failure(&mut self) -> HandshakeFailure {
        let failed = |event| match event {
            Event::HandshakeFailed { reason, .. } => Some(reason),
            _ => None,
        };
        until(&mut self.events, failed).await
    }

    /// Checks that only the uninvolved client is left, and that it is not affected.
    async fn check_bystander(&self) {
        let question = Message::from_text(ECHO, "still there?");
        let answer = self.bystander.request(&question).await.expect("an answer");
        assert_eq!(answer.body(), question.body());
        assert_eq!(self.world.hub.count(all()), Ok(1));
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Sends a message and receives it back.
async fn echo(peer: &mut RawPeer) {
    peer.send(ECHO.code(), 99, "echo").await.expect("the server reads");
    let answer = peer.next().await.expect("the server answers");
    assert_eq!((answer.code(), answer.id().value(), answer.text().ok()), (200, 99, Some("echo")));
}
