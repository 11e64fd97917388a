//! The shared parts of the cases: a place, the server there, and connections to it.

use tokio::task::JoinHandle;
use veltix::{
    Client, ClientConfig, Disconnected, Event, EventStream, HandshakeFailure, Hub, Message, Peer,
    Router, SendError, ServerConfig, all,
};

use super::transport::Transport;
use crate::support::{ECHO, OTHER, RawPeer, until};

pub(super) struct Scene<T> {
    pub(super) transport: T,
}

/// A running server, and all of its events.
pub(super) struct Running {
    pub(super) hub: Hub,
    pub(super) events: EventStream,
    pub(super) task: JoinHandle<()>,
}

/// Creates a router that sends ECHO back, and broadcasts OTHER to all peers except its sender.
pub(super) fn chat() -> Router {
    Router::new().route(ECHO, |message: Message| message).route(
        OTHER,
        |hub: Hub, peer: Peer, message: Message| {
            hub.to(all()).except(&peer).send(&message)?;
            Ok::<_, SendError>(())
        },
    )
}

impl<T: Transport> Scene<T> {
    pub(super) const fn new(transport: T) -> Self {
        Self { transport }
    }

    /// Starts a server with the default config, and the router of this module.
    pub(super) async fn serve(&mut self, router: impl Fn() -> Router) -> Running {
        self.serve_with(ServerConfig::default(), router).await
    }

    pub(super) async fn serve_with(
        &mut self,
        config: ServerConfig,
        router: impl Fn() -> Router,
    ) -> Running {
        let server = self.transport.bind(config, router).await;
        let hub = server.hub();
        let events = hub.events();
        let task = tokio::spawn(async move { server.run().await.expect("it runs") });
        Running { hub, events, task }
    }

    /// Connects a client and waits until the server has listed it.
    pub(super) async fn client(&self, router: Router) -> Client {
        self.client_with(ClientConfig::default(), router).await
    }

    pub(super) async fn client_with(&self, config: ClientConfig, router: Router) -> Client {
        let client = self.transport.connect(config, router).await.expect("it connects");
        client.ping().await.expect("a pong");
        client
    }

    /// Connects, performs the handshake, and sends only the bytes of the case.
    pub(super) async fn raw(&self) -> RawPeer {
        let mut raw = self.silent().await;
        raw.shake_hands().await.expect("the handshake works");
        raw
    }

    /// Connects without sending anything.
    pub(super) async fn silent(&self) -> RawPeer {
        RawPeer::new(self.transport.stream().await)
    }
}

impl Running {
    /// Returns the next admitted peer.
    pub(super) async fn next_peer(&mut self) -> Peer {
        let connected = |event| match event {
            Event::Connected { peer } => Some(peer),
            _ => None,
        };
        until(&mut self.events, connected).await
    }

    /// Returns the outcome of the next connection that ends.
    pub(super) async fn next_end(&mut self) -> Disconnected {
        let ended = |event| match event {
            Event::Disconnected { outcome, .. } => Some(outcome),
            _ => None,
        };
        until(&mut self.events, ended).await
    }

    /// Returns the failure of the next handshake that fails.
    pub(super) async fn next_failure(&mut self) -> HandshakeFailure {
        let failed = |event| match event {
            Event::HandshakeFailed { reason, .. } => Some(reason),
            _ => None,
        };
        until(&mut self.events, failed).await
    }
}
