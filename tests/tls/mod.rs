//! TLS: which peers are accepted, the effect of tampering on a stream, and certificates that change
//! while the server runs.
//!
//! The conformance tests show that everything else works as it does without TLS.

mod config;
mod handlers;
mod identity;
mod proxy;
mod r05_tampering;
mod r14_stall;
mod r43_rotation;
mod r44_refusals;
mod reconnect;
mod stream;

use veltix::tls::{ClientTls, ServerTls};
use veltix::{Client, ClientConfig, ConnectError, Message, Router, ServerConfig};

use crate::support::{ECHO, PIPE, World};

/// Starts a server in memory with this TLS config, which sends ECHO back.
fn world(tls: &ServerTls) -> World {
    let router = Router::new().route(ECHO, |message: Message| message);
    World::with(ServerConfig::default().tls(tls.clone()), PIPE, router)
}

async fn connect(world: &World, tls: &ClientTls) -> Result<Client, ConnectError> {
    let config = ClientConfig::default().tls(tls.clone());
    Client::connect_with(world.connector.clone(), config, Router::new()).await
}
